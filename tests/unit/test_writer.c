/* The writer's two transactions against producers made of paper: what is sent, in which order, and what an error, a lost
 * partition or a doubt leads to.  The carriers write every call into a script, and answer what the test has laid out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/kafka/errand.h"
#include "consumer/kafka/writer.h"
#include "scoring/features.h"

/* ---- the stage: one at a time ---- */

enum { ANSWERS_MAX = 16 };

static struct scene {
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
} s;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(s.script);
    va_list list;
    va_start(list, format);
    if (used)
        used += (size_t)snprintf(s.script + used, sizeof s.script - used, " ");
    vsnprintf(s.script + used, sizeof s.script - used, format, list);
    va_end(list);
}

/* Lays out one answer to the next such call; without any it works. */
static void answer(const char *call, enum kafka_remedy remedy)
{
    assert_true(s.answer_count < ANSWERS_MAX);
    s.answers[s.answer_count].call = call;
    s.answers[s.answer_count++].remedy = remedy;
}

static char name_of(const struct carrier *c)
{
    return *c->id ? c->id[strlen(c->id) - 1] : 'p';
}

static enum kafka_remedy called(const struct carrier *c, const char *what, struct err *err)
{
    char call[32];
    snprintf(call, sizeof call, "%c:%s", name_of(c), what);
    for (size_t i = 0; i < s.answer_count; i++)
        if (!strcmp(s.answers[i].call, call)) {
            enum kafka_remedy remedy = s.answers[i].remedy;
            s.answers[i] = s.answers[--s.answer_count];
            if (remedy != REMEDY_NONE)
                err_set(err, "%s was refused", call);
            return remedy;
        }
    return REMEDY_NONE;
}

/* ---- carriers of paper, in the place of carrier.c ---- */

bool patience_over(struct patience *patience, int64_t began_ns, int64_t most_ms)
{
    (void)patience;
    (void)began_ns;
    return most_ms <= 0;
}

bool carrier_transactional(const struct carrier *c)
{
    return *c->id;
}

int carrier_open(struct carrier *c, struct err *err)
{
    (void)err;
    c->producer = (rd_kafka_t *)(uintptr_t)0x10;
    return 0;
}

void carrier_close(struct carrier *c)
{
    c->producer = NULL;
}

enum kafka_remedy carrier_begin(struct carrier *c, struct err *err)
{
    if (!*c->id || c->begun)
        return REMEDY_NONE;
    note("%c:begin", name_of(c));
    c->begun = true;
    return called(c, "begin", err);
}

enum kafka_remedy carrier_send(struct carrier *c, const struct outbox_record *record, struct err *err)
{
    enum kafka_remedy remedy = called(c, "send", err);
    if (remedy == REMEDY_NONE)
        note("%c:%.*s", name_of(c), (int)record->key_size, (const char *)record->key);
    return remedy;
}

void carrier_look_up(struct carrier *c, const char *topic)
{
    note("%c:look-up(%s)", name_of(c), topic);
}

void carrier_poll(struct carrier *c)
{
    (void)c;
}

enum kafka_remedy carrier_flush(struct carrier *c, struct err *err)
{
    note("%c:flush", name_of(c));
    return called(c, "flush", err);
}

