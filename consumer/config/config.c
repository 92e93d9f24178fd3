/* weir.yaml into struct config: the table fills it, then what no single key can know is checked, then the feature
 * file is read and every field that a rule, a segment or the monitor names gets its slot. */
#include "consumer/config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/alert_options.h"
#include "consumer/config/kafka_keys.h"
#include "consumer/config/option.h"
#include "consumer/config/secret.h"
#include "consumer/failpoint.h"
#include "consumer/file.h"

static int line_of(const struct yaml_node *root, const char *section, const char *key)
{
    const struct yaml_node *node = yaml_find(root, section);
    const struct yaml_node *inner = node && key ? yaml_find(node, key) : NULL;
    return inner ? inner->line : node ? node->line : root->line;
}

static int check_schemas(const struct reading *reading, const struct yaml_node *root, const struct config *config)
{
    const char *key = "input.schemas";
    int line = line_of(root, "input", "schemas");
    if (config->input.schemas.url && config->input.schemas.dir)
        return reading_fail(reading, line, key, "url and dir are both given; keep one");
    if (!config->input.schemas.url && !config->input.schemas.dir && (reading->needs & CONFIG_NEED_INPUT))
        return reading_fail(reading, line, key, "missing: url (a schema registry) or dir (a directory of <id>.avsc files)");
    if (!config->input.schemas.user != !config->input.schemas.password)
        return reading_fail(reading, line, key, "%s", config->input.schemas.user ? "user needs password_file (or password: ${env:NAME})" : "a password needs user");
    if (!config->input.schemas.cert_file != !config->input.schemas.key_file)
        return reading_fail(reading, line, key, "cert_file and key_file go together");
    if (!config->input.schemas.url && (config->input.schemas.user || config->input.schemas.ca_file || config->input.schemas.cert_file))
        return reading_fail(reading, line, key, "user, ca_file, cert_file and key_file belong to url");
    return 0;
}

static int check_thresholds(const struct reading *reading, int line, const char *key, struct thresholds t)
{
    if (t.review > t.decline)
        return reading_fail(reading, line, key, "review %.17g is above decline %.17g", t.review, t.decline);
    return 0;
}

struct named_model {
    const struct model_entry *entry;
    char key[40];
};

static struct named_model named(const struct model_entry *entry, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct named_model named(const struct model_entry *entry, const char *format, ...)
{
    struct named_model m = {.entry = entry};
    va_list args;
    va_start(args, format);
    vsnprintf(m.key, sizeof m.key, format, args);
    va_end(args);
    return m;
}

/* Each id is one model's. */
static int check_model_ids(const struct reading *reading, const struct config *config)
{
    struct named_model seen[3 + SHADOWS_MAX];
    size_t count = 0;
    seen[count++] = named(&config->models.champion, "models.champion.id");
    if (config->models.has_canary)
        seen[count++] = named(&config->models.canary, "models.canary.id");
    for (size_t i = 0; i < config->models.shadow_count; i++)
        seen[count++] = named(&config->models.shadows[i], "models.shadows[%zu].id", i);
    if (config->models.fallback.file)
        seen[count++] = named(&config->models.fallback, "models.fallback.id");
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(seen[i].entry->id, seen[j].entry->id))
                return reading_fail(reading, seen[i].entry->line, seen[i].key, "'%.60s' is the id of another model; ids must differ", seen[i].entry->id);
    return 0;
}

static int check_models(const struct reading *reading, const struct yaml_node *root, const struct config *config)
{
    if (!config->models.given)
        return 0;
    const struct model_entry *canary = &config->models.canary, *fallback = &config->models.fallback;
    if (check_thresholds(reading, line_of(root, "models", "decision"), "models.decision", config->models.decision) < 0 ||
        (canary->has_decision && check_thresholds(reading, canary->line, "models.canary.decision", canary->decision) < 0))
        return -1;
    for (size_t i = 0; i < config->models.shadow_count; i++) {
        const struct model_entry *shadow = &config->models.shadows[i];
        char key[64];
        snprintf(key, sizeof key, "models.shadows[%zu].decision", i);
        if (shadow->has_decision && check_thresholds(reading, shadow->line, key, shadow->decision) < 0)
            return -1;
    }
    if (!fallback->id != !fallback->file)
        return reading_fail(reading, fallback->line, "models.fallback", "id and file go together");
    return check_model_ids(reading, config);
}

