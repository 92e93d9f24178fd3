/* The compiled features run over a view: each step from a few words a window to one float a window. */
#pragma once
#include "scoring/feature_view.h"

/* Steps [first, end) of the program, for n views. */
void feature_steps_run(const struct feature_program *program, uint32_t first, uint32_t end, const struct feature_view *views, size_t n);
/* One step of windows; with AVX-512 if it is marked as `vectors`. */
void feature_step_windows(const struct step *step, const struct feature_view *views, size_t n);
void feature_step_windows_avx512(const struct step *step, const struct feature_view *views, size_t n);
