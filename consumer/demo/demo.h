/* The whole of weir in one process: past traffic, a training set, two models and a baseline; then a broker, the worker
 * itself on fresh traffic in which the world changes, and a reader that checks what comes out. */
#pragma once
#include "scoring/err.h"
#include <stdint.h>

enum { DEMO_EVENTS = 2500000, DEMO_EVENTS_LEAST = 120000, DEMO_EVENTS_MOST = 4000000 };

struct demo_options {
    int64_t events; /* live ones, over 6 to 24 weeks; as dense as the four weeks of the past */
    int64_t seed;
    const char *keep; /* a new or empty directory for all files; NULL: a temporary one */
    bool json;
};

/* Runs it and prints the summary; *met: whether every demand is met.  -1: it could not be run to its end. */
int demo_run(const struct demo_options *options, bool *met, struct err *err);
