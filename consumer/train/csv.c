/* One record is scanned to its end outside quotes, then split in place.  A cell never grows by that: "" becomes ". */
#include "consumer/train/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct csv {
    char *path;
    FILE *file;
    uint64_t taken, file_size;
    size_t line, next_line;
    char *cells[CSV_CELLS_MAX];
    size_t begin, end; /* of what is in the buffer and not yet handed out */
    char buffer[CSV_RECORD_MAX + 1];
};

int csv_open(const char *path, struct csv **out, struct err *err)
{
    struct csv *csv = calloc(1, sizeof *csv);
    struct stat st;
    if (!csv || !(csv->path = strdup(path))) {
        csv_close(csv);
        return err_set(err, "memory is short");
    }
    if (!(csv->file = fopen(path, "re")) || fstat(fileno(csv->file), &st) < 0 || (S_ISDIR(st.st_mode) && (errno = EISDIR))) {
        err_set(err, "%s: cannot open: %s", path, strerror(errno));
        csv_close(csv);
        return -1;
    }
    csv->file_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    csv->next_line = 1;
    *out = csv;
    return 0;
}

void csv_close(struct csv *csv)
{
    if (!csv)
        return;
    if (csv->file)
        fclose(csv->file);
    free(csv->path);
    free(csv);
}

size_t csv_line(const struct csv *csv)
{
    return csv->line;
}

uint64_t csv_position(const struct csv *csv, uint64_t *file_size)
{
    *file_size = csv->file_size;
    return csv->taken;
}

static int fail(const struct csv *csv, struct err *err, const char *what)
{
    return err_set(err, "%s:%zu: %s", csv->path, csv->line, what);
}

/* Moves what is left to the front and reads on; false at the end of the file. */
static bool refill(struct csv *csv)
{
    memmove(csv->buffer, csv->buffer + csv->begin, csv->end - csv->begin);
    csv->end -= csv->begin;
    csv->begin = 0;
    size_t got = fread(csv->buffer + csv->end, 1, CSV_RECORD_MAX - csv->end, csv->file);
    csv->end += got;
    return got > 0;
}

/* Finds the line feed that ends the record, as a distance from begin: 1, or 0 at the end of the file with *size what is
 * left, or -1. */
static int find_end(struct csv *csv, size_t *size, struct err *err)
{
    bool quoted = false;
    for (size_t at = 0;; at++) {
        if (csv->begin + at == csv->end) {
            if (csv->begin == 0 && csv->end == CSV_RECORD_MAX)
                return fail(csv, err, "a record of more than 1 MiB (is a quote left open?)");
            if (!refill(csv)) {
                if (ferror(csv->file))
                    return fail(csv, err, strerror(errno));
                *size = at;
                return quoted ? fail(csv, err, "a quote is left open") : 0;
            }
        }
        char c = csv->buffer[csv->begin + at];
        if (c == '"')
            quoted = !quoted;
        csv->next_line += c == '\n';
        if (c == '\n' && !quoted) {
            *size = at;
            return 1;
        }
    }
}

/* A cell in quotes: at is behind the first; leaves it on the comma or at the end. */
static char *take_quoted(char *at, const char *end, char **cell)
{
    char *to = *cell = at;
    while (at < end) {
        if (*at == '"' && (at + 1 == end || at[1] != '"'))
            break;
        at += *at == '"';
        *to++ = *at++;
    }
    char *after = at + 1;
    *to = 0;
    return after;
}

static int split(struct csv *csv, char *at, char *end, size_t *count, struct err *err)
{
    for (*count = 0;; at++) {
        if (*count == CSV_CELLS_MAX)
            return fail(csv, err, "more than 8192 cells");
        char **cell = &csv->cells[(*count)++];
        if (at < end && *at == '"') {
            at = take_quoted(at + 1, end, cell);
            if (at < end && *at != ',')
                return fail(csv, err, "text after a closing quote");
        } else {
            *cell = at;
            while (at < end && *at != ',')
                if (*at++ == '"')
                    return fail(csv, err, "a quote inside a cell that does not begin with one");
        }
        bool last = at >= end;
        if (at <= end)
            *at = 0;
        if (last)
            return 1;
    }
}

int csv_next(struct csv *csv, char ***cells, size_t *count, struct err *err)
{
    size_t size = 0;
    csv->line = csv->next_line;
    int found = find_end(csv, &size, err);
    if (found < 0 || (found == 0 && size == 0))
        return found;
    char *record = csv->buffer + csv->begin;
    csv->begin += size + (found == 1);
    csv->taken += size + (found == 1);
    if (size && record[size - 1] == '\r')
        size--;
    if (memchr(record, 0, size))
        return fail(csv, err, "a zero byte");
    *cells = csv->cells;
    return split(csv, record, record + size, count, err);
}
