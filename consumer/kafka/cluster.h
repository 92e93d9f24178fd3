/* Questions about topics to a cluster that may be away for a while: where no broker answers, they are asked again after a
 * growing pause, the log says so and for how much longer, and a stop ends it.  What a broker answers is final, unless it is
 * that it cannot tell just now. */
#pragma once
#include "consumer/kafka/client.h"

struct cluster {
    rd_kafka_t *client;      /* any handle */
    const atomic_bool *stop; /* set: nothing is waited for any longer; NULL: nobody stops it */
    int patience_ms;         /* how long a question is repeated */
};
enum { WORKER_PATIENCE_MS = 60000 /* a broker's restart */, COMMAND_PATIENCE_MS = 15000 /* somebody waits before a screen */ };
struct cluster cluster_of_command(rd_kafka_t *client);

/* An administrative request: `ask` makes it, `take` reads the answer and returns the error that is in it. */
struct cluster_request {
    rd_kafka_admin_op_t kind;
    void (*ask)(rd_kafka_t *client, void *about, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
    rd_kafka_resp_err_t (*take)(rd_kafka_event_t *answer, void *about);
};
int cluster_ask(struct cluster cluster, const struct cluster_request *request, void *about, const char *what, struct err *err);

int topic_partitions(struct cluster cluster, const char *topic, int32_t *partitions, struct err *err);

struct topic_setting {
    const char *name;
    char text[64];
};
/* What a broker says of a topic's settings; *err says why they are not known. */
enum topic_answer {
    TOPIC_FOUND,
    TOPIC_NOT_FOUND,
    TOPIC_NOT_TOLD, /* it cannot be asked for settings: an in-process one */
    TOPIC_FAILED    /* no answer, no permission, or one of the settings is not known to it */
};
/* The texts of all of them, in one request. */
enum topic_answer topic_read(struct cluster cluster, const char *topic, struct topic_setting *settings, size_t count, struct err *err);

/* 0, also if it is there already; -1: *err names `hint`.  It is visible when this returns. */
int topic_create(struct cluster cluster, const char *topic, int32_t partitions, const struct topic_setting *settings, size_t count, const char *hint, struct err *err);
int topic_configure(struct cluster cluster, const char *topic, const struct topic_setting *settings, size_t count, struct err *err);
