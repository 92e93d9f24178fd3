/* The walk of shap.c for a rule of 4 x QUADS points, as the function WALK; included once for each. */

static void SPLIT(const struct shap *s, const struct shap_node *node, const quad *products, uint64_t cold, const float *row, quad *phi, quad *sums);

static inline __attribute__((always_inline)) void WALK(const struct shap *s, const struct shap_node *node, const quad *products, uint64_t cold,
                                                       const float *row, quad *phi, quad *sums)
{
    if (node->left)
        SPLIT(s, node, products, cold, row, phi, sums);
    else
        for (size_t k = 0; k < QUADS; k++)
            sums[k] = products[k] * node->value;
}

static void SPLIT(const struct shap *s, const struct shap_node *node, const quad *products, uint64_t cold, const float *row, quad *phi, quad *sums)
{
    const struct shap_node *left = s->nodes + node->left;
    quad below[QUADS], hot_sums[QUADS], cold_sums[QUADS];
    uint64_t colder = cold | UINT64_C(1) << node->depth;
    if (node->previous != NO_DEPTH && cold >> node->previous & 1) { /* off the path by this feature already: nothing new */
        for (size_t k = 0; k < QUADS; k++)
            below[k] = products[k] * node->ratio[0];
        WALK(s, left, below, colder, row, phi, hot_sums);
        for (size_t k = 0; k < QUADS; k++)
            below[k] = products[k] * node->ratio[1];
        WALK(s, left + 1, below, colder, row, phi, cold_sums);
        for (size_t k = 0; k < QUADS; k++)
            sums[k] = hot_sums[k] + cold_sums[k];
        return;
    }
    float x = row[node->feature];
    bool right = x != x ? !node->default_left : !(x < node->threshold);
    double hot_z = node->before * node->ratio[right], cold_z = node->before * node->ratio[!right];
    quad scaled[QUADS], hot_factor[QUADS], inverse[QUADS];
    for (size_t k = 0; k < QUADS; k++) {
        inverse[k] = node->previous == NO_DEPTH ? (quad){1, 1, 1, 1} : 1 / (s->t[k] + s->u[k] * node->before);
        hot_factor[k] = s->t[k] + s->u[k] * hot_z;
        scaled[k] = products[k] * inverse[k];
        below[k] = scaled[k] * hot_factor[k];
    }
    WALK(s, left + right, below, cold, row, phi, hot_sums);
    for (size_t k = 0; k < QUADS; k++)
        below[k] = scaled[k] * s->u[k] * cold_z;
    WALK(s, left + !right, below, colder, row, phi, cold_sums);
    for (size_t k = 0; k < QUADS; k++) {
        quad gone = s->w[k] * (1 - node->before) * inverse[k]; /* what the edge before has already added */
        phi[node->feature * QUADS + k] += hot_sums[k] * (s->w[k] * (1 - hot_z) / hot_factor[k] - gone) - cold_sums[k] * (s->cold_gain[k] + gone);
        sums[k] = hot_sums[k] + cold_sums[k];
    }
}

#undef WALK
#undef SPLIT
#undef QUADS
