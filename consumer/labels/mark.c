#include "consumer/labels/mark.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka/client.h"

void label_mark_format(const struct label_mark *mark, char text[LABEL_MARK_TEXT_MAX])
{
    snprintf(text, LABEL_MARK_TEXT_MAX, "weir-labels1 C=%" PRId64 " R=%" PRId64, mark->closed_until_ms, mark->read_until);
}

bool label_mark_parse(const char *data, size_t size, struct label_mark *mark)
{
    char text[LABEL_MARK_TEXT_MAX];
    int64_t closed, read;
    int end = -1;
    if (!data || !size || size >= sizeof text)
        return false;
    memcpy(text, data, size);
    text[size] = 0;
    if (sscanf(text, "weir-labels1 C=%20" SCNd64 " R=%20" SCNd64 "%n", &closed, &read, &end) != 2 || end < 0 || text[end] || read < 0)
        return false;
    mark->closed_until_ms = closed;
    mark->read_until = read;
    return true;
}

static rd_kafka_topic_partition_list_t *list_of(const char *topic, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)i);
    return list;
}

int label_marks_read(rd_kafka_t *member, const atomic_bool *stop, const char *topic, size_t count, struct label_mark *marks, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(topic, count);
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_begin(stop);
    do {
        code = rd_kafka_committed(member, list, LOOKUP_TIMEOUT_MS);
        for (int i = 0; !code && i < list->cnt; i++)
            code = list->elems[i].err;
    } while (attempts_again(&a, code, "committed offsets of the labels' group"));
    for (size_t i = 0; !code && i < count; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        marks[i] = (struct label_mark){.offset = p->offset >= 0 ? p->offset : -1, .closed_until_ms = INT64_MIN};
        label_mark_parse(p->metadata, p->metadata_size, &marks[i]);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(err, code, "cannot read how far labels were judged") : 0;
}

rd_kafka_topic_partition_list_t *label_marks_list(const char *topic, const struct label_mark *marks, size_t count)
{
    rd_kafka_topic_partition_list_t *list = list_of(topic, count);
    for (size_t i = 0; i < count; i++) {
        char text[LABEL_MARK_TEXT_MAX];
        rd_kafka_topic_partition_t *p = &list->elems[i];
        label_mark_format(&marks[i], text);
        p->offset = marks[i].offset;
        p->metadata = strdup(text);
        assert(p->metadata);
        p->metadata_size = strlen(text);
    }
    return list;
}
