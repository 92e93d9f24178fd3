#include "monitor/exposition.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool name_is_valid(const char *name, bool metric)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_' && !(metric && name[0] == ':'))
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && !(metric && *c == ':'))
            return false;
    return true;
}

/* Backslash and line feed, and in a label value the quote. */
static void add_escaped(struct text_buffer *text, const char *string, bool label)
{
    for (size_t n; *string; string += n ? n : 1) {
        n = utf8_length(string);
        if (n == 0)
            text_add_bytes(text, "\xef\xbf\xbd", 3);
        else if (*string == '\n')
            text_add_bytes(text, "\\n", 2);
        else if (*string == '\\' || (label && *string == '"'))
            text_add(text, "\\%c", *string);
        else
            text_add_bytes(text, string, n);
    }
}

void exposition_family(struct text_buffer *text, const char *name, enum exposition_type type, const char *help)
{
    assert(name_is_valid(name, true));
    size_t start = text->size;
    text_add(text, "# HELP %s ", name);
    add_escaped(text, help, false);
    text_add(text, "\n# TYPE %s %s\n", name, (const char *const[]){"counter", "gauge", "histogram"}[type]);
    if (text->full)
        text_cut(text, start);
}

static void add_labels(struct text_buffer *text, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert(name_is_valid(labels[i].name, false));
        text_add(text, "%s%s=\"", i ? "," : "{", labels[i].name);
        add_escaped(text, labels[i].value, true);
        text_add_bytes(text, "\"", 1);
    }
    if (count)
        text_add_bytes(text, "}", 1);
}

static void number_text(double value, char out[40])
{
    if (isnan(value))
        strcpy(out, "NaN");
    else if (isinf(value))
        strcpy(out, value > 0 ? "+Inf" : "-Inf");
    else {
        struct text_buffer number;
        text_init(&number, out, 40);
        text_add_json_number(&number, value);
    }
}

static void add_line(struct text_buffer *text, const char *name, const char *suffix, const struct label *labels, size_t count,
                     const char *value)
{
    assert(name_is_valid(name, true));
    size_t start = text->size;
    text_add(text, "%s%s", name, suffix);
    add_labels(text, labels, count);
    text_add(text, " %s\n", value);
    if (text->full)
        text_cut(text, start);
}

void exposition_sample(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count, double value)
{
    char number[40];
    number_text(value, number);
    add_line(text, name, "", labels, label_count, number);
}

void exposition_sample_integer(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count, int64_t value)
{
    char number[40];
    snprintf(number, sizeof number, "%lld", (long long)value);
    add_line(text, name, "", labels, label_count, number);
}

void exposition_histogram(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count,
                          const double *bounds, size_t bound_count, const int64_t *buckets, double sum)
{
    enum { LABELS_MAX = 8 };
    assert(label_count < LABELS_MAX);
    struct label with_bound[LABELS_MAX];
    for (size_t i = 0; i < label_count; i++)
        with_bound[i] = labels[i];
    char bound[40], number[40];
    with_bound[label_count] = (struct label){"le", bound};
    int64_t count = 0;
    for (size_t i = 0; i <= bound_count; i++) {
        count += buckets[i];
        number_text(i < bound_count ? bounds[i] : INFINITY, bound);
        snprintf(number, sizeof number, "%lld", (long long)count);
        add_line(text, name, "_bucket", with_bound, label_count + 1, number);
    }
    number_text(sum, number);
    add_line(text, name, "_sum", labels, label_count, number);
    snprintf(number, sizeof number, "%lld", (long long)count);
    add_line(text, name, "_count", labels, label_count, number);
}
