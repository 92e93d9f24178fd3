#include "consumer/train/training_set.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"
#include "consumer/progress.h"
#include "consumer/train/csv.h"

int training_set_init(struct training_set *set, const char *const *names, size_t columns, struct err *err)
{
    *set = (struct training_set){.columns = columns};
    if (!(set->names = calloc(columns + 1, sizeof *set->names)))
        return err_set(err, "memory is short");
    for (size_t i = 0; i < columns; i++)
        if (!(set->names[i] = strdup(names[i]))) {
            training_set_finish(set);
            return err_set(err, "memory is short");
        }
    return 0;
}

void training_set_finish(struct training_set *set)
{
    for (size_t i = 0; set->names && i < set->columns; i++)
        free(set->names[i]);
    free(set->names);
    free(set->values);
    free(set->time_ms);
    free(set->labels);
    *set = (struct training_set){0};
}

static bool grow(struct training_set *set)
{
    size_t capacity = set->capacity ? 2 * set->capacity : 4096;
    if (capacity * (set->columns + 1) > TRAINING_CELLS_MAX)
        return false;
    float *values = realloc(set->values, capacity * (set->columns + 1) * sizeof *values);
    set->values = values ? values : set->values;
    int64_t *time_ms = realloc(set->time_ms, capacity * sizeof *time_ms);
    set->time_ms = time_ms ? time_ms : set->time_ms;
    uint8_t *labels = realloc(set->labels, capacity);
    set->labels = labels ? labels : set->labels;
    if (!values || !time_ms || !labels)
        return false;
    set->capacity = capacity;
    return true;
}

float *training_set_add(struct training_set *set, int64_t time_ms, int label)
{
    if (set->rows == set->capacity && !grow(set))
        return NULL;
    set->time_ms[set->rows] = time_ms;
    set->labels[set->rows] = (uint8_t)label;
    return set->values + set->rows++ * set->columns;
}

/* Sorting */

struct place {
    int64_t time_ms;
    size_t row;
};