static void note_offsets(char who, const rd_kafka_topic_partition_list_t *offsets)
{
    char text[128] = "";
    for (int i = 0; i < offsets->cnt; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d=%d", i ? "," : "", offsets->elems[i].partition, (int)offsets->elems[i].offset);
    note("%c:offsets(%s)", who, text);
}

enum kafka_remedy carrier_send_offsets(struct carrier *c, const rd_kafka_topic_partition_list_t *offsets, const rd_kafka_consumer_group_metadata_t *group, struct err *err)
{
    assert_non_null(group);
    note_offsets(name_of(c), offsets);
    return called(c, "offsets", err);
}

enum kafka_remedy carrier_commit(struct carrier *c, struct err *err)
{
    note("%c:commit", name_of(c));
    enum kafka_remedy remedy = called(c, "commit", err);
    c->begun = c->begun && remedy != REMEDY_NONE;
    return remedy;
}

enum kafka_remedy carrier_abort(struct carrier *c, struct err *err)
{
    note("%c:abort", name_of(c));
    enum kafka_remedy remedy = called(c, "abort", err);
    c->begun = c->begun && remedy != REMEDY_NONE;
    return remedy;
}

void carrier_forgive(struct carrier *c)
{
    (void)c;
}

bool carrier_is_fatal(const struct carrier *c)
{
    (void)c;
    return false;
}

enum kafka_remedy carrier_renew(struct carrier *c, struct err *err)
{
    note("%c:renew", name_of(c));
    c->begun = c->broken = false;
    c->renewals++;
    return called(c, "renew", err);
}

rd_kafka_consumer_group_metadata_t *carrier_group(rd_kafka_t *consumer)
{
    (void)consumer;
    note("group");
    return s.no_generation ? NULL : (rd_kafka_consumer_group_metadata_t *)(uintptr_t)0x20;
}

void carrier_group_free(rd_kafka_consumer_group_metadata_t *group)
{
    (void)group;
}

enum kafka_remedy carrier_commit_offsets(rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *offsets, struct err *err)
{
    (void)consumer;
    note_offsets('p', offsets);
    return called(&(struct carrier){0}, "offsets", err);
}

int carrier_committed(rd_kafka_t *consumer, const atomic_bool *stop, const char *topic, const int32_t *partitions, size_t count, struct committed *out, struct err *err)
{
    (void)consumer;
    (void)stop;
    (void)topic;
    note("look-up");
    for (size_t i = 0; i < count; i++)
        out[i].offset = s.broker_offset[partitions[i]];
    return called(&(struct carrier){0}, "look-up", err) == REMEDY_NONE ? 0 : -1;
}

/* ---- a thread of paper: a task runs when the test lets it ---- */

struct errand {
    void (*task)(void *of);
    void *of;
};
static struct errand thread;

struct errand *errand_create(void (*done)(void *context), void *context)
{
    (void)done;
    (void)context;
    thread = (struct errand){0};
    return &thread;
}

void errand_start(struct errand *e, void (*task)(void *of), void *of)
{
    assert_null(e->task);
    *e = (struct errand){task, of};
}

bool errand_under_way(struct errand *e)
{
    return e->task;
}

static void let_it_run(void)
{
    if (!thread.task)
        return;
    thread.task(thread.of);
    thread.task = NULL;
}

bool errand_wait(struct errand *e, int wait_ms)
{
    (void)e;
    (void)wait_ms;
    let_it_run();
    return true;
}

bool errand_destroy(struct errand *e, int wait_ms)
{
    (void)wait_ms;
    return !e->task;
}

/* ---- the lane ---- */

static enum membership serve(void *context)
{
    (void)context;
    note("serve");
    if (s.drop_when_served >= 0)
        writer_drop(s.writer, s.drop_when_served);
    s.drop_when_served = -1;
    return s.membership;
}

static void committed(void *context, uint64_t sequence, const struct writer_part *parts, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        snprintf(s.told + strlen(s.told), sizeof s.told - strlen(s.told), "%d:%d=%d ", (int)sequence, parts[i].partition, (int)parts[i].next_offset);
}

static void set_scene(enum delivery delivery)
{
    static char app_id[] = "app", topic[] = "in";
    struct err err = {0};
    s = (struct scene){.membership = MEMBER_OK, .drop_when_served = -1, .broker_offset = {-1, -1, -1, -1}};
    s.config.app_id = app_id;
    s.config.input.topic = topic;
    s.config.delivery = delivery;
    s.owner = (struct writer_owner){.stop = &s.stop, .serve = serve, .committed = committed};
    assert_int_equal(writer_create(&s.config, (struct kafka_sizes){0}, "w", 0, &s.owner, &s.writer, &err), 0);
}

static void clear_scene(void)
{
    let_it_run();
    assert_int_equal(s.answer_count, 0); /* every answer was asked for */
    assert_true(writer_destroy(s.writer));
}

/* A record of a partition, named by its key; and how far the partition has come by it. */
static void add(int32_t partition, const char *key, int64_t next_offset)
{
    struct err err = {0};
    assert_int_equal(writer_add(s.writer, (struct outbox_record){.source = partition, .topic = "out", .key = key, .key_size = strlen(key), .value = "v", .value_size = 1}, -1, &err), 0);
    writer_cover(s.writer, (struct writer_part){.partition = partition, .next_offset = next_offset, .moved = true, .metadata = {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN}});
}

static void turn(void)
{
    struct err err = {0};
    if (writer_serve(s.writer, &err) < 0)
        fail_msg("%s", err.msg);
}

static void settle(void)
{
    struct err err = {0};
    if (writer_settle(s.writer, 1000, &err) != 0)
        fail_msg("%s", err.msg);
}

#define assert_script(text) (assert_string_equal(s.script, text), s.script[0] = 0)

/* ---- how it goes when nothing goes wrong ---- */

static void a_transaction_is_sent_flushed_and_committed_with_its_offsets(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    add(1, "y", 7);
    assert_script("a:begin a:x a:y");
    assert_int_equal(writer_sequence(s.writer), 1);
    writer_end(s.writer);
    assert_int_equal(writer_sequence(s.writer), 2);
    settle();
    assert_script("a:flush serve group a:offsets(0=5,1=7) a:commit");
    assert_string_equal(s.told, "1:0=5 1:1=7 ");
    assert_int_equal(writer_committed(s.writer), 1);
    clear_scene();
}

/* Rule 3: nothing of the later one before all of the former is acknowledged; then at once, beside its end. */
static void the_next_one_sends_when_the_former_is_acknowledged_and_before_it_is_committed(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    add(0, "y", 6);
    assert_script("a:begin a:x");
    let_it_run(); /* the flush */
    turn();
    assert_script("a:flush serve group b:begin b:y");
    let_it_run();
    turn();
    assert_script("a:offsets(0=5) a:commit");
    clear_scene();
}

/* Rule 3: the broker orders offsets by when they were sent. */
static void the_next_one_cannot_end_before_the_former_is_committed(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    assert_false(writer_may_end(s.writer)); /* the commit is under way */
    let_it_run();
    turn();
    assert_true(writer_may_end(s.writer));
    writer_end(s.writer);
    settle();
    assert_script("a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit b:flush serve group b:offsets(0=6) b:commit");
    assert_string_equal(s.told, "1:0=5 2:0=6 ");
    clear_scene();
}

/* Rule 2. */
static void offsets_without_records_are_a_transaction_too(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    writer_cover(s.writer, (struct writer_part){.partition = 3, .next_offset = 9, .metadata = {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN}});
    writer_end(s.writer);
    settle();
    assert_script("a:flush serve group a:begin a:offsets(3=9) a:commit");
    clear_scene();
}

static void what_has_no_offset_is_no_whole_transaction(void **state)
{
    (void)state;
    struct transaction t;
    struct carrier c = {.id = "a"};
    transaction_init(&t, &c);
    transaction_add(&t, (struct outbox_record){.source = 4, .topic = "out"}, -1);
    assert_false(transaction_is_whole(&t));
    transaction_cover(&t, (struct writer_part){.partition = 4, .next_offset = 0});
    assert_true(transaction_is_whole(&t));
    transaction_finish(&t);
}

/* ---- errors ---- */

static void an_abort_takes_back_both_and_sends_them_again_in_order(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6); /* the next one is under way already */
    s.script[0] = 0;
    answer("a:offsets", REMEDY_ABORT);
    settle();
    assert_script("a:offsets(0=5) b:abort a:abort a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit");
    clear_scene();
}

