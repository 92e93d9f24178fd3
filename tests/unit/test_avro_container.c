/* Container files: what is written is read back, by Avro C too; damage is an error that says where. */
#include <avro.h>
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>
#include "consumer/avro/container.h"
#include "consumer/file.h"

static const char schema_text[] = "{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"n\", \"type\": \"long\"}, "
                                  "{\"name\": \"s\", \"type\": {\"type\": \"string\", \"logicalType\": \"uuid\"}}]}";
static char dir[] = "/tmp/weir-container-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file.avro", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_values(const char *codec, int count)
{
    static const char *const meta[] = {"weir.timestamps", "reported_time", "weir.topic", "t", NULL};
    struct container_writer *writer;
    struct err err;
    if (container_writer_open(path, schema_text, codec, meta, &writer, &err) < 0)
        fail_msg("%s", err.msg);
    struct buffer value = {0};
    for (int i = 0; i < count; i++) {
        value.size = 0;
        put_long(&value, i);
        put_string(&value, i % 2 ? "odd" : "an even number");
        assert_int_equal(container_writer_append(writer, value.data, value.size, &err), 0);
    }
    buffer_finish(&value);
    if (container_writer_close(writer, &err) < 0)
        fail_msg("%s", err.msg);
}

/* The number of values of the file, or -1 with the error's text. */
static long read_values(uint64_t *blocks, struct err *err)
{
    struct container_reader *reader;
    const uint8_t *data;
    size_t size;
    uint64_t count, position, file_size;
    long total = 0;
    int got = 0;
    *blocks = 0;
    if (container_reader_open(path, &reader, err) < 0)
        return -1;
    while ((got = container_reader_block(reader, &data, &size, &count, err)) > 0) {
        struct buffer expected = {0};
        for (uint64_t i = 0; i < count; i++, total++) {
            put_long(&expected, total);
            put_string(&expected, total % 2 ? "odd" : "an even number");
        }
        assert_int_equal(expected.size, size);
        assert_memory_equal(expected.data, data, size);
        buffer_finish(&expected);
        ++*blocks;
    }
    position = container_reader_position(reader, &file_size);
    if (got == 0)
        assert_int_equal(position, file_size);
    container_reader_close(reader);
    return got < 0 ? -1 : total;
}

static void each_codec_reads_back(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "zstandard"};
    for (size_t i = 0; i < 3; i++) {
        struct container_reader *reader;
        struct err err;
        uint64_t blocks;
        write_values(codecs[i], 20000);
        if (read_values(&blocks, &err) != 20000)
            fail_msg("%s: %s", codecs[i], err.msg);
        assert_in_range(blocks, 3, 6); /* of 64 KiB */
        assert_int_equal(container_reader_open(path, &reader, NULL), 0);
        assert_string_equal(container_reader_schema(reader), schema_text);
        assert_string_equal(container_reader_meta(reader, "weir.timestamps"), "reported_time");
        assert_string_equal(container_reader_meta(reader, "avro.codec"), codecs[i]);
        assert_null(container_reader_meta(reader, "absent"));
        container_reader_close(reader);
    }
}

static void an_empty_file_has_no_blocks(void **state)
{
    (void)state;
    struct err err;
    uint64_t blocks;
    write_values("deflate", 0);
    assert_int_equal(read_values(&blocks, &err), 0);
    assert_int_equal(blocks, 0);
}

static void avro_c_reads_ours(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate"};
    for (size_t i = 0; i < 2; i++) {
        avro_file_reader_t reader;
        avro_value_t value;
        long count = 0;
        write_values(codecs[i], 5000);
        assert_int_equal(avro_file_reader(path, &reader), 0);
        avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
        avro_value_iface_t *class = avro_generic_class_from_schema(schema);
        avro_generic_value_new(class, &value);
        while (avro_file_reader_read_value(reader, &value) == 0) {
            avro_value_t field;
            int64_t n;
            avro_value_get_by_index(&value, 0, &field, NULL);
            avro_value_get_long(&field, &n);
            assert_int_equal(n, count++);
        }
        assert_int_equal(count, 5000);
        avro_value_decref(&value);
        avro_value_iface_decref(class);
        avro_schema_decref(schema);
        avro_file_reader_close(reader);
    }
}

