#include "consumer/demo/screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/demo/summary.h"

enum { COLUMNS = 79, REDRAW_MS = 200, BAR_CELLS = 22, COURSE_CELLS = 30 };

static bool locale_is_utf8(void)
{
    const char *locale = getenv("LC_ALL");
    if (!locale || !*locale)
        locale = getenv("LC_CTYPE");
    if (!locale || !*locale)
        locale = getenv("LANG");
    return locale && (strcasestr(locale, "utf-8") || strcasestr(locale, "utf8"));
}

void screen_open(struct screen *s, bool quiet)
{
    const char *term = getenv("TERM");
    *s = (struct screen){.quiet = quiet, .terminal = !quiet && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb"), .utf8 = locale_is_utf8()};
    if (s->terminal)
        fputs("\033[?25l", stdout);
}

void screen_close(struct screen *s)
{
    if (s->stage && s->terminal && !s->live)
        puts("");
    s->stage = NULL;
    s->drawn_lines = 0;
    if (s->terminal)
        screen_show_cursor();
}

void screen_show_cursor(void)
{
    static const char show[] = "\033[?25h";
    fflush(stdout);
    if (write(STDOUT_FILENO, show, sizeof show - 1) < 0)
        return;
}

void screen_begin(struct screen *s, const char *stage, const char *doing)
{
    s->stage = stage;
    s->began_ns = clock_monotonic_ns();
    if (!s->terminal)
        return;
    printf("  %-10s  %s ...", stage, doing);
    fflush(stdout);
}

void screen_begin_live(struct screen *s, const char *stage, const char *doing)
{
    s->stage = stage;
    s->live = true;
    s->began_ns = clock_monotonic_ns();
    if (s->terminal)
        printf("  %-10s  %s\n", stage, doing);
}

void screen_done(struct screen *s, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!s->quiet && !(s->live && s->terminal))
        printf("%s  %-10s  %-56s %5.1f s\n", s->terminal ? "\r\033[K" : "", s->stage, text, (double)(clock_monotonic_ns() - s->began_ns) / 1e9);
    fflush(stdout);
    s->stage = NULL;
    s->live = false;
}

/* ---- the live view ---- */

bool screen_is_due(const struct screen *s)
{
    return s->terminal && clock_monotonic_ns() - s->drawn_ns >= (int64_t)REDRAW_MS * 1000000;
}

static void line(struct screen *s, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line(struct screen *s, const char *label, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("\r\033[K  \033[1m%-10s\033[0m  %s\n", label, text);
    s->drawn_lines++;
}

static void draw_bar(const struct screen *s, double share, char *text, size_t size)
{
    size_t n = 0;
    int full = (int)(share * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS && n + 4 < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s", s->utf8 ? (i < full ? "\u2588" : "\u2591") : i < full ? "#" : "-");
}

/* One cell a window, the newest on the right; its height is the PSI, full at 0.4. */
static void draw_course(const struct screen *s, const struct drift_view *d, char *text, size_t size)
{
    static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const plain[] = {"_", ".", ".", "-", "-", "+", "*", "#"};
    size_t n = 0, from = d->windows > COURSE_CELLS ? d->windows - COURSE_CELLS : 0;
    text[0] = 0;
    for (size_t i = from; i < d->windows && n + 4 < size; i++) {
        int height = (int)(d->course[i] / 0.4 * 8);
        height = height < 0 ? 0 : height > 7 ? 7 : height;
        n += (size_t)snprintf(text + n, size - n, "%s", s->utf8 ? blocks[height] : plain[height]);
    }
}

static void show_progress(struct screen *s, const struct live *live)
{
    char a[32], b[32], rate[32], bar[128], date[16];
    const struct tally_counts *n = &live->counts;
    double share = live->events ? (double)n->done / (double)live->events : 0;
    share = share > 1 ? 1 : share;
    int day = n->event_time_ms ? (int)((n->event_time_ms - live->live_ms) / 86400000) + 1 : 1;
    draw_bar(s, share, bar, sizeof bar);
    line(s, "events", "%s %3.0f %%  %s of %s", bar, 100 * share, grouped(a, n->done), grouped(b, live->events));
    line(s, "rate", "%s a second, %.0f us of processor time each, all in all", grouped(rate, (int64_t)live->events_a_second), live->cpu_us);
    line(s, "event time", "%s, day %d of %d", date_of(date, n->event_time_ms ? n->event_time_ms : live->live_ms), day, live->days);
}

static const char *ratio(char text[16], int digits, double v)
{
    if (isnan(v))
        return "-";
    snprintf(text, 16, "%.*f", digits, v);
    return text;
}

static void show_scores(struct screen *s, const struct live *live)
{
    char frauds[32], dead[32], t[4][16];
    const struct tally_counts *n = &live->counts;
    double all = n->predictions ? (double)n->predictions / 100 : 1;
    line(s, "decisions", "APPROVE %.2f %%   REVIEW %.2f %%   DECLINE %.2f %%", (double)n->decisions[DECISION_APPROVE] / all, (double)n->decisions[DECISION_REVIEW] / all, (double)n->decisions[DECISION_DECLINE] / all);
    line(s, "fraud", "%s; REVIEW: precision %s, recall %s   DECLINE: %s, %s", grouped(frauds, n->frauds), ratio(t[0], 2, share_of(n->caught[DECISION_REVIEW], n->called[DECISION_REVIEW])),
         ratio(t[1], 2, share_of(n->caught[DECISION_REVIEW], n->frauds)), ratio(t[2], 2, share_of(n->caught[DECISION_DECLINE], n->called[DECISION_DECLINE])),
         ratio(t[3], 2, share_of(n->caught[DECISION_DECLINE], n->frauds)));
    line(s, "AUC", "champion %s   candidate in shadow %s   agree %s %%", ratio(t[0], 4, n->champion_auc), ratio(t[1], 4, n->candidate_auc), ratio(t[2], 2, 100 * share_of(n->agreed, n->shadows)));
    line(s, "rejected", "%s dead letters", grouped(dead, n->dead_letters));
}

static void show_drift(struct screen *s, const struct live *live)
{
    char course[256], date[16], changed[32] = "";
    const struct drift_view *d = &live->drift;
    if (!d->windows) {
        line(s, "drift", "no window has closed yet");
        return;
    }
    draw_course(s, d, course, sizeof course);
    const char *colour = d->severity == SEVERITY_CRITICAL ? "\033[31m" : d->severity == SEVERITY_WARNING ? "\033[33m" : "\033[32m";
    if (d->named)
        line(s, "drift", "%s%.24s PSI %.2f since %s\033[0m, and %zu more", colour, d->feature, d->psi, date_of(date, d->start_ms), d->others);
    else
        line(s, "drift", "%snone\033[0m; nearest %.24s, PSI %.3f", colour, d->feature, d->psi);
    if (live->drift_ms != INT64_MAX)
        snprintf(changed, sizeof changed, "; changed %s", date_of(date, live->drift_ms));
    line(s, "", "%s  PSI a day%s", course, changed);
}

void screen_live(struct screen *s, const struct live *live)
{
    if (!s->terminal)
        return;
    if (s->drawn_lines)
        printf("\033[%dA", s->drawn_lines);
    else
        puts("");
    s->drawn_lines = 0;
    show_progress(s, live);
    show_scores(s, live);
    show_drift(s, live);
    fputs("\033[J", stdout);
    fflush(stdout);
    s->drawn_ns = clock_monotonic_ns();
}
