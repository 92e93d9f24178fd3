/* The compiled features run over a view: each step from a few words a window to one float a window. */
#pragma once
#include "scoring/feature_view.h"

/* Steps [first, end) of the program. */
void feature_steps_run(const struct feature_program *program, const struct feature_view *view, uint32_t first, uint32_t end, float *row);
