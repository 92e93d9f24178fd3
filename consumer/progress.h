/* Progress of long work: a line that is redrawn on a terminal, nothing in a pipe. */
#pragma once
#include <stdint.h>

struct progress {
    const char *what;
    int64_t total; /* 0: unknown */
    int64_t started_ns, drawn_ns;
    int is_terminal;
};

void progress_start(struct progress *p, const char *what, int64_t total);
/* Cheap enough to call often: draws at most five times a second: what, share, rate a second, ETA. */
void progress_update(struct progress *p, int64_t done);
void progress_end(struct progress *p);
