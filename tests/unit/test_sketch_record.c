/* Sketches as records: what is read is what was written; what is damaged is refused. */
#include "consumer/aggregator/sketch_record.h"
#include "monitor/sketch_extra.h"

#include "consumer/avro/container.h"
#include "consumer/avro/plan.h"
#include "schemas/embedded.h"
#include "tests/unit/monitor_scene.h"

struct fixture {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct sketch *sketch, *read;
    struct buffer record;
    size_t pieces;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->baseline = scene_baseline();
    f->shape = scene_shape(f->baseline, 240);
    f->sketch = sketch_create(f->shape);
    f->read = sketch_create(f->shape);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buffer_finish(&f->record);
    sketch_destroy(f->sketch);
    sketch_destroy(f->read);
    sketch_shape_destroy(f->shape);
    baseline_destroy(f->baseline);
    free(f);
    return 0;
}

/* The shadow beside the champion, by device; timed, and now and then explained. */
static void add_extras(struct fixture *f, struct sketch_cell *cell, int64_t i, uint64_t r)
{
    struct value values[] = {{.type = VALUE_INT, .integer = i}, {.type = VALUE_INT}, {.type = VALUE_INT, .integer = (int64_t)(r >> 33 & 63)}};
    struct sketch_pair pair = {(float)(r >> 40) * 0x1p-24f, (float)(r >> 20 & 0xffff) * 0x1p-16f, (enum decision)(r % 3), (enum decision)(r >> 4 & 1)};
    struct sketch_places places;
    sketch_places_find(f->shape, values, &places);
    sketch_add_parts(f->shape, cell, 1, &places, &pair);
    sketch_add_timing(f->shape, cell, 0, (int64_t)(r >> 44), 3);
    if (i % 7 == 0)
        sketch_add_explained(f->shape, cell, 1, r, (float[]){(float)i, 1e9f}, (float[]){0, 0});
}

static void traffic(struct fixture *f, int64_t events)
{
    uint64_t seed = 3;
    for (int64_t i = 0; i < events; i++) {
        uint64_t r = scene_random(&seed);
        scene_add(f->sketch, (struct scene_event){.partition = (int32_t)(r & 3), .offset = i, .time_ms = 100000 + i * 50, .late_ms = (int64_t)(r >> 8 & 15) * 1000,
            .amount = r >> 16 & 7 ? -(float)(r >> 32 & 0xffff) * 1e6f : NAN, .flag = (float)(r >> 20 & 1), .score = (float)(r >> 40) * 0x1p-24f,
            .device = r >> 21 & 1, .schema_id = (int32_t)(r >> 24 & 1) + 5});
        add_extras(f, sketch_cell_open(f->sketch, (int32_t)(r & 3), (100000 + i * 50) / SCENE_WINDOW * SCENE_WINDOW), i, r);
        if (r >> 50 & 1)
            sketch_add_reject(f->sketch, (int32_t)(r & 3), i, 100000 + i * 50, REJECT_RANGE, 1);
    }
    sketch_add_latencies(f->sketch, 1, 100000, (int64_t[LATENCY_BINS]){[37] = 12});
    struct sketch_cell *cell = sketch_cell_open(f->sketch, 1, 60000);
    sketch_add_contributions(f->sketch, cell, (float[]){-0.25f, 3.5f});
    sketch_add_entity(f->sketch, cell, 100000, 99000);
    sketch_add_entity(f->sketch, cell, 100000, TIME_UNKNOWN);
}

static void append(void *context, int32_t partition, const struct buffer *piece)
{
    struct fixture *f = context;
    (void)partition;
    put_bytes_raw(&f->record, piece->data, piece->size);
    f->pieces++;
}

static void write_record(struct fixture *f, size_t size_max)
{
    struct buffer scratch = {0};
    f->record.size = 0;
    sketch_record_begin(f->shape, &f->record);
    for (size_t i = 0; i < sketch_position_count(f->sketch); i++)
        sketch_pieces(f->sketch, i, size_max, &scratch, append, f);
    sketch_record_end(&f->record);
    buffer_finish(&scratch);
}

/* Into f->read; -1 where it is refused. */
static int read_record(struct fixture *f, const void *data, size_t size)
{
    struct sketch_reader reader;
    struct sketch_part part;
    struct err err;
    int result;
    if (sketch_reader_begin(&reader, data, size, &err) < 0)
        return -1;
    while ((result = sketch_reader_part(&reader, &part, &err)) == 1) {
        if (part.position.from < part.position.to)
            sketch_cover(f->read, part.position.partition, part.position.from, part.position.to, part.position.stream_time_ms);
        if (sketch_reader_cells(&reader, &part, f->read, &err) < 0)
            return -1;
    }
    return result < 0 ? -1 : sketch_reader_state(&reader, &err);
}

