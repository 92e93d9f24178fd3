#include "monitor/report.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct report *report_add(struct report_list *list)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct report *rows = reallocarray(list->rows, capacity, sizeof *rows);
        assert(rows && "memory is short");
        list->rows = rows;
        list->capacity = capacity;
    }
    struct report *row = &list->rows[list->count++];
    *row = (struct report){.detail = "", .threshold = NAN, .p_value = NAN, .importance = NAN, .effect = NAN, .baseline = NAN};
    return row;
}

struct report *report_append(struct report_list *list, const struct report *row)
{
    struct report *copy = report_add(list);
    *copy = *row;
    copy->detail = row->detail && *row->detail ? report_text(list, row->detail, strlen(row->detail)) : "";
    return copy;
}

/* ---- texts ---- */

enum { BLOCK_BYTES = 32 << 10 };

struct report_texts {
    struct report_texts *next;
    size_t used, capacity;
    char bytes[];
};

static struct report_texts *new_block(size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct report_texts *block = malloc(sizeof *block + capacity);
    assert(block && "memory is short");
    *block = (struct report_texts){.capacity = capacity};
    return block;
}

/* The block that has room for so many bytes: this one, the next, or a new one behind it. */
static struct report_texts *block_for(struct report_list *list, size_t bytes)
{
    struct report_texts *at = list->last;
    if (at && at->capacity - at->used >= bytes)
        return at;
    struct report_texts *next = at ? at->next : list->texts;
    if (!next || next->capacity < bytes) {
        struct report_texts *fresh = new_block(bytes);
        fresh->next = next;
        *(at ? &at->next : &list->texts) = fresh;
        next = fresh;
    }
    next->used = 0;
    return list->last = next;
}

const char *report_text(struct report_list *list, const char *text, size_t size)
{
    struct report_texts *block = block_for(list, size + 1);
    char *copy = block->bytes + block->used;
    memcpy(copy, text, size);
    copy[size] = 0;
    block->used += size + 1;
    return copy;
}

void report_list_clear(struct report_list *list)
{
    list->count = 0;
    list->last = NULL;
}

void report_list_finish(struct report_list *list)
{
    for (struct report_texts *next; list->texts; list->texts = next) {
        next = list->texts->next;
        free(list->texts);
    }
    free(list->rows);
    *list = (struct report_list){0};
}

const char *report_kind_name(enum report_kind kind)
{
    return (const char *const[]){"DRIFT", "PREDICTION", "FRESHNESS", "LATENCY", "QUALITY", "CALIBRATION", "SHADOW", "DEPLOYMENT",
                                 "ALERT"}[kind];
}

const char *severity_name(enum severity severity)
{
    return (const char *const[]){"OK", "WARNING", "CRITICAL"}[severity];
}
