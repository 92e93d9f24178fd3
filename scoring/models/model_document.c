#include "scoring/models/model_document.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 << 10, NUMBER_TEXT_MAX = 64 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

struct document {
    struct chunk *chunks;
    struct node root;
};

/* One parse.  Finished children wait on `open` until their array or object ends and takes them; an array of
 * numbers holds no children, so there is never more than one in `numbers`. */
struct parser {
    const unsigned char *start, *at, *end;
    struct document *document;
    struct member *open;
    size_t open_count, open_capacity, values;
    double *numbers;
    size_t number_count, number_capacity;
    unsigned depth;
    struct err *err;
};

static bool fault(struct parser *p, const char *what)
{
    err_set(p->err, "not a valid model file: byte %zu: %s", (size_t)(p->at - p->start), what);
    return false;
}

static void *keep(struct document *d, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!d->chunks || d->chunks->size - d->chunks->used < size) {
        size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        struct chunk *c = malloc(sizeof *c + capacity);
        if (!c)
            return NULL;
        *c = (struct chunk){.next = d->chunks, .size = capacity};
        d->chunks = c;
    }
    void *bytes = d->chunks->bytes + d->chunks->used;
    d->chunks->used += size;
    return bytes;
}

static bool push(struct parser *p, struct member member)
{
    if (++p->values > DOCUMENT_VALUES_MAX)
        return fault(p, "too many values");
    if (p->open_count == p->open_capacity) {
        size_t capacity = p->open_capacity ? 2 * p->open_capacity : 256;
        struct member *open = realloc(p->open, capacity * sizeof *open);
        if (!open)
            return fault(p, "memory is short");
        p->open = open;
        p->open_capacity = capacity;
    }
    p->open[p->open_count++] = member;
    return true;
}

static bool push_number(struct parser *p, double number)
{
    if (p->number_count == p->number_capacity) {
        size_t capacity = p->number_capacity ? 2 * p->number_capacity : 1024;
        double *numbers = realloc(p->numbers, capacity * sizeof *numbers);
        if (!numbers)
            return fault(p, "memory is short");
        p->numbers = numbers;
        p->number_capacity = capacity;
    }
    p->numbers[p->number_count++] = number;
    return true;
}

static bool take_numbers(struct parser *p, struct node *out)
{
    double *numbers = keep(p->document, p->number_count * sizeof *numbers);
    if (!numbers)
        return fault(p, "memory is short");
    if (p->number_count)
        memcpy(numbers, p->numbers, p->number_count * sizeof *numbers);
    *out = (struct node){NODE_NUMBERS, (uint32_t)p->number_count, .numbers = numbers};
    return true;
}

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return compare_keys(x->key, x->key_size, y->key, y->key_size);
}

/* Takes what waits on `open` from `first` on as the children of one array or object. */
static bool take_members(struct parser *p, enum node_kind kind, size_t first, struct node *out)
{
    size_t count = p->open_count - first;
    struct member *members = keep(p->document, count * sizeof *members);
    if (!members)
        return fault(p, "memory is short");
    if (count)
        memcpy(members, p->open + first, count * sizeof *members);
    p->open_count = first;
    if (kind == NODE_OBJECT && count) {
        qsort(members, count, sizeof *members, compare_members);
        for (size_t i = 1; i < count; i++)
            if (compare_members(&members[i - 1], &members[i]) == 0)
                return fault(p, "an object names the same key twice");
    }
    *out = (struct node){kind, (uint32_t)count, .members = members};
    return true;
}

static bool enter(struct parser *p)
{
    return ++p->depth <= DOCUMENT_DEPTH_MAX || fault(p, "nested too deeply");
}

/* A list's item: numbers go to the packed array, the rest waits on `open`; the two do not mix. */
static bool add_item(struct parser *p, const struct node *item, size_t first, bool *packed)
{
    bool number = item->kind == NODE_NUMBER, empty = p->open_count == first && (!*packed || p->number_count == 0);
    if (empty) {
        *packed = number;
        p->number_count = 0;
    }
    if (number != *packed)
        return fault(p, "an array mixes numbers with other values");
    return number ? push_number(p, item->number) : push(p, (struct member){.value = *item});
}

