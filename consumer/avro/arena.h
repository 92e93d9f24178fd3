/* Memory of one lifetime: many small zeroed pieces, freed together.  Takes cannot fail: memory short is fatal. */
#pragma once
#include <stddef.h>

struct arena {
    struct arena_chunk *chunks; /* the newest first */
};

void *arena_take(struct arena *arena, size_t size); /* zeroed, aligned for any type */
char *arena_text(struct arena *arena, const char *text, size_t size); /* a copy that ends with a zero byte */
void arena_finish(struct arena *arena);
