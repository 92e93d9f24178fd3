#include "consumer/labels/publication.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/output.h"

enum { STOP_MS = 1500, COMMIT_MS = 60000, PAUSE_US = 5000 };

struct publication {
    const struct config *config;
    const struct topics *topics;
    struct patience patience;
    struct carrier carrier;
    struct outbox outbox;
    struct buffer value;
};

/* What every topic takes. */
static size_t batch_max(const struct topics *topics)
{
    size_t reports = topics->report_max_message_bytes, sketches = topics->sketches.max_message_bytes;
    return *topics->sketches.name && sketches < reports ? sketches : reports;
}

int publication_open(const struct config *config, const struct topics *topics, const atomic_bool *stop, struct publication **out, struct err *err)
{
    struct publication *p = calloc(1, sizeof *p);
    assert(p);
    p->config = config;
    p->topics = topics;
    p->patience.stop = stop;
    p->patience.stop_ms = STOP_MS;
    outbox_init(&p->outbox);
    p->carrier = (struct carrier){.config = config, .sizes = {.batch_max = batch_max(topics)}, .patience = &p->patience};
    if (config->delivery == DELIVERY_EXACTLY_ONCE)
        snprintf(p->carrier.id, sizeof p->carrier.id, "%s-labels", config->app_id);
    if (carrier_open(&p->carrier, err) < 0) {
        publication_close(p);
        return -1;
    }
    *out = p;
    return 0;
}

void publication_close(struct publication *p)
{
    if (!p)
        return;
    carrier_close(&p->carrier);
    outbox_finish(&p->outbox);
    buffer_finish(&p->value);
    free(p);
}

/* The records stay here until the producer has no use for them. */
static void fill(struct publication *p, const struct report_list *rows)
{
    const struct sketches_topic *sketches = &p->topics->sketches;
    outbox_clear(&p->outbox);
    for (size_t i = 0; i < rows->count; i++) {
        const struct report *row = &rows->rows[i];
        p->value.size = 0;
        encode_report(&p->value, row);
        struct outbox_record record = {.topic = p->config->outputs.monitoring, .partition = RD_KAFKA_PARTITION_UA, .timestamp_ms = clock_wall_ms(),
            .key = row->subject, .key_size = strlen(row->subject), .value = p->value.data, .value_size = p->value.size};
        outbox_add(&p->outbox, record, p->topics->report_schema_id);
        record.topic = sketches->name;
        record.partition = 0;
        if (row->judged && *sketches->name)
            outbox_add(&p->outbox, record, p->topics->report_schema_id);
    }
}

struct attempt {
    struct publication *publication;
    const rd_kafka_topic_partition_list_t *offsets;
    const rd_kafka_consumer_group_metadata_t *group;
    rd_kafka_t *member;
    size_t sent;
    int64_t began_ns;
};

typedef enum kafka_remedy (*step)(struct attempt *a, struct err *err);

static enum kafka_remedy send_all(struct attempt *a, struct err *err)
{
    struct publication *p = a->publication;
    enum kafka_remedy remedy = REMEDY_NONE;
    while (remedy == REMEDY_NONE && a->sent < p->outbox.count) {
        remedy = carrier_send(&p->carrier, &p->outbox.records[a->sent], err);
        a->sent += remedy == REMEDY_NONE;
    }
    carrier_poll(&p->carrier);
    return remedy;
}

static enum kafka_remedy begin(struct attempt *a, struct err *err)
{
    return carrier_begin(&a->publication->carrier, err);
}

static enum kafka_remedy flush(struct attempt *a, struct err *err)
{
    return carrier_flush(&a->publication->carrier, err);
}

static enum kafka_remedy send_offsets(struct attempt *a, struct err *err)
{
    struct carrier *carrier = &a->publication->carrier;
    return carrier_transactional(carrier) ? carrier_send_offsets(carrier, a->offsets, a->group, err) : carrier_commit_offsets(a->member, a->offsets, err);
}

static enum kafka_remedy commit(struct attempt *a, struct err *err)
{
    struct carrier *carrier = &a->publication->carrier;
    return carrier_transactional(carrier) ? carrier_commit(carrier, err) : REMEDY_NONE;
}

/* Each is repeated while that helps. */
static int take_steps(struct attempt *a, struct err *err)
{
    static const step steps[] = {begin, send_all, flush, send_offsets, commit};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        enum kafka_remedy remedy;
        while ((remedy = steps[i](a, err)) == REMEDY_RETRY && !patience_over(&a->publication->patience, a->began_ns, COMMIT_MS))
            usleep(PAUSE_US);
        if (remedy != REMEDY_NONE)
            return -1;
    }
    return 0;
}

int publication_commit(struct publication *p, rd_kafka_t *member, const struct report_list *rows, const struct label_mark *marks, size_t partitions, struct err *err)
{
    rd_kafka_consumer_group_metadata_t *group = carrier_group(member);
    if (!group)
        return err_set(err, "the group of the labels has no place for us at the moment");
    rd_kafka_topic_partition_list_t *offsets = label_marks_list(p->config->monitor.label_topic, marks, partitions);
    fill(p, rows);
    int result = take_steps(&(struct attempt){.publication = p, .offsets = offsets, .group = group, .member = member, .began_ns = clock_monotonic_ns()}, err);
    rd_kafka_topic_partition_list_destroy(offsets);
    carrier_group_free(group);
    return result;
}
