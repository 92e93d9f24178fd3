/* The deployment watcher: a thread that brings what the configuration file says of models into force while lanes work.
 *
 * It looks at the configuration file and the model files that it names every WATCH_MS, and reloads when asked (SIGHUP).  Files that
 * have changed and then stood still for one look are read: the models are loaded and proved once a lane, and the new
 * deployment is handed to each lane, which goes over to it between two batches.  Whatever fails leaves the old deployment
 * in force and is said in the log, by /status and as a metric; it is tried again when a file changes again.
 *
 * What a reload may change is what stands under `models`, but for source, cache_dir, dsn_file and latency_budget_ms.  Any other difference is
 * named in the log and waits for a restart; another feature file is refused. */
#pragma once
#include "consumer/lane/lane.h"

enum { WATCH_MS = 500, WATCH_ASKED_MS = 50 };

struct watch;
/* `asked`: set by whoever wants a reload; the watcher takes it back.  Borrows all of them. */
int watch_start(const struct config *config, struct lane **lanes, size_t lane_count, atomic_bool *asked, struct watch **out, struct err *err);
void watch_stop(struct watch *watch); /* NULL is taken */

void watch_status(struct watch *watch, struct text_buffer *text); /* "reload": {...}; NULL: none watches */
void watch_expose(struct watch *watch, struct text_buffer *text); /* Prometheus */
