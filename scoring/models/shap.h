/* Contributions of features to a margin: exact path-dependent TreeSHAP on the trees themselves.
 *
 * What is computed.  Lundberg, Erion, Lee: Consistent Individualized Feature Attribution for Tree Ensembles, 2018,
 * algorithm 2, as XGBoost's pred_contribs has it: the Shapley values of the game in which an unknown feature sends a row
 * down both sides of a split, in the proportion of their covers.  The bias is the base margin and each tree's mean.
 *
 * How.  For one leaf of value v the game is a product over the features of its path, v prod (q_i o_i + (1 - q_i) z_i), where
 * o_i is 1 if the row stays on the path at all splits by i, else 0, and z_i is the product of their cover ratios.  The
 * Shapley value is the integral of the game's derivative along the diagonal q = t (Owen 1972):
 *
 *   phi_i = v (o_i - z_i) integral over t from 0 to 1 of prod over j != i of (t o_j + (1 - t) z_j)
 *
 * a polynomial of a degree below the number of features on the path: Gauss and Legendre's rule of n points takes it
 * exactly up to 2n features.  So a tree is walked once, with the products of all points side by side on the way down and
 * sums of the leaves below on the way up, where each edge adds its part to its feature.
 *
 * Cost of a row: a few multiplications of n / 4 registers and one division a split (n = 4 up to 8 features on a path).
 * All numbers are doubles, added in one order: the same bits on each machine. */
#pragma once
#include <stddef.h>
#include "scoring/err.h"
#include "scoring/models/tree.h"

enum { SHAP_DEPTH_MAX = 64, SHAP_PATH_FEATURES_MAX = 32 };

struct shap;

/* From trees whose indices are valid (model_file.c).  Refused, for somebody else to explain: covers that are not positive,
 * trees deeper than SHAP_DEPTH_MAX, paths with more than SHAP_PATH_FEATURES_MAX features. */
int shap_create(const struct tree *trees, size_t tree_count, size_t feature_count, float base_margin, struct shap **out, struct err *err);
void shap_destroy(struct shap *shap);
/* For tests: without AVX2 from now on. */
void shap_use_portable(struct shap *shap);

/* n rows to n x (feature_count + 1) contributions, the last of a row being the bias.  Scratch belongs to the shap. */
void shap_contributions(struct shap *shap, const float *rows, size_t n, float *contributions);
