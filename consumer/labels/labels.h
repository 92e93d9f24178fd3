/* The models judged by labels: a thread that reads predictions, shadows and the label topic, joins them, and publishes
 * QUALITY and CALIBRATION reports of each window of label time.
 *
 * Every process may start it; one does the work: the member of group <app_id>-labels that has partition 0 of the label
 * topic.  When it goes, another one takes over: at once if it left orderly, else when its session ends (20 s).
 *
 * What has been published is known from the group's offsets, which are committed in the reports' transaction
 * (mark.h, publication.h); all else is built anew from the topics: labels and predictions from the horizon before the
 * closed-until mark on, by Kafka timestamp (a prediction's is its input's), and everything there is at the very first
 * start.  So no window is published twice, and none is left out.  Any failure is met by starting over from there, with a
 * growing pause; nothing here ends the process or holds up a lane.
 *
 * Rows: those of monitor/label_quality.h, and of each window with the label topic as subject what became of its labels
 * (labels_matched, _changed, _repeated, _unmatched, _beyond_horizon, _unsampled), of labels that came since the report
 * before and belong to no open window (labels_late, labels_bad), predictions_waiting, predictions_unlabelled (waited the
 * whole horizon in vain since the report before), sampled_share, and groups_beyond (label_quality.h).
 *
 * At most 15 models that served have a name, the others count as `other`; shadows get a place each, up to 16. */
#pragma once
#include "consumer/kafka/topics.h"
#include "monitor/text_buffer.h"

struct label_monitor;
enum { LABEL_MEMORY_BYTES = 512 << 20 };
/* Borrows all of it.  Only if the configuration has monitor.label_topic.  The work ends when *stop is set. */
int labels_start(const struct config *config, const char *instance, const struct topics *topics, struct registry *registry, const atomic_bool *stop,
    struct label_monitor **out, struct err *err);
/* Within four seconds; NULL is fine.  false: a call to the broker does not return; what it borrows must stay until the
 * process ends. */
bool labels_stop(struct label_monitor *labels);
void labels_expose(struct label_monitor *labels, struct text_buffer *text);
