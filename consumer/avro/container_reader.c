/* Reads object container files block by block.
 *
 * Nothing in the file is believed: sizes are checked against limits before memory is taken, data is read in pieces
 * so that a size that lies costs no more than the file has, and decompression stops at CONTAINER_BLOCK_MAX. */
#include "consumer/avro/container.h"

#include <errno.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { META_MAX = 1000, META_BYTES_MAX = 16 << 20, READ_PIECE = 1 << 20, SYNC_SIZE = 16, COUNT_FREE = 1000000 };

enum codec { CODEC_NULL, CODEC_DEFLATE, CODEC_SNAPPY, CODEC_ZSTANDARD };

struct meta {
    char *key, *text;
};

struct container_reader {
    char *path;
    FILE *file;
    uint64_t position, file_size;
    size_t meta_count, meta_bytes;
    struct meta meta[META_MAX];
    enum codec codec;
    uint8_t sync[SYNC_SIZE];
    struct buffer raw, plain;
};

static int damaged(const struct container_reader *r, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int damaged(const struct container_reader *r, struct err *err, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(err, "%s: byte %llu: %s", r->path, (unsigned long long)r->position, what);
}

/* `size` bytes appended to b, which ends with a zero byte beyond its size. */
static int read_into(struct container_reader *r, struct buffer *b, size_t size, const char *what, struct err *err)
{
    while (size > 0) {
        size_t piece = size < READ_PIECE ? size : READ_PIECE;
        buffer_reserve(b, piece + 1);
        size_t got = fread(b->data + b->size, 1, piece, r->file);
        r->position += got;
        b->size += got;
        size -= got;
        if (got < piece && ferror(r->file))
            return damaged(r, err, "cannot read: %s", strerror(errno));
        if (got < piece)
            return damaged(r, err, "the file ends inside %s", what);
    }
    buffer_reserve(b, 1);
    b->data[b->size] = 0;
    return 0;
}

/* A varint.  1; 0 if the file ends before it; -1 damaged. */
static int read_long(struct container_reader *r, int64_t *out, const char *what, struct err *err)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        int byte = getc(r->file);
        if (byte == EOF && ferror(r->file))
            return damaged(r, err, "cannot read: %s", strerror(errno));
        if (byte == EOF)
            return shift == 0 ? 0 : damaged(r, err, "the file ends inside %s", what);
        r->position++;
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 1;
        }
    }
    return damaged(r, err, "%s is a number of more than 64 bits", what);
}

static int expect_long(struct container_reader *r, int64_t *out, const char *what, struct err *err)
{
    int result = read_long(r, out, what, err);
    return result == 0 ? damaged(r, err, "the file ends before %s", what) : result < 0 ? -1 : 0;
}

static int read_meta_text(struct container_reader *r, char **text, const char *what, struct err *err)
{
    int64_t size;
    struct buffer b = {0};
    if (expect_long(r, &size, what, err) < 0)
        return -1;
    if (size < 0 || (uint64_t)size > META_BYTES_MAX - r->meta_bytes)
        return damaged(r, err, "%s has an impossible size (%lld)", what, (long long)size);
    if (read_into(r, &b, (size_t)size, what, err) < 0) {
        buffer_finish(&b);
        return -1;
    }
    r->meta_bytes += (size_t)size;
    *text = (char *)b.data;
    return 0;
}

static int read_meta(struct container_reader *r, struct err *err)
{
    for (;;) {
        int64_t count, bytes;
        if (expect_long(r, &count, "the metadata", err) < 0)
            return -1;
        if (count == 0)
            return 0;
        if (count < 0 && expect_long(r, &bytes, "the metadata", err) < 0)
            return -1;
        uint64_t items = count < 0 ? -(uint64_t)count : (uint64_t)count;
        if (items > META_MAX - r->meta_count)
            return damaged(r, err, "more than %d entries of metadata", META_MAX);
        for (uint64_t i = 0; i < items; i++) {
            struct meta *meta = &r->meta[r->meta_count++];
            if (read_meta_text(r, &meta->key, "a key of the metadata", err) < 0 ||
                read_meta_text(r, &meta->text, "a value of the metadata", err) < 0)
                return -1;
        }
    }
}

