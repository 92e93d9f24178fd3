/* A binary heap of entity numbers whose keys may have grown since they were put in: what comes out is looked at, and
 * put back under its true key if that is larger.  Of several entries for one number only the one put in last counts. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lazy_heap {
    struct lazy_entry {
        int64_t key;
        uint32_t number;
    } *entries;
    size_t count, room;
    int64_t *keys; /* by number: of the entry that counts; INT64_MAX: none */
    uint32_t key_count;
};

void lazy_heap_init(struct lazy_heap *heap);
void lazy_heap_finish(struct lazy_heap *heap);
int lazy_heap_put(struct lazy_heap *heap, uint32_t number, int64_t key); /* 0, or -1 if memory is short */
int64_t lazy_heap_key(const struct lazy_heap *heap, uint32_t number);    /* INT64_MAX: not in */
/* Takes out the smallest; false: empty.  */
bool lazy_heap_take(struct lazy_heap *heap, uint32_t *number, int64_t *key);
bool lazy_heap_peek(struct lazy_heap *heap, int64_t *key);
uint64_t lazy_heap_bytes(const struct lazy_heap *heap);
