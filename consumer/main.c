/* weir: the command line. */
#include <stdio.h>
#include <string.h>

#include "consumer/commands/command.h"

static const struct {
    const char *name, *does;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "the worker: read, score, write, exactly once", command_run},
    {"check", "configuration, features, models, connections, topics", command_check},
    {"demo", "everything at once on an in-process broker, nothing to set up", command_demo},
    {"generate", "synthetic labelled transactions, the same for the same seed", command_generate},
    {"replay", "a file or a time range of a topic through the same pipeline", command_replay},
    {"baseline", "what a range of events looks like: the reference of monitoring", command_baseline},
    {"monitor", "the aggregator alone: reports of all workers' windows", command_monitor},
    {"train", "an XGBoost model from a training set", command_train},
    {"explain", "one record: its fields, features, scores, and what made them", command_explain},
    {"model", "inspect a model file", command_model},
};

static void usage(FILE *out)
{
    fputs("weir " WEIR_VERSION ": streaming scoring and monitoring on Kafka\n\nusage: weir COMMAND [options]; weir COMMAND --help\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].does);
    fputs("\nExit status: 0 done, 1 failed, 2 usage or configuration.\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("weir " WEIR_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "weir: no command '%s'; weir --help lists them\n", argv[1]);
    return 2;
}
