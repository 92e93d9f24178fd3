/* A strict reader of the Prometheus text format 0.0.4 for tests: every line must be right, families declared once by
 * HELP and TYPE and not interleaved, no sample twice, histograms cumulative and complete.  A fault fails the test. */
#pragma once
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PARSED_MAX = 20000 };

struct parsed_sample {
    char name[128];
    char labels[512]; /* as written, unescaped, `le` left out */
    double le;        /* of a bucket, else NaN */
    double value;
};

struct parsed {
    size_t count, families;
    struct parsed_sample samples[PARSED_MAX];
    char family[1000][128];
};

static inline const char *parse_name(const char *s, char name[128], bool metric)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_' || (metric && s[n] == ':'))
        n++;
    if (n == 0 || n > 127 || isdigit((unsigned char)s[0]))
        fail_msg("no name at: %.60s", s);
    memcpy(name, s, n);
    name[n] = 0;
    return s + n;
}

static inline const char *parse_label(const char *s, struct parsed_sample *sample)
{
    char name[128], value[300];
    size_t n = 0;
    s = parse_name(s, name, false);
    if (s[0] != '=' || s[1] != '"')
        fail_msg("no value of label %s at: %.60s", name, s);
    for (s += 2; *s != '"'; s++) {
        if (*s == '\n' || *s == 0)
            fail_msg("label %s does not end", name);
        if (*s == '\\') {
            s++;
            if (*s != 'n' && *s != '\\' && *s != '"')
                fail_msg("a wrong escape in label %s", name);
            value[n++] = *s == 'n' ? '\n' : *s;
        } else {
            value[n++] = *s;
        }
        assert_true(n < sizeof value);
    }
    value[n] = 0;
    if (!strcmp(name, "le"))
        sample->le = strtod(value, NULL);
    else
        snprintf(sample->labels + strlen(sample->labels), sizeof sample->labels - strlen(sample->labels), "%s%s=%s",
                 *sample->labels ? "," : "", name, value);
    return s + 1;
}

static inline const char *parse_sample(const char *s, struct parsed *p, const char *family, const char *type)
{
    assert_true(p->count < PARSED_MAX);
    struct parsed_sample *sample = &p->samples[p->count++];
    *sample = (struct parsed_sample){.le = NAN};
    s = parse_name(s, sample->name, true);
    size_t stem = strlen(family);
    const char *suffix = sample->name + stem;
    bool histogram = !strcmp(type, "histogram");
    if (strncmp(sample->name, family, stem) != 0 ||
        !(histogram ? !strcmp(suffix, "_bucket") || !strcmp(suffix, "_sum") || !strcmp(suffix, "_count") : *suffix == 0))
        fail_msg("sample %s stands in family %s (%s)", sample->name, family, type);
    if (*s == '{') {
        do
            s = parse_label(s + 1, sample);
        while (*s == ',');
        if (*s++ != '}')
            fail_msg("labels of %s do not end", sample->name);
    }
    if (histogram && (isnan(sample->le) != (strcmp(suffix, "_bucket") != 0)))
        fail_msg("%s: le in the wrong place", sample->name);
    char *end;
    if (*s != ' ' || isspace((unsigned char)s[1]))
        fail_msg("%s: one space before the value", sample->name);
    sample->value = strtod(s + 1, &end);
    if (end == s + 1 || *end != '\n')
        fail_msg("%s: no value, or more than it", sample->name);
    if (!strcmp(type, "counter") && !(sample->value >= 0))
        fail_msg("%s: a counter below 0", sample->name);
    for (size_t i = 0; i + 1 < p->count; i++)
        if (!strcmp(p->samples[i].name, sample->name) && !strcmp(p->samples[i].labels, sample->labels) &&
            (p->samples[i].le == sample->le || (isnan(p->samples[i].le) && isnan(sample->le))))
            fail_msg("%s{%s}: twice", sample->name, sample->labels);
    return end + 1;
}

static inline const char *parse_comment(const char *s, const char *word, char name[128])
{
    size_t n = strlen(word);
    if (strncmp(s, word, n) != 0)
        fail_msg("no %s at: %.60s", word, s);
    s = parse_name(s + n, name, true);
    if (*s++ != ' ')
        fail_msg("no text after %s%s", word, name);
    return s;
}

static inline const char *parse_family(const char *s, struct parsed *p)
{
    char name[128], again[128], type[16] = "";
    s = parse_comment(s, "# HELP ", name);
    s = strchr(s, '\n');
    assert_non_null(s);
    s = parse_comment(s + 1, "# TYPE ", again);
    assert_string_equal(name, again);
    size_t n = strcspn(s, "\n");
    assert_true(n < sizeof type && s[n] == '\n');
    memcpy(type, s, n);
    if (strcmp(type, "counter") != 0 && strcmp(type, "gauge") != 0 && strcmp(type, "histogram") != 0)
        fail_msg("%s: type `%s`", name, type);
    for (size_t i = 0; i < p->families; i++)
        if (!strcmp(p->family[i], name))
            fail_msg("family %s twice", name);
    strcpy(p->family[p->families++], name);
    for (s += n + 1; *s && *s != '#';)
        s = parse_sample(s, p, name, type);
    return s;
}

/* Buckets of a series follow each other, rise in le and value, and end in +Inf, which equals the count. */
static inline void check_histograms(const struct parsed *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct parsed_sample *s = &p->samples[i], *next = &p->samples[i + 1];
        if (isnan(s->le))
            continue;
        assert_true(i + 1 < p->count);
        if (!isinf(s->le)) {
            if (strcmp(next->labels, s->labels) != 0 || !(next->le > s->le) || next->value < s->value)
                fail_msg("%s{%s}: buckets are not in order", s->name, s->labels);
        } else if (!strstr(next->name, "_sum") || !strstr(p->samples[i + 2].name, "_count") || p->samples[i + 2].value != s->value) {
            fail_msg("%s{%s}: +Inf is not the count", s->name, s->labels);
        }
    }
}

/* Freed by the caller. */
static inline struct parsed *parse_exposition(const char *text)
{
    struct parsed *p = calloc(1, sizeof *p);
    assert_non_null(p);
    while (*text)
        text = parse_family(text, p);
    check_histograms(p);
    return p;
}

static inline double parsed_value(const struct parsed *p, const char *name, const char *labels)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->samples[i].name, name) && !strcmp(p->samples[i].labels, labels) && (isnan(p->samples[i].le) || isinf(p->samples[i].le)))
            return p->samples[i].value;
    fail_msg("no sample %s{%s}", name, labels);
    return NAN;
}

static inline double parsed_bucket(const struct parsed *p, const char *name, const char *labels, double le)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->samples[i].name, name) && !strcmp(p->samples[i].labels, labels) && p->samples[i].le == le)
            return p->samples[i].value;
    fail_msg("no bucket %s{%s} le=%g", name, labels, le);
    return NAN;
}
