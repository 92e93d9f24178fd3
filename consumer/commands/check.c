/* weir check: everything that can be known before the worker starts, step by step. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumer/baseline_file.h"
#include "consumer/commands/check_kafka.h"
#include "consumer/commands/check_report.h"
#include "consumer/commands/command.h"
#include "consumer/config/config.h"
#include "consumer/config/option.h"
#include "consumer/deployment.h"
#include "consumer/hash.h"
#include "consumer/lane/lane.h"
#include "consumer/observer.h"
#include "monitor/sketch_extra.h"
#include "scoring/features/features.h"

static const char help[] =
    "usage: weir check -c weir.yaml [--offline] [--features] [--effective] [--json]\n"
    "       weir check --reference\n"
    "\n"
    "Looks at the configuration, the feature file, the models and the baseline, then at brokers, topics, retention,\n"
    "permissions and the schema registry. Changes nothing.\n"
    "\n"
    "  -c, --config FILE  the configuration\n"
    "      --offline      files only; nothing is asked over the network\n"
    "      --features     print what each column of the feature vector is\n"
    "      --effective    print every setting in force, defaults too; secrets are not shown\n"
    "      --json         one JSON object on standard output (with the settings and columns)\n"
    "      --reference    print the reference of every key (Markdown) and end\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit status: 0 nothing failed (warnings may stand), 1 a step failed, 2 usage or configuration.\n";

struct check_arguments {
    const char *config;
    int offline, features, effective, json, reference; /* getopt sets flags as ints */
};

/* -1: go on; else the exit status. */
static int take_arguments(int argc, char **argv, struct check_arguments *a)
{
    const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"offline", no_argument, &a->offline, 1}, {"features", no_argument, &a->features, 1},
        {"effective", no_argument, &a->effective, 1}, {"json", no_argument, &a->json, 1}, {"reference", no_argument, &a->reference, 1},
        {"help", no_argument, NULL, 'h'}, {0},
    };
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (o == 'c') {
            a->config = optarg;
        } else if (o == 'h') {
            fputs(help, stdout);
            return 0;
        } else if (o != 0) {
            fputs(help, stderr);
            return 2;
        }
    }
    if (optind < argc || (!a->config && !a->reference)) {
        fputs(help, stderr);
        return 2;
    }
    return -1;
}

static int print_reference(void)
{
    char *markdown;
    config_reference(&markdown);
    if (!markdown)
        return 1;
    fputs(markdown, stdout);
    free(markdown);
    return 0;
}

/* --- the settings in force --- */

static void print_settings(const char *prefix, json_t *value)
{
    const char *key;
    json_t *inner;
    if (json_is_object(value) && json_object_size(value)) {
        json_object_foreach(value, key, inner) {
            char full[256];
            snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", key);
            print_settings(full, inner);
        }
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    printf("         %s: %s\n", prefix, !text || json_is_null(value) ? "(not set)" : text);
    free(text);
}

/* --- the feature file --- */

static void feature_spec_sha256(const struct feature_spec *spec, char hex[65])
{
    uint8_t digest[32];
    sha256(spec->canonical, strlen(spec->canonical), digest);
    sha256_hex(digest, hex);
}

static json_t *columns(const struct feature_spec *spec)
{
    json_t *list = json_array();
    for (size_t i = 0; i < spec->count; i++) {
        char text[1024];
        feature_describe(spec, i, text, sizeof text);
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", spec->features[i].name, "definition", text));
    }
    return list;
}

static void print_columns(const struct feature_spec *spec)
{
    for (size_t i = 0; i < spec->count; i++) {
        char text[1024];
        feature_describe(spec, i, text, sizeof text);
        printf("         %4zu  %-28s %s\n", i, spec->features[i].name, text);
    }
}

static void bytes_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < 6; unit++)
        value /= 1024;
    snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static uint64_t check_state(const struct config *config, struct check_report *report)
{
    struct window_limits limits = {.max_entities = (uint64_t)config->state.max_entities, .max_events = (uint64_t)config->state.max_events};
    uint64_t bytes = windows_worst_case_bytes(config->spec, limits);
    char text[32];
    bytes_text(bytes, text, sizeof text);
    check_say(report, CHECK_OK, "state", "at worst %s (%" PRIu64 " bytes) a partition, with %" PRIu64 " entities and %" PRIu64 " events", text, bytes, limits.max_entities,
              limits.max_events);
    return bytes;
}

