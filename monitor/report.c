#include "monitor/report.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct report *report_add(struct report_list *list)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct report *rows = reallocarray(list->rows, capacity, sizeof *rows);
        assert(rows && "memory is short");
        list->rows = rows;
        list->capacity = capacity;
    }
    struct report *row = &list->rows[list->count++];
    *row = (struct report){.threshold = NAN, .p_value = NAN, .importance = NAN};
    return row;
}

void report_list_finish(struct report_list *list)
{
    free(list->rows);
    *list = (struct report_list){0};
}

const char *report_kind_name(enum report_kind kind)
{
    return (const char *const[]){"DRIFT", "PREDICTION", "FRESHNESS", "LATENCY", "QUALITY", "CALIBRATION", "SHADOW", "DEPLOYMENT",
                                 "ALERT"}[kind];
}

const char *severity_name(enum severity severity)
{
    return (const char *const[]){"OK", "WARNING", "CRITICAL"}[severity];
}
