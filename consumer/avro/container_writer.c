/* Writes object container files: values gather in a block of about 64 KiB, which is compressed and written whole. */
#include "consumer/avro/container.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "consumer/hash.h"

enum { BLOCK_SIZE = 64 << 10, SYNC_SIZE = 16, ZSTD_LEVEL = 3 };

struct container_writer {
    char *path, *partial;
    FILE *file;
    enum { WRITE_NULL, WRITE_DEFLATE, WRITE_ZSTANDARD } codec;
    uint8_t sync[SYNC_SIZE];
    struct buffer block, packed;
    uint64_t count; /* values in block */
};

static int io_error(const struct container_writer *w, const char *verb, struct err *err)
{
    int code = errno;
    err_set(err, "%s: cannot %s: %s", w->partial, verb, strerror(code));
    if (err)
        err->code = code;
    return -1;
}

static void put_header(struct container_writer *w, const char *schema_text, const char *codec, const char *const *meta)
{
    struct buffer *b = &w->packed;
    size_t pairs = 0;
    while (meta && meta[2 * pairs])
        pairs++;
    put_bytes_raw(b, "Obj\1", 4);
    put_long(b, (int64_t)pairs + 2);
    put_string(b, "avro.schema");
    put_string(b, schema_text);
    put_string(b, "avro.codec");
    put_string(b, codec);
    for (size_t i = 0; i < pairs; i++) {
        assert(strncmp(meta[2 * i], "avro.", 5) && meta[2 * i + 1]);
        put_string(b, meta[2 * i]);
        put_string(b, meta[2 * i + 1]);
    }
    put_long(b, 0);
    uint8_t digest[32];
    sha256(b->data, b->size, digest);
    memcpy(w->sync, digest, SYNC_SIZE);
    put_bytes_raw(b, w->sync, SYNC_SIZE);
}

static void writer_free(struct container_writer *w)
{
    if (w->file)
        fclose(w->file);
    buffer_finish(&w->block);
    buffer_finish(&w->packed);
    free(w->path);
    free(w->partial);
    free(w);
}

int container_writer_open(const char *path, const char *schema_text, const char *codec, const char *const *meta,
                          struct container_writer **out, struct err *err)
{
    static const char *const codecs[] = {"null", "deflate", "zstandard"};
    size_t chosen = 0;
    while (chosen < 3 && strcmp(codec, codecs[chosen]))
        chosen++;
    if (chosen == 3)
        return err_set(err, "%s: no codec \"%.40s\": use null, deflate or zstandard", path, codec);
    struct container_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path)) || asprintf(&w->partial, "%s.partial", path) < 0) {
        if (w)
            free(w->path);
        free(w);
        return err_set(err, "%s: out of memory", path);
    }
    w->codec = (int)chosen;
    put_header(w, schema_text, codec, meta);
    w->file = fopen(w->partial, "wbe");
    if (!w->file || fwrite(w->packed.data, 1, w->packed.size, w->file) != w->packed.size) {
        io_error(w, "write", err);
        container_writer_abandon(w);
        return -1;
    }
    *out = w;
    return 0;
}

static int deflate_block(struct container_writer *w, struct err *err)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, "%s: out of memory for deflate", w->path);
    size_t bound = deflateBound(&z, w->block.size);
    buffer_reserve(&w->packed, bound);
    z.next_in = w->block.data;
    z.avail_in = (uInt)w->block.size;
    z.next_out = w->packed.data;
    z.avail_out = (uInt)bound;
    int code = deflate(&z, Z_FINISH);
    assert(code == Z_STREAM_END); /* the bound holds */
    w->packed.size = bound - z.avail_out;
    deflateEnd(&z);
    return 0;
}

static int zstandard_block(struct container_writer *w, struct err *err)
{
    size_t bound = ZSTD_compressBound(w->block.size);
    buffer_reserve(&w->packed, bound);
    size_t size = ZSTD_compress(w->packed.data, bound, w->block.data, w->block.size, ZSTD_LEVEL);
    if (ZSTD_isError(size))
        return err_set(err, "%s: zstandard: %s", w->path, ZSTD_getErrorName(size));
    w->packed.size = size;
    return 0;
}

static int write_block(struct container_writer *w, struct err *err)
{
    struct buffer head = {0};
    const struct buffer *content = w->codec == WRITE_NULL ? &w->block : &w->packed;
    if (w->count == 0)
        return 0;
    w->packed.size = 0;
    if ((w->codec == WRITE_DEFLATE && deflate_block(w, err) < 0) || (w->codec == WRITE_ZSTANDARD && zstandard_block(w, err) < 0))
        return -1;
    put_long(&head, (int64_t)w->count);
    put_long(&head, (int64_t)content->size);
    bool ok = fwrite(head.data, 1, head.size, w->file) == head.size &&
              fwrite(content->data, 1, content->size, w->file) == content->size && fwrite(w->sync, 1, SYNC_SIZE, w->file) == SYNC_SIZE;
    buffer_finish(&head);
    w->block.size = 0;
    w->count = 0;
    return ok ? 0 : io_error(w, "write", err);
}

int container_writer_append(struct container_writer *w, const void *value, size_t size, struct err *err)
{
    if (size > CONTAINER_BLOCK_MAX - BLOCK_SIZE)
        return err_set(err, "%s: a value of %zu bytes is too large for a container file", w->path, size);
    put_bytes_raw(&w->block, value, size);
    w->count++;
    return w->block.size >= BLOCK_SIZE ? write_block(w, err) : 0;
}

int container_writer_close(struct container_writer *w, struct err *err)
{
    int result = write_block(w, err);
    if (result == 0 && (fflush(w->file) != 0 || fsync(fileno(w->file)) < 0))
        result = io_error(w, "write", err);
    if (result == 0) {
        result = fclose(w->file) == 0 ? 0 : io_error(w, "write", err);
        w->file = NULL;
    }
    if (result == 0 && rename(w->partial, w->path) < 0)
        result = io_error(w, "move it into place", err);
    if (result < 0)
        unlink(w->partial);
    writer_free(w);
    return result;
}

void container_writer_abandon(struct container_writer *w)
{
    if (!w)
        return;
    if (w->file)
        unlink(w->partial);
    writer_free(w);
}
