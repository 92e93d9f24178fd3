#include "consumer/aggregator/sparse_counts.h"

enum { GROUP = 8 };

/* Which of the first n (at most GROUP) counts are not zero.  Most groups are all zero. */
static uint32_t counts_there(const int64_t *counts, size_t n)
{
    uint32_t there = 0;
    if (n >= GROUP && !(counts[0] | counts[1] | counts[2] | counts[3] | counts[4] | counts[5] | counts[6] | counts[7]))
        return 0;
    for (size_t i = 0; i < n && i < GROUP; i++)
        there |= (uint32_t)(counts[i] != 0) << i;
    return there;
}

bool sparse_any(const int64_t *counts, size_t n)
{
    size_t i = 0;
    while (i < n && !counts_there(counts + i, n - i))
        i += GROUP;
    return i < n;
}

void sparse_begin(struct sparse *s, struct buffer *out)
{
    s->out = out; /* not all of it: the runs are written before they are read */
    s->done = s->count = 0;
}

static void end_block(struct sparse *s)
{
    if (!s->count)
        return;
    buffer_reserve(s->out, (2 * s->count + 1) * 10);
    uint8_t *p = long_at(s->out->data + s->out->size, (int64_t)(2 * s->count));
    for (size_t i = 0; i < 2 * s->count; i++)
        p = long_at(p, s->of[i]);
    s->out->size = (size_t)(p - s->out->data);
    s->count = 0;
}

void sparse_add(struct sparse *s, size_t at, int64_t count)
{
    s->of[2 * s->count] = (int64_t)(at - s->done);
    s->of[2 * s->count + 1] = count;
    s->done = at + 1;
    if (++s->count == SPARSE_RUNS)
        end_block(s);
}

void sparse_add_all(struct sparse *s, const int64_t *counts, size_t from, size_t to)
{
    for (size_t i = from; i < to; i += GROUP)
        for (uint32_t left = counts_there(counts + i, to - i); left; left &= left - 1) {
            size_t at = i + (size_t)__builtin_ctz(left);
            sparse_add(s, at, counts[at]);
        }
}

void sparse_end(struct sparse *s)
{
    end_block(s);
    put_long(s->out, 0);
}

void sparse_put(struct buffer *out, const int64_t *counts, size_t n)
{
    struct sparse s;
    sparse_begin(&s, out);
    sparse_add_all(&s, counts, 0, n);
    sparse_end(&s);
}
