/* weir monitor: the aggregator, and the models judged by labels, alone. */
#include <stdio.h>
#include <unistd.h>

#include "consumer/aggregator/evaluation.h"
#include "consumer/clock.h"
#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/config/config.h"
#include "consumer/labels/labels.h"
#include "consumer/log.h"
#include "consumer/process.h"

static const char about[] =
    "The aggregator alone: merges what the workers count, closes windows, publishes reports. Each worker runs one too;\n"
    "one of all is active, and the next takes over where it stood. Until SIGTERM or SIGINT. Logs to standard error.\n"
    "\n"
    "Exit status: 0 stopped by a signal, 1 failed, 2 usage or configuration.";

enum { TURN_US = 100000, AGGREGATOR_END_MS = 3000 };

static int look_up(const struct config *config, const atomic_bool *stop, struct registry *registry, struct topics *topics, struct err *err)
{
    rd_kafka_t *client = NULL;
    if (kafka_plain_consumer(config, &client, err) < 0)
        return -1;
    int result = topics_describe((struct cluster){client, stop, WORKER_PATIENCE_MS}, config, topics, err);
    if (result == 0 && !topics->sketches.name[0])
        result = err_set(err, "this broker keeps no sketches topic");
    if (result == 0)
        result = topics_resolve_schemas(registry, config, topics, err);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return result;
}

static int monitor(const struct config *config)
{
    static atomic_bool stop;
    struct registry *registry = NULL;
    struct observer *observer = NULL;
    struct aggregator *aggregator = NULL;
    struct label_monitor *labels = NULL;
    struct evaluation evaluation = {0};
    struct aggregator_listener listener = evaluation_listener(&evaluation);
    struct topics topics;
    struct err err;
    char instance[128];
    process_stop_on_signals(&stop);
    snprintf(instance, sizeof instance, "%s-%d", config->instance ? config->instance : "alone", (int)getpid());
    struct registry_options options = registry_options_of(config);
    options.stop = &stop;
    int result = -1;
    if (registry_create(&options, &registry, &err) < 0 || observer_create(config, clock_wall_ms(), &observer, &err) < 0 || look_up(config, &stop, registry, &topics, &err) < 0 ||
        evaluation_init(&evaluation, config, true, &err) < 0)
        goto done;
    observer_share(observer);
    if (aggregator_start(config, &topics, observer, instance, &stop, &listener, &aggregator, &err) < 0)
        goto done;
    if (config->monitor.label_topic && labels_start(config, instance, &topics, registry, &stop, &labels, &err) < 0)
        goto done;
    while (!atomic_load(&stop))
        usleep(TURN_US);
    result = 0;
done:;
    int status = result < 0 && !process_was_stopped(&stop, &err);
    bool ended = labels_stop(labels);
    ended = aggregator_stop(aggregator, AGGREGATOR_END_MS) && ended;
    if (!ended)
        _exit(status); /* a thread still uses what follows; the broker does not answer */
    evaluation_finish(&evaluation);
    observer_destroy(observer);
    registry_destroy(registry);
    if (status)
        log_error("%s", err.msg);
    else
        log_info("stopped");
    return status;
}

int command_monitor(int argc, char **argv)
{
    const char *path = NULL;
    bool verbose = false;
    const struct argument table[] = {
        {"config", ARGUMENT_TEXT, &path, 0, 0, "FILE", "the configuration (weir check explains it)"},
        {"verbose", ARGUMENT_FLAG, &verbose, 0, 0, NULL, "log more"},
    };
    struct err err;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_GIVEN && !path) {
        err_set(&err, "which configuration? weir monitor -c weir.yaml");
        outcome = ARGUMENTS_WRONG;
    }
    struct config *config = NULL;
    if (outcome == ARGUMENTS_WRONG || config_load(path, CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA, &config, &err) < 0) {
        fprintf(stderr, "weir monitor: %s\n", err.msg);
        return 2;
    }
    if (verbose)
        log_set_level(LOG_DEBUG);
    int status = monitor(config);
    config_destroy(config);
    return status;
}
