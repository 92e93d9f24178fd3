#include "consumer/replay/export.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/avro/container.h"

struct export {
    const struct feature_spec *spec;
    const struct labels *labels;
    char *path, *partial;
    FILE *csv;
    struct container_writer *avro;
    struct buffer row;
};

/* ---- CSV ---- */

static bool needs_quotes(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (strchr(",\"\r\n", text[i]))
            return true;
    return false;
}

static void csv_text(struct buffer *out, const char *text, size_t size)
{
    if (!needs_quotes(text, size)) {
        put_bytes_raw(out, text, size);
        return;
    }
    put_bytes_raw(out, "\"", 1);
    for (size_t i = 0; i < size; i++)
        put_bytes_raw(out, text[i] == '"' ? "\"\"" : text + i, text[i] == '"' ? 2 : 1);
    put_bytes_raw(out, "\"", 1);
}

/* %.9g, but whole numbers, which most features are, without printf. */
static void csv_float(struct buffer *out, float v)
{
    char text[32];
    if (isnan(v))
        return;
    if (fabsf(v) < 1e6f && v == (float)(int32_t)v && !(v == 0 && signbit(v))) {
        char *end = text + sizeof text, *at = end;
        uint32_t left = (uint32_t)abs((int32_t)v);
        do
            *--at = (char)('0' + left % 10);
        while (left /= 10);
        if (v < 0)
            *--at = '-';
        put_bytes_raw(out, at, (size_t)(end - at));
        return;
    }
    put_bytes_raw(out, text, (size_t)snprintf(text, sizeof text, "%.9g", (double)v));
}

static void csv_row(struct export *x, const struct event *event, const float *row, bool complete, int label)
{
    char number[24];
    struct buffer *out = &x->row;
    csv_text(out, event->id.data, event->id.size);
    put_bytes_raw(out, ",", 1);
    csv_text(out, event->entity.data, event->entity.size);
    put_bytes_raw(out, number, (size_t)snprintf(number, sizeof number, ",%" PRId64, event->time_ms));
    for (size_t f = 0; f < x->spec->count; f++) {
        put_bytes_raw(out, ",", 1);
        csv_float(out, row[f]);
    }
    put_bytes_raw(out, complete ? ",true" : ",false", complete ? 5 : 6);
    if (x->labels)
        put_bytes_raw(out, label < 0 ? "," : label ? ",1" : ",0", label < 0 ? 1 : 2);
    put_bytes_raw(out, "\n", 1);
}

static int open_csv(struct export *x, struct err *err)
{
    x->csv = fopen(x->partial, "we");
    if (!x->csv)
        return err_set(err, "%s: cannot write: %s", x->partial, strerror(errno));
    setvbuf(x->csv, NULL, _IOFBF, 1 << 20);
    fputs("transaction_id,entity,event_time", x->csv);
    for (size_t f = 0; f < x->spec->count; f++) {
        x->row.size = 0;
        csv_text(&x->row, x->spec->features[f].name, strlen(x->spec->features[f].name));
        fprintf(x->csv, ",%.*s", (int)x->row.size, (const char *)x->row.data);
    }
    fputs(x->labels ? ",window_complete,label\n" : ",window_complete\n", x->csv);
    return 0;
}

/* ---- Avro ---- */

static bool is_avro_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static int open_avro(struct export *x, struct err *err)
{
    struct buffer text = {0};
    const char *head = "{\"type\": \"record\", \"name\": \"TrainingRow\", \"namespace\": \"weir.v1\", \"fields\": [\n"
                       "  {\"name\": \"transaction_id\", \"type\": \"string\"},\n  {\"name\": \"entity\", \"type\": \"string\"},\n"
                       "  {\"name\": \"event_time\", \"type\": {\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}}";
    put_bytes_raw(&text, head, strlen(head));
    for (size_t f = 0; f < x->spec->count; f++) {
        char field[512];
        const char *name = x->spec->features[f].name;
        if (!is_avro_name(name)) {
            buffer_finish(&text);
            return err_set(err, "%s: feature %s has a name that Avro does not take (letters, digits and _ only); export CSV instead", x->path, name);
        }
        put_bytes_raw(&text, field, (size_t)snprintf(field, sizeof field, ",\n  {\"name\": \"%s\", \"type\": \"float\"}", name));
    }
    const char *tail = x->labels ? ",\n  {\"name\": \"window_complete\", \"type\": \"boolean\"},\n  {\"name\": \"label\", \"type\": [\"null\", \"int\"]}\n]}"
                                 : ",\n  {\"name\": \"window_complete\", \"type\": \"boolean\"}\n]}";
    put_bytes_raw(&text, tail, strlen(tail) + 1);
    int result = container_writer_open(x->path, (const char *)text.data, "deflate", NULL, &x->avro, err);
    buffer_finish(&text);
    return result;
}

