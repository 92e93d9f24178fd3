/* Scores rows by a chosen engine, and measures engines.
 *
 *   bench_forest [TREES DEPTH]           trains the models of the table, scores them by every engine this machine has
 *                                        and by the library, in one run and one thread, and prints ns a tree and row
 *   bench_forest score MODEL ENGINE ROWS OUT [BATCH]
 *                                        ROWS: float32, row-major; OUT: the margins, then the scores, as float32;
 *                                        exit code 3: the model or the machine does not have the engine
 *   bench_forest contributions MODEL ROWS OUT
 *                                        likewise, the rows' contributions
 *   bench_forest explain MODEL [N]       contributions of N rows, by weir and by the library: time and difference
 *   bench_forest engine MODEL            prints the engine that the model takes by itself */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xgboost/c_api.h>

#include "scoring/models/model.h"

enum { FEATURES = 30, TRAINING_ROWS = 40000, BENCH_ROWS = 4096 };

static const char *const engines[] = {"xgboost", "forest-portable", "forest-avx2", "forest-avx512"};
enum { ENGINES = sizeof engines / sizeof *engines };

static _Noreturn void stop(const char *what, const char *why)
{
    fprintf(stderr, "bench_forest: %s: %s\n", what, why);
    exit(1);
}

static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        stop(path, strerror(errno));
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)end + 1);
    if (!bytes || fread(bytes, 1, (size_t)end, file) != (size_t)end)
        stop(path, "cannot be read");
    fclose(file);
    *size = (size_t)end;
    return bytes;
}

static struct model *model_of(const char *bytes, size_t size)
{
    struct model *model;
    struct err err;
    if (model_create(bytes, size, &model, &err) < 0)
        stop("model", err.msg);
    return model;
}

static int score_file(const char *model_path, const char *engine, const char *rows_path, const char *out_path, size_t batch)
{
    size_t size, bytes_of_rows;
    char *bytes = read_whole(model_path, &size);
    struct model *model = model_of(bytes, size);
    if (model_use_engine(model, engine) < 0)
        return 3;
    float *rows = (float *)(void *)read_whole(rows_path, &bytes_of_rows);
    size_t width = model_feature_count(model), n = bytes_of_rows / sizeof(float) / width;
    float *margin = malloc(2 * n * sizeof *margin), *score = margin + n;
    struct err err;
    for (size_t r = 0; r < n; r += batch)
        if (model_score(model, rows + r * width, n - r < batch ? n - r : batch, margin + r, score + r, &err) < 0)
            stop("score", err.msg);
    FILE *out = fopen(out_path, "wb");
    if (!out || fwrite(margin, sizeof *margin, 2 * n, out) != 2 * n || fclose(out))
        stop(out_path, strerror(errno));
    free(margin);
    free(rows);
    free(bytes);
    model_destroy(model);
    return 0;
}

static int explain_rows(const char *model_path, const char *rows_path, const char *out_path)
{
    size_t size, bytes_of_rows;
    char *bytes = read_whole(model_path, &size);
    struct model *model = model_of(bytes, size);
    float *rows = (float *)(void *)read_whole(rows_path, &bytes_of_rows);
    size_t width = model_feature_count(model), n = bytes_of_rows / sizeof(float) / width;
    float *contributions = malloc(n * (width + 1) * sizeof *contributions);
    struct err err;
    for (size_t r = 0; r < n; r += MODEL_BATCH_MAX)
        if (model_contributions(model, rows + r * width, n - r < MODEL_BATCH_MAX ? n - r : MODEL_BATCH_MAX, contributions + r * (width + 1), &err) < 0)
            stop("contributions", err.msg);
    FILE *out = fopen(out_path, "wb");
    if (!out || fwrite(contributions, (width + 1) * sizeof *contributions, n, out) != n || fclose(out))
        stop(out_path, strerror(errno));
    free(contributions);
    free(rows);
    free(bytes);
    model_destroy(model);
    return 0;
}