static void the_same_values_give_the_same_file(void **state)
{
    (void)state;
    char *a, *b;
    size_t a_size, b_size;
    write_values("zstandard", 3000);
    assert_int_equal(file_read(path, 1 << 20, &a, &a_size, NULL), 0);
    write_values("zstandard", 3000);
    assert_int_equal(file_read(path, 1 << 20, &b, &b_size, NULL), 0);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    struct container_writer *writer;
    char partial[80];
    snprintf(partial, sizeof partial, "%s.partial", path);
    unlink(path);
    assert_int_equal(container_writer_open(path, schema_text, "null", NULL, &writer, NULL), 0);
    assert_int_equal(access(partial, F_OK), 0);
    container_writer_abandon(writer);
    assert_int_equal(access(partial, F_OK), -1);
    assert_int_equal(access(path, F_OK), -1);
}

static void openings_that_cannot_be(void **state)
{
    (void)state;
    struct container_writer *writer;
    struct container_reader *reader;
    struct err err;
    assert_int_equal(container_writer_open(path, schema_text, "lzma", NULL, &writer, &err), -1);
    assert_non_null(strstr(err.msg, "no codec \"lzma\": use null, deflate or zstandard"));
    assert_int_equal(container_writer_open("/nowhere/x.avro", schema_text, "null", NULL, &writer, &err), -1);
    assert_string_equal(err.msg, "/nowhere/x.avro.partial: cannot write: No such file or directory");
    assert_int_equal(container_reader_open("/nowhere/x.avro", &reader, &err), -1);
    assert_string_equal(err.msg, "/nowhere/x.avro: cannot open: No such file or directory");
    assert_int_equal(container_reader_open("/tmp", &reader, &err), -1);
    assert_string_equal(err.msg, "/tmp: a directory, not a file");
}

/* ---- files made by hand ---- */

static const char sync_marker[17] = "0123456789abcdef";

static void put_header(struct buffer *b, const char *codec)
{
    put_bytes_raw(b, "Obj\1", 4);
    put_long(b, codec ? 2 : 1);
    put_string(b, "avro.schema");
    put_string(b, schema_text);
    if (codec) {
        put_string(b, "avro.codec");
        put_string(b, codec);
    }
    put_long(b, 0);
    put_bytes_raw(b, sync_marker, 16);
}

static void put_block(struct buffer *b, int64_t count, const void *data, size_t size)
{
    put_long(b, count);
    put_bytes(b, data, size);
    put_bytes_raw(b, sync_marker, 16);
}

static void expect_error(const struct buffer *file, const char *part)
{
    struct err err = {0};
    uint64_t blocks;
    assert_int_equal(file_write(path, file->data, file->size, NULL), 0);
    assert_int_equal(read_values(&blocks, &err), -1);
    if (!strstr(err.msg, part) || strncmp(err.msg, path, strlen(path)))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
}

static void a_snappy_block(struct buffer *b, int count, bool good)
{
    struct buffer plain = {0};
    char packed[4096 + 4];
    size_t size = 4096;
    for (int i = 0; i < count; i++) {
        put_long(&plain, i);
        put_string(&plain, i % 2 ? "odd" : "an even number");
    }
    assert_int_equal(snappy_compress((char *)plain.data, plain.size, packed, &size), SNAPPY_OK);
    uint32_t crc = (uint32_t)crc32(0, plain.data, (uInt)plain.size);
    for (int i = 0; i < 4; i++)
        packed[size++] = (char)(crc >> (24 - 8 * i));
    packed[size - 1] ^= good ? 0 : 1;
    put_block(b, count, packed, size);
    buffer_finish(&plain);
}

static void snappy_blocks_are_read_and_checked(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct err err;
    uint64_t blocks;
    put_header(&file, "snappy");
    a_snappy_block(&file, 50, true);
    assert_int_equal(file_write(path, file.data, file.size, NULL), 0);
    assert_int_equal(read_values(&blocks, &err), 50);
    file.size = 0;
    put_header(&file, "snappy");
    a_snappy_block(&file, 50, false);
    expect_error(&file, "a snappy block whose checksum is not its content's");
    buffer_finish(&file);
}

