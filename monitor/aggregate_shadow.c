/* The SHADOW rows of one window: each shadow that scored, beside what was served to the same events.  Subject `score`.
 *
 *   agreement           share of the events of which the shadow makes the same decision; the detail has all nine counts, by
 *                       the served decision and then by its own
 *   stricter_share, laxer_share  where its decision is the harder, or the milder one
 *   mean_difference, p50_difference, p95_difference, p99_difference  of |its score - the served one|
 *   psi                 of its scores against the served ones, 20 bins of equal width
 *
 * Then by segment, and what drives it: aggregate_shadow_parts.c. */
#include <inttypes.h>
#include <math.h>

#include "monitor/window_rows.h"

struct agreement {
    int64_t events, same, stricter, laxer;
};

static struct agreement agreement_of(const struct sketch_comparison *c)
{
    struct agreement a = {0};
    for (size_t served = 0; served < DECISION_COUNT; served++)
        for (size_t own = 0; own < DECISION_COUNT; own++) {
            int64_t n = c->decisions[served][own];
            a.events += n;
            *(own == served ? &a.same : own > served ? &a.stricter : &a.laxer) += n;
        }
    return a;
}

static void add_agreement(struct rows *rows, size_t m, const struct sketch_comparison *c, struct agreement a)
{
    struct report *report = row_add_model(rows, REPORT_SHADOW, m, "agreement", (double)a.same / (double)a.events, a.events);
    row_detail(rows, report, "\"decisions\": [[%" PRId64 ", %" PRId64 ", %" PRId64 "], [%" PRId64 ", %" PRId64 ", %" PRId64 "], [%" PRId64 ", %" PRId64 ", %" PRId64 "]]",
               c->decisions[0][0], c->decisions[0][1], c->decisions[0][2], c->decisions[1][0], c->decisions[1][1], c->decisions[1][2], c->decisions[2][0], c->decisions[2][1],
               c->decisions[2][2]);
    row_add_model(rows, REPORT_SHADOW, m, "stricter_share", (double)a.stricter / (double)a.events, a.events);
    row_add_model(rows, REPORT_SHADOW, m, "laxer_share", (double)a.laxer / (double)a.events, a.events);
}

static void add_differences(struct rows *rows, size_t m, const struct sketch_comparison *c, int64_t events)
{
    row_add_model(rows, REPORT_SHADOW, m, "mean_difference", ldexp((double)c->apart_sum, -APART_SUM_BITS) / (double)events, events);
    row_add_model(rows, REPORT_SHADOW, m, "p50_difference", sketch_apart_quantile(c, 0.5), events);
    row_add_model(rows, REPORT_SHADOW, m, "p95_difference", sketch_apart_quantile(c, 0.95), events);
    row_add_model(rows, REPORT_SHADOW, m, "p99_difference", sketch_apart_quantile(c, 0.99), events);
}

void shadow_rows_write(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    for (size_t m = 0; m < sketch_models(w->shape); m++) {
        const struct sketch_model_counts *counts = sketch_model(w->shape, w->cell, m);
        struct agreement a = agreement_of(&counts->comparison);
        if (!a.events)
            continue;
        add_agreement(rows, m, &counts->comparison, a);
        add_differences(rows, m, &counts->comparison, a.events);
        row_add_model(rows, REPORT_SHADOW, m, "psi", drift_psi(counts->equal, counts->comparison.served, SCORE_EQUAL_BINS), a.events);
        shadow_part_rows_write(rows, m, a.events, a.events - a.same);
    }
}
