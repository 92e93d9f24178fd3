#include "consumer/avro/step_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORK_MAX = 4 * STEPS_MAX };

void *array_grown(void *data, size_t count, size_t *capacity, size_t item)
{
    if (count < *capacity)
        return data;
    *capacity = *capacity ? 2 * *capacity : 64;
    data = realloc(data, *capacity * item);
    if (!data) {
        fprintf(stderr, "out of memory: a decode plan wants %zu bytes\n", *capacity * item);
        abort();
    }
    return data;
}

void step_writer_begin(struct step_writer *w, struct decode_plan *plan, struct err *err)
{
    *w = (struct step_writer){.plan = plan, .err = err};
    step_add_constant(w, (struct value){.type = VALUE_NULL});
    step_add_constant(w, (struct value){.type = VALUE_OTHER});
}

void step_writer_fail(struct step_writer *w, const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!w->failed)
        err_set(w->err, "%s", why);
    w->failed = true;
}

bool step_writer_works(struct step_writer *w)
{
    return !w->failed && ++w->work <= WORK_MAX;
}

uint32_t step_add(struct step_writer *w, enum step_op op, unsigned level, size_t slot, uint32_t arg, const char *name)
{
    struct decode_plan *plan = w->plan;
    if (w->step_count >= STEPS_MAX || !step_writer_works(w)) {
        step_writer_fail(w, "schema: too large for a decode plan");
        return 0;
    }
    size_t capacity = w->step_capacity;
    plan->names = array_grown(plan->names, w->step_count, &capacity, sizeof *plan->names);
    plan->steps = array_grown(plan->steps, w->step_count, &w->step_capacity, sizeof *plan->steps);
    plan->names[w->step_count] = name;
    plan->steps[w->step_count] = (struct step){.op = (uint8_t)op, .level = (uint8_t)level, .slot = (uint16_t)slot, .arg = arg};
    return (uint32_t)w->step_count++;
}

void step_set_jump(struct step_writer *w, uint32_t step, size_t jump)
{
    if (!w->failed)
        w->plan->steps[step].jump = (uint32_t)jump;
}

void step_barrier(struct step_writer *w)
{
    w->barrier = w->step_count;
}

void step_land(struct step_writer *w, uint32_t from)
{
    step_set_jump(w, from, w->step_count);
    step_barrier(w);
}

/* A run of them is one step; the pieces say whose bytes they are. */
void step_add_skip(struct step_writer *w, uint64_t width, const char *name)
{
    struct decode_plan *plan = w->plan;
    if (width == 0)
        return;
    bool merge = w->step_count > w->barrier && plan->steps[w->step_count - 1].op == STEP_SKIP_FIXED;
    uint32_t at = merge ? (uint32_t)w->step_count - 1 : step_add(w, STEP_SKIP_FIXED, 0, NO_SLOT, 0, name);
    if (w->failed)
        return;
    if (merge)
        plan->pieces[w->piece_count - 1].last = false;
    else
        plan->steps[at].jump = (uint32_t)w->piece_count;
    plan->pieces = array_grown(plan->pieces, w->piece_count, &w->piece_capacity, sizeof *plan->pieces);
    plan->pieces[w->piece_count++] = (struct piece){.width = width, .name = name, .last = true};
    uint64_t sum = plan->steps[at].arg + width;
    plan->steps[at].arg = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX; /* no value is that long */
}

uint32_t step_add_constant(struct step_writer *w, struct value value)
{
    struct decode_plan *plan = w->plan;
    plan->constants = array_grown(plan->constants, w->constant_count, &w->constant_capacity, sizeof *plan->constants);
    plan->constants[w->constant_count] = value;
    return (uint32_t)w->constant_count++;
}

uint32_t step_add_targets(struct step_writer *w, size_t count)
{
    struct decode_plan *plan = w->plan;
    uint32_t first = (uint32_t)w->target_count;
    for (size_t i = 0; i < count; i++) {
        plan->targets = array_grown(plan->targets, w->target_count, &w->target_capacity, sizeof *plan->targets);
        plan->targets[w->target_count++] = 0;
    }
    return first;
}

void step_target(struct step_writer *w, uint32_t target)
{
    w->plan->targets[target] = (uint32_t)w->step_count;
    step_barrier(w);
}

void step_begin_program(struct step_writer *w)
{
    struct decode_plan *plan = w->plan;
    plan->programs = array_grown(plan->programs, w->program_count, &w->program_capacity, sizeof *plan->programs);
    plan->programs[w->program_count++] = (uint32_t)w->step_count;
    step_barrier(w);
}

struct step_mark step_writer_try(struct step_writer *w)
{
    struct step_mark mark = {w->step_count, w->piece_count, w->target_count, w->barrier};
    step_barrier(w);
    return mark;
}

void step_writer_take_back(struct step_writer *w, struct step_mark mark)
{
    w->step_count = mark.steps;
    w->piece_count = mark.pieces;
    w->target_count = mark.targets;
    w->barrier = mark.barrier;
}
