/* An entity's version as a record of the changelog (EntityState of schemas/changelog.avsc), column by column.
 *
 * Times are differences, lanes are what changed since the event before, numbers stay as they are; categories and places
 * name the event before that had the same (1: the one just before), or 0 and their bits among the literals, or -1 for
 * those of nothing.  About 20 bytes an event of a card's traffic.
 * Long entities take several records, each with the events of a part. */
#pragma once
#include "consumer/avro/encode.h"
#include "scoring/features/entity_image.h"

struct entity_record {
    int64_t epoch;
    uint32_t parts; /* records that the version takes */
    struct entity_image image; /* without its key, which is in the record's; its rows are in `words` */
    uint64_t *words;
    size_t word_room;
};

/* Appends the value: its branch of the topic's union, and the body. */
void entity_record_put(int64_t epoch, uint32_t parts, const struct entity_image *image, const struct image_shape *shape, struct buffer *out);
/* -1: damaged, or of another shape. */
int entity_record_read(const void *data, size_t size, const struct image_shape *shape, struct entity_record *record);
void entity_record_finish(struct entity_record *record);
/* How many events surely fit into so many bytes; at least 1. */
uint32_t entity_record_events(const struct image_shape *shape, size_t bytes);
