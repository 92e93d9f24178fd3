/* Avro object container files: codecs null, deflate, snappy, zstandard.
 *
 * Both sides hand over encoded values; whoever uses them has the plan or the encoder.  Reading is bounded (header,
 * block and decompressed block sizes); a damaged file is an error that names file, byte offset and what is wrong. */
#pragma once
#include "consumer/avro/encode.h"
#include "consumer/avro/schema.h"

enum { CONTAINER_BLOCK_MAX = 64 << 20 };

struct container_reader;
int container_reader_open(const char *path, struct container_reader **out, struct err *err);
void container_reader_close(struct container_reader *reader);
const char *container_reader_schema(const struct container_reader *reader); /* JSON text */
const char *container_reader_meta(const struct container_reader *reader, const char *key); /* text, or NULL */
/* The next block, decompressed: 1 with *data, *size and *count values in it, 0 at the end of the file, -1 damaged. */
int container_reader_block(struct container_reader *reader, const uint8_t **data, size_t *size, uint64_t *count, struct err *err);
uint64_t container_reader_position(const struct container_reader *reader, uint64_t *file_size); /* bytes read, for progress */

struct container_writer;
/* codec: "null", "deflate", "zstandard".  `meta`: pairs of key and text, ended by NULL, or NULL.  The sync marker
 * comes from the schema and the metadata, so the same values give the same file.  Written to <path>.partial and
 * moved into place at close. */
int container_writer_open(const char *path, const char *schema_text, const char *codec, const char *const *meta,
                          struct container_writer **out, struct err *err);
int container_writer_append(struct container_writer *writer, const void *value, size_t size, struct err *err);
int container_writer_close(struct container_writer *writer, struct err *err); /* frees it; the file is complete on 0 */
void container_writer_abandon(struct container_writer *writer);              /* frees it and removes the partial file */
