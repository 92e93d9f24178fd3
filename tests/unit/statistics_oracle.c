/* The statistics on a pipe, for their comparison with scipy and scikit-learn (test_statistics.py): a line in, a line
 * out, numbers with 17 digits.
 *
 *   histogram B o1..oB e1..eB   psi kl js w | d error_bound p | chi2 degrees p
 *   shares a n b m              h
 *   gamma a x                   Q(a, x)
 *   kolmogorov x                survival
 *   scored T N s1 l1 .. sN lN   auc average_precision | brier ece ece_decile | precision recall f1 fp_ratio fp_rate at T
 *   deciles N s1..sN            nine edges
 *   false_discovery N p1..pN    adjusted ones
 *   distinct from to            estimate of the integers from..to-1
 *   distinct_text from to       likewise of "id-<integer>" */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/calibration.h"
#include "monitor/cardinality.h"
#include "monitor/chi_square.h"
#include "monitor/divergence.h"
#include "monitor/drift.h"
#include "monitor/false_discovery.h"
#include "monitor/kolmogorov.h"
#include "monitor/quality.h"

static char *rest; /* of the line */

static const char *word(void)
{
    const char *text = strtok_r(NULL, " \n", &rest);
    assert(text);
    return text;
}

static int64_t integer(void)
{
    return strtoll(word(), NULL, 10);
}

static double real(void)
{
    return strtod(word(), NULL);
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    assert(p);
    return p;
}

static void histogram(void)
{
    size_t bins = (size_t)integer();
    int64_t *o = room(bins, sizeof *o), *e = room(bins, sizeof *e);
    for (size_t i = 0; i < 2 * bins; i++)
        *(i < bins ? &o[i] : &e[i - bins]) = integer();
    struct kolmogorov ks = kolmogorov_test(o, e, bins);
    struct chi_square chi = chi_square_test(o, e, bins);
    printf("%.17g %.17g %.17g %.17g ", drift_psi(o, e, bins), divergence_kl(o, e, bins), divergence_js(o, e, bins), divergence_cohen_w(o, e, bins));
    printf("%.17g %.17g %.17g %.17g %zu %.17g\n", ks.d, ks.error_bound, ks.p_value, chi.value, chi.degrees, chi.p_value);
    free(o);
    free(e);
}

static void calibrate(struct scored *events, size_t n)
{
    struct calibration c = {0};
    float *scores = room(n, sizeof *scores), deciles[CALIBRATION_EDGES];
    for (size_t i = 0; i < n; i++)
        scores[i] = events[i].score;
    calibration_deciles(scores, n, deciles);
    for (size_t i = 0; i < n; i++)
        calibration_add(&c, deciles, events[i].score, events[i].label);
    printf(" %.17g %.17g %.17g", calibration_brier(&c), calibration_ece(c.equal), calibration_ece(c.decile));
    free(scores);
}

static void scored(void)
{
    double threshold = real();
    size_t n = (size_t)integer();
    struct scored *events = room(n, sizeof *events);
    for (size_t i = 0; i < n; i++)
        events[i] = (struct scored){strtof(word(), NULL), (uint8_t)integer()};
    struct ranking r = quality_rank(events, n);
    struct confusion c = quality_confusion(events, n, threshold);
    printf("%.17g %.17g", r.auc, r.average_precision);
    calibrate(events, n);
    printf(" %.17g %.17g %.17g %.17g %.17g\n", quality_precision(&c), quality_recall(&c), quality_f1(&c), quality_false_positive_ratio(&c),
           quality_false_positive_rate(&c));
    free(events);
}

static void deciles(void)
{
    size_t n = (size_t)integer();
    float *scores = room(n, sizeof *scores), edges[CALIBRATION_EDGES];
    for (size_t i = 0; i < n; i++)
        scores[i] = strtof(word(), NULL);
    calibration_deciles(scores, n, edges);
    for (size_t i = 0; i < CALIBRATION_EDGES; i++)
        printf("%.17g%c", (double)edges[i], i + 1 < CALIBRATION_EDGES ? ' ' : '\n');
    free(scores);
}

static void false_discovery(void)
{
    size_t n = (size_t)integer();
    double *p = room(n, sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = real();
    false_discovery_adjust(p, n);
    for (size_t i = 0; i < n; i++)
        printf("%.17g%c", p[i], i + 1 < n ? ' ' : '\n');
    free(p);
}

static void distinct(bool texts)
{
    struct cardinality c = {0};
    int64_t from = integer(), to = integer();
    for (int64_t i = from; i < to; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "id-%" PRId64, i);
        cardinality_add(&c, texts ? cardinality_hash(text, (size_t)size) : cardinality_hash_integer(i));
    }
    printf("%.17g\n", cardinality_estimate(&c));
}

static void answer(const char *what)
{
    if (!strcmp(what, "histogram")) {
        histogram();
    } else if (!strcmp(what, "shares")) {
        int64_t a = integer(), n = integer(), b = integer(), m = integer();
        printf("%.17g\n", divergence_cohen_h(a, n, b, m));
    } else if (!strcmp(what, "gamma")) {
        double a = real(), x = real();
        printf("%.17g\n", gamma_upper(a, x));
    } else if (!strcmp(what, "kolmogorov")) {
        printf("%.17g\n", kolmogorov_survival(real()));
    } else if (!strcmp(what, "scored")) {
        scored();
    } else if (!strcmp(what, "deciles")) {
        deciles();
    } else if (!strcmp(what, "false_discovery")) {
        false_discovery();
    } else {
        assert(!strncmp(what, "distinct", 8));
        distinct(!strcmp(what, "distinct_text"));
    }
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0)
        answer(strtok_r(line, " \n", &rest));
    free(line);
    return ferror(stdout) ? 1 : 0;
}
