/* weir model inspect: a model file as it is, and how it would score here. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumer/commands/arguments.h"
#include "consumer/commands/model_commands.h"
#include "consumer/deployment.h"
#include "consumer/file.h"
#include "consumer/golden_file.h"
#include "consumer/hash.h"
#include "scoring/models/model_importance.h"

static const char about[] =
    "Prints what an XGBoost model file (JSON or UBJ) says of itself, the importance of its features as XGBoost defines it\n"
    "(gain and cover: of an average split; weight: splits), and how weir will run it: compiled, by which instructions, or\n"
    "through XGBoost's C API and why. Golden rows beside it are compared. The file is checked as `weir run` checks it.";

struct inspected {
    const char *path;
    size_t bytes;
    bool json_file;
    char sha256[65];
    struct model_file *file; /* with its trees */
    struct model *model;
    size_t golden_rows;
    struct err golden; /* msg empty: none is there, or all are met */
    struct forest_shape shape;
    struct importance *importance;
    size_t *by_gain; /* features, the largest total gain first */
};

static int load(struct inspected *i, struct err *err)
{
    char *bytes = NULL;
    uint8_t digest[32];
    if (file_read(i->path, MODEL_FILE_MAX, &bytes, &i->bytes, err) < 0)
        return -1;
    int status = model_file_read(bytes, i->bytes, &i->file, err);
    if (status == 0)
        status = model_create(bytes, i->bytes, &i->model, err);
    if (status < 0) {
        err_prefix(err, "%s", i->path);
    } else {
        sha256(bytes, i->bytes, digest);
        sha256_hex(digest, i->sha256);
        i->json_file = i->bytes > 1 && (bytes[1] == '"' || bytes[1] == ' ' || bytes[1] == '\n');
    }
    free(bytes);
    return status;
}

static int by_gain(const void *a, const void *b, void *context)
{
    const struct importance *all = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (all[x].total_gain != all[y].total_gain)
        return all[x].total_gain > all[y].total_gain ? -1 : 1;
    return x < y ? -1 : 1;
}

static int inspect(struct inspected *i, struct err *err)
{
    if (load(i, err) < 0)
        return -1;
    size_t n = i->file->feature_count;
    i->importance = calloc(n, sizeof *i->importance);
    i->by_gain = calloc(n, sizeof *i->by_gain);
    if (!i->importance || !i->by_gain)
        return err_set(err, "memory is short");
    model_importance(i->file, i->importance, &i->shape);
    for (size_t f = 0; f < n; f++)
        i->by_gain[f] = f;
    qsort_r(i->by_gain, n, sizeof *i->by_gain, by_gain, i->importance);
    if (golden_file_prove(i->model, i->path, GOLDEN_IF_PRESENT, DIFFERENCE_LIBRARY, &i->golden_rows, &i->golden) == 0)
        i->golden.msg[0] = 0;
    return 0;
}

static void finish(struct inspected *i)
{
    model_destroy(i->model);
    model_file_destroy(i->file);
    free(i->importance);
    free(i->by_gain);
}

/* Rounds after the best one; they score too. */
static size_t rounds_past_best(const struct inspected *i)
{
    size_t after = (size_t)(i->file->best_iteration + 1);
    return i->file->best_iteration >= 0 && after < i->file->rounds ? i->file->rounds - after : 0;
}

static const char *feature_name(const struct inspected *i, size_t f, char text[24])
{
    snprintf(text, 24, "f%zu", f);
    return i->file->feature_names ? i->file->feature_names[f] : text;
}

static double per_split(const struct importance *of, double total)
{
    return of->weight ? total / (double)of->weight : 0;
}

static double total_gain(const struct inspected *i)
{
    double sum = 0;
    for (size_t f = 0; f < i->file->feature_count; f++)
        sum += i->importance[f].total_gain;
    return sum;
}

/* Text */

static void print_head(const struct inspected *i)
{
    const struct model_file *m = i->file;
    printf("file            %s, %s, %zu bytes\n", i->path, i->json_file ? "JSON" : "UBJ", i->bytes);
    printf("sha256          %s\n", i->sha256);
    printf("written by      XGBoost %d.%d.%d\n", m->version[0], m->version[1], m->version[2]);
    printf("objective       %s, base score %.9g\n", objective_name(m->objective), (double)m->base_score);
    printf("booster         %s: %zu trees in %zu rounds, %zu splits, %zu leaves\n", m->booster == BOOSTER_DART ? "dart" : "gbtree", m->tree_count,
           m->rounds, i->shape.splits, i->shape.leaves);
    printf("depth           at most %zu, %.1f on average\n", i->shape.depth, i->shape.mean_depth);
    if (m->best_iteration >= 0)
        printf("best iteration  %lld of 0..%zu\n", (long long)m->best_iteration, m->rounds - 1);
    printf("features        %zu, %s; %zu are used\n", m->feature_count, m->feature_names ? "with names" : "WITHOUT NAMES: weir run will refuse it",
           i->shape.used_features);
    printf("engine          %s%s%s\n", model_engine(i->model), model_engine_reason(i->model) ? ": " : "",
           model_engine_reason(i->model) ? model_engine_reason(i->model) : "");
    if (i->golden.msg[0])
        printf("golden rows     DIFFER: %s\n", i->golden.msg);
    else if (i->golden_rows)
        printf("golden rows     %zu, all met to the bit\n", i->golden_rows);
    else
        printf("golden rows     none beside it\n");
}

