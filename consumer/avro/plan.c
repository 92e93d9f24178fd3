/* The compiler of decode plans: a walk over the writer's schema (and the reader's beside it) that writes steps.
 *
 * Records on the way to a wanted field stand inline.  So do the others, which gives their faults full names, until
 * INLINE_STEPS are written or a type recurs; from there on each pair of writer's and reader's record is a program
 * of its own, written once and called.
 *
 * A reader's schema can refuse for certain (emit returns false, and so does all that must hold the type) or only in
 * some branch of a union: then a STEP_FAIL stands there.  Cost: linear in the steps, at most STEPS_MAX. */
#include "consumer/avro/plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "consumer/avro/resolve.h"
#include "consumer/avro/step_writer.h"

enum { INLINE_STEPS = 1 << 14, NAME_MAX_SIZE = 256 };

/* A wanted field, seen from the type being compiled: what is left of its dotted name, "" for the type itself. */
struct want {
    uint16_t slot;
    const char *rest;
};
struct wants {
    size_t count;
    const struct want *list;
};
static const struct wants no_wants = {0, NULL};

struct pair {
    const struct avro_type_node *writer, *reader;
};

struct compiler {
    struct step_writer out;
    const struct field_set *fields;
    struct arena scratch;
    struct pair path[LEVELS_MAX + 1]; /* records being compiled inline */
    size_t path_count;
    struct pair *programs;
    size_t program_count, program_capacity;
    json_t *program_index, *resolved, *enums; /* by pair */
    bool called;                      /* compiling a program of its own */
    char mismatch[512];               /* the latest */
};

static bool emit(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants, const char *name,
                 unsigned level);

static const char *join(struct compiler *c, const char *name, const char *field)
{
    if (c->called)
        return NULL;
    size_t before = name ? strlen(name) + 1 : 0, size = before + strlen(field);
    if (size > NAME_MAX_SIZE && name)
        return name;
    char *joined = arena_take(&c->out.plan->arena, size + 1);
    snprintf(joined, size + 1, "%s%s%s", name ? name : "", name ? "." : "", field);
    return joined;
}

/* The slot that wants this very type, or NO_SLOT. */
static size_t wanted(struct wants wants)
{
    for (size_t i = 0; i < wants.count; i++)
        if (!*wants.list[i].rest)
            return wants.list[i].slot;
    return NO_SLOT;
}

static struct wants wants_below(struct compiler *c, struct wants wants, const char *field)
{
    size_t size = strlen(field), count = 0;
    struct want *list = NULL;
    for (size_t i = 0; i < wants.count; i++) {
        const char *rest = wants.list[i].rest;
        if (strncmp(rest, field, size) || (rest[size] && rest[size] != '.'))
            continue;
        if (!list)
            list = arena_take(&c->scratch, wants.count * sizeof *list);
        list[count++] = (struct want){wants.list[i].slot, rest + size + (rest[size] == '.')};
    }
    return (struct wants){count, list};
}

static void set_wanted(struct compiler *c, struct wants wants, uint32_t constant)
{
    if (wanted(wants) != NO_SLOT)
        step_add(&c->out, STEP_SET, 0, wanted(wants), constant, NULL);
}

static void set_all(struct compiler *c, struct wants wants, uint32_t constant)
{
    for (size_t i = 0; i < wants.count; i++)
        step_add(&c->out, STEP_SET, 0, wants.list[i].slot, constant, NULL);
}

static const char *type_text(const struct avro_type_node *type)
{
    static const char *const texts[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string",
                                        "record", "enum", "array", "map", "union", "fixed"};
    return texts[type->type];
}

static bool mismatch(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, const char *name)
{
    step_add(&c->out, STEP_FAIL, 0, NO_SLOT, FAULT_READER, name);
    snprintf(c->mismatch, sizeof c->mismatch, "%s%.200s%sthe writer's %s%s%.100s does not match the reader's %s%s%.100s",
             name ? "field \"" : "", name ? name : "", name ? "\": " : "", type_text(w), w->name ? " " : "", w->name ? w->name : "",
             type_text(r), r->name ? " " : "", r->name ? r->name : "");
    return false;
}

