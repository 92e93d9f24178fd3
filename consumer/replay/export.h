/* A training set: one row an accepted event, as CSV or as an Avro container file, by the ending of its name.
 *
 *   transaction_id, entity, event_time, <features by name>, window_complete[, label]
 *
 * CSV by RFC 4180; floats with 9 significant digits, so that they read back to the same bits; missing is empty, an
 * unknown label too.  In Avro missing is NaN and an unknown label null. */
#pragma once
#include "consumer/batch.h"
#include "consumer/replay/labels.h"

struct export;
bool export_takes(const char *path); /* by the ending of its name */
/* The path is one that it takes. */
int export_open(const char *path, const struct feature_spec *spec, const struct labels *labels, struct export **out, struct err *err);
/* Row of event `e`; *labelled tells whether it has a label. */
int export_add(struct export *export, const struct event *event, const float *row, bool window_complete, bool *labelled, struct err *err);
int export_close(struct export *export, struct err *err); /* frees it; complete on 0 */
void export_abandon(struct export *export);