static void print_text(const struct inspected *i)
{
    char number[24];
    double all = total_gain(i);
    print_head(i);
    if (rounds_past_best(i))
        printf("\nwarning: the last %zu rounds come after the best iteration, and they score, as in XGBoost's C API; for the best\n"
               "rounds alone: b = xgboost.Booster(model_file='...'); b[:%lld].save_model('...'), or `weir train --early-stopping`\n",
               rounds_past_best(i), (long long)i->file->best_iteration + 1);
    printf("\n%-32s %8s %12s %12s %8s\n", "feature", "share", "gain", "cover", "weight");
    for (size_t k = 0; k < i->file->feature_count; k++) {
        const struct importance *of = &i->importance[i->by_gain[k]];
        printf("%-32s %7.2f%% %12.6g %12.6g %8llu\n", feature_name(i, i->by_gain[k], number), all > 0 ? 100 * of->total_gain / all : 0.0,
               per_split(of, of->total_gain), per_split(of, of->total_cover), (unsigned long long)of->weight);
    }
}

/* JSON */

static json_t *number_json(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *features_json(const struct inspected *i)
{
    json_t *list = json_array();
    char number[24];
    for (size_t f = 0; f < i->file->feature_count; f++) {
        const struct importance *of = &i->importance[f];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:I, s:o, s:o}", "name", feature_name(i, f, number), "gain",
                                              number_json(per_split(of, of->total_gain)), "cover", number_json(per_split(of, of->total_cover)), "weight",
                                              (json_int_t)of->weight, "total_gain", number_json(of->total_gain), "total_cover",
                                              number_json(of->total_cover)));
    }
    return list;
}

static void print_json(const struct inspected *i)
{
    const struct model_file *m = i->file;
    char version[48];
    snprintf(version, sizeof version, "%d.%d.%d", m->version[0], m->version[1], m->version[2]);
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:f}", "file", i->path, "format", i->json_file ? "json" : "ubj", "bytes",
                          (json_int_t)i->bytes, "sha256", i->sha256, "xgboost_version", version, "objective", objective_name(m->objective), "booster",
                          m->booster == BOOSTER_DART ? "dart" : "gbtree", "base_score", (double)m->base_score);
    json_object_set_new(o, "trees", json_integer((json_int_t)m->tree_count));
    json_object_set_new(o, "rounds", json_integer((json_int_t)m->rounds));
    json_object_set_new(o, "best_iteration", m->best_iteration >= 0 ? json_integer(m->best_iteration) : json_null());
    json_object_set_new(o, "rounds_past_best", json_integer((json_int_t)rounds_past_best(i)));
    json_object_set_new(o, "splits", json_integer((json_int_t)i->shape.splits));
    json_object_set_new(o, "leaves", json_integer((json_int_t)i->shape.leaves));
    json_object_set_new(o, "depth", json_integer((json_int_t)i->shape.depth));
    json_object_set_new(o, "mean_depth", json_real(i->shape.mean_depth));
    json_object_set_new(o, "named", json_boolean(m->feature_names));
    json_object_set_new(o, "features_used", json_integer((json_int_t)i->shape.used_features));
    json_object_set_new(o, "engine", json_string(model_engine(i->model)));
    const char *reason = model_engine_reason(i->model);
    json_object_set_new(o, "engine_reason", reason ? json_string(reason) : json_null());
    json_object_set_new(o, "golden_rows", json_integer((json_int_t)i->golden_rows));
    json_object_set_new(o, "golden_error", i->golden.msg[0] ? json_string(i->golden.msg) : json_null());
    json_object_set_new(o, "features", features_json(i));
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    puts(text ? text : "{}");
    free(text);
    json_decref(o);
}

int model_inspect(int argc, char **argv)
{
    static char name[] = "model inspect";
    struct inspected i = {0};
    bool json = false;
    struct err err;
    const struct argument table[] = {
        {"file", ARGUMENT_PLACE, &i.path, 0, 0, "FILE", "the model, .json or .ubj"},
        {"json", ARGUMENT_FLAG, &json, 0, 0, NULL, "the same as JSON"},
    };
    argv[0] = name;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_GIVEN && !i.path) {
        err_set(&err, "which file? weir model inspect champion.ubj");
        outcome = ARGUMENTS_WRONG;
    }
    if (outcome == ARGUMENTS_WRONG) {
        fprintf(stderr, "weir model inspect: %s\n", err.msg);
        return 2;
    }
    int status = inspect(&i, &err);
    if (status < 0)
        fprintf(stderr, "weir model inspect: %s\n", err.msg);
    else
        (json ? print_json : print_text)(&i);
    bool differs = i.golden.msg[0];
    finish(&i);
    return status < 0 || differs ? 1 : 0;
}