static int find_codec(struct container_reader *r, struct err *err)
{
    static const char *const names[] = {"null", "deflate", "snappy", "zstandard"};
    const char *name = container_reader_meta(r, "avro.codec");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!name || !*name || !strcmp(name, names[i])) {
            r->codec = (enum codec)i;
            return 0;
        }
    }
    return err_set(err, "%s: codec \"%.40s\" cannot be read: write the file with null, deflate, snappy or zstandard", r->path, name);
}

static int read_header(struct container_reader *r, struct err *err)
{
    struct buffer magic = {0}, sync = {0};
    int result = read_into(r, &magic, 4, "the first four bytes", err);
    if (result == 0 && memcmp(magic.data, "Obj\1", 4))
        result = err_set(err, "%s: not an Avro container file", r->path);
    if (result == 0)
        result = read_meta(r, err);
    if (result == 0)
        result = read_into(r, &sync, SYNC_SIZE, "the sync marker", err);
    if (result == 0)
        memcpy(r->sync, sync.data, SYNC_SIZE);
    if (result == 0)
        result = find_codec(r, err);
    if (result == 0 && !container_reader_meta(r, "avro.schema"))
        result = err_set(err, "%s: the file has no schema (avro.schema)", r->path);
    buffer_finish(&magic);
    buffer_finish(&sync);
    return result;
}

int container_reader_open(const char *path, struct container_reader **out, struct err *err)
{
    struct container_reader *r = calloc(1, sizeof *r);
    struct stat st;
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return err_set(err, "%s: out of memory", path);
    }
    r->file = fopen(path, "rbe");
    int result = 0;
    if (!r->file || fstat(fileno(r->file), &st) < 0) {
        int code = errno;
        result = err_set(err, "%s: cannot open: %s", path, strerror(code));
        if (err)
            err->code = code;
    } else if (S_ISDIR(st.st_mode)) {
        result = err_set(err, "%s: a directory, not a file", path);
    } else {
        r->file_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        result = read_header(r, err);
    }
    if (result == 0)
        *out = r;
    else
        container_reader_close(r);
    return result;
}

void container_reader_close(struct container_reader *r)
{
    if (!r)
        return;
    if (r->file)
        fclose(r->file);
    for (size_t i = 0; i < r->meta_count; i++) {
        free(r->meta[i].key);
        free(r->meta[i].text);
    }
    buffer_finish(&r->raw);
    buffer_finish(&r->plain);
    free(r->path);
    free(r);
}

const char *container_reader_schema(const struct container_reader *reader)
{
    return container_reader_meta(reader, "avro.schema");
}

const char *container_reader_meta(const struct container_reader *reader, const char *key)
{
    for (size_t i = 0; i < reader->meta_count; i++)
        if (!strcmp(reader->meta[i].key, key))
            return reader->meta[i].text;
    return NULL;
}

uint64_t container_reader_position(const struct container_reader *reader, uint64_t *file_size)
{
    if (file_size)
        *file_size = reader->file_size;
    return reader->position;
}

/* Room for more decompressed bytes, up to one beyond the limit (which is then seen as too much). */
static bool grow_plain(struct buffer *plain)
{
    size_t left = plain->size <= CONTAINER_BLOCK_MAX ? (size_t)CONTAINER_BLOCK_MAX + 1 - plain->size : 0;
    if (left)
        buffer_reserve(plain, plain->size < 65536 ? 65536 : plain->size < left ? plain->size : left);
    return left > 0;
}

/* Raw deflate.  Bytes after its end are let be: fastavro leaves three of zlib's checksum there. */
static int inflate_block(struct container_reader *r, struct err *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return damaged(r, err, "out of memory for deflate");
    z.next_in = r->raw.data;
    z.avail_in = (uInt)r->raw.size;
    int code = Z_OK;
    while (code == Z_OK && grow_plain(&r->plain)) {
        size_t room = r->plain.capacity - r->plain.size;
        z.next_out = r->plain.data + r->plain.size;
        z.avail_out = (uInt)room;
        code = inflate(&z, Z_NO_FLUSH);
        r->plain.size += room - z.avail_out;
    }
    inflateEnd(&z);
    if (r->plain.size > CONTAINER_BLOCK_MAX)
        return damaged(r, err, "a block of more than %d bytes when decompressed", CONTAINER_BLOCK_MAX);
    return code == Z_STREAM_END ? 0 : damaged(r, err, "the deflate data of a block is damaged");
}

