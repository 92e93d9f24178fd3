/* bench_sketch [features] [models] [partitions] [events]: what monitoring costs an event, and how many bytes its deltas take.
 *
 * Events of 5,000 a second in transactions of 100 ms, spread over the partitions of one lane; features of several
 * shapes (wide, skewed, flags, missing); a baseline of the same.  Then the aggregator's side: each transaction's record is
 * read, and what a second has gathered is merged into windows of 5 minutes, an hour and a day. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer/aggregator/sketch_record.h"
#include "monitor/sketch.h"

enum { TRANSACTIONS = 400, FIELDS = 10, ROWS = 20000, WINDOW_MS = 300000, GATHERED = 10 /* records: a second of them */ };

static uint64_t seed = 7;

static uint64_t next(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(void)
{
    return (double)(next() >> 11) * 0x1p-53;
}

static float value_of(size_t f)
{
    switch (f % 5) {
    case 0:
        return (float)exp(3 + 2 * uniform() + uniform());
    case 1:
        return (float)(int)(-8 * log(1 - uniform()));
    case 2:
        return uniform() < 0.2;
    case 3:
        return uniform() < 0.02 ? NAN : (float)(uniform() * 1e6);
    default:
        return (float)(int)(uniform() * 24);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Where the time goes: each phase ends where the next begins. */
enum phase { FOLD, ENCODE, RESET, READ, MERGE, PHASES };
static const char *const phase_names[] = {"fold", "encode", "reset", "read", "merge"};
static int64_t spent_ns[PHASES], since_ns;

static void end_phase(enum phase phase)
{
    int64_t now = now_ns();
    spent_ns[phase] += now - since_ns;
    since_ns = now;
}

struct traffic {
    size_t features, models, events; /* events a transaction */
    int32_t partitions;
    float *rows, *scores;
    const struct baseline *baseline;
    const struct sketch_shape *shape;
};

static void make_rows(struct traffic *t)
{
    t->rows = calloc(ROWS * t->features, sizeof *t->rows);
    t->scores = calloc(ROWS, sizeof *t->scores);
    for (size_t i = 0; i < ROWS; i++) {
        t->scores[i] = (float)pow(uniform(), 4);
        for (size_t f = 0; f < t->features; f++)
            t->rows[i * t->features + f] = value_of(f);
    }
}

/* The events of one partition in transaction n. */
static void fold(const struct traffic *t, struct sketch *sketch, int n, int32_t partition, int64_t time_ms)
{
    static const char *const channels[] = {"POS", "ECOM", "ATM", "MOTO"}, *const countries[] = {"DE", "FR", "US", "GB", "NL", "IT", "ES", "PL"};
    static char entities[ROWS][8]; /* any bytes */
    for (size_t i = (size_t)partition; i < t->events; i += (size_t)t->partitions) {
        size_t event = (size_t)n * t->events + i, r = event % ROWS;
        memcpy(entities[r], &r, sizeof r);
        struct value values[FIELDS] = {{.type = VALUE_INT, .integer = (int64_t)event}, {.type = VALUE_TEXT, .text = entities[r], .size = 8},
            {.type = VALUE_INT, .integer = time_ms}, {.type = VALUE_INT, .integer = 5000 + (int64_t)(r % 40)},
            {.type = VALUE_TEXT, .text = countries[r % 8], .size = 2}, {.type = VALUE_TEXT, .text = channels[r % 4], .size = 3}};
        struct sketch_cell *cell = sketch_add(sketch, &(struct sketch_event){.partition = partition, .offset = (int64_t)(event / (size_t)t->partitions), .time_ms = time_ms, .window_complete = true,
            .row = t->rows + r * t->features, .id_hash = event, .schema_id = 1, .values = values});
        for (size_t m = 0; m < t->models; m++) {
            sketch_add_score(sketch, cell, m, t->scores[r], DECISION_APPROVE);
            if (m)
                sketch_add_comparison(sketch, cell, m, t->scores[r], DECISION_APPROVE, t->scores[(r + 1) % ROWS], DECISION_APPROVE);
        }
    }
}

static void append(void *context, int32_t partition, const struct buffer *piece)
{
    (void)partition;
    put_bytes_raw(context, piece->data, piece->size);
}

static void encode(struct sketch *sketch, struct buffer *record)
{
    static struct buffer scratch;
    record->size = 0;
    sketch_record_begin(sketch_shape(sketch), record);
    for (size_t i = 0; i < sketch_position_count(sketch); i++)
        sketch_pieces(sketch, i, 1 << 20, &scratch, append, record);
    sketch_record_end(record);
}

static void read_record(const struct buffer *record, struct aggregate *aggregate, struct sketch *into)
{
    struct sketch_reader r;
    struct sketch_part part;
    struct err err;
    int more, failed = sketch_reader_check(&r, record->data, record->size, sketch_shape(into), &err);
    assert(!failed);
    while ((more = sketch_reader_part(&r, &part, &err)) == 1) {
        bool fresh = aggregate_take(aggregate, &part.position);
        assert(fresh);
        part.position.partition = -1;
        failed = sketch_reader_cells(&r, &part, into, &err);
        assert(!failed);
    }
    assert(more == 0);
}

static size_t run(const struct traffic *t)
{
    static const int64_t widths[] = {3600000, 86400000};
    struct sketch *sketch = sketch_create(t->shape), *delta = sketch_create(t->shape);
    struct aggregate *aggregate = aggregate_create(&(struct aggregate_options){.shape = t->shape, .topic = "t", .width_count = 2, .widths_ms = widths}, 0);
    struct report_list reports = {0};
    struct buffer record = {0};
    size_t bytes = 0;
    int64_t time_ms = 1700000100000;
    for (int n = 0; n < TRANSACTIONS; n++, time_ms += 100) {
        since_ns = now_ns();
        for (int32_t p = 0; p < t->partitions; p++)
            fold(t, sketch, n, p, time_ms);
        end_phase(FOLD);
        encode(sketch, &record);
        bytes += record.size;
        end_phase(ENCODE);
        sketch_reset(sketch);
        end_phase(RESET);
        read_record(&record, aggregate, delta);
        end_phase(READ);
        if (n % GATHERED == GATHERED - 1) {
            aggregate_merge(aggregate, delta, 0, &reports);
            sketch_reset(delta);
        }
        end_phase(MERGE);
    }
    report_list_finish(&reports);
    aggregate_destroy(aggregate);
    sketch_destroy(sketch);
    sketch_destroy(delta);
    buffer_finish(&record);
    return bytes;
}

int main(int argc, char **argv)
{
    struct traffic t = {.features = argc > 1 ? strtoul(argv[1], NULL, 10) : 40, .models = argc > 2 ? strtoul(argv[2], NULL, 10) : 2,
        .partitions = argc > 3 ? atoi(argv[3]) : 12, .events = argc > 4 ? strtoul(argv[4], NULL, 10) : 500};
    const char **names = calloc(t.features, sizeof *names), *fields[FIELDS] = {"id", "entity", "time", "mcc", "country", "channel", "a", "b", "c", "d"};
    struct sketch_model known[SKETCH_MODELS_MAX];
    char text[SKETCH_MODELS_MAX][32];
    assert(t.models <= SKETCH_MODELS_MAX && t.partitions > 0 && t.events > 0);
    for (size_t f = 0; f < t.features; f++)
        names[f] = "feature";
    for (size_t m = 0; m < t.models; m++) {
        snprintf(text[m], sizeof text[m], "model-%zu", m);
        known[m] = (struct sketch_model){text[m], m > 0};
    }
    make_rows(&t);
    struct baseline *baseline = baseline_create_from_rows(names, t.features, t.rows, t.scores, ROWS, (const uint8_t[32]){0}, "model-0");
    const struct sketch_segment segments[] = {{3, true}, {4, true}, {5, true}, {1, false}};
    struct sketch_shape *shape = sketch_shape_create(&(struct sketch_shape_options){.window_ms = WINDOW_MS, .lateness_ms = 60000, .feature_count = t.features,
        .features = names, .model_count = t.models, .models = known, .field_count = FIELDS, .fields = fields, .segment_count = 4, .segments = segments,
        .baseline = baseline, .bins = 240});
    t.baseline = baseline;
    t.shape = shape;
    size_t bytes = run(&t);
    double events = (double)t.events * TRANSACTIONS, all = 0;
    printf("%zu features, %zu models, %d partitions, %zu events a transaction: ns an event:", t.features, t.models, t.partitions, t.events);
    for (int i = 0; i < PHASES; i++) {
        printf(" %s %.1f,", phase_names[i], (double)spent_ns[i] / events);
        all += (double)spent_ns[i] / events;
    }
    printf(" in all %.1f; %.1f bytes an event; a cell %zu bytes, aggregate at most %.1f MiB\n", all, (double)bytes / events, sketch_cell_bytes(shape),
           (double)aggregate_bytes_max(shape, 2) / (1 << 20));
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
    free(names);
    free(t.rows);
    free(t.scores);
    return 0;
}
