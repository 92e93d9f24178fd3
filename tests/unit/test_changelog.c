/* Records of the state changelog: what is written is valid Avro by the schema that the topic's readers get, comes back
 * the same to the bit, and damaged bytes are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <avro.h>
#include <cmocka.h>

#include "consumer/changelog/entity_record.h"
#include "consumer/changelog/keys.h"
#include "consumer/changelog/marker.h"
#include "schemas/embedded.h"

static uint64_t chance = 1;

static uint64_t next(void)
{
    uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Whether Avro's own reader takes all of it. */
static void assert_is_avro(const char *schema_text, const struct buffer *body)
{
    avro_schema_t schema;
    avro_value_t value;
    assert_int_equal(avro_schema_from_json_length(schema_text, strlen(schema_text), &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    avro_reader_t reader = avro_reader_memory((const char *)body->data, (int64_t)body->size);
    if (avro_value_read(reader, &value))
        fail_msg("%s", avro_strerror());
    char more;
    assert_int_not_equal(avro_read(reader, &more, 1), 0);
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
}

static struct image_shape some_shape(void)
{
    struct image_shape s = {.numbers = (uint32_t)(next() % 3), .categories = (uint32_t)(next() % 4), .places = (uint32_t)(next() % 2), .lanes = (uint32_t)(next() % 3)};
    s.words = IMAGE_NUMBERS + s.numbers + s.categories + 2 * s.places + s.lanes;
    return s;
}

/* Few different words, so that events repeat what others had. */
static uint64_t some_word(void)
{
    switch (next() % 6) {
    case 0: return 0;
    case 1: return next();
    case 2: return ~UINT64_C(0);
    default: return next() % 5 * UINT64_C(0x123456789abcdef);
    }
}

static uint64_t *some_rows(uint32_t count, const struct image_shape *shape)
{
    uint64_t *rows = malloc((size_t)count * shape->words * 8 + 8), time = 1000000000000;
    assert_non_null(rows);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t w = 0; w < shape->words; w++)
            rows[i * shape->words + w] = w == IMAGE_TIME ? time += next() % 1000 : some_word();
    return rows;
}

static void an_entity_comes_back_to_the_bit(void **state)
{
    (void)state;
    struct entity_record read = {0};
    struct buffer body = {0};
    for (int run = 0; run < 300; run++) {
        struct image_shape shape = some_shape();
        uint32_t count = (uint32_t)(next() % (run % 10 ? 20 : 700));
        uint64_t *rows = some_rows(count, &shape);
        struct entity_image image = {{"c", 1}, (int64_t)next() >> 20, run % 2 ? INT64_MIN : 12345 + run, count, rows};
        body.size = 0;
        entity_record_put(run, 3, &image, &shape, &body);
        assert_is_avro(schema_changelog, &body);
        assert_int_equal(entity_record_read(body.data, body.size, &shape, &read), 0);
        assert_int_equal(read.epoch, run);
        assert_int_equal(read.parts, 3);
        assert_int_equal(read.image.count, count);
        assert_int_equal(read.image.seen_offset, image.seen_offset);
        assert_int_equal(read.image.dropped_ms, image.dropped_ms);
        assert_memory_equal(read.image.words ? read.image.words : rows, rows, (size_t)count * shape.words * 8);
        free(rows);
    }
    buffer_finish(&body);
    entity_record_finish(&read);
}

static void a_part_fits_into_what_it_is_cut_for(void **state)
{
    (void)state;
    struct buffer body = {0};
    for (int run = 0; run < 50; run++) {
        struct image_shape shape = some_shape();
        size_t bytes = 2000 + next() % 60000;
        uint32_t count = entity_record_events(&shape, bytes);
        uint64_t *rows = malloc((size_t)count * shape.words * 8);
        assert_non_null(rows);
        for (size_t i = 0; i < (size_t)count * shape.words; i++)
            rows[i] = next(); /* what compresses worst */
        body.size = 0;
        entity_record_put(INT64_MAX, UINT16_MAX, &(struct entity_image){{"c", 1}, INT64_MAX, INT64_MAX, count, rows}, &shape, &body);
        assert_in_range(body.size, 1, bytes);
        free(rows);
    }
    buffer_finish(&body);
}

static void damaged_bytes_are_refused_or_make_another_entity(void **state)
{
    (void)state;
    struct entity_record read = {0};
    struct buffer body = {0};
    for (int run = 0; run < 200; run++) {
        struct image_shape shape = some_shape();
        uint32_t count = (uint32_t)(next() % 20);
        uint64_t *rows = some_rows(count, &shape);
        body.size = 0;
        entity_record_put(7, 1, &(struct entity_image){{"c", 1}, 5, 6, count, rows}, &shape, &body);
        for (size_t cut = 0; cut < body.size; cut++)
            assert_int_equal(entity_record_read(body.data, cut, &shape, &read), -1);
        for (int i = 0; i < 100; i++) {
            uint8_t *byte = &body.data[next() % body.size], was = *byte;
            *byte ^= (uint8_t)(1 << next() % 8);
            entity_record_read(body.data, body.size, &shape, &read); /* whatever it says, under the sanitizers */
            *byte = was;
        }
        free(rows);
    }
    buffer_finish(&body);
    entity_record_finish(&read);
}

static void a_marker_comes_back(void **state)
{
    (void)state;
    struct buffer body = {0};
    struct marker marker = {.epoch = 3, .offset = 1000, .mark = {5, INT64_MIN, INT64_MAX}, .first_offset = 2, .verdict_hash = 0xfedcba9876543210, .rules_hash = 9,
                            .rules = {"{}", 2}, .serving = {"\0\1", 2}, .partitions = 12, .entities = 7, .events = 8, .feature_spec_sha256 = {1, 2, 3}},
                  read;
    marker_put(&marker, &body);
    assert_is_avro(schema_changelog, &body);
    assert_int_equal(marker_read(body.data, body.size, &read), 0);
    assert_int_equal(read.epoch, 3);
    assert_int_equal(read.offset, 1000);
    assert_int_equal(read.mark.stream_time_ms, 5);
    assert_int_equal(read.mark.history_start_ms, INT64_MIN);
    assert_int_equal(read.mark.evicted_ms, INT64_MAX);
    assert_true(read.verdict_hash == marker.verdict_hash);
    assert_int_equal(read.rules.size, 2);
    assert_memory_equal(read.serving.data, "\0\1", 2);
    assert_int_equal(read.partitions, 12);
    assert_memory_equal(read.feature_spec_sha256, marker.feature_spec_sha256, 32);
    for (size_t cut = 0; cut < body.size; cut++)
        assert_int_equal(marker_read(body.data, cut, &read), -1);
    buffer_finish(&body);
}

static void keys_say_what_they_are_of(void **state)
{
    (void)state;
    struct generation g = generation_of("topic", "{}", 0x0102030405060708);
    struct buffer bytes = {0};
    struct changelog_key read;
    changelog_key_put(&(struct changelog_key){.kind = KEY_ENTITY, .generation = g, .slot = 1, .part = 258, .entity = {"card", 4}}, &bytes);
    assert_true(changelog_key_parse(bytes.data, bytes.size, &read));
    assert_int_equal(read.kind, KEY_ENTITY);
    assert_int_equal(read.slot, 1);
    assert_int_equal(read.part, 258);
    assert_int_equal(read.entity.size, 4);
    assert_memory_equal(read.generation.bytes, g.bytes, GENERATION_BYTES);
    assert_true(generation_incarnation(&g) == 0x0102030405060708);
    changelog_key_put(&(struct changelog_key){.kind = KEY_DEPLOYMENT, .generation = g, .first_offset = 77}, &bytes);
    assert_true(changelog_key_parse(bytes.data, bytes.size, &read));
    assert_int_equal(read.first_offset, 77);
    for (size_t cut = 0; cut < bytes.size; cut++)
        assert_false(changelog_key_parse(bytes.data, cut, &read));
    assert_false(changelog_key_parse(NULL, 0, &read));
    buffer_finish(&bytes);
}

static void other_topics_features_and_beginnings_have_other_generations(void **state)
{
    (void)state;
    struct generation g = generation_of("topic", "{}", 1);
    const struct generation others[] = {generation_of("topic2", "{}", 1), generation_of("topic", "{ }", 1), generation_of("topic", "{}", 2)};
    for (size_t i = 0; i < 3; i++)
        assert_memory_not_equal(others[i].bytes, g.bytes, GENERATION_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entity_comes_back_to_the_bit),
        cmocka_unit_test(a_part_fits_into_what_it_is_cut_for),
        cmocka_unit_test(damaged_bytes_are_refused_or_make_another_entity),
        cmocka_unit_test(a_marker_comes_back),
        cmocka_unit_test(keys_say_what_they_are_of),
        cmocka_unit_test(other_topics_features_and_beginnings_have_other_generations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