static int snappy_block(struct container_reader *r, struct err *err)
{
    size_t size;
    if (r->raw.size < 4)
        return damaged(r, err, "a snappy block without its checksum");
    const char *data = (const char *)r->raw.data;
    const uint8_t *tail = r->raw.data + r->raw.size - 4;
    uint32_t crc = (uint32_t)tail[0] << 24 | (uint32_t)tail[1] << 16 | (uint32_t)tail[2] << 8 | tail[3];
    if (snappy_uncompressed_length(data, r->raw.size - 4, &size) != SNAPPY_OK)
        return damaged(r, err, "the snappy data of a block is damaged");
    if (size > CONTAINER_BLOCK_MAX)
        return damaged(r, err, "a block of more than %d bytes when decompressed", CONTAINER_BLOCK_MAX);
    buffer_reserve(&r->plain, size + 1);
    if (snappy_uncompress(data, r->raw.size - 4, (char *)r->plain.data, &size) != SNAPPY_OK)
        return damaged(r, err, "the snappy data of a block is damaged");
    r->plain.size = size;
    if ((uint32_t)crc32(0, r->plain.data, (uInt)size) != crc)
        return damaged(r, err, "a snappy block whose checksum is not its content's");
    return 0;
}

static int zstandard_block(struct container_reader *r, struct err *err)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return damaged(r, err, "out of memory for zstandard");
    ZSTD_inBuffer in = {.src = r->raw.data, .size = r->raw.size};
    size_t code = 1;
    bool stuck = false;
    while (!ZSTD_isError(code) && !stuck && (in.pos < in.size || code != 0) && grow_plain(&r->plain)) {
        ZSTD_outBuffer to = {.dst = r->plain.data + r->plain.size, .size = r->plain.capacity - r->plain.size};
        size_t before = in.pos;
        code = ZSTD_decompressStream(context, &to, &in);
        r->plain.size += to.pos;
        stuck = in.pos == before && to.pos == 0;
    }
    ZSTD_freeDCtx(context);
    if (r->plain.size > CONTAINER_BLOCK_MAX)
        return damaged(r, err, "a block of more than %d bytes when decompressed", CONTAINER_BLOCK_MAX);
    return code == 0 && in.pos == in.size ? 0 : damaged(r, err, "the zstandard data of a block is damaged");
}

static int decompress(struct container_reader *r, struct err *err)
{
    switch (r->codec) {
    case CODEC_DEFLATE: return inflate_block(r, err);
    case CODEC_SNAPPY: return snappy_block(r, err);
    case CODEC_ZSTANDARD: return zstandard_block(r, err);
    case CODEC_NULL: break;
    }
    return 0;
}

/* Values of no bytes are legal; a count that only they could explain is held to a limit. */
static bool count_possible(int64_t count, size_t bytes)
{
    return count >= 0 && ((uint64_t)count <= bytes || count <= COUNT_FREE);
}

int container_reader_block(struct container_reader *r, const uint8_t **data, size_t *size, uint64_t *count, struct err *err)
{
    int64_t items, bytes;
    int got = read_long(r, &items, "the count of a block", err);
    if (got <= 0)
        return got;
    if (expect_long(r, &bytes, "the size of a block", err) < 0)
        return -1;
    if (bytes < 0 || bytes > CONTAINER_BLOCK_MAX)
        return damaged(r, err, "a block has an impossible size (%lld bytes)", (long long)bytes);
    r->raw.size = r->plain.size = 0;
    if (read_into(r, &r->raw, (size_t)bytes, "a block", err) < 0 || read_into(r, &r->raw, SYNC_SIZE, "a sync marker", err) < 0)
        return -1;
    r->raw.size -= SYNC_SIZE;
    if (memcmp(r->raw.data + r->raw.size, r->sync, SYNC_SIZE))
        return damaged(r, err, "a block does not end with the file's sync marker");
    if (decompress(r, err) < 0)
        return -1;
    const struct buffer *content = r->codec == CODEC_NULL ? &r->raw : &r->plain;
    if (!count_possible(items, content->size))
        return damaged(r, err, "a block of %zu bytes says that it holds %lld values", content->size, (long long)items);
    *data = content->data;
    *size = content->size;
    *count = (uint64_t)items;
    return 1;
}
