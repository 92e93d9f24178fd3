/* weir model: what can be done with models, one function a subcommand. */
#include <stdio.h>
#include <string.h>

#include "consumer/commands/command.h"
#include "consumer/commands/model_commands.h"

static const struct {
    const char *name, *does;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {"inspect", "what a model file is, how it was made, and how it will run", model_inspect},
};

static void usage(FILE *out)
{
    fputs("usage: weir model SUBCOMMAND [options]; weir model SUBCOMMAND --help\n\n", out);
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].does);
}

int command_model(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        if (!strcmp(argv[1], subcommands[i].name))
            return subcommands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "weir model: no subcommand '%s'; weir model --help lists them\n", argv[1]);
    return 2;
}