static size_t check_queues(const struct config *config, struct check_report *report)
{
    size_t bytes = lane_queue_bytes_max(config);
    char text[32], whole[32];
    bytes_text(bytes, text, sizeof text);
    bytes_text(bytes * (size_t)config->lanes, whole, sizeof whole);
    check_say(report, CHECK_OK, "queues", "at worst %s a lane, fetched and not processed or written and not confirmed; lanes: %d, %s", text, config->lanes, whole);
    return bytes;
}

/* --- models --- */

static void say_model(struct check_report *report, const char *step, const struct deployed_model *model)
{
    char hex[65];
    sha256_hex(model->sha256, hex);
    const char *why = model_engine_reason(model->model);
    check_say(report, CHECK_OK, step, "%s: sha256 %s, %s, %zu trees, %zu features as in the feature file, %zu golden rows met, engine %s%s%s%s", model->id, hex,
              model_objective(model->model), model_tree_count(model->model), model_feature_count(model->model), model->golden_rows, model_engine(model->model), why ? " (" : "",
              why ? why : "", why ? ")" : "");
    int64_t best = model_best_iteration(model->model);
    size_t rounds = model_rounds(model->model);
    if (best >= 0 && (size_t)best + 1 < rounds)
        check_say(report, CHECK_WARNING, step, "%s: its best iteration is %" PRId64 ", and the %zu rounds after it score too, as in XGBoost's C API; for the best alone "
                  "write the model sliced: b[:%" PRId64 "].save_model(...)", model->id, best, rounds - 1 - (size_t)best, best + 1);
}

/* weir run keeps model files there; check itself writes nothing. */
static void check_model_cache(const struct config *config, struct check_report *report)
{
    const char *directory = config->models.cache_dir;
    struct stat s;
    if (!directory)
        return;
    if (stat(directory, &s) < 0 && errno == ENOENT)
        check_say(report, CHECK_OK, "models.cache_dir", "%s: not there; weir run makes it and keeps the model files in it", directory);
    else if (access(directory, W_OK | X_OK) < 0 || !S_ISDIR(s.st_mode))
        check_say(report, CHECK_FAILED, "models.cache_dir", "%s: weir run must keep model files there and cannot: %s", directory, S_ISDIR(s.st_mode) ? strerror(errno) : "no directory");
    else
        check_say(report, CHECK_OK, "models.cache_dir", "%s", directory);
}

static void check_models(const struct config *config, struct check_report *report)
{
    struct deployment *deployment;
    struct err err;
    if (!config->models.given) {
        check_say(report, CHECK_SKIPPED, "models", "no `models` section: weir run needs one; commands that compute features alone do not");
        return;
    }
    if (deployment_create(config, &deployment, &err) < 0) {
        check_say(report, CHECK_FAILED, "models", "%s", err.msg);
        return;
    }
    say_model(report, "models.champion", &deployment->champion);
    if (deployment->canary.id)
        say_model(report, "models.canary", &deployment->canary);
    if (deployment->fallback.id)
        say_model(report, "models.fallback", &deployment->fallback);
    for (size_t i = 0; i < deployment->shadow_count; i++) {
        char step[40];
        snprintf(step, sizeof step, "models.shadows[%zu]", i);
        say_model(report, step, &deployment->shadows[i]);
    }
    deployment_release(deployment);
    check_model_cache(config, report);
}

static void compare_baseline(const struct config *config, const struct baseline *baseline, struct check_report *report)
{
    char ours[65], theirs[65];
    feature_spec_sha256(config->spec, ours);
    sha256_hex(baseline->feature_spec_sha256, theirs);
    if (strcmp(ours, theirs))
        check_say(report, CHECK_WARNING, "monitor.baseline", "%s was made with another feature file (sha256 %s): same names, other definitions; make it anew",
                  config->monitor.baseline, theirs);
    else
        check_say(report, CHECK_OK, "monitor.baseline", "%s: %zu columns%s", config->monitor.baseline, baseline->count, baseline->has_score ? " and the score" : "");
}

static void check_baseline(const struct config *config, struct check_report *report)
{
    if (!config->monitor.baseline)
        return;
    struct baseline *baseline;
    struct err err;
    if (baseline_of_config(config, &baseline, &err) < 0) {
        check_say(report, CHECK_FAILED, "monitor.baseline", "%s", err.msg);
    } else {
        compare_baseline(config, baseline, report);
        baseline_destroy(baseline);
    }
}