static void assert_same_extra(const struct sketch_shape *shape, const struct sketch_extra *a, const struct sketch_extra *b)
{
    assert_true(!a == !b);
    if (!a)
        return;
    assert_memory_equal(&a->numbers, &b->numbers, sizeof a->numbers);
    assert_int_equal(a->explained, b->explained);
    assert_memory_equal(a->explained_ranks, b->explained_ranks, a->explained * sizeof *a->explained_ranks);
    if (a->explained)
        assert_memory_equal(a->apart, b->apart, a->explained * sketch_shape_of(shape)->feature_count * sizeof *a->apart);
    for (size_t s = 0; s < sketch_shape_of(shape)->segment_count; s++) {
        assert_int_equal(a->parts[s].count, b->parts[s].count);
        assert_memory_equal(a->parts[s].ranks, b->parts[s].ranks, a->parts[s].count * sizeof *a->parts[s].ranks);
        for (size_t i = 0; i < a->parts[s].count; i++)
            assert_memory_equal(a->parts[s].of[i], b->parts[s].of[i], sizeof(struct shadow_part));
    }
}

static void assert_same_cell(const struct sketch_shape *shape, const struct sketch_cell *a, const struct sketch_cell *b)
{
    const struct sketch_shape_options *o = sketch_shape_of(shape);
    assert_int_equal(a->partition, b->partition);
    assert_int_equal(a->window_start_ms, b->window_start_ms);
    assert_int_equal(a->events, b->events);
    assert_int_equal(a->overdue, b->overdue);
    assert_memory_equal(a->rejects, b->rejects, sizeof a->rejects);
    assert_memory_equal(a->sums, b->sums, (o->feature_count + sketch_models_max(shape)) * sizeof *a->sums);
    assert_memory_equal(a->counts, b->counts, (sketch_head_counts(shape) + sketch_models_max(shape) * sketch_model_counts_size(shape)) * sizeof *a->counts);
    assert_memory_equal(a->last_seen_ms, b->last_seen_ms, o->field_count * sizeof *a->last_seen_ms);
    assert_memory_equal(a->distinct, b->distinct, o->segment_count * sizeof *a->distinct);
    for (size_t m = 0; m < sketch_models(shape); m++)
        assert_same_extra(shape, sketch_extra(a, m), sketch_extra(b, m));
    for (size_t s = 0; s <= o->segment_count; s++) {
        assert_int_equal(a->values[s].count, b->values[s].count);
        for (size_t i = 0; i < a->values[s].count; i++) {
            assert_int_equal(a->values[s].of[i].count, b->values[s].of[i].count);
            assert_int_equal(a->values[s].of[i].size, b->values[s].of[i].size);
            assert_memory_equal(a->values[s].of[i].text, b->values[s].of[i].text, a->values[s].of[i].size);
        }
    }
}

static void assert_same(struct sketch *a, struct sketch *b)
{
    assert_int_equal(sketch_cell_count(a), sketch_cell_count(b));
    for (size_t i = 0; i < sketch_cell_count(a); i++)
        assert_same_cell(sketch_shape(a), sketch_cell(a, i), sketch_cell(b, i));
    assert_int_equal(sketch_position_count(a), sketch_position_count(b));
    for (size_t i = 0; i < sketch_position_count(a); i++)
        assert_memory_equal(sketch_position(a, i), sketch_position(b, i), sizeof(struct sketch_position));
}

static void what_is_read_is_what_was_written(void **state)
{
    struct fixture *f = *state;
    traffic(f, 5000);
    write_record(f, 1 << 20);
    assert_int_equal(f->pieces, 4);
    assert_int_equal(read_record(f, f->record.data, f->record.size), 0);
    assert_same(f->sketch, f->read);
}

static void small_pieces_add_up_to_the_same(void **state)
{
    struct fixture *f = *state;
    traffic(f, 5000);
    write_record(f, 4000);
    assert_true(f->pieces > 5);
    assert_int_equal(read_record(f, f->record.data, f->record.size), 0);
    assert_same(f->sketch, f->read);
}