static void avro_row(struct export *x, const struct event *event, const float *row, bool complete, int label)
{
    put_bytes(&x->row, event->id.data, event->id.size);
    put_bytes(&x->row, event->entity.data, event->entity.size);
    put_long(&x->row, event->time_ms);
    put_bytes_raw(&x->row, row, x->spec->count * sizeof *row);
    put_bool(&x->row, complete);
    if (x->labels) {
        put_long(&x->row, label >= 0);
        if (label >= 0)
            put_long(&x->row, label);
    }
}

/* ---- both ---- */

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), size = strlen(ending);
    return n > size && !strcmp(path + n - size, ending);
}

bool export_takes(const char *path)
{
    return ends_in(path, ".csv") || ends_in(path, ".avro");
}

/* A feature of the name of another column would make a set in which neither can be told. */
static int check_names(const char *path, const struct feature_spec *spec, struct err *err)
{
    static const char *const taken[] = {"transaction_id", "entity", "event_time", "window_complete", "label"};
    for (size_t f = 0; f < spec->count; f++)
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
            if (!strcmp(spec->features[f].name, taken[i]))
                return err_set(err, "%s: feature %s has the name of another column of a training set; rename it in the feature file", path, taken[i]);
    return 0;
}

int export_open(const char *path, const struct feature_spec *spec, const struct labels *labels, struct export **out, struct err *err)
{
    size_t n = strlen(path);
    assert(export_takes(path));
    if (check_names(path, spec, err) < 0)
        return -1;
    struct export *x = calloc(1, sizeof *x);
    assert(x);
    *x = (struct export){.spec = spec, .labels = labels, .path = strdup(path), .partial = malloc(n + 16)};
    assert(x->path && x->partial);
    snprintf(x->partial, n + 16, "%s.partial", path);
    if ((ends_in(path, ".csv") ? open_csv(x, err) : open_avro(x, err)) < 0) {
        export_abandon(x);
        return -1;
    }
    *out = x;
    return 0;
}

int export_add(struct export *x, const struct event *event, const float *row, bool complete, bool *labelled, struct err *err)
{
    int label = x->labels ? labels_find(x->labels, event->id) : -1;
    *labelled = label >= 0;
    x->row.size = 0;
    if (x->avro) {
        avro_row(x, event, row, complete, label);
        return container_writer_append(x->avro, x->row.data, x->row.size, err);
    }
    csv_row(x, event, row, complete, label);
    if (fwrite(x->row.data, 1, x->row.size, x->csv) != x->row.size)
        return err_set(err, "%s: cannot write: %s", x->partial, strerror(errno));
    return 0;
}

static void free_export(struct export *x)
{
    buffer_finish(&x->row);
    free(x->path);
    free(x->partial);
    free(x);
}

int export_close(struct export *x, struct err *err)
{
    int result;
    if (x->avro) {
        result = container_writer_close(x->avro, err);
    } else {
        bool ok = fflush(x->csv) == 0;
        ok = fclose(x->csv) == 0 && ok;
        result = ok && rename(x->partial, x->path) == 0 ? 0 : err_set(err, "%s: cannot write: %s", x->path, strerror(errno));
    }
    free_export(x);
    return result;
}

void export_abandon(struct export *x)
{
    if (!x)
        return;
    if (x->avro)
        container_writer_abandon(x->avro);
    if (x->csv) {
        fclose(x->csv);
        unlink(x->partial);
    }
    free_export(x);
}