/* Contributions: time a row by weir and by the library, and the largest difference by the size of the row's margin */

static double now_ns(void);

static int explain_file(const char *model_path, size_t n)
{
    enum { ROWS = 64 };
    size_t size;
    char *bytes = read_whole(model_path, &size);
    struct model *model = model_of(bytes, size);
    size_t width = model_feature_count(model);
    float *rows = malloc(ROWS * width * sizeof *rows), *out[2];
    uint64_t seed = 7;
    for (size_t i = 0; i < ROWS * width; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        rows[i] = seed >> 60 == 0 ? NAN : (float)(seed >> 33) / (float)(UINT64_C(1) << 31) * 1000.0f;
    }
    double ns[2], worst = 0;
    n = n < ROWS ? n : ROWS;
    for (int engine = 0; engine < 2; engine++) {
        out[engine] = malloc(ROWS * (width + 1) * sizeof **out);
        if (engine == 1)
            model_use_engine(model, "xgboost");
        ns[engine] = 1e30;
        for (int turn = 0; turn < 5; turn++) {
            double t = now_ns();
            if (model_contributions(model, rows, n, out[engine], NULL) < 0)
                stop("explain", "failed");
            t = (now_ns() - t) / (double)n;
            ns[engine] = t < ns[engine] ? t : ns[engine];
        }
    }
    for (size_t i = 0; i < n * (width + 1); i++)
        worst = fmax(worst, fabs((double)out[0][i] - (double)out[1][i]));
    printf("%s: %zu rows: %.1f us a row, the library %.1f us, %.1fx; largest difference %.2g\n", model_path, n, ns[0] / 1e3, ns[1] / 1e3, ns[1] / ns[0], worst);
    free(out[0]);
    free(out[1]);
    free(rows);
    free(bytes);
    model_destroy(model);
    return 0;
}

/* The table */

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void fill(float *rows, size_t n, bool missing, uint64_t seed)
{
    for (size_t i = 0; i < n * FEATURES; i++) {
        float x = (float)(next(&seed) % 1000000) / 1000.0f;
        rows[i] = missing && next(&seed) % 10 == 0 ? NAN : x;
    }
}

