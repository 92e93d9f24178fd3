/* The models in force: loaded, checked against the feature file, ready to score.  Immutable after creation.
 * XGBoost boosters are not shared: each lane makes its own deployment from the same bytes. */
#pragma once
#include "consumer/config/config.h"
#include "scoring/model.h"

enum { SHADOWS_MAX = 16, MODEL_FILE_MAX = 1 << 30 };

struct deployed_model {
    char *id;
    uint8_t sha256[32];
    struct model *model;
    size_t golden_rows;    /* met at load */
    uint32_t sample_below; /* of 10,000: an entity whose bucket is below is scored (shadows) */
};

struct deployment {
    struct deployed_model champion;
    size_t shadow_count;
    struct deployed_model shadows[SHADOWS_MAX];
    struct thresholds thresholds;
    float fallback_score;
    int reasons_top;
    double reasons_min_score;
};

/* Errors name the model's file, the setting and what does not fit. */
int deployment_create(const struct config *config, struct deployment **out, struct err *err);
void deployment_destroy(struct deployment *deployment);

/* The bucket of an entity, 0..9999: the first 8 bytes, big-endian, of SHA-256(salt, 0x00, entity), modulo 10,000. */
uint32_t entity_bucket(const char *salt, struct bytes entity);