/* Rows that wait and do not fit are counted, and the counts do. */
static void rows_too_large_for_a_piece_are_counted(void **state)
{
    struct fixture *f = *state;
    enum { EVENTS = SKETCH_ROWS_MAX };
    for (int i = 0; i < EVENTS; i++)
        scene_add(f->sketch, (struct scene_event){.time_ms = 100000, .amount = (float)(i % 50) * 100, .flag = (float)(i & 1), .score = 0.25f});
    assert_int_equal(sketch_cell_uncounted(f->sketch, 0)->row_count, EVENTS);
    write_record(f, 1 << 20);
    size_t with_rows = f->record.size;
    assert_int_equal(sketch_cell_uncounted(f->sketch, 0)->row_count, EVENTS);
    write_record(f, EVENTS + 100);
    assert_int_equal(sketch_cell_uncounted(f->sketch, 0)->row_count, 0);
    assert_int_equal(f->pieces, 2);
    assert_true(f->record.size < with_rows);
    assert_int_equal(read_record(f, f->record.data, f->record.size), 0);
    assert_same(f->sketch, f->read);
}

/* One byte of the rows that no bin has: refused before anything of the record is taken. */
static void rows_of_no_bin_are_refused_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct sketch_reader reader;
    struct err err;
    enum { EVENTS = 40 };
    for (int i = 0; i < EVENTS; i++)
        scene_add(f->sketch, (struct scene_event){.time_ms = 100000, .amount = 77 * 9, .flag = 1, .score = 0.25f});
    write_record(f, 1 << 20);
    const uint8_t *bins = sketch_row_bins(sketch_cell_uncounted(f->sketch, 0), 0);
    uint8_t *rows = memmem(f->record.data, f->record.size, bins, EVENTS);
    assert_non_null(rows);
    assert_int_equal(sketch_reader_check(&reader, f->record.data, f->record.size, f->shape, &err), 0);
    rows[EVENTS - 1] = 250;
    assert_int_equal(sketch_reader_check(&reader, f->record.data, f->record.size, f->shape, &err), -1);
    rows[EVENTS - 1] = 255; /* missing */
    assert_int_equal(sketch_reader_check(&reader, f->record.data, f->record.size, f->shape, &err), 0);
}

static void no_piece_is_larger_than_it_may_be(void **state)
{
    struct fixture *f = *state;
    struct buffer scratch = {0};
    traffic(f, 20000);
    for (size_t i = 0; i < sketch_position_count(f->sketch); i++) {
        size_t before = 0;
        f->record.size = 0;
        sketch_pieces(f->sketch, i, 12000, &scratch, append, f);
        assert_true(f->record.size > before);
        assert_true(scratch.size <= 12000);
    }
    buffer_finish(&scratch);
}

/* The schema of the repository reads it with our own Avro decoder. */
static void it_is_avro_of_its_schema(void **state)
{
    struct fixture *f = *state;
    struct avro_schema *schema = NULL;
    struct decode_plan *plan = NULL;
    struct field_set none = {0};
    struct err err;
    struct decode_fault fault;
    size_t consumed = 0;
    struct decode_limits limits = {.string_bytes = SIZE_MAX, .block_items = UINT64_MAX, .depth = decode_limits_default.depth, .sizes_only = true};
    assert_int_equal(avro_schema_create(schema_sketch, strlen(schema_sketch), NULL, 0, &schema, &err), 0);
    assert_int_equal(decode_plan_create(schema, NULL, &none, limits, &plan, &err), 0);
    traffic(f, 300);
    write_record(f, 1 << 20);
    assert_int_equal(decode_value(plan, f->record.data, f->record.size, NULL, &consumed, &fault), 0);
    assert_int_equal(consumed, f->record.size);
    struct aggregate *a = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "t"}, 0);
    struct report_list reports = {0};
    aggregate_merge(a, f->sketch, 0, &reports);
    f->record.size = 0;
    aggregate_state_put(a, f->shape, "extra", 5, &f->record);
    assert_int_equal(decode_value(plan, f->record.data, f->record.size, NULL, &consumed, &fault), 0);
    assert_int_equal(consumed, f->record.size);
    report_list_finish(&reports);
    aggregate_destroy(a);
    decode_plan_destroy(plan);
    avro_schema_destroy(schema);
}

/* What was checked is read to its end: nothing of it is refused half-way. */
static void assert_taken_as_a_whole(struct fixture *f)
{
    struct sketch_reader reader;
    struct sketch_part part;
    struct err err;
    int more;
    if (sketch_reader_check(&reader, f->record.data, f->record.size, f->shape, &err) < 0)
        return;
    while ((more = sketch_reader_part(&reader, &part, &err)) == 1)
        assert_int_equal(reader.checked ? sketch_reader_cells(&reader, &part, f->read, &err) : sketch_reader_pass(&reader, &part, &err), 0);
    assert_int_equal(more, 0);
    sketch_reset(f->read);
}

