/* The fields that this process reads of an event, by dotted name, each with a slot: the index of its
 * `struct value` in an event.  Built once from the feature file, the validation entries and the monitor's
 * segments; the decode plans are compiled against it.  Slots 0, 1 and 2 are id, entity and time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIELD_ID, FIELD_ENTITY, FIELD_TIME, FIELD_SLOTS_MAX = 512 };

/* The value types that a use takes, as a mask of 1 << enum value_type (null is always taken). */
enum field_use {
    FIELD_USE_KEY,      /* id, entity: int or text, as Avro int, long or string */
    FIELD_USE_TIME,     /* int, as Avro int or long */
    FIELD_USE_INTEGER,  /* a window's number without `fixed`: int */
    FIELD_USE_NUMBER,   /* op value, a number with `fixed`, coordinates, min and max of rules: int or double */
    FIELD_USE_CATEGORY, /* distinct, same: int, text, bool (double only through `fixed`) */
    FIELD_USE_LISTED,   /* compared with listed values: int, double, text, bool */
    FIELD_USE_ANY       /* count of a field, segments, monitored values, timestamps: looked at, but no reason to reject an event */
};

struct field_set {
    size_t count;
    struct field {
        char *name;     /* owned */
        uint32_t takes; /* mask of value types that every use of it takes */
        bool plain;     /* id, entity, time: Avro's own strings and integers alone, no enum and no decimal */
    } *fields;
};

void field_set_init(struct field_set *set);
void field_set_finish(struct field_set *set);
/* The slot of `name`, added if new, its mask narrowed by `use`; -1 if all FIELD_SLOTS_MAX slots are taken. */
int field_set_add(struct field_set *set, const char *name, enum field_use use);
int field_set_find(const struct field_set *set, const char *name); /* -1 if absent */
