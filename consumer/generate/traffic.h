/* Synthetic card transactions with labels: the same options give the same events everywhere (an own generator of
 * random numbers; integers, and doubles only through operations that IEEE 754 fixes).
 *
 * The model of traffic
 * - Cards differ in activity (Zipf-like: of n cards that of rank r is drawn with weight 1 / (r + n / 20 + 10)), home
 *   country, typical amount, waking hours, share of online payments, and six favourite merchants that take two of
 *   three payments.  Amounts are log-normal-like around typical amount x factor of the merchant category.
 * - Honest oddities that make the task real: trips abroad of days, foreign online shops, one payment in a hundred
 *   many times the usual, declines (2 %), half of them tried again within a minute.
 * - Event times are spread over the span by a rhythm (rhythm.h).
 * - Fraud comes in episodes on a card, after one of its honest payments:
 *     card_testing   4 to 9 tiny online payments a few seconds to a minute apart, many declined, then 1 to 3 large ones
 *     foreign_jump   2 to 6 magnetic-stripe payments in a far country within the hour
 *     night_spree    3 to 8 payments for electronics and jewellery in the card's small hours, minutes apart
 *     takeover       2 to 5 moderate online payments from a device and an address never seen before
 *   so that on average `fraud_rate` of all events are fraud.
 * - From event `drift_at` on, and up to `drift_until`, something is otherwise:
 *     world      amounts half as large again, quasi-cash (mcc 6051), until then unknown, takes an eighth of online
 *                payments, and more of them go to merchants in a new country (AE)
 *     amount     amounts x 1.62: their mean moves by half of their standard deviation
 *     category   one honest payment in fifty is to a merchant in the new country
 *     null       merchants have no location any more
 *     labels     one honest-looking payment in ten is reported as fraud of a kind unseen: scores are calibrated no more
 *     silence    nothing comes for two hours (of the events asked for, those are left out)
 * - Labels: fraud is reported 2 hours to 20 days after the event, mostly early; honest events count as such after
 *   30 days; where `label_delay_ms` says otherwise than 30 days, all of it in proportion.
 *
 * Times never go back.  Cost: about a microsecond an event; 56 bytes a card. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "consumer/generate/rhythm.h"
#include "scoring/err.h"

enum { TRAFFIC_CARDS_MAX = 10000000, TRAFFIC_SILENCE_MS = 2 * 3600000 };
#define TRAFFIC_LABEL_DELAY_MS (30 * INT64_C(86400000))
#define TRAFFIC_AMOUNT_DRIFT 1.62
#define TRAFFIC_EVENTS_MAX ((uint64_t)1 << 40)

enum traffic_drift { DRIFT_WORLD, DRIFT_AMOUNT, DRIFT_CATEGORY, DRIFT_NULL, DRIFT_LABELS, DRIFT_SILENCE, DRIFT_COUNT };
const char *traffic_drift_name(enum traffic_drift drift);

struct traffic_options {
    uint64_t seed;
    uint64_t events;    /* 1..TRAFFIC_EVENTS_MAX */
    uint64_t cards;     /* 1..TRAFFIC_CARDS_MAX */
    double fraud_rate;  /* 0..0.5 */
    uint64_t drift_at;  /* index of the first event after the change; UINT64_MAX: never */
    uint64_t drift_until; /* of the first one when it is over; 0: never */
    int64_t label_delay_ms; /* from an honest event to its label; 0: TRAFFIC_LABEL_DELAY_MS */
    int64_t start_ms;   /* since the epoch, not before it */
    int64_t span_ms;    /* over which the events are spread; at least 1 */
    enum rhythm rhythm;
    enum traffic_drift drift; /* what changes at drift_at */
};

enum channel { CHANNEL_POS, CHANNEL_ECOM, CHANNEL_ATM, CHANNEL_MOTO };

/* One event as schemas/transaction.avsc has it, and its label. */
struct transaction {
    int64_t event_time_ms;
    int64_t amount_minor;
    double lat, lon;
    bool has_location;
    int mcc, pos_entry_mode;
    enum channel channel;
    const char *currency, *merchant_country, *response_code; /* static */
    char transaction_id[24], card_token[24], account_id[24], merchant_id[24];
    char device_id[24], ip[16]; /* "": null */

    int label;              /* 1: fraud */
    const char *fraud_type; /* NULL for honest events */
    int64_t reported_ms;
};

struct traffic;
int traffic_create(const struct traffic_options *options, struct traffic **out, struct err *err);
void traffic_destroy(struct traffic *traffic);
/* The next event; false after the last. */
bool traffic_next(struct traffic *traffic, struct transaction *out);

struct buffer;
/* The Avro bodies of schemas/transaction.avsc and schemas/label.avsc. */
void put_transaction(struct buffer *out, const struct transaction *transaction);
void put_label(struct buffer *out, const struct transaction *transaction);