/* What monitoring takes at most: two sketches a lane and, where the aggregator runs, its windows. */
static void check_monitor(const struct config *config, struct check_report *report, json_t *whole)
{
    struct observer *observer;
    struct err err;
    if (observer_create(config, 0, &observer, &err) < 0)
        return; /* the baseline's own step says why */
    const struct sketch_shape *shape = observer_shape(observer);
    size_t cell = sketch_cell_bytes(shape), widths = observer_widths(observer);
    size_t sketch = sketch_cells_max(shape) * cell + (config->models.shadow_count ? EXTRA_PARTS_IN_SKETCH_MAX * sizeof(struct shadow_part) : 0);
    size_t aggregator = aggregate_bytes_max(shape, widths) + sketch;
    double mib = 1024 * 1024;
    json_object_set_new(whole, "monitor_lane_bytes_worst", json_integer((json_int_t)(2 * sketch)));
    json_object_set_new(whole, "aggregator_bytes_worst", json_integer((json_int_t)aggregator));
    check_say(report, CHECK_OK, "monitor", "a window of %zu features and up to %zu models takes %.0f KiB; at worst %.0f MiB a lane, and %.0f MiB for the aggregator's windows",
              config->spec->count, sketch_models_max(shape), (double)cell / 1024, 2 * (double)sketch / mib, (double)aggregator / mib);
    observer_destroy(observer);
}

/* --- all of it --- */

/* The config's messages begin with its name, the feature file's with its own. */
static void say_refused(const struct check_arguments *a, const struct err *err, struct check_report *report)
{
    size_t n = strlen(a->config);
    bool of_config = !strncmp(err->msg, a->config, n) && err->msg[n] == ':';
    if (!of_config)
        check_say(report, CHECK_OK, "config", "%s", a->config);
    check_say(report, CHECK_FAILED, of_config ? "config" : "features", "%s", err->msg);
}

static void check_steps(const struct check_arguments *a, const struct config *config, struct check_report *report, json_t *whole)
{
    char hex[65];
    feature_spec_sha256(config->spec, hex);
    json_t *settings = options_show(&config_options, config);
    check_say(report, CHECK_OK, "config", "%s", a->config);
    if (a->effective && !a->json)
        print_settings("", settings);
    check_say(report, CHECK_OK, "features", "%s: %zu columns, %zu fields, sha256 %s", config->features, config->spec->count, config->fields.count, hex);
    if (a->features && !a->json)
        print_columns(config->spec);
    uint64_t bytes = check_state(config, report);
    size_t queues = check_queues(config, report);
    check_models(config, report);
    check_baseline(config, report);
    check_monitor(config, report, whole);
    if (a->offline) {
        check_say(report, CHECK_SKIPPED, "connections", "--offline: brokers, topics and the schema registry were not asked");
    } else {
        check_schemas(config, report);
        check_kafka(config, report);
    }
    json_object_set_new(whole, "feature_spec_sha256", json_string(hex));
    json_object_set_new(whole, "state_bytes_worst", json_integer(bytes > INT64_MAX ? INT64_MAX : (json_int_t)bytes));
    json_object_set_new(whole, "lane_queue_bytes_worst", json_integer((json_int_t)queues));
    json_object_set_new(whole, "columns", columns(config->spec));
    json_object_set_new(whole, "config", settings);
}

static void print_whole(json_t *whole, struct check_report *report, int status)
{
    json_object_set_new(whole, "ok", json_boolean(status == 0));
    json_object_set(whole, "steps", report->steps);
    char *text = json_dumps(whole, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    puts(text ? text : "{}");
    free(text);
}

static int check(const struct check_arguments *a)
{
    struct check_report report = {.json = a->json, .steps = json_array()};
    json_t *whole = json_object();
    struct config *config = NULL;
    struct err err;
    unsigned needs = a->offline ? 0 : CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA;
    int status = 2;
    if (config_load(a->config, needs, &config, &err) < 0) {
        say_refused(a, &err, &report);
    } else {
        check_steps(a, config, &report, whole);
        status = report.counts[CHECK_FAILED] ? 1 : 0;
    }
    if (a->json)
        print_whole(whole, &report, status);
    else
        printf("%s: %zu failed, %zu warnings\n", status ? "not ready" : "ready", report.counts[CHECK_FAILED], report.counts[CHECK_WARNING]);
    config_destroy(config);
    json_decref(report.steps);
    json_decref(whole);
    return status;
}

int command_check(int argc, char **argv)
{
    struct check_arguments a = {0};
    int status = take_arguments(argc, argv, &a);
    if (status >= 0)
        return status;
    return a.reference ? print_reference() : check(&a);
}
