/* A broker inside this process: librdkafka's mock cluster, one broker with the topics that weir uses.
 *
 * It is no proof of anything that a real broker does: it knows no read_committed and forgets transactional offsets.  It
 * keeps about 5 MiB a partition and drops what is older, so whoever writes must not run ahead of whoever reads. */
#pragma once
#include "consumer/config/config.h"

struct broker;
int broker_start(struct broker **out, struct err *err);
void broker_stop(struct broker *broker);
const char *broker_address(const struct broker *broker); /* host:port */
/* The input and output topics of the configuration, `partitions` each; monitoring has one. */
int broker_create_topics(struct broker *broker, const struct config *config, int partitions, struct err *err);
