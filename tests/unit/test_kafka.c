/* The parts of the Kafka shell that need no broker: error remedies, offset metadata, the outbox, canary buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "consumer/deployment.h"
#include "consumer/kafka/assignment.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/kafka/outbox.h"
#include "scoring/features/features.h"

static void each_error_has_its_remedy(void **state)
{
    (void)state;
    static const struct {
        rd_kafka_resp_err_t code;
        bool retriable, abortable, fatal;
        enum kafka_remedy remedy;
    } cases[] = {
        {RD_KAFKA_RESP_ERR_NO_ERROR, false, false, false, REMEDY_NONE},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, true, false, false, REMEDY_RETRY},
        {RD_KAFKA_RESP_ERR__INVALID_ARG, false, false, false, REMEDY_RECREATE},
        {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, true, false, false, REMEDY_RETRY},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, false, true, false, REMEDY_ABORT},
        {RD_KAFKA_RESP_ERR__FENCED, false, false, true, REMEDY_RECREATE},
        {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, false, true, false, REMEDY_REFRESH},
        {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, false, true, false, REMEDY_REFRESH},
        {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false, false, true, REMEDY_STOP},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false, true, false, REMEDY_STOP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(kafka_remedy(cases[i].code, cases[i].retriable, cases[i].abortable, cases[i].fatal), cases[i].remedy);
}

/* As a member: a new handle helps.  As a client: it would end the same way. */
static void a_member_that_was_shut_out_may_return_where_a_new_handle_helps(void **state)
{
    (void)state;
    assert_true(kafka_member_may_return(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID));
    assert_true(kafka_member_may_return(RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID));
    assert_false(kafka_member_may_return(RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION));
    assert_false(kafka_member_may_return(RD_KAFKA_RESP_ERR_UNSUPPORTED_ASSIGNOR));
    assert_false(kafka_member_may_return(RD_KAFKA_RESP_ERR_INVALID_REQUEST));
    assert_false(kafka_member_may_return(RD_KAFKA_RESP_ERR__FATAL));
}

static void hear_nothing(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    (void)reason;
    (void)opaque;
}

static void assert_looks_every(const struct config *config, const char *interval_ms)
{
    const struct kafka_consumer_callbacks callbacks = {.error = hear_nothing};
    char text[32];
    size_t size = sizeof text;
    struct err err = {0};
    rd_kafka_t *consumer = NULL;
    assert_int_equal(kafka_group_consumer(config, (struct kafka_identity){.instance = "i"}, &callbacks, &consumer, &err), 0);
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(consumer), "topic.metadata.refresh.interval.ms", text, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(text, interval_ms);
    rd_kafka_destroy(consumer);
}

static void that_the_input_has_grown_is_noticed_within_half_a_minute(void **state)
{
    (void)state;
    struct kafka_property user = {.name = (char[]){"topic.metadata.refresh.interval.ms"}, .value = (char[]){"7000"}};
    struct config config = {.app_id = (char[]){"a"}, .input.group_protocol = (char[]){"classic"}, .kafka = &user};
    assert_looks_every(&config, "30000");
    config.kafka_count = 1;
    assert_looks_every(&config, "7000");
}

static void what_a_member_was_given_is_read_or_refused_whole(void **state)
{
    (void)state;
    static const uint8_t two_topics[] = {0, 3, 0, 0, 0, 2, 0, 1, 'x', 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 'i', 'n', 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff};
    bool owned[4] = {0};
    assert_int_equal(assignment_read(two_topics, sizeof two_topics, "in", owned, 4), 3);
    assert_true(!owned[0] && owned[1] && owned[2] && !owned[3]); /* 9 is not of these */
    assert_int_equal(assignment_read(two_topics, sizeof two_topics, "x", NULL, 0), 1);
    assert_int_equal(assignment_read(two_topics, sizeof two_topics, "i", NULL, 0), 0);
    assert_int_equal(assignment_read(NULL, 0, "in", NULL, 0), 0);
    for (size_t size = 1; size < sizeof two_topics - 4; size++) { /* without user data it is whole */
        uint8_t *cut = malloc(size);
        memcpy(cut, two_topics, size);
        assert_int_equal(assignment_read(cut, size, "in", owned, 4), -1);
        free(cut);
    }
    static const uint8_t too_many[] = {0, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0}, negative[] = {0, 3, 0, 0, 0, 1, 0, 2, 'i', 'n', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    assert_int_equal(assignment_read(too_many, sizeof too_many, "in", owned, 4), -1);
    assert_int_equal(assignment_read(negative, sizeof negative, "in", owned, 4), -1);
}

static void offset_metadata_reads_back(void **state)
{
    (void)state;
    static const struct offset_metadata cases[] = {
        {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN},
        {1767225600000, 0xfedcba9876543210u, 12345678901, 1767000000000, 42, 12, 7, 12345678900, {{1, 2, 3, 0xff}}},
        {0, UINT64_MAX, INT64_MAX, 0, UINT64_MAX, 0, 1, 0, {{0}}},
        {.partitions = 3},
        {INT64_MAX, UINT64_MAX, INT64_MAX, INT64_MAX, UINT64_MAX, 999999999, INT64_MAX, INT64_MAX, {{0xff}}}, /* the longest */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[OFFSET_METADATA_MAX];
        struct offset_metadata read;
        offset_metadata_format(&cases[i], text);
        assert_true(offset_metadata_parse(text, strlen(text), &read));
        assert_int_equal(read.stream_time, cases[i].stream_time);
        assert_int_equal(read.verdict_hash, cases[i].verdict_hash);
        assert_int_equal(read.first_offset, cases[i].first_offset);
        assert_int_equal(read.history_start, cases[i].history_start);
        assert_int_equal(read.rules, cases[i].rules);
        assert_int_equal(read.partitions, cases[i].partitions);
        assert_int_equal(read.checkpoint_epoch, cases[i].checkpoint_epoch);
        assert_int_equal(read.checkpoint_offset, cases[i].checkpoint_offset);
        assert_memory_equal(read.generation.bytes, cases[i].generation.bytes, GENERATION_BYTES);
    }
}

static void foreign_offset_metadata_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "weir1", "weir1 T=5 V=0 F=1 H=-", "weir1 T=five V=0 F=1 H=- R=0", "weir1 T=5 V=0 F=1 H=- R=0 and more", "weir1 T=5 V=0 F=1 H=- R=0 C=1:2", "weir1 T=5 V=0 F=1 H=- R=0 C=0:2:00000000000000000000000000000000", "weir1 T=5 V=0 F=1 H=- R=0 C=1:2:0000000000000000000000000000000000", "weir2 T=5 V=0 F=1 H=- R=0"};
    struct offset_metadata read;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(offset_metadata_parse(texts[i], strlen(texts[i]), &read));
    assert_false(offset_metadata_parse(NULL, 0, &read));
}

