#include "consumer/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "consumer/clock.h"

void progress_start(struct progress *p, const char *what, int64_t total)
{
    *p = (struct progress){.what = what, .total = total, .started_ns = clock_monotonic_ns(), .is_terminal = isatty(STDERR_FILENO)};
}

void progress_update(struct progress *p, int64_t done)
{
    if (!p->is_terminal)
        return;
    int64_t now = clock_monotonic_ns();
    if (now - p->drawn_ns < 200000000)
        return;
    p->drawn_ns = now;
    double seconds = (double)(now - p->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    fprintf(stderr, "\r%s: ", p->what);
    if (p->total > 0)
        fprintf(stderr, "%5.1f %%, ", 100.0 * (double)done / (double)p->total);
    else
        fprintf(stderr, "%" PRId64 ", ", done);
    fprintf(stderr, "%.0f/s", rate);
    if (p->total > 0 && rate > 0) {
        int64_t left = (int64_t)((double)(p->total - done) / rate);
        fprintf(stderr, ", %" PRId64 ":%02d left", left / 60, (int)(left % 60));
    }
    fputs("\033[K", stderr);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->is_terminal && p->drawn_ns)
        fputs("\r\033[K", stderr);
}
