/* What is to come, earliest first: a binary heap of records of one size.  Cost: O(log n) comparisons to add and to take. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct agenda {
    size_t record_size;
    bool (*is_earlier)(const void *a, const void *b);
    char *records;
    size_t count, capacity;
};
/* Copies the record. */
void agenda_add(struct agenda *agenda, const void *record);
/* NULL: nothing is to come. */
const void *agenda_first(const struct agenda *agenda);
/* Moves the first one to *record; there is one. */
void agenda_take(struct agenda *agenda, void *record);
void agenda_finish(struct agenda *agenda);
