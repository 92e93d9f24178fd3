/* Writes the steps of a decode plan, one behind the other, and what they refer to.
 *
 * Bounded: STEPS_MAX steps stand in a plan, four times as many are ever written.  Whoever goes beyond has failed: from
 * there on nothing more is written, and what is returned means nothing. */
#pragma once
#include "consumer/avro/steps.h"
#include "scoring/err.h"

enum { STEPS_MAX = 1 << 18 };
enum { CONSTANT_NULL, CONSTANT_OTHER }; /* stand in every plan */

struct step_writer {
    struct decode_plan *plan;
    size_t step_count, step_capacity, piece_count, piece_capacity, target_count, target_capacity, constant_count, constant_capacity, program_count, program_capacity;
    size_t barrier; /* a step before which nothing may be merged: jumps lead here */
    size_t work;    /* steps ever written, also those taken back */
    bool failed;
    struct err *err;
};
void step_writer_begin(struct step_writer *writer, struct decode_plan *plan, struct err *err);
void step_writer_fail(struct step_writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool step_writer_works(struct step_writer *writer); /* one step's work; false: it was too much, or had failed before */

/* The number of the step. */
uint32_t step_add(struct step_writer *writer, enum step_op op, unsigned level, size_t slot, uint32_t arg, const char *name);
void step_set_jump(struct step_writer *writer, uint32_t step, size_t jump);
void step_add_skip(struct step_writer *writer, uint64_t width, const char *name);
/* What is written next may be jumped to; `land`: from that step. */
void step_barrier(struct step_writer *writer);
void step_land(struct step_writer *writer, uint32_t from);
uint32_t step_add_constant(struct step_writer *writer, struct value value);
/* The first of so many targets; each is set to what is written next. */
uint32_t step_add_targets(struct step_writer *writer, size_t count);
void step_target(struct step_writer *writer, uint32_t target);
void step_begin_program(struct step_writer *writer);

/* For what is written only to see whether it can be. */
struct step_mark {
    size_t steps, pieces, targets, barrier;
};
struct step_mark step_writer_try(struct step_writer *writer);
void step_writer_take_back(struct step_writer *writer, struct step_mark mark);

/* Room for one item more. */
void *array_grown(void *data, size_t count, size_t *capacity, size_t item);