static uint32_t time_divisor(const struct avro_type_node *w, const struct avro_type_node *r)
{
    enum avro_logical logical = w->logical != AVRO_L_NONE || !r ? w->logical : r->logical;
    return logical == AVRO_L_TIMESTAMP_MICROS ? 1000 : logical == AVRO_L_TIMESTAMP_NANOS ? 1000000 : 1;
}

static void emit_integer(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, size_t slot, const char *name)
{
    bool narrow = w->type == AVRO_T_INT;
    enum avro_type target = r ? r->type : w->type;
    uint32_t divisor = slot == FIELD_TIME ? time_divisor(w, r) : 1;
    uint32_t form = target == AVRO_T_FLOAT ? NUMBER_FLOAT : target == AVRO_T_DOUBLE ? NUMBER_DOUBLE : divisor > 1 ? NUMBER_DIVIDE : 0;
    if (slot == NO_SLOT) {
        step_add(&c->out, narrow ? STEP_SKIP_INT : STEP_SKIP_LONG, 0, slot, 0, name);
    } else if (form) {
        step_set_jump(&c->out, step_add(&c->out, STEP_NUMBER, 0, slot, form | (narrow ? NUMBER_INT32 : 0), name), divisor);
    } else {
        step_add(&c->out, narrow ? STEP_INT : STEP_LONG, 0, slot, 0, name);
    }
}

/* Is the slot an id, an entity or a time?  To those an enum's symbol and a decimal are something else. */
static bool is_plain(const struct compiler *c, size_t slot)
{
    return slot != NO_SLOT && c->fields->fields[slot].plain;
}

static bool is_decimal(const struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, size_t slot)
{
    return slot != NO_SLOT && !is_plain(c, slot) && (w->logical == AVRO_L_DECIMAL || (r && r->logical == AVRO_L_DECIMAL));
}

static void emit_text(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, size_t slot, const char *name)
{
    bool as_text = (r ? r->type : w->type) == AVRO_T_STRING, utf8 = as_text || w->type == AVRO_T_STRING;
    if (slot != NO_SLOT && as_text) {
        step_add(&c->out, STEP_STRING, 0, slot, 0, name);
    } else if (is_decimal(c, w, r, slot)) {
        step_add(&c->out, STEP_DECIMAL_BYTES, 0, slot, utf8, name);
    } else {
        if (slot != NO_SLOT)
            step_add(&c->out, STEP_SET, 0, slot, CONSTANT_OTHER, name);
        step_add(&c->out, utf8 ? STEP_SKIP_STRING : STEP_SKIP_BYTES, 0, NO_SLOT, 0, name);
    }
}

static void emit_fixed(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, size_t slot, const char *name)
{
    if (is_decimal(c, w, r, slot)) {
        step_add(&c->out, STEP_DECIMAL_FIXED, 0, slot, (uint32_t)w->size, name);
        return;
    }
    if (slot != NO_SLOT)
        step_add(&c->out, STEP_SET, 0, slot, CONSTANT_OTHER, name);
    step_add_skip(&c->out, w->size, name);
}

static struct value symbol_value(struct compiler *c, const char *symbol)
{
    size_t size = strlen(symbol);
    return (struct value){.type = VALUE_TEXT, .size = (uint32_t)size, .text = arena_text(&c->out.plan->arena, symbol, size)};
}

/* What the reader makes of a writer's symbol; NULL: nothing. */
static const char *symbol_for(const struct avro_type_node *r, const json_t *known, const char *symbol)
{
    return !r || json_object_get(known, symbol) ? symbol : r->default_symbol;
}

static json_t *pair_find(const json_t *pairs, struct pair pair, char key[64])
{
    snprintf(key, 64, "%p %p", (const void *)pair.writer, (const void *)pair.reader);
    return json_object_get(pairs, key);
}

