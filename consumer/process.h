/* What the operating system says of this process, and its signals. */
#pragma once
#include <stdatomic.h>
#include "consumer/config/config.h"
#include "consumer/registry/registry.h"
#include "monitor/metrics.h"

struct process_metrics process_metrics_read(void);

/* SIGTERM and SIGINT set *stop; the second one ends the process at once (exit 1).  SIGPIPE is ignored. */
void process_stop_on_signals(atomic_bool *stop);
/* A signal while it starts is no failure: whatever was waited for was broken off.  Logs what that was. */
bool process_was_stopped(const atomic_bool *stop, const struct err *cause);

/* SIGHUP sets *asked. */
void process_ask_on_hangup(atomic_bool *asked);

/* The registry that the configuration names. */
struct registry_options registry_options_of(const struct config *config);
