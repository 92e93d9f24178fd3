#include "consumer/generate/label_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/generate/agenda.h"

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
    struct agenda frauds; /* struct reported */
    uint64_t noted;
};

static bool is_earlier(const void *a, const void *b)
{
    const struct reported *x = a, *y = b;
    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->order < y->order;
}

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
    s->frauds = (struct agenda){.record_size = sizeof(struct reported), .is_earlier = is_earlier};
    find_honest(s);
    *out = s;
    return 0;
}

void label_stream_destroy(struct label_stream *s)
{
    if (!s)
        return;
    traffic_destroy(s->behind);
    agenda_finish(&s->frauds);
    free(s);
}

void label_stream_note(struct label_stream *s, const struct transaction *event)
{
    s->noted++;
    if (!event->label)
        return;
    struct reported r = {.at_ms = event->reported_ms, .order = s->noted, .fraud_type = event->fraud_type};
    memcpy(r.transaction_id, event->transaction_id, sizeof r.transaction_id);
    memcpy(r.card_token, event->card_token, sizeof r.card_token);
    agenda_add(&s->frauds, &r);
}

static void take_fraud(struct label_stream *s, struct transaction *out)
{
    struct reported r;
    agenda_take(&s->frauds, &r);
    *out = (struct transaction){.label = 1, .fraud_type = r.fraud_type, .reported_ms = r.at_ms};
    memcpy(out->transaction_id, r.transaction_id, sizeof r.transaction_id);
    memcpy(out->card_token, r.card_token, sizeof r.card_token);
}

bool label_stream_next(struct label_stream *s, int64_t until_ms, struct transaction *out)
{
    const struct reported *first = agenda_first(&s->frauds);
    bool fraud = first && first->at_ms <= until_ms, honest = s->has_honest && s->honest.reported_ms <= until_ms;
    if (fraud && (!honest || first->at_ms <= s->honest.reported_ms)) {
        take_fraud(s, out);
        return true;
    }
    if (!honest)
        return false;
    *out = s->honest;
    find_honest(s);
    return true;
}