static bool end_list(struct parser *p, size_t first, bool packed, struct node *out)
{
    p->depth--;
    if (packed)
        return take_numbers(p, out);
    return take_members(p, NODE_ARRAY, first, out);
}

/* JSON */

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static int peek(struct parser *p)
{
    skip_space(p);
    return p->at < p->end ? *p->at : -1;
}

static bool hex4(struct parser *p, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        if (p->at == p->end)
            return fault(p, "the file ends inside a string");
        unsigned c = *p->at, digit = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
        if (digit > 15)
            return fault(p, "\\u needs four hexadecimal digits");
        *code = *code * 16 + digit;
    }
    return true;
}

/* Decodes the escape whose backslash has been read; UTF-8 goes to *to. */
static bool json_escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end)
        return fault(p, "the file ends inside a string");
    const char *simple = *p->at ? strchr(from, *p->at) : NULL;
    if (simple) {
        *(*to)++ = into[simple - from];
        p->at++;
        return true;
    }
    if (*p->at != 'u')
        return fault(p, "an unknown escape");
    p->at++;
    unsigned code, low;
    if (!hex4(p, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
            return fault(p, "half a surrogate pair");
        p->at += 2;
        if (!hex4(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fault(p, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return fault(p, "half a surrogate pair");
    }
    unsigned char *out = (unsigned char *)*to;
    if (code < 0x80) {
        *out++ = (unsigned char)code;
    } else if (code < 0x800) {
        *out++ = (unsigned char)(0xc0 | code >> 6);
        *out++ = (unsigned char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (unsigned char)(0xe0 | code >> 12);
        *out++ = (unsigned char)(0x80 | (code >> 6 & 63));
        *out++ = (unsigned char)(0x80 | (code & 63));
    } else {
        *out++ = (unsigned char)(0xf0 | code >> 18);
        *out++ = (unsigned char)(0x80 | (code >> 12 & 63));
        *out++ = (unsigned char)(0x80 | (code >> 6 & 63));
        *out++ = (unsigned char)(0x80 | (code & 63));
    }
    *to = (char *)out;
    return true;
}

static bool json_text(struct parser *p, const char **text, uint32_t *size)
{
    p->at++; /* the quote */
    const unsigned char *close = p->at;
    while (close < p->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= p->end)
        return fault(p, "a string does not end");
    char *out = keep(p->document, (size_t)(close - p->at) + 1), *to = out; /* an escape is never shorter than what it stands for */
    if (!out)
        return fault(p, "memory is short");
    while (p->at < close) {
        unsigned char c = *p->at++;
        if (c < 0x20)
            return fault(p, "a control character inside a string");
        if (c != '\\')
            *to++ = (char)c;
        else if (!json_escape(p, &to))
            return false;
    }
    p->at = close + 1;
    *to = 0;
    *text = out;
    *size = (uint32_t)(to - out);
    return true;
}

static bool json_word(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n))
        return false;
    p->at += n;
    return true;
}

static bool json_number(struct parser *p, double *number)
{
    char text[NUMBER_TEXT_MAX + 1];
    size_t n = 0;
    while (p->at + n < p->end && n < NUMBER_TEXT_MAX && p->at[n] && strchr("+-0123456789.eE", p->at[n])) {
        text[n] = (char)p->at[n];
        n++;
    }
    text[n] = 0;
    char *rest;
    *number = strtod(text, &rest);
    /* Twice rounded may not be the float that the text means. */
    if (n < NUMBER_TEXT_MAX && !isinf(*number) && (float)*number != strtof(text, NULL) && *number != floor(*number))
        *number = (double)strtof(text, NULL);
    if (n == 0 || *rest || n == NUMBER_TEXT_MAX)
        return fault(p, "neither a value nor a number");
    p->at += n;
    return true;
}

static bool json_value(struct parser *p, struct node *out);

static bool json_array(struct parser *p, struct node *out)
{
    size_t first = p->open_count;
    bool packed = false;
    p->at++;
    if (!enter(p))
        return false;
    for (int c = peek(p); c != ']'; c = peek(p)) {
        if ((packed || p->open_count > first) && (c != ',' || (p->at++, peek(p)) < 0))
            return fault(p, "an array needs , or ] here");
        struct node item;
        if (!json_value(p, &item) || !add_item(p, &item, first, &packed))
            return false;
    }
    p->at++;
    return end_list(p, first, packed, out);
}

static bool json_object(struct parser *p, struct node *out)
{
    size_t first = p->open_count;
    p->at++;
    if (!enter(p))
        return false;
    for (int c = peek(p); c != '}'; c = peek(p)) {
        if (p->open_count > first && (c != ',' || (p->at++, c = peek(p)) < 0))
            return fault(p, "an object needs , or } here");
        struct member member = {0};
        if (c != '"')
            return fault(p, "an object needs a key here");
        if (!json_text(p, &member.key, &member.key_size))
            return false;
        if (peek(p) != ':')
            return fault(p, "a key needs : after it");
        p->at++;
        if (!json_value(p, &member.value) || !push(p, member))
            return false;
    }
    p->at++;
    p->depth--;
    return take_members(p, NODE_OBJECT, first, out);
}

static bool json_value(struct parser *p, struct node *out)
{
    switch (peek(p)) {
    case '{':
        return json_object(p, out);
    case '[':
        return json_array(p, out);
    case '"':
        *out = (struct node){.kind = NODE_TEXT};
        return json_text(p, &out->text, &out->count);
    case -1:
        return fault(p, "the file ends too early");
    }
    static const struct {
        const char *word;
        enum node_kind kind;
        double number;
    } words[] = {{"true", NODE_NUMBER, 1},     {"false", NODE_NUMBER, 0},         {"null", NODE_NULL, 0},
                 {"NaN", NODE_NUMBER, NAN},    {"Infinity", NODE_NUMBER, INFINITY}, {"-Infinity", NODE_NUMBER, -INFINITY}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (json_word(p, words[i].word)) {
            *out = (struct node){.kind = words[i].kind, .number = words[i].number};
            return true;
        }
    *out = (struct node){.kind = NODE_NUMBER};
    return json_number(p, &out->number);
}

/* UBJSON: big-endian, lengths always int64 behind 'L', as XGBoost writes and reads it. */

static uint64_t big_endian(const unsigned char *at, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | at[i];
    return v;
}

static size_t number_width(int type)
{
    return type == 'd' || type == 'l' ? 4 : type == 'D' || type == 'L' ? 8 : type == 'I' ? 2 : type == 'i' || type == 'U' || type == 'C' ? 1 : 0;
}

static double number_at(const unsigned char *at, int type)
{
    uint64_t v = big_endian(at, number_width(type));
    uint32_t v32 = (uint32_t)v;
    double real;
    float single;
    switch (type) {
    case 'd':
        memcpy(&single, &v32, sizeof single);
        return (double)single;
    case 'D':
        memcpy(&real, &v, sizeof real);
        return real;
    case 'U':
        return (double)v;
    case 'i':
    case 'C':
        return (double)(int8_t)v;
    case 'I':
        return (double)(int16_t)v;
    case 'l':
        return (double)(int32_t)v32;
    default:
        return (double)(int64_t)v;
    }
}

static bool ubj_length(struct parser *p, size_t *length)
{
    if (p->end - p->at < 9 || *p->at != 'L')
        return fault(p, "a length is due here");
    uint64_t v = big_endian(p->at + 1, 8);
    if (v > (uint64_t)(p->end - p->at - 9))
        return fault(p, "a length that reaches past the end of the file");
    p->at += 9;
    *length = (size_t)v;
    return true;
}

static bool ubj_text(struct parser *p, const char **text, uint32_t *size)
{
    size_t length;
    if (!ubj_length(p, &length))
        return false;
    char *out = keep(p->document, length + 1);
    if (!out)
        return fault(p, "memory is short");
    memcpy(out, p->at, length);
    out[length] = 0;
    p->at += length;
    *text = out;
    *size = (uint32_t)length;
    return true;
}

static bool ubj_packed(struct parser *p, struct node *out)
{
    if (p->end - p->at < 3 || p->at[2] != '#' || !strchr("dDiUIlL", p->at[1]) || !p->at[1])
        return fault(p, "an array of a type that XGBoost does not write");
    int type = p->at[1];
    size_t width = number_width(type), count;
    p->at += 3;
    if (!ubj_length(p, &count))
        return false;
    if (count > (size_t)(p->end - p->at) / width)
        return fault(p, "an array that reaches past the end of the file");
    double *numbers = keep(p->document, count * sizeof *numbers);
    if (!numbers)
        return fault(p, "memory is short");
    for (size_t i = 0; i < count; i++, p->at += width)
        numbers[i] = number_at(p->at, type);
    *out = (struct node){NODE_NUMBERS, (uint32_t)count, .numbers = numbers};
    return true;
}

static bool ubj_value(struct parser *p, struct node *out);

/* Both kinds of list: with a count ahead ('#'), or up to ']'. */
static bool ubj_array(struct parser *p, struct node *out)
{
    if (p->at < p->end && *p->at == '$')
        return ubj_packed(p, out);
    size_t first = p->open_count, count = SIZE_MAX;
    bool packed = false;
    if (!enter(p))
        return false;
    if (p->at < p->end && *p->at == '#' && (p->at++, !ubj_length(p, &count)))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (count == SIZE_MAX && p->at < p->end && *p->at == ']') {
            p->at++;
            break;
        }
        struct node item;
        if (!ubj_value(p, &item) || !add_item(p, &item, first, &packed))
            return false;
    }
    return end_list(p, first, packed, out);
}

static bool ubj_object(struct parser *p, struct node *out)
{
    size_t first = p->open_count;
    if (!enter(p))
        return false;
    while (p->at < p->end && *p->at != '}') {
        struct member member = {0};
        if (!ubj_text(p, &member.key, &member.key_size) || !ubj_value(p, &member.value) || !push(p, member))
            return false;
    }
    if (p->at == p->end)
        return fault(p, "the file ends inside an object");
    p->at++;
    p->depth--;
    return take_members(p, NODE_OBJECT, first, out);
}

static bool ubj_value(struct parser *p, struct node *out)
{
    if (p->at == p->end)
        return fault(p, "the file ends too early");
    int type = *p->at++;
    switch (type) {
    case '{':
        return ubj_object(p, out);
    case '[':
        return ubj_array(p, out);
    case 'S':
        *out = (struct node){.kind = NODE_TEXT};
        return ubj_text(p, &out->text, &out->count);
    case 'Z':
        *out = (struct node){.kind = NODE_NULL};
        return true;
    case 'T':
    case 'F':
        *out = (struct node){.kind = NODE_NUMBER, .number = type == 'T'};
        return true;
    }
    size_t width = number_width(type);
    if (width == 0 || (size_t)(p->end - p->at) < width)
        return fault(p, width ? "the file ends inside a number" : "an unknown type of value");
    *out = (struct node){.kind = NODE_NUMBER, .number = number_at(p->at, type)};
    p->at += width;
    return true;
}

/* Which of the two, by the rule of XGBoost's own reader (the byte after the brace). */
static bool parse_root(struct parser *p, struct node *out)
{
    if (p->end - p->at < 2 || *p->at != '{')
        return fault(p, "an XGBoost model begins with {: save it as .ubj or .json (the binary format of old releases must be loaded by one "
                        "before 3.1 and saved again)");
    if (p->at[1] == 'L') {
        p->at++;
        return ubj_object(p, out) && (p->at == p->end || fault(p, "bytes after the model"));
    }
    return json_object(p, out) && (peek(p) < 0 || fault(p, "bytes after the model"));
}

int document_parse(const void *bytes, size_t size, struct document **out, struct err *err)
{
    if (size > UINT32_MAX / 2)
        return err_set(err, "a model file of %zu bytes is too large", size);
    struct document *document = calloc(1, sizeof *document);
    if (!document)
        return err_set(err, "memory is short");
    const unsigned char *start = bytes;
    struct parser p = {.start = start, .at = start, .end = start + size, .document = document, .err = err};
    bool ok = parse_root(&p, &document->root);
    free(p.open);
    free(p.numbers);
    if (!ok) {
        document_destroy(document);
        return -1;
    }
    *out = document;
    return 0;
}

void document_destroy(struct document *document)
{
    if (!document)
        return;
    for (struct chunk *c = document->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(document);
}

const struct node *document_root(const struct document *document)
{
    return &document->root;
}

const struct node *node_member(const struct node *object, const char *key)
{
    if (!object || object->kind != NODE_OBJECT)
        return NULL;
    size_t low = 0, high = object->count, size = strlen(key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct member *m = &object->members[middle];
        int order = compare_keys(key, size, m->key, m->key_size);
        if (order == 0)
            return &m->value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
