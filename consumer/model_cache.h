/* Model files by their SHA-256: whatever was in force can be found again, on this host. */
#pragma once
#include "consumer/deployment.h"

/* Keeps the bytes as <models.cache_dir>/<sha256><ending of file>; nothing where no directory is set. */
int model_cache_keep(const struct config *config, const char *file, const uint8_t sha256[32], const void *bytes, size_t size, struct err *err);

/* The bytes of that hash: from a file that the configuration names, else from the cache.  *path: where they were (NULL is
 * taken).  The caller frees both.  -1: there is no such file; the error names `id` and the hash. */
int model_cache_find(const struct config *config, const char *id, const uint8_t sha256[32], char **bytes, size_t *size, char **path, struct err *err);
