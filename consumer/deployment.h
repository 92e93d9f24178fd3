/* The models in force and how they serve: loaded, checked against the feature file, ready to score.
 *
 * Immutable after creation and counted by reference: whoever replaces it goes on with the old one until a batch is done.
 * It is one lane's, since a model is of one thread; lanes make theirs from one reading of the files (the plan), so that
 * all have the same bytes.  Deployments of one lane share the models that they have in common.
 *
 * Its record is a text (JSON, sorted keys) that says all of what decides a prediction: models by SHA-256, shares, salt,
 * thresholds, fallback, breaker, reasons, ranges, and the rules that records are judged by.  Equal records are equal
 * deployments.  deployment_recall makes one from its record and the models at hand. */
#pragma once
#include "consumer/config/config.h"
#include "scoring/models/breaker.h"
#include "scoring/models/model.h"
#include "scoring/value.h"

enum { MODEL_FILE_MAX = 1 << 30, DEPLOYMENT_RECORD_MAX = 1 << 19 };

struct loaded_model;
struct deployed_model {
    char *id; /* NULL: there is none (canary, fallback) */
    uint8_t sha256[32];
    struct loaded_model *loaded;
    struct model *model; /* of loaded */
    bool always_valid;   /* model_always_valid */
    size_t golden_rows;  /* met at load */
    uint32_t below;      /* of 10,000: the entities with buckets below are its (canary), or its sample (shadows) */
    struct thresholds thresholds;
};

struct deployment_settings {
    char *salt; /* of the canary */
    struct thresholds thresholds;
    double fallback_score;
    int reasons_top;
    double reasons_min_score;
    struct breaker_rules breaker;
    int64_t max_missing_features;
    enum on_range on_range;
    float *least, *greatest; /* by column; NULL: no ranges are known */
};

struct deployment {
    unsigned references;
    char *record;
    struct deployed_model champion, canary, fallback;
    size_t shadow_count;
    struct deployed_model shadows[SHADOWS_MAX];
    struct deployment_settings settings;
};

/* What the configuration asks for, with the bytes of its files. */
struct deployment_plan;
int deployment_plan_read(const struct config *config, struct deployment_plan **out, struct err *err);
void deployment_plan_destroy(struct deployment_plan *plan);
/* Loads and proves the models, but for those that `like` (NULL: none) has with the same bytes.  Errors name the model's
 * file, the setting and what does not fit. */
int deployment_load(const struct deployment_plan *plan, const struct deployment *like, struct deployment **out, struct err *err);
/* Copies its model files into models.cache_dir, where one is set: for whoever serves by it, once it is loaded. */
int deployment_plan_keep(const struct deployment_plan *plan, struct err *err);
/* Reads and loads, and writes nothing. */
int deployment_create(const struct config *config, struct deployment **out, struct err *err);

/* The latest deployments of a lane, so that its partitions load each only once.  All zero is empty. */
enum { DEPLOYMENT_SHELF_MAX = 16 };
struct deployment_shelf {
    struct deployment *deployments[DEPLOYMENT_SHELF_MAX];
    size_t next;
};
void deployment_shelf_put(struct deployment_shelf *shelf, const struct deployment *deployment); /* with its models loaded */
struct deployment *deployment_shelf_find(const struct deployment_shelf *shelf, const char *record); /* NULL; borrowed */
void deployment_shelf_finish(struct deployment_shelf *shelf);

/* False where a record is of another feature file: what it says of vectors is not about these. */
bool deployment_record_fits(const struct config *config, const char *record);
/* From a record: what it says, without the models (model NULL); then with them, and put on the shelf.  Models come from the
 * shelf, else from model_cache.h; one that is not at hand is an error. */
int deployment_outline(const struct config *config, const char *record, struct deployment **out, struct err *err);
int deployment_equip(struct deployment *outline, const struct config *config, struct deployment_shelf *shelf, struct err *err);

struct deployment *deployment_retain(const struct deployment *deployment); /* from any thread */
void deployment_release(struct deployment *deployment);                    /* NULL is taken */

/* One of its models on its own; the copy is let go with deployed_model_finish. */
struct deployed_model deployed_model_share(const struct deployed_model *model);
void deployed_model_finish(struct deployed_model *model);
/* A model by id and hash, found likewise. */
int deployed_model_find(const struct config *config, const struct deployment_shelf *shelf, const char *id, const uint8_t sha256[32], struct deployed_model *out, struct err *err);

/* The bucket of an entity, 0..9999: the first 8 bytes, big-endian, of SHA-256(salt, 0x00, entity), modulo 10,000. */
uint32_t entity_bucket(const char *salt, struct bytes entity);
