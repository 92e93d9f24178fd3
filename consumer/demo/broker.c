#include "consumer/demo/broker.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

enum { JOIN_DELAY_MS = 50 }; /* of the group's first members; a mock's default is 3 s */

struct broker {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
};

static void ignore(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

int broker_start(struct broker **out, struct err *err)
{
    char why[256];
    struct broker *b = calloc(1, sizeof *b);
    assert(b);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, ignore);
    b->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!b->handle) {
        rd_kafka_conf_destroy(conf);
        broker_stop(b);
        return err_set(err, "cannot start the in-process broker: %s", why);
    }
    b->cluster = rd_kafka_mock_cluster_new(b->handle, 1);
    if (!b->cluster) {
        broker_stop(b);
        return err_set(err, "cannot start the in-process broker: no free port on 127.0.0.1?");
    }
    rd_kafka_mock_set_controller_id(b->cluster, 1); /* without one, clients wait for it: topics' settings are asked of the controller */
    rd_kafka_mock_group_initial_rebalance_delay_ms(b->cluster, JOIN_DELAY_MS);
    *out = b;
    return 0;
}

void broker_stop(struct broker *b)
{
    if (!b)
        return;
    if (b->cluster)
        rd_kafka_mock_cluster_destroy(b->cluster);
    if (b->handle)
        rd_kafka_destroy(b->handle);
    free(b);
}

const char *broker_address(const struct broker *b)
{
    return rd_kafka_mock_cluster_bootstraps(b->cluster);
}

int broker_create_topics(struct broker *b, const struct config *config, int partitions, struct err *err)
{
    const struct {
        const char *name;
        int partitions;
    } topics[] = {{config->input.topic, partitions}, {config->outputs.predictions, partitions}, {config->outputs.shadows, partitions},
                  {config->outputs.dead_letters, partitions}, {config->outputs.monitoring, 1}};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(b->cluster, topics[i].name, topics[i].partitions, 1);
        if (code)
            return err_set(err, "cannot create topic %s: %s", topics[i].name, rd_kafka_err2str(code));
    }
    return 0;
}
