#include "consumer/demo/summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *grouped(char text[32], int64_t n)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRId64, n < 0 ? -n : n);
    char *to = text;
    if (n < 0)
        *to++ = '-';
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return text;
}

const char *date_of(char text[16], int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(text, 16, "%Y-%m-%d", &tm);
    return text;
}

double share_of(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

/* ---- text ---- */

static const char *verdict(bool ok)
{
    return ok ? "ok" : "NOT OK";
}

static void print_exactness(const struct summary *s)
{
    char a[32], b[32], c[32];
    const struct tally_counts *n = &s->counts;
    puts(s->exact ? "Every record came out once, and as expected.\n" : "NOT every record came out once and as expected.\n");
    printf("  records       %s in; %s predictions and %s dead letters out\n", grouped(a, n->written), grouped(b, n->predictions), grouped(c, n->dead_letters));
    if (!s->exact)
        printf("                %" PRId64 " missing, %" PRId64 " repeated, %" PRId64 " not as expected, %" PRId64 " of no known record\n", s->outcome.missing, s->outcome.repeated,
            s->outcome.unexpected, s->outcome.unknown);
}

static void print_rejects(const struct tally_counts *n)
{
    const char *comma = "";
    int column = 16;
    printf("  dead letters  ");
    for (int i = 0; i < REJECT_REASON_COUNT; i++) {
        char text[96];
        if (!n->rejects[i])
            continue;
        int width = snprintf(text, sizeof text, "%s %" PRId64, reject_name((enum reject_reason)i), n->rejects[i]);
        if (column + width + 2 > 78) {
            printf(",\n                ");
            comma = "";
            column = 16;
        }
        printf("%s%s", comma, text);
        comma = ", ";
        column += width + 2;
    }
    puts("");
}

static void print_drift(const struct summary *s)
{
    char from[16], since[16];
    const struct drift_view *d = &s->drift;
    if (s->drift_ms != INT64_MAX)
        printf("  drift         from %s on amounts are half as large again, and a\n                merchant category and a country are new\n", date_of(from, s->drift_ms));
    if (d->named)
        printf("                %s: first %s, PSI %.2f, on %s; then %zu more\n", verdict(s->drift_found), d->feature, d->psi, date_of(since, d->start_ms), d->others);
    else
        printf("                %s: no column was named in %zu windows\n", verdict(s->drift_found), d->windows);
    if (d->highest_feature)
        printf("                before: no column above PSI %.3f (%s)\n", d->highest_before, d->highest_feature);
}

static void print_next(const struct summary *s)
{
    char live[16];
    if (!s->kept) {
        puts("\nNext: weir demo --keep DIR keeps traffic, training set, models and\n"
             "configuration, and says what to try with them.");
        return;
    }
    const char *d = s->kept;
    printf("\nKept in %s. Next, try:\n", d);
    printf("  weir replay -c %s/weir.yaml --input %s/live.avro --from %s --output %s/out\n", d, d, date_of(live, s->live_ms), d);
    printf("  weir train --input %s/training.csv --output %s/mine.ubj --max-depth 5\n", d, d);
    printf("  weir replay -c %s/weir.yaml --input %s/live.avro --labels %s/live-labels.avro --export %s/more.csv\n", d, d, d, d);
    printf("and with a broker of your own, its address in %s/weir.yaml:\n", d);
    printf("  weir check -c %s/weir.yaml\n  weir run -c %s/weir.yaml\n", d, d);
}

void summary_print(const struct summary *s)
{
    char a[32], b[32], c[32];
    const struct tally_counts *n = &s->counts;
    puts("");
    print_exactness(s);
    printf("  throughput    %s records a second, in %s transactions\n", grouped(a, (int64_t)((double)n->done / s->seconds)), grouped(b, s->commits));
    printf("  processor     %.1f us a record for everything in this process: worker,\n                clients, broker, traffic, reader; %.1f us pass in the lane\n", s->cpu_us, s->pipeline_us);
    printf("  decisions     APPROVE %s   REVIEW %s   DECLINE %s\n", grouped(a, n->decisions[DECISION_APPROVE]), grouped(b, n->decisions[DECISION_REVIEW]), grouped(c, n->decisions[DECISION_DECLINE]));
    printf("  fraud         %s; from REVIEW on: precision %.3f, recall %.3f\n", grouped(a, n->frauds), share_of(n->caught[DECISION_REVIEW], n->called[DECISION_REVIEW]), share_of(n->caught[DECISION_REVIEW], n->frauds));
    printf("                DECLINE: precision %.3f, recall %.3f\n", share_of(n->caught[DECISION_DECLINE], n->called[DECISION_DECLINE]), share_of(n->caught[DECISION_DECLINE], n->frauds));
    printf("  AUC           champion %.4f (%s: over %.1f); candidate, in shadow, %.4f\n", s->outcome.champion_auc, verdict(s->ranks), SUMMARY_AUC_LEAST, s->outcome.candidate_auc);
    printf("  agreement     %.2f %% of decisions are the same\n", 100 * share_of(n->agreed, n->shadows));
    print_rejects(n);
    print_drift(s);
    printf("\n%s in %.1f s.\n", s->exact && s->drift_found && s->ranks ? "All three demands are met" : "NOT all demands are met", s->total_seconds);
    print_next(s);
}

/* ---- JSON ---- */

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *rejects(const struct tally_counts *n)
{
    json_t *object = json_object();
    for (int i = 0; i < REJECT_REASON_COUNT; i++)
        if (n->rejects[i])
            json_object_set_new(object, reject_name((enum reject_reason)i), json_integer(n->rejects[i]));
    return object;
}

static json_t *threshold(const struct tally_counts *n, enum decision d)
{
    return json_pack("{s:I, s:o, s:o}", "events", (json_int_t)n->called[d], "precision", number(share_of(n->caught[d], n->called[d])), "recall", number(share_of(n->caught[d], n->frauds)));
}

static json_t *drift(const struct summary *s)
{
    const struct drift_view *d = &s->drift;
    json_t *object = json_pack("{s:b, s:i, s:I, s:f, s:i}", "found", s->drift_found, "windows", (int)d->windows, "injected_ms", (json_int_t)s->drift_ms, "highest_psi_before", d->highest_before, "other_columns", (int)d->others);
    json_object_set_new(object, "feature", d->named ? json_string(d->feature) : json_null());
    json_object_set_new(object, "psi", d->named ? number(d->psi) : json_null());
    json_t *course = json_array();
    for (size_t i = 0; i < d->windows; i++)
        json_array_append_new(course, number(d->course[i]));
    json_object_set_new(object, "psi_by_window", course);
    json_object_set_new(object, "window_start_ms", d->named ? json_integer(d->start_ms) : json_null());
    json_object_set_new(object, "window_end_ms", d->named ? json_integer(d->end_ms) : json_null());
    return object;
}

void summary_print_json(const struct summary *s)
{
    const struct tally_counts *n = &s->counts;
    json_t *object = json_pack("{s:b, s:b, s:b, s:b}", "ok", s->exact && s->drift_found && s->ranks, "exact", s->exact, "drift_found", s->drift_found, "ranks", s->ranks);
    json_object_set_new(object, "records", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "in", (json_int_t)n->written, "predictions", (json_int_t)n->predictions,
        "shadow_predictions", (json_int_t)n->shadows, "dead_letters", (json_int_t)n->dead_letters, "missing", (json_int_t)s->outcome.missing, "repeated", (json_int_t)s->outcome.repeated,
        "unexpected", (json_int_t)s->outcome.unexpected, "unknown", (json_int_t)s->outcome.unknown));
    json_object_set_new(object, "dead_letters", rejects(n));
    json_object_set_new(object, "decisions", json_pack("{s:I, s:I, s:I}", "APPROVE", (json_int_t)n->decisions[DECISION_APPROVE], "REVIEW", (json_int_t)n->decisions[DECISION_REVIEW],
        "DECLINE", (json_int_t)n->decisions[DECISION_DECLINE]));
    json_object_set_new(object, "frauds", json_integer(n->frauds));
    json_object_set_new(object, "at_review", threshold(n, DECISION_REVIEW));
    json_object_set_new(object, "at_decline", threshold(n, DECISION_DECLINE));
    json_object_set_new(object, "auc", json_pack("{s:o, s:o}", "champion", number(s->outcome.champion_auc), "candidate", number(s->outcome.candidate_auc)));
    json_object_set_new(object, "agreement", number(share_of(n->agreed, n->shadows)));
    json_object_set_new(object, "drift", drift(s));
    json_object_set_new(object, "speed", json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:f}", "events_a_second", (double)n->done / s->seconds, "cpu_us_an_event", s->cpu_us, "pipeline_us_an_event", s->pipeline_us,
        "replay_cpu_us_an_event", s->preparation->replay_us, "transactions", (json_int_t)s->commits, "rebuilt_from_records", (json_int_t)s->history, "seconds", s->total_seconds));
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    puts("");
    json_decref(object);
}