/* Rule 4: a retriable error of the commit is answered by the commit alone. */
static void a_commit_that_times_out_is_called_again(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    answer("a:commit", REMEDY_RETRY);
    settle();
    assert_script("a:begin a:x a:flush serve group a:offsets(0=5) a:commit a:commit");
    clear_scene();
}

/* Rule 4: after any other the broker is asked, and what it has is not sent again. */
static void a_commit_in_doubt_that_had_worked_is_not_sent_again(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    s.script[0] = 0;
    answer("a:commit", REMEDY_RECREATE);
    s.broker_offset[0] = 5;
    settle();
    assert_script("a:offsets(0=5) a:commit b:abort a:renew look-up b:begin b:y");
    assert_string_equal(s.told, "1:0=5 ");
    assert_int_equal(writer_committed(s.writer), 1);
    clear_scene();
}

static void a_commit_in_doubt_that_had_not_worked_is_sent_again_before_the_next(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    s.script[0] = 0;
    answer("a:commit", REMEDY_RECREATE);
    s.broker_offset[0] = 4;
    settle();
    assert_script("a:offsets(0=5) a:commit b:abort a:renew look-up a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit");
    clear_scene();
}

/* A checkpoint's records of a partition that stands still. */
static void add_unmoved(int32_t partition, const char *key, int64_t next_offset)
{
    struct err err = {0};
    assert_int_equal(writer_add(s.writer, (struct outbox_record){.source = partition, .topic = "log", .key = key, .key_size = strlen(key), .value = "v", .value_size = 1}, -1, &err), 0);
    writer_cover(s.writer, (struct writer_part){.partition = partition, .next_offset = next_offset, .metadata = {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN}});
}

/* Its offset was there before: it does not say that the transaction was committed. */
static void a_doubt_is_not_settled_by_an_offset_that_did_not_move(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add_unmoved(1, "k", 7);
    writer_end(s.writer);
    answer("a:commit", REMEDY_RECREATE);
    s.broker_offset[1] = 7;
    settle();
    assert_script("a:begin a:k a:flush serve group a:offsets(1=7) a:commit a:renew look-up a:begin a:k a:flush serve group a:offsets(1=7) a:commit");
    assert_string_equal(s.told, "1:1=7 ");
    clear_scene();
}