static void damage_is_named(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0x13, 0x37};
    struct buffer f = {0};
    put_bytes_raw(&f, "Obj\2xxxx", 8);
    expect_error(&f, "not an Avro container file");
    f.size = 2;
    expect_error(&f, "byte 2: the file ends inside the first four bytes");
    f.size = 0;
    put_header(&f, "xz");
    expect_error(&f, "codec \"xz\" cannot be read");
    f.size = 0;
    put_bytes_raw(&f, "Obj\1", 4);
    put_long(&f, 5000);
    expect_error(&f, "more than 1000 entries of metadata");
    f.size = 4;
    put_long(&f, INT64_MIN);
    put_long(&f, 1);
    expect_error(&f, "more than 1000 entries of metadata");
    f.size = 4;
    put_long(&f, 1);
    put_long(&f, 1 << 30);
    expect_error(&f, "a key of the metadata has an impossible size");
    f.size = 4;
    put_long(&f, 0);
    put_bytes_raw(&f, sync_marker, 16);
    expect_error(&f, "the file has no schema");

    static const struct {
        const char *codec;
        int64_t count, size; /* -1: of the data */
        const char *error;
    } blocks[] = {
        {"null", 1, (int64_t)1 << 40, "a block has an impossible size"},
        {"null", 1, -5, "a block has an impossible size"},
        {"null", 1, 50 << 20, "the file ends inside a block"},
        {"null", -3, 5, "says that it holds -3 values"},
        {"null", INT64_MAX, 5, "says that it holds 9223372036854775807 values"},
        {"deflate", 1, 5, "the deflate data of a block is damaged"},
        {"zstandard", 1, 5, "the zstandard data of a block is damaged"},
        {"snappy", 1, 5, "block"},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        f.size = 0;
        put_header(&f, blocks[i].codec);
        put_long(&f, blocks[i].count);
        put_long(&f, blocks[i].size);
        put_bytes_raw(&f, garbage, sizeof garbage);
        put_bytes_raw(&f, sync_marker, 16);
        expect_error(&f, blocks[i].error);
    }
    f.size = 0;
    put_header(&f, "null");
    put_block(&f, 0, "", 0);
    f.data[f.size - 1] ^= 1;
    expect_error(&f, "does not end with the file's sync marker");
    buffer_finish(&f);
}

static void a_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    struct buffer file = {0};
    size_t plain_size = (size_t)CONTAINER_BLOCK_MAX + 1;
    uint8_t *zeros = calloc(1, plain_size);
    uLong bound = compressBound(plain_size);
    uint8_t *packed = malloc(bound);
    z_stream z = {0};
    deflateInit2(&z, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    z.next_in = zeros;
    z.avail_in = (uInt)plain_size;
    z.next_out = packed;
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    put_header(&file, "deflate");
    put_block(&file, 1, packed, bound - z.avail_out);
    deflateEnd(&z);
    expect_error(&file, "a block of more than 67108864 bytes when decompressed");
    free(zeros);
    free(packed);
    buffer_finish(&file);
}

/* Each prefix of a file, and each single byte changed: an error, or values; never a crash. */
static void every_cut_and_every_flip(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "zstandard"};
    for (size_t i = 0; i < 3; i++) {
        char *data;
        size_t size;
        uint64_t count;
        write_values(codecs[i], 40);
        assert_int_equal(file_read(path, 1 << 20, &data, &size, NULL), 0);
        for (size_t at = 0; at < size; at++) {
            for (int flip = 0; flip < 2; flip++) {
                struct container_reader *reader;
                const uint8_t *block;
                size_t block_size;
                FILE *f = fopen(path, "wb");
                data[at] ^= (char)(flip ? 0x41 : 0);
                fwrite(data, 1, flip ? size : at, f);
                fclose(f);
                data[at] ^= (char)(flip ? 0x41 : 0);
                if (container_reader_open(path, &reader, NULL) < 0)
                    continue;
                while (container_reader_block(reader, &block, &block_size, &count, NULL) > 0)
                    assert_true(block_size <= CONTAINER_BLOCK_MAX);
                container_reader_close(reader);
            }
        }
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_codec_reads_back),
        cmocka_unit_test(an_empty_file_has_no_blocks),
        cmocka_unit_test(avro_c_reads_ours),
        cmocka_unit_test(the_same_values_give_the_same_file),
        cmocka_unit_test(an_abandoned_file_leaves_nothing),
        cmocka_unit_test(openings_that_cannot_be),
        cmocka_unit_test(snappy_blocks_are_read_and_checked),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(every_cut_and_every_flip),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
