/* A newest event in one go, where the machine has AVX-512 and the program suits (feature_program.h: fused): the windows
 * move, the event is counted in, and the view is filled, all windows at a time.  State and view are those that
 * store_advance, store_place, feature_view_newest, store_count_in and feature_view_counted would leave.
 *
 * Much of an event's time goes into branches that nobody can foresee: each event leaves each window once, at some other
 * event's time.  Here all windows take a step together, and the steps end when no window has another: one such branch
 * instead of one a window; staircases and tags are compared as a whole, without any. */
#pragma once
#include "scoring/features/feature_view.h"
#include "scoring/features/occurrences.h"

/* full: when all that is done, the oldest event goes, as from store_drop. */
void newest_fold_avx512(struct window_store *store, struct feature_view *view, struct entity *entity, const struct value *values,
                        const uint64_t *record, const struct occurrence *id, bool full);
/* As occurrences_fetch_found. */
void occurrences_fetch_found_avx512(const struct window_store *store, const struct entity *entity, const uint64_t *record);
/* As occurrence_find, of an id; put where it is wanted, as a copy would wait for its parts. */
void id_find_avx512(const struct window_store *store, const struct entity *entity, uint64_t id_hash, struct occurrence *id);