static char *trained(int trees, int depth, size_t *size)
{
    static float rows[TRAINING_ROWS * FEATURES], labels[TRAINING_ROWS];
    uint64_t seed = 5;
    fill(rows, TRAINING_ROWS, true, 17);
    for (size_t i = 0; i < TRAINING_ROWS; i++) {
        const float *x = rows + i * FEATURES;
        float sum = 0;
        for (size_t f = 0; f < FEATURES; f++)
            sum += isnan(x[f]) ? (float)(f % 3) : sinf(x[f] * 0.01f * (float)(1 + f % 5)) * (float)(1 + f % 4);
        labels[i] = sum + (float)(next(&seed) % 1000) / 100.0f > 8;
    }
    DMatrixHandle matrix;
    BoosterHandle booster;
    char number[2][16], config[] = "{\"format\":\"ubj\"}";
    snprintf(number[0], sizeof number[0], "%d", depth);
    XGDMatrixCreateFromMat(rows, TRAINING_ROWS, FEATURES, NAN, &matrix);
    XGDMatrixSetFloatInfo(matrix, "label", labels, TRAINING_ROWS);
    XGBoosterCreate(&matrix, 1, &booster);
    XGBoosterSetParam(booster, "objective", "binary:logistic");
    XGBoosterSetParam(booster, "max_depth", number[0]);
    XGBoosterSetParam(booster, "eta", "0.02");
    XGBoosterSetParam(booster, "min_child_weight", "0");
    XGBoosterSetParam(booster, "nthread", "1");
    XGBoosterSetParam(booster, "verbosity", "0");
    for (int round = 0; round < trees; round++)
        if (XGBoosterUpdateOneIter(booster, round, matrix))
            stop("training", XGBGetLastError());
    bst_ulong length;
    const char *bytes;
    if (XGBoosterSaveModelToBuffer(booster, config, &length, &bytes))
        stop("training", XGBGetLastError());
    char *copy = malloc(length);
    memcpy(copy, bytes, length);
    *size = length;
    XGBoosterFree(booster);
    XGDMatrixFree(matrix);
    return copy;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* all work is in this thread; others may take the processor in between */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The shortest of many turns, since other programs run too; a turn is some batches of other rows each. */
static double row_ns(struct model *model, const float *rows, size_t batch)
{
    static float margin[BENCH_ROWS], score[BENCH_ROWS];
    size_t batches = 256 / batch ? 256 / batch : 1;
    double best = 1e30, start = now_ns();
    for (size_t turn = 0; turn < 5 || now_ns() - start < 2e8; turn++) {
        double t = now_ns();
        for (size_t b = 0; b < batches; b++)
            model_score(model, rows + (turn * batches + b) * batch % BENCH_ROWS * FEATURES, batch, margin, score, NULL);
        t = (now_ns() - t) / (double)(batches * batch);
        best = t < best ? t : best;
    }
    return best;
}

static void measure(int trees, int depth)
{
    static float rows[2][BENCH_ROWS * FEATURES];
    static const size_t batches[] = {1, 8, 32, 256};
    size_t size;
    char *bytes = trained(trees, depth, &size);
    struct model *model = model_of(bytes, size);
    fill(rows[0], BENCH_ROWS, false, 99);
    fill(rows[1], BENCH_ROWS, true, 99);
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (int missing = 0; missing < 2; missing++) {
            double library = 0;
            printf("%5d x %d %6zu %5s ", trees, depth, batches[b], missing ? "yes" : "no");
            for (size_t e = 0; e < ENGINES; e++) {
                if (model_use_engine(model, engines[e]) < 0) {
                    printf("%20s", "-");
                    continue;
                }
                double ns = row_ns(model, rows[missing], batches[b]);
                if (e == 0)
                    printf("%9.2f", (library = ns) / trees);
                else
                    printf("%12.2f %6.1fx", ns / trees, library / ns);
            }
            printf("\n");
            fflush(stdout);
        }
    model_destroy(model);
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc >= 6 && !strcmp(argv[1], "score"))
        return score_file(argv[2], argv[3], argv[4], argv[5], argc > 6 ? strtoul(argv[6], NULL, 10) : 64);
    if (argc == 5 && !strcmp(argv[1], "contributions"))
        return explain_rows(argv[2], argv[3], argv[4]);
    if (argc >= 3 && !strcmp(argv[1], "explain"))
        return explain_file(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 1);
    if (argc == 3 && !strcmp(argv[1], "engine")) {
        size_t size;
        char *bytes = read_whole(argv[2], &size);
        struct model *model = model_of(bytes, size);
        puts(model_engine(model));
        model_destroy(model);
        free(bytes);
        return 0;
    }
    if (argc != 1 && (argc != 3 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1)) {
        fprintf(stderr, "usage: bench_forest [TREES DEPTH | score MODEL ENGINE ROWS OUT [BATCH] | contributions MODEL ROWS OUT | explain MODEL [N] | engine MODEL]\n");
        return 2;
    }
    printf("ns a tree and row, one thread, %d features; times as fast as the library\n", FEATURES);
    printf("%9s %6s %5s %9s %19s%20s%20s\n", "trees", "batch", "NaN", engines[0], engines[1], engines[2], engines[3]);
    if (argc == 3) {
        measure(atoi(argv[1]), atoi(argv[2]));
        return 0;
    }
    static const int table[][2] = {{100, 6}, {500, 6}, {500, 8}, {1000, 4}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        measure(table[i][0], table[i][1]);
    return 0;
}
