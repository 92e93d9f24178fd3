#include "tests/unit/writer_stage.h"

#include <stdio.h>
#include <stdlib.h>

#include "consumer/kafka/errand.h"

struct stage stage;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(stage.script);
    va_list list;
    va_start(list, format);
    if (used)
        used += (size_t)snprintf(stage.script + used, sizeof stage.script - used, " ");
    vsnprintf(stage.script + used, sizeof stage.script - used, format, list);
    va_end(list);
}

void answer(const char *call, enum kafka_remedy remedy)
{
    assert_true(stage.answer_count < ANSWERS_MAX);
    stage.answers[stage.answer_count].call = call;
    stage.answers[stage.answer_count++].remedy = remedy;
}

static char name_of(const struct carrier *c)
{
    return *c->id ? c->id[strlen(c->id) - 1] : 'p';
}

static enum kafka_remedy called(const struct carrier *c, const char *what, struct err *err)
{
    char call[32];
    snprintf(call, sizeof call, "%c:%s", name_of(c), what);
    for (size_t i = 0; i < stage.answer_count; i++)
        if (!strcmp(stage.answers[i].call, call)) {
            enum kafka_remedy remedy = stage.answers[i].remedy;
            stage.answers[i] = stage.answers[--stage.answer_count];
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
    return stage.no_generation ? NULL : (rd_kafka_consumer_group_metadata_t *)(uintptr_t)0x20;
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
        out[i].offset = stage.broker_offset[partitions[i]];
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

void let_it_run(void)
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
    if (stage.drop_when_served >= 0)
        writer_drop(stage.writer, stage.drop_when_served);
    stage.drop_when_served = -1;
    return stage.membership;
}

static void committed(void *context, uint64_t sequence, const struct writer_part *parts, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        snprintf(stage.told + strlen(stage.told), sizeof stage.told - strlen(stage.told), "%d:%d=%d ", (int)sequence, parts[i].partition, (int)parts[i].next_offset);
}

void stage_set(enum delivery delivery)
{
    static char app_id[] = "app", topic[] = "in";
    struct err err = {0};
    stage = (struct stage){.membership = MEMBER_OK, .drop_when_served = -1, .broker_offset = {-1, -1, -1, -1}};
    stage.config.app_id = app_id;
    stage.config.input.topic = topic;
    stage.config.delivery = delivery;
    stage.owner = (struct writer_owner){.stop = &stage.stop, .serve = serve, .committed = committed};
    assert_int_equal(writer_create(&stage.config, (struct kafka_sizes){0}, "w", 0, &stage.owner, &stage.writer, &err), 0);
}

void stage_clear(void)
{
    let_it_run();
    assert_int_equal(stage.answer_count, 0);
    assert_true(writer_destroy(stage.writer));
}

static void add_record(const char *topic, int32_t partition, const char *key, int64_t next_offset, bool moved)
{
    struct err err = {0};
    assert_int_equal(writer_add(stage.writer, (struct outbox_record){.source = partition, .topic = topic, .key = key, .key_size = strlen(key), .value = "v", .value_size = 1}, -1, &err), 0);
    writer_cover(stage.writer, (struct writer_part){.partition = partition, .next_offset = next_offset, .moved = moved, .metadata = {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN}});
}

void add(int32_t partition, const char *key, int64_t next_offset)
{
    add_record("out", partition, key, next_offset, true);
}

void add_unmoved(int32_t partition, const char *key, int64_t next_offset)
{
    add_record("log", partition, key, next_offset, false);
}

void turn(void)
{
    struct err err = {0};
    if (writer_serve(stage.writer, &err) < 0)
        fail_msg("%s", err.msg);
}

void settle(void)
{
    struct err err = {0};
    if (writer_settle(stage.writer, 1000, &err) != 0)
        fail_msg("%s", err.msg);
}
