/* Damaged model files: each is refused, or scores and explains without harm, by the forest as by the library.
 *
 *   fuzz_model MODEL COUNT SEED
 *
 * makes COUNT copies with bits flipped, bytes overwritten, moved and taken out, and prints how many were taken, how
 * many refused, and the longest that one took in milliseconds.  tests/integration/test_model_damage.py runs it. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scoring/models/model.h"
#include "tests/unit/model_damage.h"

enum { ROWS = 64 };

/* True if the engines give one set of bits. */
static bool use(struct model *model, uint64_t *state)
{
    size_t width = model_feature_count(model);
    float *rows = malloc(ROWS * width * sizeof *rows), *contributions = malloc(ROWS * (width + 1) * sizeof *contributions);
    float margin[2][ROWS], score[2][ROWS];
    for (size_t i = 0; i < ROWS * width; i++)
        rows[i] = damage_random(state) % 8 == 0 ? NAN : (float)(damage_random(state) % 4000) / 1000 - 2;
    bool same = true;
    if (model_score(model, rows, ROWS, margin[0], score[0], NULL) == 0 && model_contributions(model, rows, ROWS, contributions, NULL) == 0) {
        model_use_engine(model, "xgboost");
        same = model_score(model, rows, ROWS, margin[1], score[1], NULL) == 0 && !memcmp(margin[0], margin[1], sizeof margin[0]) &&
               !memcmp(score[0], score[1], sizeof score[0]);
        model_contributions(model, rows, 1, contributions, NULL);
    }
    free(rows);
    free(contributions);
    return same;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, file) != *size)
        *size = 0;
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    size_t size, taken = 0, refused = 0;
    if (argc != 4)
        return 2;
    char *bytes = read_whole(argv[1], &size);
    uint64_t state = strtoull(argv[3], NULL, 10);
    double longest = 0;
    for (size_t i = 0, count = strtoul(argv[2], NULL, 10); bytes && i < count; i++) {
        char *copy = malloc(size);
        memcpy(copy, bytes, size);
        size_t left = size;
        for (size_t k = 0; k <= i % 3; k++)
            left = model_damage(copy, left, &state);
        char *exact = malloc(left ? left : 1); /* so that a sanitizer sees each byte read past the end */
        memcpy(exact, copy, left);
        free(copy);
        struct model *model;
        double started = now_ms();
        if (model_create(exact, left, &model, NULL) < 0) {
            refused++;
        } else {
            taken++;
            bool same = use(model, &state);
            model_destroy(model);
            if (!same) {
                fprintf(stderr, "%s: number %zu of seed %s: the engines differ\n", argv[1], i, argv[3]);
                return 1;
            }
        }
        double took = now_ms() - started;
        longest = took > longest ? took : longest;
        free(exact);
    }
    free(bytes);
    printf("%zu %zu %.0f\n", taken, refused, longest);
    return 0;
}
