/* bench_sketch [features] [models] [partitions]: what monitoring costs an event, and how many bytes its deltas take.
 *
 * Events of 5,000 a second in transactions of 100 ms, spread over the partitions of one lane; features of several
 * shapes (wide, skewed, flags, missing); a baseline of the same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer/aggregator/sketch_record.h"
#include "monitor/sketch.h"

enum { EVENTS = 500, TRANSACTIONS = 400, FIELDS = 10, ROWS = 20000 };

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

static size_t bytes;

static void measure(void *context, int32_t partition, const struct buffer *piece)
{
    (void)context;
    (void)partition;
    bytes += piece->size;
}

int main(int argc, char **argv)
{
    size_t features = argc > 1 ? strtoul(argv[1], NULL, 10) : 40, models = argc > 2 ? strtoul(argv[2], NULL, 10) : 2;
    int32_t partitions = argc > 3 ? atoi(argv[3]) : 12;
    const char **names = calloc(features, sizeof *names), *fields[FIELDS] = {"id", "entity", "time", "mcc", "country", "channel", "a", "b", "c", "d"};
    float *rows = calloc(ROWS * features, sizeof *rows), *scores = calloc(ROWS, sizeof *scores);
    struct sketch_model *known = calloc(models, sizeof *known);
    char text[SKETCH_MODELS_MAX][32];
    for (size_t f = 0; f < features; f++)
        names[f] = "feature";
    for (size_t m = 0; m < models; m++) {
        snprintf(text[m], sizeof text[m], "model-%zu", m);
        known[m] = (struct sketch_model){text[m], m > 0};
    }
    for (size_t i = 0; i < ROWS; i++) {
        scores[i] = (float)pow(uniform(), 4);
        for (size_t f = 0; f < features; f++)
            rows[i * features + f] = value_of(f);
    }
    struct baseline *baseline = baseline_create_from_rows(names, features, rows, scores, ROWS, (const uint8_t[32]){0}, "model-0");
    const struct sketch_segment segments[] = {{3, true}, {4, true}, {5, true}, {1, false}};
    struct sketch_shape *shape = sketch_shape_create(&(struct sketch_shape_options){.window_ms = 300000, .lateness_ms = 60000, .feature_count = features,
        .features = names, .model_count = models, .models = known, .field_count = FIELDS, .fields = fields, .segment_count = 4, .segments = segments,
        .baseline = baseline, .bins = 240});
    struct sketch *sketch = sketch_create(shape);
    struct buffer scratch = {0};
    static const char *const channels[] = {"POS", "ECOM", "ATM", "MOTO"}, *const countries[] = {"DE", "FR", "US", "GB", "NL", "IT", "ES", "PL"};
    int64_t fold = 0, encode = 0, time = 1700000000000;
    const float *run[EVENTS];
    for (int t = 0; t < TRANSACTIONS; t++) {
        int64_t began = now_ns();
        for (int32_t p = 0; p < partitions; p++) {
            size_t n = 0;
            struct sketch_cell *cell = NULL;
            for (int i = p; i < EVENTS; i += partitions, n++) {
                size_t r = (size_t)(t * EVENTS + i) % ROWS;
                char entity[24];
                struct value values[FIELDS] = {{.type = VALUE_INT, .integer = t * EVENTS + i}, {.type = VALUE_TEXT, .text = entity},
                    {.type = VALUE_INT, .integer = time}, {.type = VALUE_INT, .integer = 5000 + (int64_t)(r % 40)},
                    {.type = VALUE_TEXT, .text = countries[r % 8], .size = 2}, {.type = VALUE_TEXT, .text = channels[r % 4], .size = 3}};
                values[1].size = (uint32_t)snprintf(entity, sizeof entity, "card-%zu", r);
                cell = sketch_add(sketch, &(struct sketch_event){.partition = p, .offset = t * EVENTS + i, .time_ms = time + i / 5, .window_complete = true,
                    .schema_id = 1, .values = values});
                run[n] = rows + r * features;
                for (size_t m = 0; m < models; m++)
                    sketch_add_score(sketch, cell, m, scores[r], DECISION_APPROVE);
            }
            sketch_add_rows(sketch, cell, run, n);
        }
        int64_t folded = now_ns();
        for (size_t i = 0; i < sketch_position_count(sketch); i++)
            sketch_pieces(sketch, i, 1 << 20, &scratch, measure, NULL);
        sketch_reset(sketch);
        encode += now_ns() - folded;
        fold += folded - began;
        time += 100;
    }
    double events = (double)EVENTS * TRANSACTIONS;
    printf("%zu features, %zu models, %d partitions: fold %.1f ns an event (of it a snprintf of this program), encode %.1f ns, %.1f bytes an event; a cell %zu bytes\n", features, models, partitions,
           (double)fold / events, (double)encode / events, (double)bytes / events, sketch_cell_bytes(shape));
    sketch_destroy(sketch);
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
    buffer_finish(&scratch);
    free(names);
    free(rows);
    free(scores);
    free(known);
    return 0;
}
