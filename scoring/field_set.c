#include "scoring/field_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/value.h"

static const uint32_t use_masks[] = {
    [FIELD_USE_KEY] = 1u << VALUE_INT | 1u << VALUE_TEXT,
    [FIELD_USE_TIME] = 1u << VALUE_INT,
    [FIELD_USE_INTEGER] = 1u << VALUE_INT,
    [FIELD_USE_NUMBER] = 1u << VALUE_INT | 1u << VALUE_DOUBLE,
    [FIELD_USE_CATEGORY] = 1u << VALUE_INT | 1u << VALUE_TEXT | 1u << VALUE_BOOL,
    [FIELD_USE_LISTED] = 1u << VALUE_INT | 1u << VALUE_DOUBLE | 1u << VALUE_TEXT | 1u << VALUE_BOOL,
    [FIELD_USE_ANY] = UINT32_MAX,
};

void field_set_init(struct field_set *set)
{
    *set = (struct field_set){0};
}

void field_set_finish(struct field_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->fields[i].name);
    free(set->fields);
    field_set_init(set);
}

int field_set_find(const struct field_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (!strcmp(set->fields[i].name, name))
            return (int)i;
    return -1;
}

static bool is_plain(enum field_use use)
{
    return use == FIELD_USE_KEY || use == FIELD_USE_TIME;
}

int field_set_add(struct field_set *set, const char *name, enum field_use use)
{
    assert(use <= FIELD_USE_ANY);
    int slot = field_set_find(set, name);
    if (slot >= 0) {
        set->fields[slot].takes &= use_masks[use];
        set->fields[slot].plain |= is_plain(use);
        return slot;
    }
    if (set->count == FIELD_SLOTS_MAX)
        return -1;
    if (!set->fields && !(set->fields = calloc(FIELD_SLOTS_MAX, sizeof *set->fields)))
        return -1;
    char *copy = strdup(name);
    if (!copy)
        return -1;
    set->fields[set->count] = (struct field){.name = copy, .takes = use_masks[use], .plain = is_plain(use)};
    return (int)set->count++;
}
