/* What the demo says in the end: as text, or as JSON. */
#pragma once
#include "consumer/demo/drift_watch.h"
#include "consumer/demo/preparation.h"
#include "consumer/demo/tally.h"

struct summary {
    struct tally_counts counts;
    struct tally_outcome outcome;
    struct drift_view drift;
    const struct preparation *preparation;
    int64_t history;             /* records that windows were rebuilt from */
    int64_t live_ms, drift_ms;   /* event time of the start and of the change */
    double seconds, total_seconds;
    double cpu_us, pipeline_us;  /* an event: everything in this process; the lane's work from bytes to outputs */
    int64_t commits;
    bool exact, drift_found, ranks; /* the three demands */
    const char *kept;               /* directory, or NULL */
};

#define SUMMARY_AUC_LEAST 0.9

void summary_print(const struct summary *summary);
void summary_print_json(const struct summary *summary);

/* 1234567 as "1,234,567"; a time as its UTC date. */
const char *grouped(char text[32], int64_t n);
const char *date_of(char text[16], int64_t time_ms);
double share_of(int64_t part, int64_t whole); /* NaN of nothing */
