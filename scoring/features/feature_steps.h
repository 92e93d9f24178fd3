/* The compiled features run over views: each step from a few words a window to one float a window, for a group of events
 * before the next step. */
#pragma once
#include "scoring/features/feature_view.h"

/* Steps [first, end) of the program, for n views side by side. */
void feature_steps_run(const struct feature_program *program, uint32_t first, uint32_t end, const struct feature_view *views, size_t n);

/* ---- the two ways ---- */

struct view_group { /* views side by side */
    const struct feature_view *first, *end;
    size_t size; /* of each, in bytes */
};

#define EACH_VIEW(v, group) for (const struct feature_view *v = (group).first; v != (group).end; v = feature_view_after(v, (group).size))

void feature_step_run(const struct step *step, struct view_group group);
void feature_steps_run_avx512(const struct step *first, const struct step *end, struct view_group group);