/* The constants of an enum's symbols, made once; whether the reader takes any of them. */
static bool enum_constants(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, uint32_t *first)
{
    char key[64];
    const json_t *made = pair_find(c->enums, (struct pair){w, r}, key);
    if (made) {
        *first = (uint32_t)json_integer_value(made);
        return true;
    }
    json_t *known = json_object();
    for (size_t i = 0; r && i < r->count; i++)
        json_object_set_new(known, r->symbols[i], json_true());
    *first = (uint32_t)c->out.constant_count;
    bool any = !r;
    for (size_t i = 0; i < w->count; i++) {
        const char *symbol = symbol_for(r, known, w->symbols[i]);
        any = any || symbol;
        step_add_constant(&c->out, symbol ? symbol_value(c, symbol) : (struct value){.type = VALUE_ABSENT});
    }
    json_decref(known);
    if (any)
        json_object_set_new(c->enums, key, json_integer((json_int_t)*first));
    return any;
}

static bool emit_enum(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, size_t slot, const char *name)
{
    uint32_t first;
    if (!enum_constants(c, w, r, &first))
        return mismatch(c, w, r, name);
    if (is_plain(c, slot))
        step_add(&c->out, STEP_SET, 0, slot, CONSTANT_OTHER, name);
    step_set_jump(&c->out, step_add(&c->out, STEP_ENUM, 0, is_plain(c, slot) ? NO_SLOT : slot, first, name), w->count);
    return true;
}

/* Compiles a type of fixed width only to see whether the reader takes it; what was written is taken back. */
static bool takes_fixed(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, const char *name,
                        unsigned level,
                        bool (*writer)(struct compiler *, const struct avro_type_node *, const struct avro_type_node *, struct wants,
                                       const char *, unsigned))
{
    char key[64];
    if (!r || pair_find(c->resolved, (struct pair){w, r}, key))
        return true;
    struct step_mark mark = step_writer_try(&c->out);
    bool takes = writer(c, w, r, no_wants, name, level);
    step_writer_take_back(&c->out, mark);
    if (takes)
        json_object_set_new(c->resolved, key, json_true());
    return takes;
}

/* The reader may refuse each item: an array without any is read all the same. */
static bool emit_items(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants,
                       const char *name, unsigned level)
{
    const struct avro_type_node *item = w->branches[0], *reader_item = r ? r->branches[0] : NULL;
    unsigned own = level + 1;
    set_all(c, wants, CONSTANT_OTHER);
    if (own > c->out.plan->limits.depth) {
        step_add(&c->out, STEP_FAIL, 0, NO_SLOT, FAULT_DEPTH, name);
        return true;
    }
    if (w->type == AVRO_T_ARRAY && item->width >= 0 && takes_fixed(c, item, reader_item, name, own, emit)) {
        step_add(&c->out, STEP_ARRAY_FIXED, own, NO_SLOT, item->width < UINT32_MAX ? (uint32_t)item->width : UINT32_MAX, name);
        return true;
    }
    uint32_t at = w->type == AVRO_T_ARRAY ? step_add(&c->out, STEP_ARRAY, own, NO_SLOT, 0, name) : step_add(&c->out, STEP_MAP, own, wanted(wants), 0, name);
    step_barrier(&c->out);
    emit(c, item, reader_item, no_wants, name, own);
    step_add(&c->out, STEP_END, 0, NO_SLOT, 0, name);
    step_land(&c->out, at);
    return true;
}

static bool on_path(const struct compiler *c, struct pair pair)
{
    for (size_t i = 0; i < c->path_count; i++)
        if (c->path[i].writer == pair.writer && c->path[i].reader == pair.reader)
            return true;
    return false;
}

static void emit_call(struct compiler *c, struct pair pair, const char *name, unsigned level)
{
    char key[64];
    const json_t *known = pair_find(c->program_index, pair, key);
    uint32_t at = step_add(&c->out, STEP_CALL, level, NO_SLOT, 0, name);
    if (c->out.failed)
        return;
    step_set_jump(&c->out, at, known ? (size_t)json_integer_value(known) : c->program_count);
    if (known)
        return;
    json_object_set_new(c->program_index, key, json_integer((json_int_t)c->program_count));
    c->programs = array_grown(c->programs, c->program_count, &c->program_capacity, sizeof *c->programs);
    c->programs[c->program_count++] = pair;
}

