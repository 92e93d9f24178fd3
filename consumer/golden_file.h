/* Golden rows: what a model gave where it was made, in a small file beside it, compared bit for bit where it is loaded.
 *
 * The file of MODEL is MODEL.golden.csv (champion.ubj.golden.csv): CSV, one line of names, one line a row:
 *
 *   amount,txn_count_1h,...,expected_margin,expected_score
 *   12.5,,...,-2.19722462,0.1
 *
 * The features' columns carry the model's names in the model's order; the margin's column may be missing.  Numbers have
 * 9 significant digits, so that they read back to the same float32; an empty cell is missing (NaN), inf and -inf are
 * infinite.  At most GOLDEN_ROWS_MAX rows.  `weir train` writes it; anything else that can write CSV may. */
#pragma once
#include "scoring/models/model.h"

enum { GOLDEN_ROWS_MAX = 10000 };
#define GOLDEN_ENDING ".golden.csv"

/* Whether there has to be such a file: models.golden. */
enum golden_need { GOLDEN_IF_PRESENT, GOLDEN_REQUIRED, GOLDEN_OFF };

/* Reads the file beside model_path, if any, and calls model_prove.  For every model that is loaded to serve (champion,
 * canary, fallback, shadow), once, after model_create.  *rows: how many golden rows were met (0: there is no file);
 * may be NULL.  Errors name the golden file and its line, or the difference. */
int golden_file_prove(struct model *model, const char *model_path, enum golden_need need, enum on_difference on_difference, size_t *rows,
                      struct err *err);

/* The rows of a file; `names` are the model's.  Owned by the caller: golden_finish. */
int golden_file_read(const char *path, const char *const *names, size_t columns, struct golden *out, struct err *err);
void golden_finish(struct golden *golden);
/* Writes the file beside model_path. */
int golden_file_write(const char *model_path, const char *const *names, const struct golden *golden, struct err *err);
