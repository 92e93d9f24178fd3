/* The configuration, parsed and checked: what options.c's table makes of weir.yaml.
 *
 * All text is owned by the config.  Paths are absolute or relative to the working directory, already joined with
 * the directory of the file that names them.  Durations are milliseconds, sizes bytes. */
#pragma once
#include "consumer/golden_file.h"
#include "scoring/models/breaker.h"
#include "scoring/models/decision.h"
#include "scoring/features/feature_spec.h"

enum delivery { DELIVERY_EXACTLY_ONCE, DELIVERY_AT_LEAST_ONCE };
enum on_gap { GAP_REFUSE, GAP_CONTINUE };

struct kafka_property {
    char *name, *value; /* the value may be a secret: print `shown` */
    char *shown;
    int line;
};

struct validation_entry {
    int line;
    char *name; /* NULL: a breach is `range`, else `rule` */
    char *field, *when_field; /* the latter NULL: always */
    struct predicate when;    /* slot -1: always */
    struct predicate bound;   /* a null field passes */
};

struct model_entry {
    int line;
    char *id, *file; /* of the fallback both may be NULL: there is none */
    double percent;  /* of the entities: the canary's share, a shadow's sample */
    bool has_decision;
    struct thresholds decision; /* of its own; else models.decision */
};

struct range_entry {
    int line;
    char *feature;
    bool has_min, has_max;
    double min, max;
};

enum { SHADOWS_MAX = 16 };
enum on_range { RANGE_COUNT, RANGE_DEGRADE };

struct alert_entry { /* a rule of monitor/alerts.h */
    int line;
    char *name, *subject, *statistic; /* the last two NULL: any */
    int kind;                         /* enum report_kind + 1; 0: any */
    int64_t window_ms;                /* 0: any */
    bool has_threshold, has_clear, below;
    double threshold, clear;
    int windows;
    int64_t min_count;
    double min_importance;
    int severity; /* 0: WARNING, 1: CRITICAL */
    int64_t repeat_ms;
    int playbook; /* enum playbook */
};

struct silence_entry {
    int line;
    char *alert, *subject; /* NULL: any */
    int64_t until_ms;
};

enum webhook_format { WEBHOOK_JSON, WEBHOOK_SLACK, WEBHOOK_PAGERDUTY };
const char *webhook_format_name(enum webhook_format format);
struct webhook_entry {
    int line;
    char *url, *routing_key; /* secrets */
    int format;              /* enum webhook_format */
    int least_severity;      /* 0: WARNING, 1: CRITICAL */
    int64_t timeout_ms;
};

struct config {
    char *file; /* as named on the command line */
    char *app_id;
    char *instance; /* NULL: found at start */
    size_t kafka_count;
    struct kafka_property *kafka;
    enum delivery delivery;
    int64_t commit_interval_ms;
    int lanes;
    struct {
        char *topic;
        char *start; /* "earliest", "latest" or an ISO time */
        int64_t start_ms; /* of an ISO time, else -1 */
        struct {
            char *url, *dir, *user, *password, *ca_file, *cert_file, *key_file;
            int64_t timeout_ms;
            bool register_schemas;
        } schemas;
        int64_t max_record_bytes;
        enum on_gap on_gap;
        char *reader_schema; /* path or NULL */
        char *reader_schema_text; /* in its place: of a checkpoint's rules; owned */
        char *group_protocol;
    } input;
    size_t validation_count;
    struct validation_entry *validation;
    char *features; /* path of the feature file */
    struct {
        bool given; /* the `models` section is there */
        char *source;
        struct model_entry champion;
        bool has_canary;
        struct model_entry canary;
        char *canary_salt; /* NULL: its id */
        size_t shadow_count;
        struct model_entry *shadows;
        struct model_entry fallback;
        double fallback_score;
        struct breaker_rules breaker;
        int64_t max_missing_features;
        enum on_range on_range;
        size_t range_count;
        struct range_entry *ranges; /* each of another feature of the file */
        struct thresholds decision;
        int reasons_top;
        double reasons_min_score;
        int64_t shed_lag_ms;
        double latency_budget_ms;
        char *cache_dir;
        enum golden_need golden;
        enum on_difference on_difference;
    } models;
    struct {
        char *predictions, *shadows, *dead_letters, *monitoring;
    } outputs;
    struct {
        int64_t checkpoint_interval_ms, max_entities, max_events;
    } state;
    struct {
        int64_t window_ms;
        int bins; /* 0: quantiles, 1: of equal width */
        char *baseline; /* path or NULL */
        size_t segment_count;
        char **segments;
        double contribution_percent;
        char *value_field; /* NULL: none */
        char *label_topic; /* NULL: no labels */
        int64_t label_horizon_ms, label_window_ms;
        size_t alert_count, silence_count, webhook_count;
        bool alerts_given; /* else the default rules hold */
        struct alert_entry *alerts;
        struct silence_entry *silences;
        struct webhook_entry *webhooks;
    } monitor;
    char *http; /* "address:port"; NULL: off */
    size_t failpoint_count;
    char **failpoints; /* checked: each can be armed */

    /* From the files that it names: */
    struct field_set fields;    /* of features, validation, segments, value_field */
    struct feature_spec *spec;
    int *segment_slots;
    int value_slot; /* -1: none */
};

/* Which parts a command needs: replay without models, say. */
enum config_need { CONFIG_NEED_INPUT = 1, CONFIG_NEED_MODELS = 2, CONFIG_NEED_KAFKA = 4 };

/* Reads the file and the feature file that it names. */
int config_load(const char *path, unsigned needs, struct config **out, struct err *err);
/* From YAML text (the demo's own): `name` stands in messages, `dir` is what paths are relative to. */
int config_parse(const char *name, const char *dir, const char *text, size_t size, unsigned needs, struct config **out, struct err *err);
void config_destroy(struct config *config);

/* The reference of every key: name, type, default, range, meaning (Markdown, for consumer/config/REFERENCE.md). */
void config_reference(char **markdown);

/* A feature file on its own. */
int feature_file_load(const char *path, struct field_set *fields, struct feature_spec **out, struct err *err);

/* "500ms" "30s" "5m" "24h" "7d", whole numbers only; with a sign if `sign` is set.  0 or -1. */
int duration_parse(const char *text, bool sign, int64_t *ms);
/* "1MiB" "512KiB" "1GiB" or plain bytes. */
int size_parse(const char *text, int64_t *bytes);
/* "2026-01-31", "2026-01-31T12:00:00Z", "... +02:00", with optional .sss, to epoch milliseconds (UTC). */
int time_parse(const char *text, int64_t *ms);