static void set_default(struct compiler *c, const struct avro_type_node *type, const json_t *json, struct wants wants, const char *field,
                        unsigned level);

static void set_default_fields(struct compiler *c, const struct avro_type_node *type, const json_t *json, struct wants wants,
                               const char *field, unsigned level)
{
    set_wanted(c, wants, CONSTANT_OTHER);
    for (size_t i = 0; i < type->count && !c->out.failed; i++) {
        const struct avro_field *member = &type->fields[i];
        const json_t *own = json_object_get(json, member->name);
        set_default(c, member->type, own ? own : member->default_value, wants_below(c, wants, member->name), field, level + 1);
    }
}

/* The reader's default of a field that the writer has not: constants for the wanted parts, the rest only checked. */
static void set_default(struct compiler *c, const struct avro_type_node *type, const json_t *json, struct wants wants, const char *field,
                        unsigned level)
{
    struct value value = {0};
    const struct avro_type_node *branch = type->type == AVRO_T_UNION ? NULL : type;
    for (size_t i = 0; type->type == AVRO_T_UNION && json && i < type->count && !branch; i++)
        branch = resolve_default(&c->out.plan->arena, type->branches[i], json, &value) ? type->branches[i] : NULL;
    if (c->out.failed)
        return;
    if (!json || !branch || level > c->out.plan->limits.depth || !step_writer_works(&c->out) ||
        !resolve_default(&c->out.plan->arena, branch, json, &value)) {
        step_writer_fail(&c->out, "reader's schema: the default of field \"%.200s\" is not of its type", field);
    } else if (branch->type == AVRO_T_RECORD) {
        set_default_fields(c, branch, json, wants, field, level);
    } else if (branch->type == AVRO_T_NULL) {
        set_all(c, wants, CONSTANT_NULL);
    } else if (branch->type == AVRO_T_ARRAY || branch->type == AVRO_T_MAP) {
        set_all(c, wants, CONSTANT_OTHER);
    } else if (wanted(wants) != NO_SLOT) {
        if (is_plain(c, wanted(wants)) && (branch->type == AVRO_T_ENUM || branch->logical == AVRO_L_DECIMAL))
            value = (struct value){.type = VALUE_OTHER};
        int64_t divisor = wanted(wants) == FIELD_TIME && value.type == VALUE_INT ? time_divisor(branch, NULL) : 1;
        if (divisor > 1)
            value.integer = value.integer / divisor - (value.integer % divisor < 0);
        step_add(&c->out, STEP_SET, 0, wanted(wants), step_add_constant(&c->out, value), NULL);
    }
}

static bool set_defaults(struct compiler *c, const struct avro_type_node *r, const bool *taken, struct wants wants, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct avro_field *field = &r->fields[i];
        if (taken[i])
            continue;
        if (!field->default_value) {
            step_add(&c->out, STEP_FAIL, 0, NO_SLOT, FAULT_READER, name);
            snprintf(c->mismatch, sizeof c->mismatch, "the writer's record %.200s has no field \"%.100s\", and the reader's no default for it",
                     r->name, field->name);
            return false;
        }
        set_default(c, field->type, field->default_value, wants_below(c, wants, field->name), field->name, 1);
    }
    return true;
}

