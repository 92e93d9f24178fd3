/* Windows over label time: tumbling, by the time that a label was reported.
 *
 * A label counts in the window of its time: the first one of an event with its value, a changed one once more, with the
 * new value, in the window of the change (what was counted before stays).  A window closes when the time of every label
 * partition that has labels is past its end plus lateness, or the largest is past it by a window more and the others are
 * at their ends.  Windows without a label are not published.  Labels for a window that is closed are late: they count in
 * no statistic (later ones of the same event are still told from them), but are counted in the next window published; so
 * are labels that cannot be read.
 *
 * Fraud is known before honesty is: where labels begin, a window has all of the first and little of the second, and says
 * nothing of calibration.  It is judged in windows that begin after an honest event was first reported.
 *
 * At most LABEL_WINDOWS_OPEN are open: one more closes the oldest.  Each holds up to 34 MiB (label_quality.h). */
#pragma once
#include "consumer/labels/segments.h"
#include "monitor/label_join.h"
#include "monitor/label_quality.h"

enum { LABEL_WINDOWS_OPEN = 8, LABEL_MODELS_ALL = LABEL_MODELS_MAX + LABEL_SHADOWS_MAX };

enum label_fate { /* what became of a label: all of label_join's outcomes, and */
    FATE_WINDOW_CLOSED = LABEL_OUTCOME_COUNT, /* reported in a window that was published before it came */
    FATE_BAD,                                 /* does not decode, or is neither 0 nor 1 */
    LABEL_FATE_COUNT
};
const char *label_fate_name(enum label_fate fate);

struct label_window {
    int64_t start_ms, end_ms;
    struct label_quality *quality;
    uint64_t fates[LABEL_FATE_COUNT];
    int64_t *first; /* by label partition: offset of its first label, INT64_MAX: none */
};

struct label_windows {
    int64_t length_ms, lateness_ms;
    int64_t closed_until_ms; /* INT64_MIN: nothing was published */
    int64_t honest_since_ms; /* when an honest event was first reported; INT64_MAX: none was */
    size_t partitions;       /* of the label topic */
    size_t count;
    struct label_window open[LABEL_WINDOWS_OPEN]; /* by time */
    uint64_t pending[LABEL_FATE_COUNT];           /* of no open window */
    /* of the reports; borrowed */
    const char *const *models;
    struct thresholds thresholds;
    const float *deciles;
};

void label_windows_init(struct label_windows *windows, int64_t length_ms, int64_t lateness_ms, int64_t closed_until_ms, size_t partitions);
void label_windows_finish(struct label_windows *windows);
/* The window of that time, opened if need be; NULL: it is closed, or the oldest one is to be published first (*full). */
struct label_window *label_windows_at(struct label_windows *windows, int64_t reported_ms, bool *full);
/* An honest event was reported, whatever window that belongs to. */
void label_windows_note_honest(struct label_windows *windows, int64_t reported_ms);
bool label_window_settled(const struct label_windows *windows, const struct label_window *window); /* both kinds were known before it */
/* What a label says of its prediction, in the window's statistics. */
void label_window_judge(struct label_window *window, const struct segments *segments, const struct waiting_prediction *prediction, size_t shadows, int label);

struct label_time { /* of a label partition */
    int64_t time_ms; /* largest that has been read; INT64_MIN: none */
    bool at_end;
};
/* Whether the oldest open window can be closed. */
bool label_windows_due(const struct label_windows *windows, const struct label_time *times);
/* The oldest one's reports are committed: closed for good. */
void label_windows_close_oldest(struct label_windows *windows);
