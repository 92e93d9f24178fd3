#include "consumer/golden_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/file.h"
#include "consumer/train/csv.h"

static const char margin_name[] = "expected_margin", score_name[] = "expected_score";

/* Reading */

struct reader {
    const char *path;
    struct csv *csv;
    size_t capacity;
    struct golden golden;
    struct err *err;
};

static int fail(const struct reader *r, const char *what)
{
    return err_set(r->err, "%s:%zu: %s", r->path, csv_line(r->csv), what);
}

static int take_header(struct reader *r, char **cells, size_t count, const char *const *names, bool *has_margin)
{
    size_t columns = r->golden.columns;
    for (size_t i = 0; i < columns; i++)
        if (i >= count || strcmp(cells[i], names[i]))
            return err_set(r->err, "%s:1: column %zu is '%.60s' where the model's feature is '%s': the rows are another model's", r->path, i,
                           i < count ? cells[i] : "(none)", names[i]);
    *has_margin = count == columns + 2 && !strcmp(cells[columns], margin_name);
    if ((count == columns + 1 || *has_margin) && !strcmp(cells[count - 1], score_name))
        return 0;
    return err_set(r->err, "%s:1: the features are followed by %s (or not) and %s, and nothing else", r->path, margin_name, score_name);
}

static int take_number(const struct reader *r, const char *name, const char *text, bool may_miss, float *out)
{
    char *rest;
    *out = *text ? strtof(text, &rest) : NAN;
    if (*text && (*rest || strchr(" \t\n\v\f\r", *text) || strpbrk(text, "xX(")))
        return err_set(r->err, "%s:%zu: %s '%.40s' is not a number", r->path, csv_line(r->csv), name, text);
    if (!may_miss && isnan(*out))
        return err_set(r->err, "%s:%zu: %s is missing", r->path, csv_line(r->csv), name);
    return 0;
}

static int make_room(struct reader *r, bool has_margin)
{
    struct golden *g = &r->golden;
    if (g->count == GOLDEN_ROWS_MAX)
        return fail(r, "more than 10000 rows");
    if (g->count < r->capacity)
        return 0;
    r->capacity = r->capacity ? 2 * r->capacity : 64;
    float *rows = realloc(g->rows, r->capacity * g->columns * sizeof *rows);
    g->rows = rows ? rows : g->rows;
    float *score = realloc(g->score, r->capacity * sizeof *score);
    g->score = score ? score : g->score;
    float *margin = has_margin ? realloc(g->margin, r->capacity * sizeof *margin) : NULL;
    g->margin = margin ? margin : g->margin;
    return rows && score && (margin || !has_margin) ? 0 : fail(r, "memory is short");
}

static int take_row(struct reader *r, char **cells, size_t count, const char *const *names, bool has_margin)
{
    struct golden *g = &r->golden;
    if (count != g->columns + 1 + has_margin)
        return err_set(r->err, "%s:%zu: %zu cells where the first line has %zu", r->path, csv_line(r->csv), count, g->columns + 1 + has_margin);
    if (make_room(r, has_margin) < 0)
        return -1;
    for (size_t i = 0; i < g->columns; i++)
        if (take_number(r, names[i], cells[i], true, &g->rows[g->count * g->columns + i]) < 0)
            return -1;
    if (has_margin && take_number(r, margin_name, cells[g->columns], false, &g->margin[g->count]) < 0)
        return -1;
    if (take_number(r, score_name, cells[count - 1], false, &g->score[g->count]) < 0)
        return -1;
    g->count++;
    return 0;
}

