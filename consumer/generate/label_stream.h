/* The labels of synthetic traffic in the order in which they are reported, as a topic of labels would bring them: what is
 * reported later than it is written, nobody believes.
 *
 * Honest events are known as such a fixed time after them, so a second run of the same traffic, that far behind, gives them
 * in order; fraud is reported at any time before, and waits in a heap.  Cost: the traffic twice; 88 bytes for each fraud of
 * the longest delay. */
#pragma once
#include "consumer/generate/traffic.h"

struct label_stream;
int label_stream_create(const struct traffic_options *options, struct label_stream **out, struct err *err);
void label_stream_destroy(struct label_stream *stream);
/* An event has come; events in order. */
void label_stream_note(struct label_stream *stream, const struct transaction *event);
/* The earliest label reported at or before `until_ms`, at most the time of the latest event until the last has come: of *out
 * the ids, the label, its type and its time alone.  false: there is none. */
bool label_stream_next(struct label_stream *stream, int64_t until_ms, struct transaction *out);