/* Cut anywhere, any byte changed: refused or read, never beyond its end. */
static void damage_is_refused(void **state)
{
    struct fixture *f = *state;
    traffic(f, 200);
    write_record(f, 1 << 20);
    for (size_t size = 0; size < f->record.size; size++) {
        char *cut = malloc(size + 1);
        memcpy(cut, f->record.data, size);
        assert_int_equal(read_record(f, cut, size), -1);
        free(cut);
        sketch_reset(f->read);
    }
    uint64_t seed = 11;
    size_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        size_t at = scene_random(&seed) % f->record.size;
        uint8_t was = f->record.data[at];
        f->record.data[at] = (uint8_t)scene_random(&seed);
        refused += read_record(f, f->record.data, f->record.size) < 0;
        sketch_reset(f->read);
        assert_taken_as_a_whole(f);
        f->record.data[at] = was;
    }
    assert_true(refused > 1000);
}

/* The state and the cells of its windows bring an aggregate back that goes on as the first one does. */
static void an_aggregate_comes_back(void **state)
{
    struct fixture *f = *state;
    struct aggregate_options options = {.shape = f->shape, .topic = "t", .width_count = 1, .widths_ms = (const int64_t[]){180000}};
    struct aggregate *first = aggregate_create(&options, 0), *second = aggregate_create(&options, 0);
    struct report_list one = {0}, two = {0};
    struct sketch_reader reader;
    struct sketch_part part;
    struct state_windows windows;
    struct err err;
    const void *extra;
    size_t extra_size;
    traffic(f, 5000);
    aggregate_merge(first, f->sketch, 0, &one);
    aggregate_state_put(first, f->shape, "mine", 4, &f->record);
    assert_int_equal(sketch_reader_begin(&reader, f->record.data, f->record.size, &err), 0);
    assert_int_equal(sketch_reader_part(&reader, &part, &err), 0);
    assert_int_equal(sketch_reader_state(&reader, &err), 1);
    assert_int_equal(aggregate_state_take(&reader, second, f->shape, &windows, &extra, &extra_size, &err), 0);
    assert_int_equal(extra_size, 4);
    assert_memory_equal(extra, "mine", 4);
    assert_int_equal(windows.count, aggregate_windows(first));
    for (size_t i = 0; i < windows.count; i++) {
        const struct sketch_cell *cell;
        struct buffer scratch = {0}, record = {0};
        aggregate_window_at(first, i, &cell);
        sketch_record_begin(f->shape, &record);
        f->record.size = 0;
        sketch_cell_pieces(f->shape, cell, 1 << 20, &scratch, append, f);
        put_bytes_raw(&record, f->record.data, f->record.size);
        sketch_record_end(&record);
        struct sketch_cell *back = aggregate_put_window(second, &windows.of[i]);
        assert_non_null(back);
        assert_int_equal(sketch_reader_begin(&reader, record.data, record.size, &err), 0);
        assert_int_equal(sketch_reader_part(&reader, &part, &err), 1);
        assert_int_equal(part.position.partition, -1);
        assert_int_equal(sketch_reader_cell_into(&reader, &part, f->shape, back, &err), 0);
        assert_same_cell(f->shape, cell, back);
        buffer_finish(&scratch);
        buffer_finish(&record);
    }
    free(windows.of);
    one.count = 0;
    for (int round = 0; round < 40; round++) {
        sketch_reset(f->sketch);
        for (int32_t p = 0; p < 4; p++)
            scene_add(f->sketch, (struct scene_event){.partition = p, .offset = 5000 + round, .time_ms = 350000 + round * 11000 - (round % 3) * 90000,
                .late_ms = (round % 3) * 90000, .amount = 7});
        aggregate_merge(first, f->sketch, 0, &one);
        aggregate_merge(second, f->sketch, 0, &two);
    }
    assert_int_equal(one.count, two.count);
    assert_true(one.count > 100);
    for (size_t i = 0; i < one.count; i++) {
        assert_int_equal(one.rows[i].window_start_ms, two.rows[i].window_start_ms);
        assert_string_equal(one.rows[i].statistic, two.rows[i].statistic);
        assert_string_equal(one.rows[i].detail, two.rows[i].detail);
        assert_true(one.rows[i].value == two.rows[i].value || (isnan(one.rows[i].value) && isnan(two.rows[i].value)));
    }
    report_list_finish(&one);
    report_list_finish(&two);
    aggregate_destroy(first);
    aggregate_destroy(second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_is_read_is_what_was_written), TEST(small_pieces_add_up_to_the_same), TEST(no_piece_is_larger_than_it_may_be), TEST(rows_too_large_for_a_piece_are_counted), TEST(rows_of_no_bin_are_refused_as_a_whole),
        TEST(it_is_avro_of_its_schema), TEST(damage_is_refused), TEST(an_aggregate_comes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
