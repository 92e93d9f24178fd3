#include "consumer/generate/label_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct reported {
    int64_t at_ms;
    uint64_t order; /* of those at one time: as their events came */
    const char *fraud_type;
    char transaction_id[sizeof((struct transaction *)0)->transaction_id], card_token[sizeof((struct transaction *)0)->card_token];
};

struct label_stream {
    struct traffic *behind;
    struct transaction honest; /* the next one of it */
    bool has_honest;
    struct reported *frauds; /* a heap, earliest first */
    size_t count, capacity;
    uint64_t noted;
};

static void find_honest(struct label_stream *s)
{
    do
        s->has_honest = traffic_next(s->behind, &s->honest);
    while (s->has_honest && s->honest.label);
}

int label_stream_create(const struct traffic_options *options, struct label_stream **out, struct err *err)
{
    struct label_stream *s = calloc(1, sizeof *s);
    assert(s);
    if (traffic_create(options, &s->behind, err) < 0) {
        free(s);
        return -1;
    }
    find_honest(s);
    *out = s;
    return 0;
}

void label_stream_destroy(struct label_stream *s)
{
    if (!s)
        return;
    traffic_destroy(s->behind);
    free(s->frauds);
    free(s);
}

/* ---- the heap ---- */

static bool is_earlier(const struct reported *a, const struct reported *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct reported *a, struct reported *b)
{
    struct reported kept = *a;
    *a = *b;
    *b = kept;
}

void label_stream_note(struct label_stream *s, const struct transaction *event)
{
    s->noted++;
    if (!event->label)
        return;
    if (s->count == s->capacity) {
        s->capacity = 2 * s->capacity + 64;
        s->frauds = reallocarray(s->frauds, s->capacity, sizeof *s->frauds);
        assert(s->frauds && "memory is short");
    }
    size_t i = s->count++;
    struct reported *r = &s->frauds[i];
    *r = (struct reported){.at_ms = event->reported_ms, .order = s->noted, .fraud_type = event->fraud_type};
    memcpy(r->transaction_id, event->transaction_id, sizeof r->transaction_id);
    memcpy(r->card_token, event->card_token, sizeof r->card_token);
    for (; i && is_earlier(&s->frauds[i], &s->frauds[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&s->frauds[i], &s->frauds[(i - 1) / 2]);
}

static void drop_first(struct label_stream *s)
{
    s->frauds[0] = s->frauds[--s->count];
    for (size_t i = 0, child; (child = 2 * i + 1) < s->count; i = child) {
        if (child + 1 < s->count && is_earlier(&s->frauds[child + 1], &s->frauds[child]))
            child++;
        if (!is_earlier(&s->frauds[child], &s->frauds[i]))
            return;
        swap(&s->frauds[child], &s->frauds[i]);
    }
}

/* ---- what comes next ---- */

static void take_fraud(struct label_stream *s, struct transaction *out)
{
    const struct reported *r = &s->frauds[0];
    *out = (struct transaction){.label = 1, .fraud_type = r->fraud_type, .reported_ms = r->at_ms};
    memcpy(out->transaction_id, r->transaction_id, sizeof r->transaction_id);
    memcpy(out->card_token, r->card_token, sizeof r->card_token);
    drop_first(s);
}

bool label_stream_next(struct label_stream *s, int64_t until_ms, struct transaction *out)
{
    bool fraud = s->count && s->frauds[0].at_ms <= until_ms, honest = s->has_honest && s->honest.reported_ms <= until_ms;
    if (fraud && (!honest || s->frauds[0].at_ms <= s->honest.reported_ms)) {
        take_fraud(s, out);
        return true;
    }
    if (!honest)
        return false;
    *out = s->honest;
    find_honest(s);
    return true;
}
