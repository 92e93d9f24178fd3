/* How far labels have been judged: the metadata of the offsets that group <app_id>-labels commits for the label topic, in
 * the transaction of the reports:
 *   weir-labels1 C=<all windows up to here are published, ms> R=<offset up to which the partition was read>
 * The offset itself is the first one that an open window needs. */
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "scoring/err.h"

struct label_mark {
    int64_t offset;          /* -1: none was ever committed */
    int64_t closed_until_ms; /* INT64_MIN: unknown */
    int64_t read_until;
};

enum { LABEL_MARK_TEXT_MAX = 80 };
void label_mark_format(const struct label_mark *mark, char text[LABEL_MARK_TEXT_MAX]);
/* false: written by somebody else; closed_until_ms and read_until stay. */
bool label_mark_parse(const char *text, size_t size, struct label_mark *mark);
/* Of partitions 0..count of the topic, as the group has them (stable). */
int label_marks_read(rd_kafka_t *member, const atomic_bool *stop, const char *topic, size_t count, struct label_mark *marks, struct err *err);
rd_kafka_topic_partition_list_t *label_marks_list(const char *topic, const struct label_mark *marks, size_t count);