static int check_ranges(const struct reading *reading, const struct config *config)
{
    for (size_t i = 0; i < config->models.range_count; i++) {
        const struct range_entry *range = &config->models.ranges[i];
        char key[64];
        size_t f = 0;
        snprintf(key, sizeof key, "models.ranges[%zu]", i);
        while (f < config->spec->count && strcmp(config->spec->features[f].name, range->feature))
            f++;
        if (f == config->spec->count)
            return reading_fail(reading, range->line, key, "%s has no column '%.60s'; `weir check --features` lists them", config->features, range->feature);
        if (!range->has_min && !range->has_max)
            return reading_fail(reading, range->line, key, "min or max is missing");
        if (range->has_min && range->has_max && range->min > range->max)
            return reading_fail(reading, range->line, key, "min %.17g is above max %.17g", range->min, range->max);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(config->models.ranges[j].feature, range->feature))
                return reading_fail(reading, range->line, key, "'%.60s' has a range already", range->feature);
    }
    return 0;
}

/* No topic may have two uses: an output that is the input would feed itself. */
static int check_topics(const struct reading *reading, const struct yaml_node *root, const struct config *config)
{
    char changelog[256], sketches[256];
    snprintf(changelog, sizeof changelog, "%s-windows-changelog", config->app_id);
    snprintf(sketches, sizeof sketches, "%s-sketches", config->app_id);
    const struct {
        const char *section, *leaf, *topic;
    } uses[] = {
        {"app_id", "", changelog},
        {"app_id", "", sketches},
        {"input", "topic", config->input.topic},
        {"outputs", "predictions", config->outputs.predictions},
        {"outputs", "shadows", config->outputs.shadows},
        {"outputs", "dead_letters", config->outputs.dead_letters},
        {"outputs", "monitoring", config->outputs.monitoring},
        {"monitor", "label_topic", config->monitor.label_topic},
    };
    for (size_t i = 1; i < sizeof uses / sizeof *uses; i++)
        for (size_t j = 0; j < i; j++)
            if (uses[i].topic && uses[j].topic && !strcmp(uses[i].topic, uses[j].topic)) {
                char key[64];
                snprintf(key, sizeof key, "%s.%s", uses[i].section, uses[i].leaf);
                return reading_fail(reading, line_of(root, uses[i].section, uses[i].leaf), key, "'%.80s' is also the topic of %s%s%s; topics must differ", uses[i].topic,
                                    uses[j].section, *uses[j].leaf ? "." : "", uses[j].leaf);
            }
    return 0;
}

/* Each can be armed, and no place twice. */
static int check_failpoints(const struct reading *reading, const struct yaml_node *root, const struct config *config)
{
    const char *key = "failpoints";
    bool taken[FAILPOINT_COUNT] = {0};
    if (config->failpoint_count && !FAILPOINTS_BUILT)
        return reading_fail(reading, line_of(root, key, NULL), key, "this build has none; remove the key, or build weir with -Dfailpoints=true");
    for (size_t i = 0; i < config->failpoint_count; i++) {
        struct failpoint_order order;
        struct err why;
        if (failpoint_parse(config->failpoints[i], &order, &why) < 0)
            return reading_fail(reading, line_of(root, key, NULL), key, "%s", why.msg);
        if (taken[order.place])
            return reading_fail(reading, line_of(root, key, NULL), key, "%s stands here twice", failpoint_name(order.place));
        taken[order.place] = true;
    }
    return 0;
}

/* --- slots: the feature file's fields come first --- */

static int add_field(const struct reading *reading, int line, const char *key, struct config *config, const char *name, enum field_use use, int *slot)
{
    int found = field_set_add(&config->fields, name, use);
    if (found < 0)
        return reading_fail(reading, line, key, "more than %d different fields", FIELD_SLOTS_MAX);
    *slot = found;
    return 0;
}

static enum field_use use_of(const struct predicate *predicate)
{
    return predicate->kind == PREDICATE_RANGE ? FIELD_USE_NUMBER : FIELD_USE_LISTED;
}

