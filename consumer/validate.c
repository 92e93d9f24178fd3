#include "consumer/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static bool is_null(const struct value *value)
{
    return value->type == VALUE_ABSENT || value->type == VALUE_NULL || (value->type == VALUE_DOUBLE && value->real != value->real);
}

static struct bytes key_text(const struct value *value, char text[24])
{
    if (value->type == VALUE_TEXT)
        return (struct bytes){value->text, value->size};
    return (struct bytes){text, (uint32_t)snprintf(text, 24, "%" PRId64, value->integer)};
}

/* The first entry that the values break, or NULL.  A null field passes. */
static const struct validation_entry *broken_entry(const struct config *config, const struct value *values)
{
    for (size_t i = 0; i < config->validation_count; i++) {
        const struct validation_entry *entry = &config->validation[i];
        if (entry->when.slot >= 0 && !predicate_holds(&entry->when, values))
            continue;
        if (!is_null(&values[entry->bound.slot]) && !predicate_holds(&entry->bound, values))
            return entry;
    }
    return NULL;
}

static const struct predicate *infinite(const struct predicate *predicate, const struct value *values)
{
    bool is = predicate->slot >= 0 && values[predicate->slot].type == VALUE_DOUBLE && isinf(values[predicate->slot].real);
    return is ? predicate : NULL;
}

/* An infinity is out of range whoever reads it: event_check looks at what features read, this at what entries read. */
static const char *infinite_field(const struct config *config, const struct value *values)
{
    for (size_t i = 0; i < config->validation_count; i++) {
        const struct validation_entry *entry = &config->validation[i];
        const struct predicate *at = infinite(&entry->when, values);
        if (at || (at = infinite(&entry->bound, values)))
            return config->fields.fields[at->slot].name;
    }
    return NULL;
}

struct verdict validate(const struct config *config, const struct record *record, const struct value *values, char texts[2][24], struct event *event)
{
    int slot = -1;
    enum reject_reason reason = event_check(config->spec, &config->fields, values, &slot);
    if (reason)
        return (struct verdict){.reason = reason, .field = slot >= 0 ? config->fields.fields[slot].name : NULL};
    const char *field = infinite_field(config, values);
    if (field)
        return (struct verdict){.reason = REJECT_RANGE, .field = field};
    const struct validation_entry *entry = broken_entry(config, values);
    if (entry)
        return (struct verdict){.reason = entry->name ? REJECT_RULE : REJECT_RANGE, .field = entry->field, .rule = entry->name};
    *event = (struct event){.values = values,
        .offset = record->offset,
        .record_ms = record->timestamp_ms,
        .time_ms = values[FIELD_TIME].integer,
        .id = key_text(&values[FIELD_ID], texts[0]),
        .entity = key_text(&values[FIELD_ENTITY], texts[1])};
    return (struct verdict){0};
}