static void what_did_not_move_shares_the_fate_of_what_did(void **state)
{
    (void)state;
    const struct {
        int64_t there;
        const char *script;
    } cases[] = {
        {5, ""}, /* committed: nothing is sent again */
        {4, " a:begin a:k a:x a:m a:flush serve group a:offsets(1=7,0=5) a:commit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[512];
        set_scene(DELIVERY_EXACTLY_ONCE);
        add_unmoved(1, "k", 7);
        add(0, "x", 5);
        add_unmoved(0, "m", 5); /* of one that moved in this transaction */
        s.script[0] = 0;
        writer_end(s.writer);
        answer("a:commit", REMEDY_RECREATE);
        s.broker_offset[0] = cases[i].there;
        s.broker_offset[1] = 7;
        settle();
        snprintf(expected, sizeof expected, "a:flush serve group a:offsets(1=7,0=5) a:commit a:renew look-up%s", cases[i].script);
        assert_script(expected);
        clear_scene();
    }
}

/* The look-up fails: it is done again, and nothing is sent on a guess. */
static void a_doubt_lasts_until_the_broker_has_answered(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    answer("a:commit", REMEDY_RECREATE);
    answer("p:look-up", REMEDY_RETRY);
    s.broker_offset[0] = 5;
    settle();
    assert_script("a:begin a:x a:flush serve group a:offsets(0=5) a:commit a:renew look-up a:renew look-up");
    assert_string_equal(s.told, "1:0=5 ");
    clear_scene();
}

/* Rule 5. */
static void nothing_is_sent_without_a_generation_or_while_rejoining(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    s.membership = MEMBER_WAIT;
    turn();
    let_it_run();
    turn();
    assert_script("a:begin a:x a:flush serve");
    s.membership = MEMBER_OK;
    s.no_generation = true;
    struct err err = {0};
    assert_int_equal(writer_settle(s.writer, 0, &err), 1);
    s.no_generation = false;
    s.script[0] = 0;
    settle();
    assert_script("serve group a:offsets(0=5) a:commit");
    clear_scene();
}

static void an_old_generation_is_answered_with_new_metadata_and_what_is_still_ours(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    s.script[0] = 0;
    answer("a:offsets", REMEDY_REFRESH);
    let_it_run();
    s.drop_when_served = 1; /* gone in the meantime */
    settle();
    assert_script("a:offsets(0=5,1=7) a:abort a:begin a:x a:y a:flush serve a:abort a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
    assert_string_equal(s.told, "1:0=5 ");
    clear_scene();
}

static void an_error_that_nothing_mends_ends_the_process(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    answer("a:commit", REMEDY_STOP);
    struct err err = {0};
    assert_int_equal(writer_settle(s.writer, 1000, &err), -1);
    assert_string_equal(err.msg, "cannot commit: a:commit was refused");
    clear_scene();
}

static void a_producer_that_cannot_abort_is_made_anew(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    answer("a:flush", REMEDY_ABORT);
    answer("a:abort", REMEDY_RECREATE);
    settle();
    assert_script("a:begin a:x a:flush a:abort a:renew a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
    clear_scene();
}

/* ---- partitions that go ---- */

static void a_partition_lost_takes_its_records_out_of_both(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(s.writer);
    turn();
    add(1, "z", 8); /* waits in the arena: the former is being flushed */
    s.script[0] = 0;
    writer_drop(s.writer, 1);
    settle();
    assert_script("a:flush a:abort a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
    assert_false(writer_has_work(s.writer));
    assert_string_equal(s.told, "1:0=5 ");
    clear_scene();
}

static void when_all_is_lost_what_was_sent_is_aborted_and_nothing_committed(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    writer_drop(s.writer, 0);
    turn();
    settle();
    assert_script("a:begin a:x a:abort");
    assert_false(writer_has_work(s.writer));
    assert_string_equal(s.told, "");
    clear_scene();
}

/* The broker decides by the metadata that it was given; a partition lost meanwhile is not reported. */
static void a_commit_under_way_is_not_stopped_by_a_loss(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(s.writer);
    turn();
    let_it_run();
    turn();
    s.script[0] = 0;
    writer_drop(s.writer, 0);
    settle();
    assert_script("a:offsets(0=5,1=7) a:commit");
    assert_string_equal(s.told, "1:1=7 ");
    clear_scene();
}

/* ---- limits ---- */

static void a_full_producer_holds_records_in_the_arena(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    answer("a:send", REMEDY_RETRY);
    add(0, "x", 5);
    assert_script("a:begin");
    add(0, "y", 6);
    assert_script("a:x a:y");
    clear_scene();
}

static void an_arena_says_when_it_is_full(void **state)
{
    (void)state;
    set_scene(DELIVERY_EXACTLY_ONCE);
    struct err err = {0};
    char *value = calloc(1, 1 << 20);
    assert_non_null(value);
    for (int i = 0; i < WRITER_BYTES_MAX >> 20; i++) {
        assert_false(writer_is_full(s.writer));
        assert_int_equal(writer_add(s.writer, (struct outbox_record){.source = 0, .topic = "out", .key = "k", .key_size = 1, .value = value, .value_size = 1 << 20}, -1, &err), 0);
    }
    assert_true(writer_is_full(s.writer));
    free(value);
    clear_scene();
}

/* ---- at least once ---- */

static void at_least_once_offsets_follow_what_is_acknowledged(void **state)
{
    (void)state;
    set_scene(DELIVERY_AT_LEAST_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    turn();
    add(0, "y", 6); /* waits: one producer, and what is acknowledged must be known */
    assert_script("p:x");
    let_it_run();
    turn();
    assert_script("p:flush serve p:y");
    settle();
    assert_script("p:offsets(0=5)");
    assert_string_equal(s.told, "1:0=5 ");
    clear_scene();
}

static void at_least_once_a_refused_record_holds_its_offset_back(void **state)
{
    (void)state;
    set_scene(DELIVERY_AT_LEAST_ONCE);
    add(0, "x", 5);
    writer_end(s.writer);
    answer("p:flush", REMEDY_ABORT);
    answer("p:offsets", REMEDY_REFRESH);
    settle();
    assert_script("p:x p:flush p:x p:flush serve p:offsets(0=5) serve p:offsets(0=5)");
    clear_scene();
}

/* The producer reads records in place: nobody is left to commit for, and still they lie there until it is through. */
static void at_least_once_what_was_sent_is_kept_until_it_is_acknowledged(void **state)
{
    (void)state;
    set_scene(DELIVERY_AT_LEAST_ONCE);
    add(0, "x", 5);
    answer("p:send", REMEDY_RETRY);
    add(0, "y", 6);
    writer_end(s.writer);
    answer("p:send", REMEDY_ABORT);
    turn();
    writer_drop(s.writer, 0);
    settle();
    assert_script("p:x p:flush");
    assert_string_equal(s.told, "");
    clear_scene();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_is_sent_flushed_and_committed_with_its_offsets),
        cmocka_unit_test(the_next_one_sends_when_the_former_is_acknowledged_and_before_it_is_committed),
        cmocka_unit_test(the_next_one_cannot_end_before_the_former_is_committed),
        cmocka_unit_test(offsets_without_records_are_a_transaction_too),
        cmocka_unit_test(what_has_no_offset_is_no_whole_transaction),
        cmocka_unit_test(an_abort_takes_back_both_and_sends_them_again_in_order),
        cmocka_unit_test(a_commit_that_times_out_is_called_again),
        cmocka_unit_test(a_commit_in_doubt_that_had_worked_is_not_sent_again),
        cmocka_unit_test(a_commit_in_doubt_that_had_not_worked_is_sent_again_before_the_next),
        cmocka_unit_test(a_doubt_is_not_settled_by_an_offset_that_did_not_move),
        cmocka_unit_test(what_did_not_move_shares_the_fate_of_what_did),
        cmocka_unit_test(a_doubt_lasts_until_the_broker_has_answered),
        cmocka_unit_test(nothing_is_sent_without_a_generation_or_while_rejoining),
        cmocka_unit_test(an_old_generation_is_answered_with_new_metadata_and_what_is_still_ours),
        cmocka_unit_test(an_error_that_nothing_mends_ends_the_process),
        cmocka_unit_test(a_producer_that_cannot_abort_is_made_anew),
        cmocka_unit_test(a_partition_lost_takes_its_records_out_of_both),
        cmocka_unit_test(when_all_is_lost_what_was_sent_is_aborted_and_nothing_committed),
        cmocka_unit_test(a_commit_under_way_is_not_stopped_by_a_loss),
        cmocka_unit_test(a_full_producer_holds_records_in_the_arena),
        cmocka_unit_test(an_arena_says_when_it_is_full),
        cmocka_unit_test(at_least_once_offsets_follow_what_is_acknowledged),
        cmocka_unit_test(at_least_once_a_refused_record_holds_its_offset_back),
        cmocka_unit_test(at_least_once_what_was_sent_is_kept_until_it_is_acknowledged),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
