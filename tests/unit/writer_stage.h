/* A stage for the writer's tests: producers, a thread and a lane made of paper.  The carriers stand in the place of
 * carrier.c: they write every call into a script, and answer what the test has laid out. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/kafka/writer.h"
#include "scoring/features/features.h"

/* One at a time. */
enum { ANSWERS_MAX = 16 };

struct stage {
    char script[8192]; /* "a:begin a:x a:flush a:offsets0=5 a:commit ..." */
    struct {
        const char *call; /* "a:commit" */
        enum kafka_remedy remedy;
    } answers[ANSWERS_MAX];
    size_t answer_count;
    enum membership membership;
    bool no_generation;
    int32_t drop_when_served; /* -1: none */
    int64_t broker_offset[4]; /* the group's, by partition; -1: none */
    char told[512];           /* parts known committed: "1:0=5 " */
    struct writer *writer;
    atomic_bool stop;
    struct writer_owner owner;
    struct config config;
};
extern struct stage stage;

void stage_set(enum delivery delivery);
/* Every answer was asked for, and the writer goes. */
void stage_clear(void);
/* Lays out one answer to the next such call; without any it works. */
void answer(const char *call, enum kafka_remedy remedy);
/* The thread's task runs when the test lets it. */
void let_it_run(void);
/* A record of a partition, named by its key; and how far the partition has come by it. */
void add(int32_t partition, const char *key, int64_t next_offset);
/* A checkpoint's records of a partition that stands still. */
void add_unmoved(int32_t partition, const char *key, int64_t next_offset);
void turn(void);
void settle(void);

#define assert_script(text) (assert_string_equal(stage.script, text), stage.script[0] = 0)
