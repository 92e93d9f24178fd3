/* One producer and one member against librdkafka's broker within the process: what fences whom, and what is told apart. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "consumer/clock.h"
#include "consumer/kafka/carrier.h"

enum { END_TXN = 26, JOIN_MS_MAX = 20000 };

static struct scene {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
    char bootstrap[128];
    struct kafka_property property;
    struct config config;
    atomic_bool stop;
    struct patience patience;
} s;

static void hear_no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static void hear_no_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk, (void)code, (void)reason, (void)opaque;
}

static void assign(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    (void)opaque;
    rd_kafka_error_destroy(code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? rd_kafka_incremental_assign(rk, partitions) : rd_kafka_incremental_unassign(rk, partitions));
}

static int set_scene(void **state)
{
    (void)state;
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, hear_no_log);
    s = (struct scene){.handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)};
    assert_non_null(s.handle);
    s.cluster = rd_kafka_mock_cluster_new(s.handle, 1);
    assert_non_null(s.cluster);
    rd_kafka_mock_group_initial_rebalance_delay_ms(s.cluster, 50);
    assert_int_equal(rd_kafka_mock_topic_create(s.cluster, "t", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    strncpy(s.bootstrap, rd_kafka_mock_cluster_bootstraps(s.cluster), sizeof s.bootstrap - 1);
    static char app_id[] = "app", classic[] = "classic", name[] = "bootstrap.servers";
    s.property = (struct kafka_property){.name = name, .value = s.bootstrap};
    s.config = (struct config){.app_id = app_id, .input.group_protocol = classic, .kafka = &s.property, .kafka_count = 1};
    s.patience = (struct patience){.stop = &s.stop, .stop_ms = 1000};
    return 0;
}

static int clear_scene(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(s.cluster);
    rd_kafka_destroy(s.handle);
    return 0;
}

static struct carrier opened(void)
{
    struct err err = {0};
    struct carrier c = {.config = &s.config, .patience = &s.patience, .id = "app-w-0-a"};
    if (carrier_open(&c, &err) < 0)
        fail_msg("%s", err.msg);
    return c;
}

/* A transaction that began so long ago, and whose commit the broker refuses. */
static void be_refused(struct carrier *c, rd_kafka_resp_err_t why, int64_t begun_ms_ago)
{
    struct err err = {0};
    const struct outbox_record record = {.topic = "t", .key = "k", .key_size = 1, .value = "v", .value_size = 1};
    assert_int_equal(carrier_begin(c, &err), REMEDY_NONE);
    assert_int_equal(carrier_send(c, &record, &err), REMEDY_NONE);
    while (carrier_flush(c, &err) == REMEDY_RETRY)
        ;
    c->begun_ns -= begun_ms_ago * 1000000;
    rd_kafka_mock_push_request_errors(s.cluster, END_TXN, 1, why);
    assert_int_equal(carrier_commit(c, &err), REMEDY_RECREATE);
    assert_true(c->broken);
}

/* Rule 6: two living processes of one name would go on for ever. */
static void an_id_that_is_taken_away_three_times_within_a_minute_is_given_up(void **state)
{
    (void)state;
    struct err err = {0};
    struct carrier c = opened();
    for (int i = 1; i < CARRIER_FENCED_MOST; i++) {
        be_refused(&c, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, 0);
        assert_int_equal(carrier_renew(&c, &err), REMEDY_NONE);
    }
    be_refused(&c, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, 0);
    assert_int_equal(carrier_renew(&c, &err), REMEDY_STOP);
    assert_non_null(strstr(err.msg, "transactional id app-w-0-a was taken away 3 times"));
    carrier_close(&c);
}

/* The broker fences what stood still for longer than a transaction may last: a process that is paused time and again has
 * no rival. */
static void a_pause_is_no_rival(void **state)
{
    (void)state;
    struct err err = {0};
    struct carrier c = opened();
    for (int i = 0; i < 2 * CARRIER_FENCED_MOST; i++) {
        be_refused(&c, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, TRANSACTION_TIMEOUT_MS);
        assert_int_equal(carrier_renew(&c, &err), REMEDY_NONE);
    }
    carrier_close(&c);
}

static void what_was_taken_away_more_than_a_minute_ago_does_not_count(void **state)
{
    (void)state;
    struct err err = {0};
    struct carrier c = opened();
    for (int i = 0; i < 2 * CARRIER_FENCED_MOST; i++) {
        be_refused(&c, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, 0);
        assert_int_equal(carrier_renew(&c, &err), REMEDY_NONE);
        for (int k = 0; k < CARRIER_FENCED_MOST; k++)
            c.fenced_ms[k] -= c.fenced_ms[k] ? CARRIER_FENCED_WITHIN_MS / 2 : 0;
    }
    carrier_close(&c);
}

static rd_kafka_t *member(void)
{
    const struct kafka_consumer_callbacks callbacks = {.rebalance = assign, .error = hear_no_error};
    rd_kafka_t *consumer = NULL;
    struct err err = {0};
    if (kafka_group_consumer(&s.config, (struct kafka_identity){.instance = "w"}, &callbacks, &consumer, &err) < 0)
        fail_msg("%s", err.msg);
    return consumer;
}

static void join(rd_kafka_t *consumer)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1), *given = NULL;
    rd_kafka_topic_partition_list_add(topics, "t", RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(consumer, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    int64_t began = clock_monotonic_ns();
    for (int count = 0; count == 0;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 100);
        if (m)
            rd_kafka_message_destroy(m);
        assert_int_equal(rd_kafka_assignment(consumer, &given), RD_KAFKA_RESP_ERR_NO_ERROR);
        count = given->cnt;
        rd_kafka_topic_partition_list_destroy(given);
        assert_true(clock_monotonic_ns() - began < (int64_t)JOIN_MS_MAX * 1000000);
    }
}

/* Rule 5: the broker takes offsets with the metadata of nobody, from anybody. */
static void metadata_that_names_no_member_is_none(void **state)
{
    (void)state;
    rd_kafka_t *consumer = member();
    assert_null(carrier_group(consumer));
    join(consumer);
    rd_kafka_consumer_group_metadata_t *group = carrier_group(consumer);
    assert_non_null(group);
    carrier_group_free(group);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void assert_set(rd_kafka_t *handle, const char *name, const char *value)
{
    char text[64];
    size_t size = sizeof text;
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(handle), name, text, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(text, value);
}

/* Rule 6: nobody is given a dead worker's partitions while its transaction may still be open; what is read is stable. */
static void time_outs_are_in_the_order_that_fencing_needs(void **state)
{
    (void)state;
    rd_kafka_t *consumer = member();
    struct carrier c = opened();
    assert_set(c.producer, "transaction.timeout.ms", "10000");
    assert_set(consumer, "session.timeout.ms", "20000");
    assert_set(consumer, "isolation.level", "read_committed");
    carrier_close(&c);
    rd_kafka_destroy(consumer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_id_that_is_taken_away_three_times_within_a_minute_is_given_up, set_scene, clear_scene),
        cmocka_unit_test_setup_teardown(a_pause_is_no_rival, set_scene, clear_scene),
        cmocka_unit_test_setup_teardown(what_was_taken_away_more_than_a_minute_ago_does_not_count, set_scene, clear_scene),
        cmocka_unit_test_setup_teardown(metadata_that_names_no_member_is_none, set_scene, clear_scene),
        cmocka_unit_test_setup_teardown(time_outs_are_in_the_order_that_fencing_needs, set_scene, clear_scene),
    };
    return cmocka_run_group_tests_name("carrier", tests, NULL, NULL);
}
