/* The compiled features run over a view: steps of one kind in a row, each from a few words to one float. */
#pragma once
#include "scoring/feature_view.h"

/* Runs [first, end) of the program's runs. */
void feature_steps_run(const struct feature_program *program, const struct feature_view *view, uint32_t first, uint32_t end, float *row);
