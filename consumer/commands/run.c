/* weir run: the worker. */
#include <stdio.h>
#include <unistd.h>

#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/config/config.h"
#include "consumer/failpoint.h"
#include "consumer/log.h"
#include "consumer/process.h"
#include "consumer/worker.h"

static const char about[] =
    "Reads transactions, computes features, scores them and writes predictions, shadow predictions and dead letters,\n"
    "until SIGTERM or SIGINT; a second signal ends it at once. Models are loaded anew when their files or the configuration\n"
    "change, and on SIGHUP. Logs to standard error.\n"
    "\n"
    "Exit status: 0 stopped by a signal, 1 failed, 2 usage or configuration.";

static int run(const struct config *config)
{
    static atomic_bool stop, reload;
    struct worker *worker = NULL;
    struct err err;
    process_stop_on_signals(&stop);
    process_ask_on_hangup(&reload);
    int result = worker_create(config, &stop, &worker, &err);
    if (result == 0)
        result = worker_watch(worker, &reload, &err);
    bool broken_off = result < 0 && process_was_stopped(&stop, &err);
    if (result == 0)
        result = worker_run(worker, &err);
    int status = result < 0 && !broken_off;
    bool ended = worker_destroy(worker);
    if (status)
        log_error("%s", err.msg);
    else
        log_info("stopped%s", ended ? "" : "; the broker does not answer, and is not waited for");
    if (!ended)
        _exit(status); /* a thread still uses what exit would take away */
    return status;
}

/* One a line, for tests: name, what it can do, where it stands. */
static int list_failpoints(void)
{
    if (!FAILPOINTS_BUILT) {
        fprintf(stderr, "weir run: this build has no failpoints; build with -Dfailpoints=true (deploy/build.sh --sanitize)\n");
        return 1;
    }
    for (int i = 0; i < FAILPOINT_COUNT; i++)
        printf("%-22s %-18s %s\n", failpoint_name(i), failpoint_can_fail(i) ? "kill,pause,error" : "kill,pause", failpoint_where(i));
    return 0;
}

int command_run(int argc, char **argv)
{
    const char *path = NULL;
    bool verbose = false, failpoints = false;
    const struct argument table[] = {
        {"config", ARGUMENT_TEXT, &path, 0, 0, "FILE", "the configuration (weir check explains it)"},
        {"verbose", ARGUMENT_FLAG, &verbose, 0, 0, NULL, "log more"},
        {"failpoints", ARGUMENT_FLAG, &failpoints, 0, 0, NULL, "list the failpoints of this build, and what each can do"},
    };
    struct err err;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_GIVEN && failpoints)
        return list_failpoints();
    if (outcome == ARGUMENTS_GIVEN && !path) {
        err_set(&err, "which configuration? weir run -c weir.yaml");
        outcome = ARGUMENTS_WRONG;
    }
    struct config *config = NULL;
    if (outcome == ARGUMENTS_WRONG || config_load(path, CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA, &config, &err) < 0) {
        fprintf(stderr, "weir run: %s\n", err.msg);
        return 2;
    }
    if (verbose)
        log_set_level(LOG_DEBUG);
    int status = run(config);
    config_destroy(config);
    return status;
}