int golden_file_read(const char *path, const char *const *names, size_t columns, struct golden *out, struct err *err)
{
    struct reader r = {.path = path, .golden = {.columns = columns}, .err = err};
    char **cells;
    size_t count;
    bool has_margin = false;
    if (csv_open(path, &r.csv, err) < 0)
        return -1;
    int more = csv_next(r.csv, &cells, &count, err);
    if (more == 0)
        err_set(err, "%s: is empty", path);
    int status = more == 1 ? take_header(&r, cells, count, names, &has_margin) : -1;
    while (status == 0 && (more = csv_next(r.csv, &cells, &count, err)) == 1)
        status = take_row(&r, cells, count, names, has_margin);
    if (status == 0 && more == 0 && r.golden.count == 0)
        status = err_set(err, "%s: has no rows", path);
    csv_close(r.csv);
    if (status < 0 || more < 0) {
        golden_finish(&r.golden);
        return -1;
    }
    *out = r.golden;
    return 0;
}

void golden_finish(struct golden *g)
{
    free(g->rows);
    free(g->margin);
    free(g->score);
    *g = (struct golden){0};
}

/* Proving */

static int path_of(const char *model_path, char path[4096], struct err *err)
{
    if ((size_t)snprintf(path, 4096, "%s%s", model_path, GOLDEN_ENDING) < 4096)
        return 0;
    return err_set(err, "%.200s...: the path is too long", model_path);
}

static const char **names_of(const struct model *model)
{
    const char **names = calloc(model_feature_count(model), sizeof *names);
    for (size_t i = 0; names && i < model_feature_count(model); i++)
        if (!(names[i] = model_feature_name(model, i)))
            names[i] = "";
    return names;
}

static int prove_by_file(struct model *model, const char *path, enum on_difference on_difference, size_t *rows, struct err *err)
{
    const char **names = names_of(model);
    struct golden golden;
    int status = names ? golden_file_read(path, names, model_feature_count(model), &golden, err) : err_set(err, "memory is short");
    free(names);
    if (status < 0)
        return -1;
    if ((status = model_prove(model, &golden, on_difference, err)) < 0)
        err_prefix(err, "%s", path);
    else if (rows)
        *rows = golden.count;
    golden_finish(&golden);
    return status;
}

int golden_file_prove(struct model *model, const char *model_path, enum golden_need need, enum on_difference on_difference, size_t *rows,
                      struct err *err)
{
    char path[4096];
    if (rows)
        *rows = 0;
    if (path_of(model_path, path, err) < 0)
        return -1;
    bool there = access(path, F_OK) == 0;
    if (need == GOLDEN_REQUIRED && !there)
        return err_set(err, "%s is not there, and models.golden is required: `weir train` writes it beside the model", path);
    if (there && need != GOLDEN_OFF)
        return prove_by_file(model, path, on_difference, rows, err);
    return model_prove(model, NULL, on_difference, err);
}

/* Writing */

static void write_name(FILE *out, const char *name)
{
    if (!strpbrk(name, ",\"\r\n")) {
        fputs(name, out);
        return;
    }
    fputc('"', out);
    for (; *name; name++)
        fprintf(out, *name == '"' ? "\"\"" : "%c", *name);
    fputc('"', out);
}

static void write_rows(FILE *out, const char *const *names, const struct golden *g)
{
    for (size_t i = 0; i < g->columns; i++) {
        write_name(out, names[i]);
        fputc(',', out);
    }
    fprintf(out, "%s%s%s\n", g->margin ? margin_name : "", g->margin ? "," : "", score_name);
    for (size_t r = 0; r < g->count; r++) {
        for (size_t i = 0; i < g->columns; i++) {
            float x = g->rows[r * g->columns + i];
            if (isnan(x))
                fputc(',', out);
            else
                fprintf(out, "%.9g,", (double)x);
        }
        if (g->margin)
            fprintf(out, "%.9g,", (double)g->margin[r]);
        fprintf(out, "%.9g\n", (double)g->score[r]);
    }
}

int golden_file_write(const char *model_path, const char *const *names, const struct golden *golden, struct err *err)
{
    char path[4096], *text = NULL;
    size_t size = 0;
    if (path_of(model_path, path, err) < 0)
        return -1;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return err_set(err, "memory is short");
    write_rows(out, names, golden);
    int status = fclose(out) == 0 ? file_write(path, text, size, err) : err_set(err, "memory is short");
    free(text);
    return status;
}
