/* Which events may be in a window's sample, as far as one stream can tell.
 *
 * A sample is the events with the smallest ranks of a window (ranks are hashes of what names an event), so it adds up exactly
 * however the stream was split.  Who folds a part of the stream remembers the SMALLEST_RANKS smallest ranks that it has handed
 * on of its latest windows: an event above all of those is in no sample of the whole, and need not be looked at any closer.
 *
 * Invariant: what is refused has SMALLEST_RANKS others below it in the same window and sample.  A rank that is remembered is
 * admitted again, so it holds where records are read a second time; what is forgotten (a window too many) only admits more.
 * Of n events in the order of chance about SMALLEST_RANKS (1 + ln(n / SMALLEST_RANKS)) are admitted.
 * Cost: one comparison for an event that is refused.  16 KiB. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SMALLEST_RANKS = 32 };

struct smallest_ranks;
struct smallest_ranks *smallest_ranks_create(void); /* NULL if memory is short */
void smallest_ranks_destroy(struct smallest_ranks *ranks);
/* Whether it may be in the sample; `sample` tells those of one window apart. */
bool smallest_ranks_admit(struct smallest_ranks *ranks, int64_t window_start_ms, size_t sample, uint64_t rank);
/* It is handed on as one of the sample. */
void smallest_ranks_add(struct smallest_ranks *ranks, int64_t window_start_ms, size_t sample, uint64_t rank);
