/* weir explain: one record as a worker sees it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/commands/explain_print.h"
#include "consumer/process.h"
#include "consumer/replay/explanation.h"

static const char about[] =
    "Shows one record of the input topic, or of an Avro container file: its fields, its features with their definitions,\n"
    "what is served for it, and of each model the score and what each feature adds to the margin (exact TreeSHAP). The\n"
    "models are those of the deployment that the changelog has as in force at that offset, where it has one; --configured\n"
    "shows those of the configuration. Of a rejected record it says why. The windows are folded from the first record that can matter; no\n"
    "group is joined and nothing is written.\n"
    "\n"
    "The record is OFFSET of a topic with one partition or of the file, else PARTITION:OFFSET.";

static int take_number(const char *text, const char *end, int64_t max, int64_t *out)
{
    char *rest;
    errno = 0;
    *out = strtoll(text, &rest, 10);
    return *text >= '0' && *text <= '9' && rest == end && !errno && *out <= max ? 0 : -1;
}

static int take_place(const char *text, int32_t *partition, int64_t *offset)
{
    const char *colon = strchr(text, ':');
    int64_t number = -1;
    if (colon && take_number(text, colon, INT32_MAX - 1, &number) < 0)
        return -1;
    *partition = (int32_t)number;
    text = colon ? colon + 1 : text;
    return take_number(text, text + strlen(text), INT64_MAX - 1, offset);
}

/* The first thing about the options that does not fit, or NULL. */
static const char *misfit(const char *path, const char *place, struct explanation_options *o)
{
    if (!path)
        return "which configuration? weir explain -c weir.yaml 3:1234";
    if (!place)
        return "which record? weir explain -c weir.yaml PARTITION:OFFSET, or OFFSET where there is one partition";
    if (take_place(place, &o->partition, &o->offset) < 0)
        return "the record must be OFFSET or PARTITION:OFFSET, whole numbers";
    if (o->input && o->partition > 0)
        return "the records of a file are partition 0";
    if (o->timestamps && !o->input)
        return "--timestamps belongs to --input: records of a topic have timestamps";
    return NULL;
}

static void print_json(const json_t *explanation)
{
    char *text = json_dumps(explanation, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    puts(text ? text : "{}");
    free(text);
}

int command_explain(int argc, char **argv)
{
    static atomic_bool stop;
    struct explanation_options o = {.stop = &stop};
    const char *path = NULL, *place = NULL;
    int64_t top = 12;
    bool json = false;
    const struct argument table[] = {
        {"record", ARGUMENT_PLACE, &place, 0, 0, "OFFSET|PARTITION:OFFSET", "the record"},
        {"config", ARGUMENT_TEXT, &path, 0, 0, "FILE", "the configuration"},
        {"input", ARGUMENT_TEXT, &o.input, 0, 0, "FILE.avro", "a container file instead of the input topic"},
        {"timestamps", ARGUMENT_TEXT, &o.timestamps, 0, 0, "FIELD", "of the file: what its record timestamps are (default: the event time)"},
        {"configured", ARGUMENT_FLAG, &o.as_configured, 0, 0, NULL, "by the configured models, not by those that served"},
        {"top", ARGUMENT_COUNT, &top, 1, 4096, "N", "contributions to show a model (default 12)"},
        {"json", ARGUMENT_FLAG, &json, 0, 0, NULL, "all of it as JSON"},
    };
    struct err err;
    struct config *config = NULL;
    json_t *explanation = NULL;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_GIVEN && misfit(path, place, &o)) {
        err_set(&err, "%s", misfit(path, place, &o));
        outcome = ARGUMENTS_WRONG;
    }
    if (outcome == ARGUMENTS_WRONG || config_load(path, o.input ? 0 : CONFIG_NEED_INPUT | CONFIG_NEED_KAFKA, &config, &err) < 0) {
        fprintf(stderr, "weir explain: %s\n", err.msg);
        return 2;
    }
    process_stop_on_signals(&stop);
    o.config = config;
    int status = explanation_make(&o, &explanation, &err);
    if (status < 0)
        fprintf(stderr, "weir explain: %s\n", err.msg);
    else if (json)
        print_json(explanation);
    else
        explain_print(explanation, (size_t)top);
    json_decref(explanation);
    config_destroy(config);
    return status < 0 ? 1 : 0;
}
