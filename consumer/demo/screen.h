/* What the demo shows while it works.  On a terminal: one line a stage, and below them a view of the live traffic that is
 * redrawn in place, at most five times a second, within 79 columns.  In a pipe: the lines of finished stages alone. */
#pragma once
#include "consumer/demo/drift_watch.h"
#include "consumer/demo/tally.h"

struct screen {
    bool quiet, terminal, utf8;
    bool live; /* the stage is */
    int drawn_lines; /* of the live view */
    int64_t began_ns, drawn_ns;
    const char *stage;
};

void screen_open(struct screen *screen, bool quiet);
void screen_close(struct screen *screen); /* the cursor is there again; the live view stays where it is */
void screen_show_cursor(void);            /* from a signal handler, before the process ends at once */

void screen_begin(struct screen *screen, const char *stage, const char *doing);
/* The stage that screen_live draws below; on a terminal its last view stands for the line of screen_done. */
void screen_begin_live(struct screen *screen, const char *stage, const char *doing);
void screen_done(struct screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct live {
    struct tally_counts counts;
    struct drift_view drift;
    int64_t events;              /* to come in all */
    int64_t live_ms, drift_ms;   /* INT64_MAX: not yet */
    int days;
    double events_a_second, cpu_us;
};
bool screen_is_due(const struct screen *screen); /* for another live view */
void screen_live(struct screen *screen, const struct live *live);