static struct outbox_record record_of(int32_t source, const char *key, const char *value)
{
    return (struct outbox_record){.source = source, .topic = "t", .key = key, .key_size = key ? strlen(key) : 0, .value = value, .value_size = value ? strlen(value) : 0};
}

static void outbox_keeps_copies_with_the_confluent_header(void **state)
{
    (void)state;
    struct outbox box;
    char value[] = "body";
    outbox_init(&box);
    outbox_add(&box, record_of(0, "k", value), 0x01020304);
    outbox_add(&box, record_of(0, NULL, NULL), -1);
    memset(value, 'x', sizeof value - 1);
    assert_int_equal(box.count, 2);
    assert_int_equal(box.records[0].value_size, 9);
    assert_memory_equal(box.records[0].value, "\0\1\2\3\4body", 9);
    assert_memory_equal(box.records[0].key, "k", 1);
    assert_null(box.records[1].key);
    assert_null(box.records[1].value);
    outbox_finish(&box);
}

static void outbox_drops_one_partition_and_keeps_the_order_of_the_rest(void **state)
{
    (void)state;
    struct outbox box;
    outbox_init(&box);
    outbox_add(&box, record_of(1, "a", "1"), -1);
    outbox_add(&box, record_of(2, "b", "2"), -1);
    outbox_add(&box, record_of(1, "c", "3"), -1);
    outbox_add(&box, record_of(3, "d", "4"), -1);
    outbox_drop(&box, 1);
    assert_int_equal(box.count, 2);
    assert_memory_equal(box.records[0].key, "b", 1);
    assert_memory_equal(box.records[1].key, "d", 1);
    outbox_finish(&box);
}

static void outbox_takes_records_larger_than_a_chunk_and_is_empty_after_clear(void **state)
{
    (void)state;
    struct outbox box;
    size_t size = 3 << 20;
    char *big = malloc(size);
    assert_non_null(big);
    memset(big, 7, size);
    outbox_init(&box);
    for (int i = 0; i < 3; i++)
        outbox_add(&box, (struct outbox_record){.topic = "t", .value = big, .value_size = size}, 1);
    assert_int_equal(box.bytes, 3 * (size + 5));
    assert_memory_equal((const char *)box.records[2].value + 5, big, size);
    outbox_clear(&box);
    assert_int_equal(box.count, 0);
    assert_int_equal(box.bytes, 0);
    outbox_add(&box, record_of(0, "k", "v"), -1);
    assert_memory_equal(box.records[0].value, "v", 1);
    outbox_finish(&box);
    free(big);
}

static void buckets_are_those_of_sha256(void **state)
{
    (void)state;
    /* python: int.from_bytes(hashlib.sha256(salt + b"\0" + entity).digest()[:8], "big") % 10000 */
    assert_int_equal(entity_bucket("a", (struct bytes){"card-1", 6}), 5780);
    assert_int_equal(entity_bucket("fraud-2", (struct bytes){"", 0}), 6266);
    assert_int_equal(entity_bucket("", (struct bytes){"tok", 3}), 1787);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_remedy),
        cmocka_unit_test(a_member_that_was_shut_out_may_return_where_a_new_handle_helps),
        cmocka_unit_test(that_the_input_has_grown_is_noticed_within_half_a_minute),
        cmocka_unit_test(what_a_member_was_given_is_read_or_refused_whole),
        cmocka_unit_test(offset_metadata_reads_back),
        cmocka_unit_test(foreign_offset_metadata_is_none),
        cmocka_unit_test(outbox_keeps_copies_with_the_confluent_header),
        cmocka_unit_test(outbox_drops_one_partition_and_keeps_the_order_of_the_rest),
        cmocka_unit_test(outbox_takes_records_larger_than_a_chunk_and_is_empty_after_clear),
        cmocka_unit_test(buckets_are_those_of_sha256),
    };
    return cmocka_run_group_tests_name("kafka", tests, NULL, NULL);
}
