#include "consumer/commands/explain_print.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BAR = 20 }; /* columns to each side */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "-";
}

static long long integer_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *time_text(char text[40], const json_t *ms)
{
    struct tm tm;
    time_t s = (time_t)(json_integer_value(ms) / 1000);
    if (!json_is_integer(ms) || json_integer_value(ms) < 0 || !gmtime_r(&s, &tm))
        return "-";
    size_t n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, 40 - n, ".%03dZ", (int)(json_integer_value(ms) % 1000));
    return text;
}

/* A number, a text in quotes, true, or - where there is none. */
static const char *value_text(char text[80], const json_t *v)
{
    if (json_is_real(v))
        snprintf(text, 80, "%.9g", json_real_value(v));
    else if (json_is_integer(v))
        snprintf(text, 80, "%lld", (long long)json_integer_value(v));
    else if (json_is_string(v))
        snprintf(text, 80, "%.70s", json_string_value(v));
    else
        snprintf(text, 80, "%s", json_is_true(v) ? "true" : json_is_false(v) ? "false" : "-");
    for (char *c = text; *c; c++) /* a record's text must not steer the terminal */
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    return text;
}

static const char *plain(char text[80], const json_t *o, const char *key)
{
    return value_text(text, json_object_get(o, key));
}

static void print_head(const json_t *e)
{
    char time[40], event_time[40], id[80], entity[80];
    printf("record          %lld:%lld, %s, schema %lld\n", integer_of(e, "partition"), integer_of(e, "offset"), time_text(time, json_object_get(e, "timestamp")),
           integer_of(e, "schema_id"));
    if (!json_object_get(e, "features"))
        return;
    printf("event           %s of %s at %s", plain(id, e, "id"), plain(entity, e, "entity"), time_text(event_time, json_object_get(e, "event_time")));
    if (integer_of(e, "late_ms"))
        printf(", %lld ms late", integer_of(e, "late_ms"));
    printf(", windows %s\n", json_is_true(json_object_get(e, "window_complete")) ? "complete" : "NOT complete");
}

static void print_rejected(const json_t *rejected)
{
    printf("rejected        %s at %s", text_of(rejected, "reason"), text_of(rejected, "stage"));
    if (json_is_string(json_object_get(rejected, "field")))
        printf(", field %s", text_of(rejected, "field"));
    if (json_is_string(json_object_get(rejected, "rule")))
        printf(", rule %s", text_of(rejected, "rule"));
    printf("\nmessage         %s\n", text_of(rejected, "message"));
}

static void print_record(const json_t *record)
{
    const char *name;
    const json_t *value;
    char text[80];
    printf("\nfields\n");
    json_object_foreach((json_t *)(uintptr_t)record, name, value)
        printf("  %-28s %s\n", name, value_text(text, value));
}

static void print_features(const json_t *features)
{
    char text[80];
    printf("\nfeatures\n");
    for (size_t i = 0; i < json_array_size(features); i++) {
        const json_t *f = json_array_get(features, i);
        printf("  %-28s %14s  %s\n", text_of(f, "name"), plain(text, f, "value"), text_of(f, "definition"));
    }
}

/* The bar grows from the middle, to the left for what lowers the score. */
static void print_bar(const char *name, const char *value, double contribution, double largest)
{
    char left[BAR + 1], right[BAR + 1];
    int n = largest > 0 ? (int)lround(fabs(contribution) / largest * BAR) : 0;
    memset(left, ' ', BAR);
    memset(right, ' ', BAR);
    left[BAR] = right[BAR] = 0;
    if (contribution < 0)
        memset(left + BAR - n, '-', (size_t)n);
    else
        memset(right, '+', (size_t)n);
    printf("  %-28.28s %14s %+10.4f %s|%s\n", name, value, contribution, left, right);
}

static void print_contributions(const json_t *model, size_t top)
{
    const json_t *list = json_object_get(model, "contributions");
    double largest = fabs(json_number_value(json_object_get(json_array_get(list, 0), "contribution"))), rest = 0;
    size_t n = json_array_size(list);
    char text[80];
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_array_get(list, i);
        double contribution = json_number_value(json_object_get(c, "contribution"));
        if (i < top)
            print_bar(text_of(c, "feature"), plain(text, c, "value"), contribution, largest);
        else
            rest += contribution;
    }
    if (n > top) {
        snprintf(text, sizeof text, "the other %zu", n - top);
        print_bar(text, "", rest, largest);
    }
    printf("  %-28s %14s %+10.4f\n", "on average (bias)", "", json_number_value(json_object_get(model, "bias")));
}

static void print_model(const json_t *model, size_t top)
{
    char score[80], margin[80];
    printf("\n%s %s: score %s, margin %s, %s, by %s%s\n", text_of(model, "role"), text_of(model, "id"), plain(score, model, "score"), plain(margin, model, "margin"),
           text_of(model, "decision"), text_of(model, "engine"), json_is_false(json_object_get(model, "sampled")) ? " (but not of this entity)" : "");
    print_contributions(model, top);
}

static void print_deployment(const json_t *deployment)
{
    printf("deployment      %s", text_of(deployment, "source"));
    if (json_is_integer(json_object_get(deployment, "since")))
        printf(" from offset %lld on", integer_of(deployment, "since"));
    printf(": %s\n", text_of(deployment, "note"));
}

void explain_print(const json_t *e, size_t top)
{
    const json_t *rejected = json_object_get(e, "rejected"), *served = json_object_get(e, "served"), *models = json_object_get(e, "models");
    char score[80];
    print_head(e);
    if (json_is_object(rejected))
        print_rejected(rejected);
    if (json_is_object(served))
        printf("served          %s by %s, score %s, %s, confidence %s\n", text_of(served, "role"), text_of(served, "model"), plain(score, served, "score"),
               text_of(served, "decision"), text_of(served, "confidence"));
    if (json_is_object(json_object_get(e, "deployment")))
        print_deployment(json_object_get(e, "deployment"));
    if (json_is_object(json_object_get(e, "record")))
        print_record(json_object_get(e, "record"));
    if (json_object_get(e, "features"))
        print_features(json_object_get(e, "features"));
    for (size_t i = 0; i < json_array_size(models); i++)
        print_model(json_array_get(models, i), top);
}
