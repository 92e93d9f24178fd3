#include "consumer/changelog/entity_record.h"

#include <stdlib.h>

#include "consumer/changelog/reader.h"

enum { SEEN_BITS = 7, SEEN_BITS_LEAST = 3, LITERAL_BYTES_FEW = 1024, LITERAL = 0, ALL_ZERO = -1, EVENT_BYTES_BESIDE = 20, RECORD_BYTES_BESIDE = 256 };

/* ---- writing ---- */

static const uint64_t *row_at(const struct entity_image *image, const struct image_shape *shape, uint32_t i)
{
    return image->words + (size_t)i * shape->words;
}

static void put_time(struct buffer *out, bool known, int64_t time)
{
    put_long(out, known);
    if (known)
        put_long(out, time);
}

static void put_column(struct buffer *out, const struct entity_image *image, const struct image_shape *shape, uint32_t word, bool differences)
{
    uint64_t before = 0;
    if (image->count)
        put_long(out, image->count);
    for (uint32_t i = 0; i < image->count; i++) {
        uint64_t value = row_at(image, shape, i)[word];
        put_long(out, (int64_t)(differences ? value - before : value));
        before = value;
    }
    put_long(out, 0);
}

static void put_lanes(struct buffer *out, const struct entity_image *image, const struct image_shape *shape, uint32_t word)
{
    uint64_t before = 0;
    if (image->count)
        put_long(out, image->count);
    for (uint32_t i = 0; i < image->count; i++) {
        uint64_t value = row_at(image, shape, i)[word];
        put_long(out, (int64_t)(value ^ before));
        before = value;
    }
    put_long(out, 0);
}