/* The fields of a record, one after the other. */
static bool emit_fields(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants,
                        const char *name, unsigned level)
{
    unsigned own = level + 1;
    int *match = r ? arena_take(&c->scratch, w->count * sizeof *match) : NULL;
    bool *taken = r ? arena_take(&c->scratch, r->count * sizeof *taken) : NULL;
    if (r)
        resolve_fields(w, r, match, taken);
    if (r && !set_defaults(c, r, taken, wants, name))
        return false;
    if (c->called && own > 1)
        step_add(&c->out, STEP_NEST, own, NO_SLOT, 0, name);
    assert(c->path_count <= LEVELS_MAX);
    c->path[c->path_count++] = (struct pair){w, r};
    bool takes = true;
    for (size_t i = 0; i < w->count && takes && !c->out.failed; i++) {
        const struct avro_field *field = &w->fields[i], *target = !r ? field : match[i] >= 0 ? &r->fields[match[i]] : NULL;
        struct wants below = target && wants.count ? wants_below(c, wants, target->name) : no_wants;
        takes = emit(c, field->type, r && target ? target->type : NULL, below, join(c, name, field->name), own);
    }
    c->path_count--;
    return takes;
}

static bool emit_record(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants,
                        const char *name, unsigned level)
{
    unsigned own = level + 1;
    bool whole = wanted(wants) != NO_SLOT;
    set_wanted(c, wants, CONSTANT_OTHER);
    if (own > c->out.plan->limits.depth) {
        step_add(&c->out, STEP_FAIL, 0, NO_SLOT, FAULT_DEPTH, name);
        return true;
    }
    if (wants.count > whole)
        return emit_fields(c, w, r, wants, name, level);
    if (w->width >= 0) {
        bool takes = takes_fixed(c, w, r, name, level, emit_fields);
        if (takes)
            step_add_skip(&c->out, (uint64_t)w->width, name);
        else
            step_add(&c->out, STEP_FAIL, 0, NO_SLOT, FAULT_READER, name);
        return takes;
    }
    if (!on_path(c, (struct pair){w, r}) && c->out.work < INLINE_STEPS)
        return emit_fields(c, w, r, no_wants, name, level);
    emit_call(c, (struct pair){w, r}, name, own);
    return true;
}

/* A union of null and one other type, at most one field wanted of it. */
static bool emit_nullable(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants,
                          const char *name, unsigned level)
{
    uint32_t null_branch = w->branches[1]->type == AVRO_T_NULL;
    uint32_t at = step_add(&c->out, STEP_NULLABLE, 0, wants.count ? wants.list[0].slot : NO_SLOT, null_branch, name);
    step_barrier(&c->out);
    emit(c, w->branches[!null_branch], r, wants, name, level); /* not taken: its STEP_FAIL stands there */
    step_land(&c->out, at);
    return true;
}

static bool emit_union(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants,
                       const char *name, unsigned level)
{
    static const struct avro_type_node null_type = {.type = AVRO_T_NULL};
    bool null_taken = !r || resolve_reader(&null_type, r);
    if (w->count == 2 && null_taken && wants.count <= 1 &&
        (w->branches[0]->type == AVRO_T_NULL || w->branches[1]->type == AVRO_T_NULL))
        return emit_nullable(c, w, r, wants, name, level);
    uint32_t at = step_add(&c->out, STEP_UNION, 0, NO_SLOT, (uint32_t)w->count, name), targets = step_add_targets(&c->out, w->count);
    step_set_jump(&c->out, at, targets);
    uint32_t *ends = arena_take(&c->scratch, w->count * sizeof *ends);
    bool any = w->count == 0;
    for (size_t i = 0; i < w->count && !c->out.failed; i++) {
        step_target(&c->out, targets + (uint32_t)i);
        any = emit(c, w->branches[i], r, wants, name, level) || any;
        ends[i] = step_add(&c->out, STEP_GOTO, 0, NO_SLOT, 0, name);
    }
    for (size_t i = 0; i < w->count && !c->out.failed; i++)
        step_land(&c->out, ends[i]);
    return any;
}

