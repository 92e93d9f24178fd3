/* weir demo: everything at once, in one process. */
#include <stdio.h>

#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/demo/demo.h"
#include "consumer/log.h"

static const char about[] =
    "Shows all of weir in one process, in about a minute, with nothing to set up: makes four weeks of card payments with\n"
    "labels, replays them into a training set, trains a champion and a candidate, and runs the worker on months\n"
    "more, against an in-process broker. After three fifths of them the world changes. A reader checks what comes out.\n"
    "\n"
    "Exit status: 0 if every record came out once and as expected, the change was the first drift to be named, and the\n"
    "champion's AUC on the live labels is over 0.9; 1 if not, or interrupted; 2 usage.";

int command_demo(int argc, char **argv)
{
    struct demo_options o = {.events = DEMO_EVENTS, .seed = 1};
    bool verbose = false;
    const struct argument table[] = {
        {"events", ARGUMENT_COUNT, &o.events, DEMO_EVENTS_LEAST, DEMO_EVENTS_MOST, "N", "live events, over 6 to 24 weeks (default 2500000)"},
        {"seed", ARGUMENT_COUNT, &o.seed, 0, 0x1p53, "N", "another seed, other traffic (default 1)"},
        {"keep", ARGUMENT_TEXT, &o.keep, 0, 0, "DIR", "keep all files in this new directory"},
        {"json", ARGUMENT_FLAG, &o.json, 0, 0, NULL, "the summary as JSON, and nothing else"},
        {"verbose", ARGUMENT_FLAG, &verbose, 0, 0, NULL, "the worker's log, on standard error"},
    };
    struct err err;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_WRONG) {
        fprintf(stderr, "weir demo: %s\n", err.msg);
        return 2;
    }
    log_set_level(verbose ? LOG_INFO : LOG_ERROR);
    bool met = false;
    if (demo_run(&o, &met, &err) < 0)
        fprintf(stderr, "weir demo: %s\n", err.msg);
    return met ? 0 : 1;
}
