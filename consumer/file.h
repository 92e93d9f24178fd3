/* Whole small files. */
#pragma once
#include <stddef.h>
#include "scoring/err.h"

/* Reads a file of at most `max` bytes; *data is owned by the caller and ends with a zero byte beyond *size. */
int file_read(const char *path, size_t max, char **data, size_t *size, struct err *err);
/* Writes to <path>.partial, syncs, and moves it into place. */
int file_write(const char *path, const void *data, size_t size, struct err *err);
