#include "monitor/report.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    *row = (struct report){.threshold = NAN, .p_value = NAN, .importance = NAN, .effect = NAN, .baseline = NAN};
    return row;
}

const char *report_text(struct report_list *list, const char *text)
{
    if (list->text_count == list->text_capacity) {
        size_t capacity = list->text_capacity ? 2 * list->text_capacity : 64;
        list->texts = reallocarray(list->texts, capacity, sizeof(char *));
        assert(list->texts && "memory is short");
        list->text_capacity = capacity;
    }
    char *copy = strdup(text);
    assert(copy && "memory is short");
    return list->texts[list->text_count++] = copy;
}

void report_list_clear(struct report_list *list)
{
    for (size_t i = 0; i < list->text_count; i++)
        free(list->texts[i]);
    list->count = list->text_count = 0;
}

void report_list_finish(struct report_list *list)
{
    report_list_clear(list);
    free(list->texts);
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
