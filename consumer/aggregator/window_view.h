/* The newest evaluated window as the page shows it: features with their drift and two small histograms, shadow models.
 * Written by whoever evaluates, shown by the HTTP thread. */
#pragma once
#include "monitor/report.h"
#include "monitor/sketch.h"
#include "monitor/text_buffer.h"

struct window_view;
struct window_view *window_view_create(void);
void window_view_destroy(struct window_view *view);

/* cell: of the window; rows: those of the window alone, of the shape's width. */
void window_view_update(struct window_view *view, const struct sketch_shape *shape, const struct sketch_cell *cell, const struct report *rows, size_t count);
/* Nothing is evaluated here any more. */
void window_view_clear(struct window_view *view);
/* The members "window", "features" and "shadows" of a JSON object, without its braces. */
void window_view_show(struct window_view *view, struct text_buffer *text);
