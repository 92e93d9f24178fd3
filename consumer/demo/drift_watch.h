/* Follows the drift reports of the monitoring topic: the PSI of each feature window by window, and which feature was
 * the first that crossed a limit.  Safe from several threads. */
#pragma once
#include <stdbool.h>
#include "monitor/drift.h"
#include "scoring/features/feature_spec.h"

enum { DRIFT_WINDOWS_MAX = 200 };

struct drift_watch;
/* spec is borrowed. */
struct drift_watch *drift_watch_create(const struct feature_spec *spec);
void drift_watch_destroy(struct drift_watch *watch);

/* One DRIFT report of statistic psi that is judged (over enough values); of revisions the latest holds, and subjects that
 * are no feature are left out. */
void drift_watch_report(struct drift_watch *watch, int64_t start_ms, int64_t end_ms, const char *subject, size_t subject_size, double psi, enum severity severity);

struct drift_view {
    size_t windows;                 /* closed so far */
    bool named;                     /* a feature has crossed a limit */
    const char *feature;            /* the first named; before that the one that comes nearest in the newest window */
    size_t column;
    int64_t start_ms, end_ms;       /* the window it was named in; before that the newest */
    double psi;                     /* there */
    enum severity severity;
    double course[DRIFT_WINDOWS_MAX]; /* that feature's PSI in each window, oldest first */
    double highest_before;          /* PSI of any feature in the windows that ended at or before `until_ms` */
    const char *highest_feature;
    size_t others;                  /* further features that crossed a limit in any window */
};
void drift_watch_look(struct drift_watch *watch, int64_t until_ms, struct drift_view *view);

/* Whether the generator's change of the world reaches a column: it reads amounts, merchant categories or countries. */
bool drift_reaches(const struct feature_spec *spec, const struct field_set *fields, size_t column);
