#include "consumer/generate/traffic.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/generate/agenda.h"
#include "consumer/generate/random.h"
#include "consumer/generate/world.h"

enum { FAVOURITES = 6, MERCHANTS_A_TRADE = 300, PICKS_MAX = 4, HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

struct card {
    int64_t trip_until_ms;
    int32_t typical_minor;
    uint8_t home, trip; /* countries */
    uint8_t wakes_h, awake_h;
    uint8_t online_percent;
    struct favourite {
        uint8_t trade;
        uint16_t merchant;
    } favourites[FAVOURITES];
};

/* An event to be: what distinguishes it; the rest follows from the card. */
struct plan {
    int64_t time_ms, amount_minor;
    uint32_t card;
    uint16_t merchant;
    uint8_t country, trade, channel, entry_mode;
    bool declined;
    uint8_t fraud;   /* enum fraud */
    uint32_t device; /* 0: the card's own */
};

enum fraud { HONEST, CARD_TESTING, FOREIGN_JUMP, NIGHT_SPREE, TAKEOVER };
static const char *const fraud_names[] = {NULL, "card_testing", "foreign_jump", "night_spree", "takeover"};

/* Of episodes, in percent, and the mean number of events in one: 6.5 + 2, 4, 5.5, 3.5. */
enum { TESTING_PERCENT = 30, JUMP_PERCENT = 25, SPREE_PERCENT = 25 };
#define EPISODE_EVENTS (0.30 * 8.5 + 0.25 * 4.0 + 0.25 * 5.5 + 0.20 * 3.5)

struct traffic {
    struct traffic_options options;
    struct random random;
    struct card *cards;
    uint64_t *card_weights; /* running sums */
    uint64_t emitted;
    uint64_t episode_threshold; /* of 2^53: an honest event starts one */
    int64_t rhythm_start, rhythm_total;
    int64_t silent_until_ms; /* 0: not yet */
    struct agenda planned; /* struct plan */
};

static bool is_earlier(const void *a, const void *b)
{
    const struct plan *x = a, *y = b;
    return x->time_ms < y->time_ms || (x->time_ms == y->time_ms && x->card < y->card);
}

/* 2^x for |x| < 1000, within 1e-4; by additions and multiplications alone, so that it is the same everywhere. */
static double power_of_two(double x)
{
    double whole = floor(x), f = x - whole;
    return ldexp(1.0 + f * (0.6951786 + f * (0.2261697 + f * 0.0786517)), (int)whole);
}

/* Time */

static int64_t slot_time(struct traffic *t)
{
    unsigned __int128 position = ((unsigned __int128)t->emitted << 32) + (random_u64(&t->random) >> 32);
    int64_t at = (int64_t)(position * (uint64_t)t->rhythm_total / t->options.events >> 32);
    return rhythm_inverse(t->options.rhythm, t->rhythm_start + at);
}

/* Whether that has begun by now. */
static bool drifted(const struct traffic *t, enum traffic_drift drift)
{
    return t->emitted >= t->options.drift_at && t->emitted < t->options.drift_until && t->options.drift == drift;
}

/* Nothing comes within the silence, also nothing that was planned before; the events of that time are left out. */
static bool is_silent(struct traffic *t, int64_t ms)
{
    if (!drifted(t, DRIFT_SILENCE))
        return false;
    if (!t->silent_until_ms)
        t->silent_until_ms = ms + TRAFFIC_SILENCE_MS;
    return ms < t->silent_until_ms;
}

/* Choices by weight */

static uint8_t pick_country(struct random *r, bool as_home)
{
    uint64_t total = 0;
    for (int i = 0; i < COUNTRY_COUNT; i++)
        total += as_home ? world_countries[i].cards : world_countries[i].visits;
    uint64_t at = random_below(r, total);
    uint8_t i = 0;
    for (uint64_t w; at >= (w = as_home ? world_countries[i].cards : world_countries[i].visits); i++)
        at -= w;
    return i;
}

static uint8_t pick_trade(struct random *r)
{
    uint64_t total = 0;
    for (int i = 0; i < TRADE_COUNT; i++)
        total += world_trades[i].weight;
    uint64_t at = random_below(r, total);
    uint8_t i = 0;
    for (; at >= world_trades[i].weight; i++)
        at -= world_trades[i].weight;
    return i;
}

/* A few merchants have most of a trade. */
static uint16_t pick_merchant(struct random *r)
{
    double u = random_unit(r);
    return (uint16_t)(u * u * u * MERCHANTS_A_TRADE);
}

static uint8_t pick_far_country(struct random *r, uint8_t home)
{
    for (;;) {
        uint8_t i = (uint8_t)random_below(r, COUNTRY_COUNT - 1);
        int apart = abs(world_countries[i].lon_1e2 - world_countries[home].lon_1e2) + abs(world_countries[i].lat_1e2 - world_countries[home].lat_1e2);
        if (apart > 2500)
            return i;
    }
}

static uint32_t pick_card_any(struct traffic *t)
{
    uint64_t at = random_below(&t->random, t->card_weights[t->options.cards - 1]);
    uint64_t low = 0, high = t->options.cards - 1;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (t->card_weights[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)low;
}

static int local_hour(const struct card *card, int64_t ms)
{
    return (int)((ms / HOUR_MS + world_countries[card->home].utc_offset_h + 24) % 24);
}

/* A card whose holder is likely to be up. */
static uint32_t pick_card(struct traffic *t, int64_t ms)
{
    uint32_t card = pick_card_any(t);
    for (int picks = 1; picks < PICKS_MAX; picks++) {
        const struct card *c = &t->cards[card];
        if ((local_hour(c, ms) - c->wakes_h + 24) % 24 < c->awake_h || random_permille(&t->random, 80))
            break;
        card = pick_card_any(t);
    }
    return card;
}

/* Honest payments */

static int64_t amount_of(struct traffic *t, const struct card *card, uint8_t trade, double spread)
{
    double amount = (double)card->typical_minor * world_trades[trade].amount_percent / 100.0 * power_of_two(spread * random_bell(&t->random));
    if (drifted(t, DRIFT_WORLD))
        amount *= 1.5;
    if (drifted(t, DRIFT_AMOUNT))
        amount *= TRAFFIC_AMOUNT_DRIFT;
    int64_t minor = (int64_t)amount;
    if (trade == TRADE_CASH)
        minor = (minor / 1000 + 1) * 1000;
    return minor < 50 ? 50 : minor > 5000000 ? 5000000 : minor;
}

static void start_trip_perhaps(struct traffic *t, struct card *card, int64_t ms)
{
    if (random_below(&t->random, 2500) == 0) {
        card->trip = pick_country(&t->random, false);
        card->trip_until_ms = ms + random_between(&t->random, 2, 12) * DAY_MS;
    }
}

static uint8_t entry_mode_of(struct random *r, enum channel channel)
{
    switch (channel) {
    case CHANNEL_ECOM:
        return random_permille(r, 250) ? 10 : 81; /* credential on file, e-commerce */
    case CHANNEL_MOTO:
        return 1;
    case CHANNEL_ATM:
        return 5;
    default:
        return random_permille(r, 680) ? 7 : random_permille(r, 30) ? 90 : 5; /* contactless, stripe, chip */
    }
}

static uint32_t new_device(struct random *r)
{
    return (uint32_t)random_between(r, 1, UINT32_MAX);
}

static struct plan plan_honest(struct traffic *t, int64_t ms)
{
    struct random *r = &t->random;
    uint32_t index = pick_card(t, ms);
    struct card *card = &t->cards[index];
    struct plan p = {.time_ms = ms, .card = index};
    start_trip_perhaps(t, card, ms);
    bool away = ms < card->trip_until_ms;
    if (!away && random_permille(r, 660)) {
        const struct favourite *f = &card->favourites[random_below(r, FAVOURITES)];
        p.trade = f->trade;
        p.merchant = f->merchant;
    } else {
        p.trade = pick_trade(r);
        p.merchant = pick_merchant(r);
    }
    unsigned online = world_trades[p.trade].online_percent * 5u + (world_trades[p.trade].online_percent ? card->online_percent * 5u : 0);
    p.channel = p.trade == TRADE_CASH ? CHANNEL_ATM : random_permille(r, online) ? CHANNEL_ECOM : random_permille(r, 6) ? CHANNEL_MOTO : CHANNEL_POS;
    p.country = away ? card->trip : card->home;
    if (p.channel == CHANNEL_ECOM && random_permille(r, 120))
        p.country = pick_country(r, false);
    if (drifted(t, DRIFT_CATEGORY) && random_permille(r, 20))
        p.country = COUNTRY_NEW;
    if (drifted(t, DRIFT_WORLD) && p.channel == CHANNEL_ECOM) {
        if (random_permille(r, 125)) {
            p.trade = TRADE_QUASI_CASH;
            p.merchant = pick_merchant(r);
        }
        if (random_permille(r, 200))
            p.country = COUNTRY_NEW;
    }
    p.entry_mode = entry_mode_of(r, p.channel);
    p.amount_minor = amount_of(t, card, p.trade, 0.9);
    if (random_permille(r, 10))
        p.amount_minor *= random_between(r, 4, 15);
    p.device = random_permille(r, 8) ? new_device(r) : 0;
    p.declined = random_permille(r, away ? 45 : 20);
    return p;
}

static void try_again_perhaps(struct traffic *t, struct plan declined)
{
    if (random_permille(&t->random, 500)) {
        declined.time_ms += random_between(&t->random, 6000, 60000);
        declined.declined = random_permille(&t->random, 300);
        agenda_add(&t->planned, &declined);
    }
}

/* Fraud: each takes the honest payment that it follows. */

static void test_card(struct traffic *t, struct plan after)
{
    struct random *r = &t->random;
    struct plan p = after;
    p.fraud = CARD_TESTING;
    p.channel = CHANNEL_ECOM;
    p.entry_mode = 81;
    p.device = new_device(r);
    p.time_ms += random_between(r, 30 * 60000, 20 * HOUR_MS);
    for (int64_t n = random_between(r, 4, 9); n > 0; n--) {
        p.trade = random_permille(r, 700) ? TRADE_DIGITAL : pick_trade(r);
        p.merchant = pick_merchant(r);
        p.country = random_permille(r, 400) ? t->cards[after.card].home : pick_country(r, false);
        p.amount_minor = random_between(r, 50, 499);
        p.declined = random_permille(r, 350);
        p.time_ms += random_between(r, 4000, 60000);
        agenda_add(&t->planned, &p);
    }
    for (int64_t n = random_between(r, 1, 3); n > 0; n--) {
        p.trade = random_permille(r, 500) ? TRADE_ELECTRONICS : TRADE_JEWELLERY;
        p.merchant = pick_merchant(r);
        p.amount_minor = t->cards[after.card].typical_minor * random_between(r, 6, 25);
        p.declined = random_permille(r, 200);
        p.time_ms += random_between(r, 60000, 12 * 60000);
        agenda_add(&t->planned, &p);
    }
}

static void jump_abroad(struct traffic *t, struct plan after)
{
    struct random *r = &t->random;
    struct plan p = after;
    p.fraud = FOREIGN_JUMP;
    p.country = pick_far_country(r, t->cards[after.card].home);
    p.device = 0;
    p.time_ms += random_between(r, 5 * 60000, 60 * 60000);
    for (int64_t n = random_between(r, 2, 6); n > 0; n--) {
        p.trade = random_permille(r, 250) ? TRADE_CASH : pick_trade(r);
        p.channel = p.trade == TRADE_CASH ? CHANNEL_ATM : CHANNEL_POS;
        p.entry_mode = random_permille(r, 700) ? 90 : 5;
        p.merchant = pick_merchant(r);
        p.amount_minor = amount_of(t, &t->cards[after.card], p.trade, 0.7);
        p.amount_minor *= random_between(r, 2, 6);
        p.declined = random_permille(r, 180);
        agenda_add(&t->planned, &p);
        p.time_ms += random_between(r, 2 * 60000, 18 * 60000);
    }
}

static void spree_at_night(struct traffic *t, struct plan after)
{
    struct random *r = &t->random;
    struct plan p = after;
    p.fraud = NIGHT_SPREE;
    p.country = t->cards[after.card].home;
    p.device = random_permille(r, 700) ? new_device(r) : 0;
    int hours = (26 - local_hour(&t->cards[after.card], after.time_ms)) % 24; /* to two o'clock */
    p.time_ms += hours * (int64_t)HOUR_MS + random_between(r, 60000, 2 * HOUR_MS);
    for (int64_t n = random_between(r, 3, 8); n > 0; n--) {
        p.trade = random_permille(r, 550) ? TRADE_ELECTRONICS : random_permille(r, 500) ? TRADE_JEWELLERY : pick_trade(r);
        p.channel = random_permille(r, 800) ? CHANNEL_ECOM : CHANNEL_POS;
        p.entry_mode = p.channel == CHANNEL_ECOM ? 81 : 90;
        p.merchant = pick_merchant(r);
        p.amount_minor = amount_of(t, &t->cards[after.card], p.trade, 0.6);
        p.amount_minor *= random_between(r, 1, 4);
        p.declined = random_permille(r, 120);
        agenda_add(&t->planned, &p);
        p.time_ms += random_between(r, 90000, 9 * 60000);
    }
}

static void take_over(struct traffic *t, struct plan after)
{
    struct random *r = &t->random;
    struct plan p = after;
    p.fraud = TAKEOVER;
    p.channel = CHANNEL_ECOM;
    p.entry_mode = 10;
    p.device = new_device(r);
    p.time_ms += random_between(r, HOUR_MS, 30 * (int64_t)HOUR_MS);
    for (int64_t n = random_between(r, 2, 5); n > 0; n--) {
        p.trade = random_permille(r, 400) ? TRADE_DIGITAL : pick_trade(r);
        p.trade = p.trade == TRADE_CASH ? TRADE_ELECTRONICS : p.trade;
        p.country = random_permille(r, 600) ? t->cards[after.card].home : pick_country(r, false);
        p.merchant = pick_merchant(r);
        p.amount_minor = amount_of(t, &t->cards[after.card], p.trade, 0.8);
        p.amount_minor *= random_between(r, 1, 3);
        p.declined = random_permille(r, 80);
        agenda_add(&t->planned, &p);
        p.time_ms += random_between(r, 5 * 60000, 3 * HOUR_MS);
    }
}

static void start_episode_perhaps(struct traffic *t, struct plan after)
{
    if (random_u64(&t->random) >> 11 >= t->episode_threshold)
        return;
    uint64_t kind = random_below(&t->random, 100);
    if (kind < TESTING_PERCENT)
        test_card(t, after);
    else if (kind < TESTING_PERCENT + JUMP_PERCENT)
        jump_abroad(t, after);
    else if (kind < TESTING_PERCENT + JUMP_PERCENT + SPREE_PERCENT)
        spree_at_night(t, after);
    else
        take_over(t, after);
}

/* From plan to event */

static uint64_t name_of(const struct traffic *t, uint64_t kind, uint64_t index)
{
    return mix64(index ^ mix64(t->options.seed * 8 + kind)); /* a bijection of index: no two alike */
}

static void write_name(char out[24], const char *prefix, uint64_t name)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(prefix);
    memcpy(out, prefix, n);
    for (int i = 0; i < 16; i++)
        out[n + (size_t)i] = digits[name >> (60 - 4 * i) & 15];
    out[n + 16] = 0;
}

static void write_online(const struct traffic *t, const struct plan *p, struct transaction *out)
{
    uint64_t device = name_of(t, 2, (uint64_t)p->device << 32 | p->card);
    const struct country *from = &world_countries[p->device && p->fraud ? device % (COUNTRY_COUNT - 1) : t->cards[p->card].home];
    write_name(out->device_id, "d_", device);
    snprintf(out->ip, sizeof out->ip, "%u.%u.%u.%u", from->ip_first, (unsigned)(device >> 16 & 255), (unsigned)(device >> 24 & 255),
             (unsigned)(device >> 32) % 254 + 1);
}

static void write_merchant(const struct traffic *t, const struct plan *p, struct transaction *out)
{
    const struct country *country = &world_countries[p->country];
    uint64_t place = name_of(t, 3, (uint64_t)p->country << 40 | (uint64_t)p->trade << 20 | p->merchant);
    snprintf(out->merchant_id, sizeof out->merchant_id, "%s-%d-%03u", country->code, world_trades[p->trade].mcc, p->merchant);
    out->merchant_country = country->code;
    out->mcc = world_trades[p->trade].mcc;
    out->has_location = (p->channel == CHANNEL_POS || p->channel == CHANNEL_ATM) && !drifted(t, DRIFT_NULL);
    int64_t spread = country->spread_1e2 * 100;
    out->lat = (double)(country->lat_1e2 * 100 + (int64_t)(place % (uint64_t)(2 * spread)) - spread) / 10000.0;
    out->lon = (double)(country->lon_1e2 * 100 + (int64_t)(place / 65536 % (uint64_t)(2 * spread)) - spread) / 10000.0;
}

static void write_label(struct traffic *t, const struct plan *p, struct transaction *out)
{
    bool unseen = drifted(t, DRIFT_LABELS) && p->fraud == HONEST && random_permille(&t->random, 100);
    out->label = p->fraud != HONEST || unseen;
    out->fraud_type = unseen ? "unseen" : fraud_names[p->fraud];
    double u = random_unit(&t->random);
    int64_t delay = out->label ? 2 * HOUR_MS + (int64_t)(u * u * (20 * 24 - 2)) * HOUR_MS : 30 * (int64_t)DAY_MS;
    out->reported_ms = p->time_ms + (int64_t)((__int128)delay * t->options.label_delay_ms / TRAFFIC_LABEL_DELAY_MS);
}

static void write_event(struct traffic *t, const struct plan *p, struct transaction *out)
{
    *out = (struct transaction){.event_time_ms = p->time_ms, .amount_minor = p->amount_minor, .pos_entry_mode = p->entry_mode,
                                .channel = (enum channel)p->channel, .currency = world_countries[t->cards[p->card].home].currency,
                                .response_code = p->declined ? (p->amount_minor > 50000 ? "51" : "05") : "00"};
    write_name(out->transaction_id, "t_", name_of(t, 0, t->emitted));
    write_name(out->card_token, "c_", name_of(t, 1, p->card));
    write_name(out->account_id, "a_", name_of(t, 4, p->card / 5 * 4 + (p->card % 5) * 3 / 4)); /* one account in five has two cards */
    write_merchant(t, p, out);
    if (p->channel == CHANNEL_ECOM)
        write_online(t, p, out);
    write_label(t, p, out);
}

const char *traffic_drift_name(enum traffic_drift drift)
{
    return (const char *const[DRIFT_COUNT]){"world", "amount", "category", "null", "labels", "silence"}[drift];
}

bool traffic_next(struct traffic *t, struct transaction *out)
{
    if (t->emitted == t->options.events)
        return false;
    int64_t ms = slot_time(t);
    while (is_silent(t, ms)) {
        if (++t->emitted == t->options.events)
            return false;
        ms = slot_time(t);
    }
    struct plan plan;
    const struct plan *planned = agenda_first(&t->planned);
    if (planned && planned->time_ms <= ms) {
        agenda_take(&t->planned, &plan);
        plan.time_ms = plan.time_ms < t->silent_until_ms ? t->silent_until_ms : plan.time_ms;
    } else {
        plan = plan_honest(t, ms);
        if (plan.declined)
            try_again_perhaps(t, plan);
        start_episode_perhaps(t, plan);
    }
    write_event(t, &plan, out);
    t->emitted++;
    return true;
}

/* Creation */

static void make_card(struct traffic *t, uint64_t index)
{
    struct random r = {name_of(t, 5, index)};
    struct card *c = &t->cards[index];
    c->home = pick_country(&r, true);
    c->typical_minor = (int32_t)(2400.0 * power_of_two(0.8 * random_bell(&r)));
    c->wakes_h = (uint8_t)random_between(&r, 5, 9);
    c->awake_h = (uint8_t)random_between(&r, 14, 17);
    c->online_percent = (uint8_t)random_between(&r, 5, 90);
    for (int i = 0; i < FAVOURITES; i++) {
        c->favourites[i].trade = pick_trade(&r);
        c->favourites[i].merchant = pick_merchant(&r);
    }
}

static int check(const struct traffic_options *o, struct err *err)
{
    if (o->events < 1 || o->events > TRAFFIC_EVENTS_MAX)
        return err_set(err, "events: 1 to %llu", (unsigned long long)TRAFFIC_EVENTS_MAX);
    if (o->cards < 1 || o->cards > TRAFFIC_CARDS_MAX)
        return err_set(err, "cards: 1 to %d", TRAFFIC_CARDS_MAX);
    if (!(o->fraud_rate >= 0 && o->fraud_rate <= 0.5))
        return err_set(err, "fraud rate: 0 to 0.5");
    if (o->label_delay_ms < 0 || o->label_delay_ms > 366 * (int64_t)DAY_MS)
        return err_set(err, "label delay: at most a year");
    if (o->start_ms < 0 || o->span_ms < 1 || o->span_ms > 100 * 366 * (int64_t)DAY_MS || o->start_ms > 253370764800000 - o->span_ms)
        return err_set(err, "times: from 1970 to 9998, over 1 ms to 100 years");
    return 0;
}

int traffic_create(const struct traffic_options *options, struct traffic **out, struct err *err)
{
    if (check(options, err) < 0)
        return -1;
    struct traffic *t = calloc(1, sizeof *t);
    if (!t || !(t->cards = calloc(options->cards, sizeof *t->cards)) || !(t->card_weights = calloc(options->cards, sizeof *t->card_weights))) {
        traffic_destroy(t);
        return err_set(err, "memory is short for %llu cards", (unsigned long long)options->cards);
    }
    t->options = *options;
    t->planned = (struct agenda){.record_size = sizeof(struct plan), .is_earlier = is_earlier};
    t->options.label_delay_ms = options->label_delay_ms ? options->label_delay_ms : TRAFFIC_LABEL_DELAY_MS;
    t->options.drift_until = options->drift_until ? options->drift_until : UINT64_MAX;
    t->random.state = mix64(options->seed);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < options->cards; i++) {
        make_card(t, i);
        t->card_weights[i] = sum += ((uint64_t)1 << 32) / (i + options->cards / 20 + 10);
    }
    t->rhythm_start = rhythm_at(options->rhythm, options->start_ms);
    t->rhythm_total = rhythm_at(options->rhythm, options->start_ms + options->span_ms) - t->rhythm_start;
    double honest = 1.0 - options->fraud_rate;
    t->episode_threshold = (uint64_t)(options->fraud_rate / EPISODE_EVENTS / honest * 0x1p53);
    *out = t;
    return 0;
}

void traffic_destroy(struct traffic *t)
{
    if (!t)
        return;
    free(t->cards);
    free(t->card_weights);
    agenda_finish(&t->planned);
    free(t);
}
