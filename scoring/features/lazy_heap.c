#include "scoring/features/lazy_heap.h"

#include <stdlib.h>

void lazy_heap_init(struct lazy_heap *heap)
{
    *heap = (struct lazy_heap){0};
}

void lazy_heap_finish(struct lazy_heap *heap)
{
    free(heap->entries);
    free(heap->keys);
    lazy_heap_init(heap);
}

static int keys_reserve(struct lazy_heap *heap, uint32_t number)
{
    if (number < heap->key_count)
        return 0;
    uint32_t count = number + number / 2 + 1024;
    int64_t *keys = realloc(heap->keys, count * sizeof *keys);
    if (!keys)
        return -1;
    for (uint32_t i = heap->key_count; i < count; i++)
        keys[i] = INT64_MAX;
    heap->keys = keys;
    heap->key_count = count;
    return 0;
}

int lazy_heap_put(struct lazy_heap *heap, uint32_t number, int64_t key)
{
    if (heap->count == heap->room) {
        size_t room = heap->room ? heap->room * 2 : 1024;
        struct lazy_entry *entries = realloc(heap->entries, room * sizeof *entries);
        if (!entries)
            return -1;
        heap->entries = entries;
        heap->room = room;
    }
    if (keys_reserve(heap, number))
        return -1;
    size_t i = heap->count++;
    for (; i && heap->entries[(i - 1) / 2].key > key; i = (i - 1) / 2)
        heap->entries[i] = heap->entries[(i - 1) / 2];
    heap->entries[i] = (struct lazy_entry){key, number};
    heap->keys[number] = key;
    return 0;
}

int64_t lazy_heap_key(const struct lazy_heap *heap, uint32_t number)
{
    return number < heap->key_count ? heap->keys[number] : INT64_MAX;
}

static void remove_first(struct lazy_heap *heap)
{
    struct lazy_entry last = heap->entries[--heap->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
        if (child + 1 < heap->count && heap->entries[child + 1].key < heap->entries[child].key)
            child++;
        if (heap->entries[child].key >= last.key)
            break;
        heap->entries[i] = heap->entries[child];
    }
    heap->entries[i] = last;
}

bool lazy_heap_peek(struct lazy_heap *heap, int64_t *key)
{
    while (heap->count && heap->keys[heap->entries[0].number] != heap->entries[0].key)
        remove_first(heap);
    if (!heap->count)
        return false;
    *key = heap->entries[0].key;
    return true;
}

bool lazy_heap_take(struct lazy_heap *heap, uint32_t *number, int64_t *key)
{
    if (!lazy_heap_peek(heap, key))
        return false;
    *number = heap->entries[0].number;
    heap->keys[*number] = INT64_MAX;
    remove_first(heap);
    return true;
}

uint64_t lazy_heap_bytes(const struct lazy_heap *heap)
{
    return heap->room * sizeof *heap->entries + heap->key_count * sizeof *heap->keys;
}
