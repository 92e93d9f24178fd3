/* CSV by RFC 4180, one record at a time: quoted cells may hold commas, quotes and line ends; lines end in LF or CRLF.
 * Bounded: a record of CSV_RECORD_MAX bytes, CSV_CELLS_MAX cells. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum { CSV_RECORD_MAX = 1 << 20, CSV_CELLS_MAX = 8192 };

struct csv;
int csv_open(const char *path, struct csv **out, struct err *err);
void csv_close(struct csv *csv);
/* The cells of the next record, ended by zero bytes, valid until the next call: 1, or 0 at the end of the file, or -1. */
int csv_next(struct csv *csv, char ***cells, size_t *count, struct err *err);
size_t csv_line(const struct csv *csv);                                /* where the record began */
uint64_t csv_position(const struct csv *csv, uint64_t *file_size);     /* bytes taken, for progress */
