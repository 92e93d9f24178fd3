/* The lane's deltas on their way to the sketches topic. */
#pragma once
#include "consumer/aggregator/sketches_topic.h"
#include "consumer/avro/encode.h"
#include "consumer/batch.h"
#include "consumer/kafka/outbox.h"
#include "monitor/sketch.h"

struct arrival { /* records of one timestamp and batch that came one after the other */
    int32_t partition;
    uint32_t times;
    int64_t timestamp_ms, taken_ns; /* of the record, and when its batch was begun */
};
struct arrivals {
    size_t count, capacity;
    struct arrival *of;
};

struct sketching {
    const struct sketches_topic *topic; /* name empty: nothing is sent */
    struct outbox_joint joint;          /* the pieces of a transaction are one record */
    struct buffer head, tail, scratch;
    struct arrivals arrived[2];         /* of the open transaction, and of the one that ends */
};
void sketching_init(struct sketching *sketching, const struct sketch_shape *shape, const struct sketches_topic *topic);
void sketching_finish(struct sketching *sketching);
