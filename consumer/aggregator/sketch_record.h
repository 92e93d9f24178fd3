/* Sketches as records of the sketches topic: the Avro bodies of schemas/sketch.avsc, without framing.
 *
 * A lane's delta is written piece by piece, one piece a partition, so that a partition that is lost can be taken out:
 *
 *     sketch_record_begin, piece, piece ..., sketch_record_end
 *
 * Each piece is a block of the array `parts`.  Arrays of counts are sparse: each count that is not zero follows the number
 * of zeros before it.  A piece is at most `size_max` bytes: what does not fit goes on in further pieces of the partition,
 * whose offset range is empty; counts are added, so a cell may be split anywhere.
 *
 * What is read is as hostile as any record: bounded, and refused as a whole where it makes no sense. */
#pragma once
#include "consumer/avro/encode.h"
#include "monitor/aggregate.h"
#include "scoring/err.h"

void sketch_record_begin(const struct sketch_shape *shape, struct buffer *out);
void sketch_record_end(struct buffer *out); /* no more parts, and no state */

/* The pieces of position i, handed to `each` in order. */
typedef void sketch_piece_each(void *context, int32_t partition, const struct buffer *piece);
void sketch_pieces(struct sketch *sketch, size_t i, size_t size_max, struct buffer *scratch, sketch_piece_each *each, void *context);
/* The pieces of one merged cell (partition -1, no offsets). */
void sketch_cell_pieces(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t size_max, struct buffer *scratch, sketch_piece_each *each, void *context);

/* A reader over one record. */
struct sketch_reader {
    const uint8_t *at, *end;
    uint64_t shape;
    int64_t block; /* parts left in the block */
    bool checked;  /* all of it was looked at before */
};
struct sketch_part {
    struct sketch_position position;
    int64_t cells; /* that follow; read or passed over by the two functions below */
};
/* 0, or -1: no such record. */
int sketch_reader_begin(struct sketch_reader *reader, const void *data, size_t size, struct err *err);
/* The same, after a look at every part of it (at its cells too, where the shape is the record's): so that it is taken as a
 * whole or not at all. */
int sketch_reader_check(struct sketch_reader *reader, const void *data, size_t size, const struct sketch_shape *shape, struct err *err);
/* 1: a part; 0: no more; -1: damaged. */
int sketch_reader_part(struct sketch_reader *reader, struct sketch_part *part, struct err *err);
/* Adds the cells of the part to the sketch (its shape is the record's), at the part's partition; or all to one
 * cell.  0 or -1 (then the sketch holds part of it). */
int sketch_reader_cells(struct sketch_reader *reader, const struct sketch_part *part, struct sketch *sketch, struct err *err);
int sketch_reader_cell_into(struct sketch_reader *reader, const struct sketch_part *part, const struct sketch_shape *shape, struct sketch_cell *into, struct err *err);
/* Over them without looking: another shape's. */
int sketch_reader_pass(struct sketch_reader *reader, const struct sketch_part *part, struct err *err);

/* ---- the aggregator's state ---- */
struct bytes;
void aggregate_state_put(const struct aggregate *aggregate, const struct sketch_shape *shape, const void *extra, size_t extra_size, struct buffer *out);
/* After the last part: 1 where a state follows, 0 where none does. */
int sketch_reader_state(struct sketch_reader *reader, struct err *err);
/* Scalars and partitions into the aggregate; windows as a list, to be freed (the shape's differing from the aggregate's:
 * no windows, no field times, and *lost says how many).  `extra` points into the record. */
struct state_windows {
    size_t count;
    struct aggregate_window *of;
};
int aggregate_state_take(struct sketch_reader *reader, struct aggregate *aggregate, const struct sketch_shape *shape, struct state_windows *windows,
    const void **extra, size_t *extra_size, struct err *err);