/* The steps of one value.  false: the reader never takes it (and a STEP_FAIL stands there). */
static bool emit(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, struct wants wants, const char *name,
                 unsigned level)
{
    if (c->out.failed)
        return true;
    if (w->type == AVRO_T_UNION)
        return emit_union(c, w, r, wants, name, level);
    const struct avro_type_node *target = r ? resolve_reader(w, r) : NULL;
    if (r && !target)
        return mismatch(c, w, r, name);
    size_t slot = wanted(wants);
    switch (w->type) {
    case AVRO_T_NULL:
        set_all(c, wants, CONSTANT_NULL);
        return true;
    case AVRO_T_BOOLEAN:
        step_add(&c->out, slot == NO_SLOT ? STEP_SKIP_BOOL : STEP_BOOL, 0, slot, 0, name);
        return true;
    case AVRO_T_INT:
    case AVRO_T_LONG:
        emit_integer(c, w, target, slot, name);
        return true;
    case AVRO_T_FLOAT:
    case AVRO_T_DOUBLE:
        if (slot == NO_SLOT)
            step_add_skip(&c->out, w->type == AVRO_T_FLOAT ? 4 : 8, name);
        else
            step_add(&c->out, w->type == AVRO_T_FLOAT ? STEP_FLOAT : STEP_DOUBLE, 0, slot, 0, name);
        return true;
    case AVRO_T_BYTES:
    case AVRO_T_STRING:
        emit_text(c, w, target, slot, name);
        return true;
    case AVRO_T_ENUM:
        return emit_enum(c, w, target, slot, name);
    case AVRO_T_FIXED:
        emit_fixed(c, w, target, slot, name);
        return true;
    case AVRO_T_ARRAY:
    case AVRO_T_MAP:
        return emit_items(c, w, target, wants, name, level);
    case AVRO_T_RECORD:
        return emit_record(c, w, target, wants, name, level);
    case AVRO_T_UNION:
        break;
    }
    return true;
}

/* The programs that were called for, which may call for more. */
static void emit_programs(struct compiler *c)
{
    c->called = true;
    for (size_t i = 0; i < c->program_count && !c->out.failed; i++) {
        step_begin_program(&c->out);
        struct pair pair = c->programs[i];
        emit_fields(c, pair.writer, pair.reader, no_wants, NULL, 0);
        step_add(&c->out, STEP_END, 0, NO_SLOT, 0, NULL);
    }
}

static int compile(struct compiler *c, const struct avro_type_node *w, const struct avro_type_node *r, const struct field_set *fields)
{
    struct want *list = arena_take(&c->scratch, fields->count * sizeof *list);
    for (size_t i = 0; i < fields->count; i++)
        list[i] = (struct want){(uint16_t)i, fields->fields[i].name};
    bool takes = emit(c, w, r, (struct wants){fields->count, list}, NULL, 0);
    step_add(&c->out, STEP_END, 0, NO_SLOT, 0, NULL);
    if (!c->out.failed && !takes)
        return err_set(c->out.err, "the reader's schema can never read what this writer's schema writes: %s", c->mismatch);
    emit_programs(c);
    return c->out.failed ? -1 : 0;
}

int decode_plan_create(const struct avro_schema *writer, const struct avro_schema *reader, const struct field_set *fields,
                       struct decode_limits limits, struct decode_plan **out, struct err *err)
{
    assert(fields->count <= FIELD_SLOTS_MAX);
    struct decode_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return err_set(err, "schema: out of memory for a decode plan");
    plan->limits = limits;
    if (plan->limits.depth > LEVELS_MAX)
        plan->limits.depth = LEVELS_MAX;
    plan->slots = fields->count;
    struct compiler c = {.fields = fields, .program_index = json_object(), .resolved = json_object(), .enums = json_object()};
    step_writer_begin(&c.out, plan, err);
    int result = compile(&c, avro_schema_root(writer), reader ? avro_schema_root(reader) : NULL, fields);
    json_decref(c.program_index);
    json_decref(c.resolved);
    json_decref(c.enums);
    free(c.programs);
    arena_finish(&c.scratch);
    if (result == 0)
        *out = plan;
    else
        decode_plan_destroy(plan);
    return result;
}

void decode_plan_destroy(struct decode_plan *plan)
{
    if (!plan)
        return;
    free(plan->steps);
    free(plan->names);
    free(plan->pieces);
    free(plan->targets);
    free(plan->programs);
    free(plan->constants);
    arena_finish(&plan->arena);
    free(plan);
}
