/* A forest of decision trees compiled to score batches: the bits of XGBoost's own prediction, many times faster.
 *
 * Idea.  A tree asks only whether a feature is below one of the thresholds that the forest knows.  So each value is
 * first replaced by its rank among the feature's thresholds, one byte a row (more columns where a feature has more
 * than 255 thresholds).  Then a whole register of rows meets each split in one comparison of bytes, and a tree is
 * evaluated from its leaves up without a branch: each split takes the leaf number of its left or its right side.
 * Missing values cost nothing: a feature has up to two columns, one where NaN ranks below all thresholds (for splits
 * that send it left) and one where it ranks above all.  A row alone, or a few, go down trees side by side instead.
 *
 * Bits.  Comparisons of ranks are those of the values; the float32 sum starts at the base margin and takes the leaves
 * in the order of the trees.  Every path gives the same bits.
 *
 * Files: forest_compile.c makes the program (forest_program.h says what it is), forest_portable.c, forest_avx2.c and
 * forest_avx512.c run it, the text they share being forest_kernel.h. */
#pragma once
#include <stddef.h>
#include "scoring/err.h"
#include "scoring/models/tree.h"

enum forest_path { FOREST_PORTABLE, FOREST_AVX2, FOREST_AVX512, FOREST_PATHS };

struct forest;

/* From trees whose indices are valid (model_file.c), for rows of feature_count features.  Refused: what the bytes
 * cannot say (infinite thresholds), and what would need too much memory. */
int forest_create(const struct tree *trees, size_t tree_count, size_t feature_count, float base_margin, struct forest **out, struct err *err);
void forest_destroy(struct forest *forest);

/* The best path of this machine is taken at creation; another can be chosen, -1 if the machine does not have it. */
enum forest_path forest_path(const struct forest *forest);
int forest_use(struct forest *forest, enum forest_path path);

/* n rows (n x feature_count, NaN missing) to n margins.  Scratch belongs to the forest: one thread at a time. */
void forest_score(struct forest *forest, const float *rows, size_t n, float *margin);
