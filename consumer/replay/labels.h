/* Labels by transaction id, for training sets.  The latest reported one of an id holds. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "consumer/config/config.h"
#include "scoring/value.h"

struct labels;
/* From a container file of schemas/label.avsc (any record with transaction_id, label and reported_time), or, if no
 * such file exists, from the topic of that name, whose schemas the configuration's registry knows. */
int labels_load(const struct config *config, const char *path_or_topic, struct labels **out, struct err *err);
void labels_destroy(struct labels *labels);
size_t labels_count(const struct labels *labels);
int labels_find(const struct labels *labels, struct bytes transaction_id); /* 0 or 1; -1: none */