static int add_fields(const struct reading *reading, const struct yaml_node *root, struct config *config)
{
    for (size_t i = 0; i < config->validation_count; i++) {
        struct validation_entry *entry = &config->validation[i];
        char key[48];
        snprintf(key, sizeof key, "validation[%zu]", i);
        if (entry->when_field && add_field(reading, entry->line, key, config, entry->when_field, use_of(&entry->when), &entry->when.slot) < 0)
            return -1;
        if (add_field(reading, entry->line, key, config, entry->field, use_of(&entry->bound), &entry->bound.slot) < 0)
            return -1;
    }
    config->segment_slots = calloc(config->monitor.segment_count + 1, sizeof *config->segment_slots);
    if (!config->segment_slots)
        return err_set(reading->err, "%s: no memory", reading->file);
    for (size_t i = 0; i < config->monitor.segment_count; i++)
        if (add_field(reading, line_of(root, "monitor", "segments"), "monitor.segments", config, config->monitor.segments[i], FIELD_USE_ANY, &config->segment_slots[i]) < 0)
            return -1;
    config->value_slot = -1;
    if (!config->monitor.value_field)
        return 0;
    return add_field(reading, line_of(root, "monitor", "value_field"), "monitor.value_field", config, config->monitor.value_field, FIELD_USE_ANY, &config->value_slot);
}

static int config_fill(const struct reading *reading, const struct yaml_node *root, struct config *config)
{
    if (!(config->file = strdup(reading->file)))
        return err_set(reading->err, "%s: no memory", reading->file);
    if (options_read(reading, root, config) < 0 || check_schemas(reading, root, config) < 0 || check_models(reading, root, config) < 0 ||
        check_topics(reading, root, config) < 0 || kafka_keys_check(reading, config) < 0 ||
        check_failpoints(reading, root, config) < 0)
        return -1;
    if (feature_file_load(config->features, &config->fields, &config->spec, reading->err) < 0)
        return -1;
    return check_ranges(reading, config) < 0 ? -1 : add_fields(reading, root, config);
}

int config_parse(const char *name, const char *dir, const char *text, size_t size, unsigned needs, struct config **out, struct err *err)
{
    struct yaml_node *root;
    if (yaml_parse(name, text, size, &root, err) < 0)
        return -1;
    int result;
    struct config *config = calloc(1, sizeof *config);
    if (!config) {
        result = err_set(err, "%s: no memory", name);
    } else {
        struct reading reading = {.file = name, .dir = dir, .table = &config_options, .needs = needs, .err = err};
        field_set_init(&config->fields);
        config->input.start_ms = -1;
        result = config_fill(&reading, root, config);
    }
    yaml_destroy(root);
    if (result)
        config_destroy(config);
    else
        *out = config;
    return result;
}

int config_load(const char *path, unsigned needs, struct config **out, struct err *err)
{
    char *text, *dir = NULL;
    size_t size;
    if (file_read(path, YAML_TEXT_MAX, &text, &size, err) < 0)
        return -1;
    const char *slash = strrchr(path, '/');
    int result;
    if (slash && !(dir = strndup(path, slash == path ? 1 : (size_t)(slash - path))))
        result = err_set(err, "%s: no memory", path);
    else
        result = config_parse(path, dir ? dir : "", text, size, needs, out, err);
    free(dir);
    free(text);
    return result;
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->kafka_count; i++) {
        free(config->kafka[i].name);
        free(config->kafka[i].shown);
        secret_free(config->kafka[i].value);
    }
    free(config->kafka);
    for (size_t i = 0; config->validation && i < config->validation_count; i++) {
        free(config->validation[i].when_field);
        predicate_finish(&config->validation[i].when);
        predicate_finish(&config->validation[i].bound);
    }
    alert_options_finish(config);
    secret_free(config->input.schemas.password);
    free(config->input.reader_schema_text);
    free(config->input.start);
    free(config->http);
    free(config->file);
    free(config->segment_slots);
    feature_spec_destroy(config->spec);
    field_set_finish(&config->fields);
    options_finish(&config_options, config);
    free(config);
}
