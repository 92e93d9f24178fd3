/* The one process of a group that sees all: it reads the sketches topic, merges, closes windows, publishes reports.
 *
 * The sketches topic has one partition and its own consumer group, `<group>-monitor`: the group makes one member active,
 * and gives the partition to the next when it goes.  Who takes it initialises the transactional id `<app_id>-monitor`,
 * which fences whoever had it, restores the state and goes on where that stood.
 *
 * One transaction carries the reports, the windows that have changed as records of the sketches topic, the state that
 * names those records, and the group's offset, whose metadata names the state (`weir1 S=<offset>`): so a restart loses no
 * window and publishes none twice.  Open windows are saved too; the offset is therefore always where reading stopped.
 *
 * delivery at_least_once: an idempotent producer, the offset committed after everything is acknowledged.  What was
 * published and not committed is published again, the same rows under the same keys; deltas that lanes repeat are known
 * by their offsets (aggregate.h).
 *
 * Evaluated rows go to a listener too, beside being published, and its state travels with the aggregator's; so do rows of
 * models judged by labels, which come by the same topic (label_rows.h). */
#pragma once
#include "consumer/kafka/topics.h"
#include "consumer/observer.h"

struct aggregator_listener { /* any may be NULL; called from the aggregator's thread */
    void *context;
    /* Rows of closed windows and of health, before they are published; it may add rows of its own, and
     * then its state is saved with them.  Rows of a window and width come together. */
    void (*evaluated)(void *context, struct report_list *rows, size_t from);
    /* Rows of models judged by labels, which are published already; it may add rows likewise. */
    void (*labelled)(void *context, const struct report *rows, size_t count, struct report_list *added);
    /* Windows have just closed: their rows, and those of revisions. */
    void (*closed)(void *context, const struct sketch_shape *shape, const struct aggregate *aggregate, const struct report *rows, size_t count);
    void (*committed)(void *context); /* all that was evaluated is visible */
    void (*save)(void *context, struct buffer *out);
    void (*restore)(void *context, const void *saved, size_t size); /* size 0: nothing was saved; also: starts over */
};

struct aggregator;
/* Starts a thread; all are borrowed.  asked: once set it publishes what is ready and ends (NULL: at aggregator_stop alone).
 * listener NULL: nobody. */
int aggregator_start(const struct config *config, const struct topics *topics, struct observer *observer, const char *instance, const atomic_bool *asked, const struct aggregator_listener *listener,
    struct aggregator **out, struct err *err);
/* Publishes what is ready, gives the partition back; NULL does nothing.  false: not within wait_ms, for a call to the broker
 * does not return: what it borrows must be left alone until the process ends. */
bool aggregator_stop(struct aggregator *aggregator, int wait_ms);
bool aggregator_is_active(const struct aggregator *aggregator);
