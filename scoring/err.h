/* How every room says that something outside its control did not work: a file that is refused, a broker
 * that does not answer.  A bad record is no error but data (reject.h); a broken invariant is an assertion.
 *
 * Functions that can fail return 0, or -1 with `*err` filled (err may be NULL where the reason is not wanted).
 * Output parameters are written on success only. */
#pragma once
#include <stdbool.h>

struct err {
    int code;       /* errno, an rd_kafka_resp_err_t, an HTTP status: whatever the source calls it; 0 if none */
    bool retriable; /* the same call may work later */
    bool fatal;     /* the process cannot go on */
    char msg[1024]; /* one line: what, where (file, line, setting), and the mend */
};

/* Fills *err (cut at the end if too long) and returns -1, so that callers can `return err_set(...)`. */
int err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "<format>: " before the message that is already there; returns -1. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