static int by_time(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static bool sorted(const struct training_set *set)
{
    for (size_t i = 1; i < set->rows; i++)
        if (set->time_ms[i - 1] > set->time_ms[i])
            return false;
    return true;
}

int training_set_sort(struct training_set *set, struct err *err)
{
    if (sorted(set))
        return 0;
    size_t width = set->columns * sizeof *set->values;
    struct place *places = malloc(set->rows * sizeof *places);
    float *values = malloc(set->rows * width + 1);
    uint8_t *labels = malloc(set->rows);
    if (!places || !values || !labels) {
        free(places);
        free(values);
        free(labels);
        return err_set(err, "memory is short");
    }
    for (size_t i = 0; i < set->rows; i++)
        places[i] = (struct place){set->time_ms[i], i};
    qsort(places, set->rows, sizeof *places, by_time);
    for (size_t i = 0; i < set->rows; i++) {
        memcpy(values + i * set->columns, set->values + places[i].row * set->columns, width);
        labels[i] = set->labels[places[i].row];
        set->time_ms[i] = places[i].time_ms;
    }
    free(places);
    free(set->values);
    free(set->labels);
    set->values = values;
    set->labels = labels;
    set->capacity = set->rows;
    return 0;
}

/* Reading */

enum known { KNOWN_ID, KNOWN_ENTITY, KNOWN_TIME, KNOWN_COMPLETE, KNOWN_LABEL, KNOWN_COUNT };

struct reader {
    const char *path;
    struct csv *csv;
    size_t cells;            /* in each record */
    size_t at[KNOWN_COUNT];        /* which cell; SIZE_MAX: none */
    size_t *features;        /* cells of the columns */
    struct training_set *set;
    struct err *err;
};

static int cell_error(const struct reader *r, const char *column, const char *text, const char *takes)
{
    return err_set(r->err, "%s:%zu: %s '%.40s': %s", r->path, csv_line(r->csv), column, text, takes);
}

static int take_header(struct reader *r, char **cells, size_t count, const char *label)
{
    const char *const known[KNOWN_COUNT] = {"transaction_id", "entity", "event_time", "window_complete", label};
    const char **names = calloc(count, sizeof *names);
    r->features = calloc(count, sizeof *r->features);
    size_t columns = 0;
    int status = names && r->features ? 0 : err_set(r->err, "memory is short");
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        r->at[i] = SIZE_MAX;
    for (size_t i = 0; status == 0 && i < count; i++) {
        for (size_t j = 0; status == 0 && j < i; j++)
            if (!strcmp(cells[i], cells[j]))
                status = cell_error(r, "column", cells[i], "is there twice");
        size_t k = 0;
        while (k < KNOWN_COUNT && strcmp(cells[i], known[k]))
            k++;
        if (k < KNOWN_COUNT) {
            r->at[k] = i;
        } else {
            r->features[columns] = i;
            names[columns++] = cells[i];
        }
    }
    if (status == 0 && (r->at[KNOWN_TIME] == SIZE_MAX || r->at[KNOWN_LABEL] == SIZE_MAX))
        status = err_set(r->err, "%s:1: no column '%s'%s", r->path, r->at[KNOWN_TIME] == SIZE_MAX ? "event_time" : label,
                         r->at[KNOWN_TIME] == SIZE_MAX ? "" : "; export with `weir replay --export FILE.csv --labels ...`, or name it with --label");
    if (status == 0 && columns == 0)
        status = err_set(r->err, "%s:1: no features", r->path);
    if (status == 0)
        status = training_set_init(r->set, names, columns, r->err);
    r->cells = count;
    free(names);
    return status;
}

static int take_time(const struct reader *r, const char *text, int64_t *ms)
{
    char *rest;
    errno = 0;
    *ms = strtoll(text, &rest, 10);
    if (*text && !*rest && !errno && strchr("-0123456789", *text))
        return 0;
    return time_parse(text, ms) == 0 ? 0 : cell_error(r, "event_time", text, "is neither milliseconds since the epoch nor an ISO time");
}

/* 0, 1, or -1 for no label; -2 is an error. */
static int take_label(const struct reader *r, const char *text)
{
    if (!*text)
        return -1;
    char *rest;
    double v = strtod(text, &rest);
    if (*rest || (v != 0 && v != 1)) {
        cell_error(r, "label", text, "must be 0 or 1, or empty");
        return -2;
    }
    return v == 1;
}

static int take_feature(const struct reader *r, size_t column, const char *text, float *out)
{
    char *rest;
    float v = *text ? strtof(text, &rest) : NAN;
    if (*text && (*rest || strchr(" \t\n\v\f\r", *text) || strpbrk(text, "xX(")))
        return cell_error(r, r->set->names[column], text, "is not a number");
    *out = isinf(v) ? copysignf(FLT_MAX, v) : v; /* as the model's own rows (scoring/models/model.c) */
    return 0;
}

static int take_row(struct reader *r, char **cells, size_t count)
{
    if (count != r->cells)
        return err_set(r->err, "%s:%zu: %zu cells where the header has %zu", r->path, csv_line(r->csv), count, r->cells);
    int64_t time_ms;
    int label = take_label(r, cells[r->at[KNOWN_LABEL]]);
    if (label == -2 || take_time(r, cells[r->at[KNOWN_TIME]], &time_ms) < 0)
        return -1;
    if (label < 0) {
        r->set->unlabelled++;
        return 0;
    }
    if (r->at[KNOWN_COMPLETE] != SIZE_MAX)
        r->set->incomplete += !strcmp(cells[r->at[KNOWN_COMPLETE]], "false") || !strcmp(cells[r->at[KNOWN_COMPLETE]], "0");
    float *row = training_set_add(r->set, time_ms, label);
    if (!row)
        return err_set(r->err, "%s:%zu: memory is short, or more than %zu cells", r->path, csv_line(r->csv), TRAINING_CELLS_MAX);
    for (size_t i = 0; i < r->set->columns; i++)
        if (take_feature(r, i, cells[r->features[i]], &row[i]) < 0)
            return -1;
    return 0;
}

static int take_rows(struct reader *r)
{
    char **cells;
    size_t count;
    int more;
    uint64_t file_size;
    struct progress progress;
    csv_position(r->csv, &file_size);
    progress_start(&progress, "read (bytes)", (int64_t)file_size);
    while ((more = csv_next(r->csv, &cells, &count, r->err)) == 1) {
        if (count == 1 && !*cells[0])
            continue; /* an empty line */
        if ((more = take_row(r, cells, count)) < 0)
            break;
        progress_update(&progress, (int64_t)csv_position(r->csv, &file_size));
    }
    progress_end(&progress);
    return more;
}

int training_set_read(const char *path, const char *label, struct training_set *set, struct err *err)
{
    struct reader r = {.path = path, .set = set, .err = err};
    char **cells;
    size_t count;
    *set = (struct training_set){0};
    if (csv_open(path, &r.csv, err) < 0)
        return -1;
    int more = csv_next(r.csv, &cells, &count, err);
    if (more == 0)
        err_set(err, "%s: is empty", path);
    int status = more == 1 && take_header(&r, cells, count, label) == 0 && take_rows(&r) == 0 ? 0 : -1;
    if (status < 0)
        training_set_finish(set);
    free(r.features);
    csv_close(r.csv);
    return status;
}
