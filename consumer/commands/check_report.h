/* What `weir check` found: one line a step, as it is found, or all of it as JSON at the end. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum check_outcome { CHECK_OK, CHECK_WARNING, CHECK_FAILED, CHECK_SKIPPED, CHECK_OUTCOMES };

struct check_report {
    bool json;                     /* keep the lines for the end */
    size_t counts[CHECK_OUTCOMES];
    json_t *steps;                 /* with `json`: {step, outcome, text} */
};

/* `step` is the setting or thing looked at; failures go to standard error, the rest to standard output. */
void check_say(struct check_report *report, enum check_outcome outcome, const char *step, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