static uint32_t place_of(const uint64_t *words, uint32_t width, unsigned bits)
{
    uint64_t h = words[0];
    for (uint32_t i = 1; i < width; i++)
        h = h * 31 + words[i];
    return (uint32_t)(h * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

static bool are_zero(const uint64_t *words, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        if (words[i])
            return false;
    return true;
}

/* By hash: the event that had it last, and 1.  Of few events it is as small as they need, for it has to be cleared. */
struct seen {
    unsigned bits;
    uint32_t at[1 << SEEN_BITS];
};

static void seen_begin(struct seen *seen, uint32_t events)
{
    seen->bits = SEEN_BITS_LEAST;
    while (seen->bits < SEEN_BITS && events > 1u << seen->bits >> 1)
        seen->bits++;
    memset(seen->at, 0, sizeof *seen->at << seen->bits);
}

/* `width` words of each event from `word` on. */
static void put_references(struct buffer *out, const struct entity_image *image, const struct image_shape *shape, uint32_t word, uint32_t width)
{
    struct seen seen;
    uint8_t few[LITERAL_BYTES_FEW], *many = NULL, *literals = few;
    size_t literal_bytes = 0, literal_most = (size_t)image->count * width * 8;
    if (literal_most > sizeof few && !(literals = many = malloc(literal_most)))
        abort();
    seen_begin(&seen, image->count);
    if (image->count)
        put_long(out, image->count);
    for (uint32_t i = 0; i < image->count; i++) {
        const uint64_t *words = row_at(image, shape, i) + word;
        uint32_t *place = &seen.at[place_of(words, width, seen.bits)], before = *place;
        if (before && !memcmp(row_at(image, shape, before - 1) + word, words, width * sizeof *words)) {
            put_long(out, i - (before - 1));
        } else if (are_zero(words, width)) {
            put_long(out, ALL_ZERO);
        } else {
            put_long(out, LITERAL);
            memcpy(literals + literal_bytes, words, width * sizeof *words);
            literal_bytes += width * sizeof *words;
        }
        *place = i + 1;
    }
    put_long(out, 0);
    put_bytes(out, literals, literal_bytes);
    free(many);
}

static void put_array_of(struct buffer *out, uint32_t count)
{
    if (count)
        put_long(out, count);
}

void entity_record_put(int64_t epoch, uint32_t parts, const struct entity_image *image, const struct image_shape *shape, struct buffer *out)
{
    put_long(out, BRANCH_ENTITY);
    put_long(out, epoch);
    put_long(out, parts);
    put_long(out, image->seen_offset);
    put_time(out, image->dropped_ms != INT64_MIN, image->dropped_ms);
    put_column(out, image, shape, IMAGE_TIME, true);
    put_long(out, (int64_t)image->count * 8);
    for (uint32_t i = 0; i < image->count; i++)
        put_bytes_raw(out, &row_at(image, shape, i)[IMAGE_ID], 8);
    uint32_t word = IMAGE_NUMBERS;
    put_array_of(out, shape->numbers);
    for (uint32_t i = 0; i < shape->numbers; i++)
        put_column(out, image, shape, word++, false);
    put_long(out, 0);
    put_array_of(out, shape->categories);
    for (uint32_t i = 0; i < shape->categories; i++)
        put_references(out, image, shape, word++, 1);
    put_long(out, 0);
    put_array_of(out, shape->places);
    for (uint32_t i = 0; i < shape->places; i++, word += 2)
        put_references(out, image, shape, word, 2);
    put_long(out, 0);
    put_array_of(out, shape->lanes);
    for (uint32_t i = 0; i < shape->lanes; i++)
        put_lanes(out, image, shape, word++);
    put_long(out, 0);
}

uint32_t entity_record_events(const struct image_shape *shape, size_t bytes)
{
    size_t each = (size_t)shape->words * 10 + (size_t)shape->categories * 8 + (size_t)shape->places * 10 + EVENT_BYTES_BESIDE;
    size_t fixed = RECORD_BYTES_BESIDE + 16 * (size_t)shape->words;
    return bytes > fixed + each ? (uint32_t)((bytes - fixed) / each) : 1;
}

/* ---- reading ---- */

static uint64_t *row_of(const struct entity_record *record, const struct image_shape *shape, uint32_t i)
{
    return record->words + (size_t)i * shape->words;
}

static int64_t get_time(struct avro_reader *r)
{
    return get_size(r, 1) ? get_long(r) : INT64_MIN;
}

static bool count_is(struct avro_reader *r, size_t count)
{
    if (get_array(r) != count)
        r->bad = true;
    return !r->bad;
}

enum column { AS_IT_IS, DIFFERENCES, CHANGED_BITS };

static void get_column(struct avro_reader *r, struct entity_record *record, const struct image_shape *shape, uint32_t word, enum column kind)
{
    uint32_t count = record->image.count;
    uint64_t before = 0;
    if (!count_is(r, count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)get_long(r);
        before = kind == DIFFERENCES ? before + value : kind == CHANGED_BITS ? before ^ value : value;
        row_of(record, shape, i)[word] = before;
    }
    get_array_end(r, count);
}

static void get_references(struct avro_reader *r, struct entity_record *record, const struct image_shape *shape, uint32_t word, uint32_t width)
{
    uint32_t count = record->image.count, literals = 0;
    if (!count_is(r, count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        int64_t back = get_long(r);
        if (back < ALL_ZERO || back > (int64_t)i) {
            r->bad = true;
            return;
        }
        row_of(record, shape, i)[word] = (uint64_t)back;
        literals += back == LITERAL;
    }
    get_array_end(r, count);
    size_t size;
    const uint8_t *at = get_bytes(r, &size);
    if (size != (size_t)literals * width * 8)
        r->bad = true;
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint64_t *words = row_of(record, shape, i) + word;
        int64_t back = (int64_t)words[0];
        if (back == LITERAL) {
            memcpy(words, at, width * sizeof *words);
            at += width * sizeof *words;
        } else if (back == ALL_ZERO) {
            memset(words, 0, width * sizeof *words);
        } else {
            memcpy(words, row_of(record, shape, i - (uint32_t)back) + word, width * sizeof *words);
        }
    }
}

/* The first column says how many events there are. */
static int get_times(struct avro_reader *r, struct entity_record *record, const struct image_shape *shape)
{
    size_t count = get_array(r);
    if (r->bad)
        return -1;
    size_t words = count * shape->words;
    if (words > record->word_room) {
        uint64_t *more = realloc(record->words, words * 2 * sizeof *more);
        if (!more)
            abort();
        record->words = more;
        record->word_room = words * 2;
    }
    record->image.count = (uint32_t)count;
    record->image.words = record->words;
    uint64_t time = 0;
    for (uint32_t i = 0; i < count; i++)
        row_of(record, shape, i)[IMAGE_TIME] = time += (uint64_t)get_long(r);
    get_array_end(r, count);
    return r->bad ? -1 : 0;
}

static void get_ids(struct avro_reader *r, struct entity_record *record, const struct image_shape *shape)
{
    size_t size;
    const uint8_t *at = get_bytes(r, &size);
    if (size != (size_t)record->image.count * 8)
        r->bad = true;
    for (uint32_t i = 0; i < record->image.count && !r->bad; i++)
        memcpy(&row_of(record, shape, i)[IMAGE_ID], at + (size_t)i * 8, 8);
}

int entity_record_read(const void *data, size_t size, const struct image_shape *shape, struct entity_record *record)
{
    struct avro_reader r = {data, (const uint8_t *)data + size, false};
    get_branch(&r, BRANCH_ENTITY);
    record->epoch = get_long(&r);
    record->parts = (uint32_t)get_size(&r, UINT16_MAX);
    record->image.seen_offset = get_long(&r);
    record->image.dropped_ms = get_time(&r);
    if (get_times(&r, record, shape) < 0)
        return -1;
    get_ids(&r, record, shape);
    uint32_t word = IMAGE_NUMBERS;
    if (!count_is(&r, shape->numbers))
        return -1;
    for (uint32_t i = 0; i < shape->numbers; i++)
        get_column(&r, record, shape, word++, AS_IT_IS);
    get_array_end(&r, shape->numbers);
    if (!count_is(&r, shape->categories))
        return -1;
    for (uint32_t i = 0; i < shape->categories; i++)
        get_references(&r, record, shape, word++, 1);
    get_array_end(&r, shape->categories);
    if (!count_is(&r, shape->places))
        return -1;
    for (uint32_t i = 0; i < shape->places; i++, word += 2)
        get_references(&r, record, shape, word, 2);
    get_array_end(&r, shape->places);
    if (!count_is(&r, shape->lanes))
        return -1;
    for (uint32_t i = 0; i < shape->lanes; i++)
        get_column(&r, record, shape, word++, CHANGED_BITS);
    get_array_end(&r, shape->lanes);
    return reader_is_done(&r) && record->parts ? 0 : -1;
}

void entity_record_finish(struct entity_record *record)
{
    free(record->words);
    *record = (struct entity_record){0};
}
