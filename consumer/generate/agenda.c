#include "consumer/generate/agenda.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static char *at(const struct agenda *a, size_t i)
{
    return a->records + i * a->record_size;
}

static void put(struct agenda *a, size_t i, const void *record)
{
    memmove(at(a, i), record, a->record_size); /* onto itself where there was but one */
}

void agenda_add(struct agenda *a, const void *record)
{
    if (a->count == a->capacity) {
        a->capacity = 2 * a->capacity + 64;
        a->records = reallocarray(a->records, a->capacity, a->record_size);
        assert(a->records && "memory is short");
    }
    size_t i = a->count++;
    for (; i && a->is_earlier(record, at(a, (i - 1) / 2)); i = (i - 1) / 2)
        put(a, i, at(a, (i - 1) / 2));
    put(a, i, record);
}

const void *agenda_first(const struct agenda *a)
{
    return a->count ? a->records : NULL;
}

/* The last one takes the first one's place, and sinks. */
void agenda_take(struct agenda *a, void *record)
{
    assert(a->count);
    memcpy(record, a->records, a->record_size);
    const char *last = at(a, --a->count);
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < a->count; i = child) {
        if (child + 1 < a->count && a->is_earlier(at(a, child + 1), at(a, child)))
            child++;
        if (!a->is_earlier(at(a, child), last))
            break;
        put(a, i, at(a, child));
    }
    put(a, i, last);
}

void agenda_finish(struct agenda *a)
{
    free(a->records);
    *a = (struct agenda){0};
}
