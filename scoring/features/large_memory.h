/* Memory in large pieces.  A piece of 2 MiB or more begins on such a boundary, and the system is asked for huge pages there:
 * an event touches a dozen places far apart, and each would cost a walk through the page tables, twice as long in a
 * virtual machine.  Where the system gives none all works the same. */
#pragma once
#include <stddef.h>

enum { LARGE_PAGE = 2 << 20 };

void *large_alloc(size_t size);  /* not cleared; a multiple of 64; NULL if memory is short; free() gives it back */
void *large_calloc(size_t size); /* cleared */
/* Pieces are many and take time to give back: so much "work" each, where something is taken down step by step and a look at
 * an entity is 1. */
enum { LARGE_PIECE_WORK = 1024 };

/* How large the next piece of something should be that has so much already: an eighth of it, between 64 KiB and 2 MiB. */
size_t large_next(size_t have);
