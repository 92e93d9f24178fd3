/* What an event costs in the feature engine: 40 features over 5 windows, one core.
 *
 *   features [--events N] [--rounds N] [--fill N] [entities ...]      default: 9 rounds, 1000 100000 1000000 entities
 *
 * Five million entities (5000000) take some 12 GiB, half of it the hand-written loop's; with --fill 4 some 7.
 *
 * Entities are drawn log-uniformly by rank (about Zipf with exponent 1) and have 20 events a week on average; ids are
 * fresh, merchants 1 of 10,000, a tenth of the events declined.  The state is first filled with --fill events an entity
 * (22, a whole week; fewer for sizes that take long).  Then rounds of --events each (200,000; twice the entities where
 * those are many): in order, with 1 % late by up to 10 minutes, with every other event on one hot key, and the
 * hand-written loop of hand_loop.h over the same events in order.
 * Printed are medians of the rounds, of ratios the median of each round's ratio: other work on the machine hits what
 * stands beside each other alike.  With 1,000 entities the list scan of tests/unit/reference_features.c runs too.
 *
 * What bounds it with 1,000 entities: the number of instructions.  An event takes 2,010 of them (counted one by one, at
 * nearly three a clock cycle): 700 for the windows, staircases and the category's look-up, 200 for its row of 40 columns, 240
 * for its record and its entity's hash, 80 for its id's look-up, 320 for fetching ahead, 240 for what it passes on its way,
 * the rest for what leaves and for rings that grow.  From 100,000 entities on it is bound by memory: an event needs eleven
 * lines that are far (in a simulated cache of a hundredth of the state): two of the entity, four of windows' edges, three or
 * four of tables, the rest of rings that move, on four to ten pages; what takes longest is that the machine looks those up in
 * its page tables, for which a tenth to a fifth of the time is waited.
 *
 * What gained most, in this order: vectors that do not reach behind the line that was fetched, though masked (a twelfth with
 * 1,000,000); records, hashes and rows column by column, a group of events at a time, with a step's constants in registers
 * (a sixth of the instructions); look-ups that compare a line of slots or a ring's tags at once, inline; what look-ups will
 * find, the lines behind windows' edges and behind marked ones of a table, and the next free block, fetched in advance (a
 * fifth with 1,000,000); prefetches of several events side by side, so that their pages are looked up together; nothing
 * read that lies near what was just stored under a mask; deviations of any size by vectors (a twentieth with 100,000),
 * those of two windows for four events at once, and hours without division (a fortieth); the oldest event of a full entity
 * leaves in the same step as the newest comes (a twentieth with 100,000), small rings that seldom move, and tables whose
 * searches end in the line where they begin (a twentieth with 1,000,000).  A late event takes as long as five ordinary ones,
 * as ten where memory is far: it touches the events that are newer, their slots, and those that its windows
 * hold beyond the kept ones; by their gaps (feature_program.h) it finds what else it looks for, rather than by going through
 * its longest window.  Without newest.h an event takes a third longer.
 *
 * What was tried and gained nothing: -O3, -march=native, link-time optimisation; more than two events fetched together, whole
 * blocks fetched before they are copied, events' values fetched ahead, fewer lines behind windows' edges; hashes of eight keys
 * at a time and rows written from eight columns of eight events, which take other instructions but no less time; tables
 * denser than three slots of four.  The next factor is code made for the feature file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scoring/features/features.h"
#include "scoring/features/partition_state.h"
#include "tests/bench/forty_features.h"
#include "tests/bench/hand_loop.h"
#include "tests/unit/reference_features.h"

#define WEEK_MS INT64_C(604800000)

enum { BATCH = 512, SLOTS = 16, TEXT_BYTES = 24, ROUNDS_MAX = 99, REFERENCE_EVENTS = 2048 };

enum bench_field { ID, CARD, TIME, AMOUNT, MCC, ENTRY_MODE, CHANNEL, CURRENCY, MERCHANT, RESPONSE, FIELDS };

static const char *const field_names[FIELDS] = {"id", "card", "time", "amount_minor", "mcc", "pos_entry_mode", "channel", "currency",
                                                "merchant_id", "response_code"};

struct text {
    char bytes[TEXT_BYTES];
};

struct bench {
    struct field_set fields;
    int slots[FIELDS];
    struct feature_spec *spec;
    struct windows *windows;
    struct hand_loop *hand;
    uint64_t chance;
    uint64_t entities;
    double log_entities, late, hot;
    int64_t now_us, step_us, offset;
    struct value values[BATCH][SLOTS];
    struct text ids[BATCH], cards[BATCH], merchants[BATCH];
    struct event events[BATCH];
    struct hand_event hand_events[BATCH];
    struct feature_outcome outcomes[BATCH];
    float *rows;
    double checked; /* keeps what is computed alive */
};

static uint64_t next(struct bench *b)
{
    uint64_t z = b->chance += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double unit(struct bench *b)
{
    return (double)(next(b) >> 11) * 0x1p-53;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t put_hex(char *to, const char *prefix, uint64_t x, int digits)
{
    uint32_t size = 0;
    for (; *prefix; prefix++)
        to[size++] = *prefix;
    for (int i = digits; i--;)
        to[size++] = "0123456789abcdef"[x >> 4 * i & 15];
    return size;
}

static struct value text_of(const char *text, uint32_t size)
{
    return (struct value){.type = VALUE_TEXT, .size = size, .text = text};
}

static struct value integer(int64_t x)
{
    return (struct value){.type = VALUE_INT, .integer = x};
}

static void make_event(struct bench *b, size_t i)
{
    static const char *const channels[] = {"POS", "ECOM", "ATM", "MOTO"}, *const currencies[] = {"EUR", "USD", "GBP", "JPY", "CHF"};
    struct value *values = b->values[i];
    uint64_t rank = (uint64_t)exp(unit(b) * b->log_entities), random = next(b);
    bool hot = unit(b) < b->hot;
    b->now_us += b->step_us;
    int64_t t = b->now_us / 1000 - (unit(b) < b->late ? (int64_t)(unit(b) * 600000) : 0);
    /* names are scattered, so that neighbours in rank are none in memory */
    uint64_t scattered = rank * UINT64_C(0x9e3779b97f4a7c15) >> 16;
    uint32_t card = put_hex(b->cards[i].bytes, "card-", hot ? 7 : scattered, 12);
    uint32_t id = put_hex(b->ids[i].bytes, "", (uint64_t)b->offset * UINT64_C(0xbf58476d1ce4e5b9), 16);
    uint32_t merchant = put_hex(b->merchants[i].bytes, "m-", random % 10000, 5);
    const char *channel = channels[random >> 20 & 3], *currency = currencies[(random >> 24) % 5];
    int64_t amount = (int64_t)(random >> 40 & 0xfffff);
    values[b->slots[ID]] = text_of(b->ids[i].bytes, id);
    values[b->slots[CARD]] = text_of(b->cards[i].bytes, card);
    values[b->slots[TIME]] = integer(t);
    values[b->slots[AMOUNT]] = integer(amount);
    values[b->slots[MCC]] = integer((int64_t)(random >> 32 & 0xfff));
    values[b->slots[ENTRY_MODE]] = integer((int64_t)(random >> 33 & 7));
    values[b->slots[CHANNEL]] = text_of(channel, (uint32_t)strlen(channel));
    values[b->slots[CURRENCY]] = text_of(currency, 3);
    values[b->slots[MERCHANT]] = text_of(b->merchants[i].bytes, merchant);
    values[b->slots[RESPONSE]] = text_of(random % 10 ? "00" : "05", 2);
    b->events[i] = (struct event){.values = values, .offset = b->offset++, .record_ms = b->now_us / 1000, .time_ms = t,
                                  .id = {b->ids[i].bytes, id}, .entity = {b->cards[i].bytes, card}};
    b->hand_events[i] = (struct hand_event){scattered % b->entities, t, amount, (uint32_t)(random % 10000)};
}

/* Nanoseconds an event. */
static double run(struct bench *b, uint64_t events)
{
    double spent = 0;
    uint64_t done = 0;
    for (; done < events; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            make_event(b, i);
        double start = now_ns();
        if (windows_fold(b->windows, b->events, BATCH, b->rows, b->outcomes))
            exit(1);
        spent += now_ns() - start;
    }
    return spent / (double)done;
}

/* The hand-written loop over the events that `run` will see next. */
static double run_hand(struct bench *b, uint64_t events)
{
    uint64_t chance = b->chance, done = 0;
    int64_t now_us = b->now_us, offset = b->offset;
    double spent = 0;
    for (; done < events; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            make_event(b, i);
        double start = now_ns();
        b->checked += hand_loop_fold(b->hand, b->hand_events, BATCH);
        spent += now_ns() - start;
    }
    b->chance = chance;
    b->now_us = now_us;
    b->offset = offset;
    return spent / (double)done;
}

/* The list scan over 2,048 events, from nothing: it only gets slower after them. */
static double run_reference(struct bench *b)
{
    struct reference *reference = reference_create(b->spec, (struct window_limits){20000000, 500000000});
    double spent = 0;
    uint64_t done = 0;
    for (; reference && done < REFERENCE_EVENTS; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            make_event(b, i);
        double start = now_ns();
        if (reference_fold(reference, b->events, BATCH, b->rows, b->outcomes))
            exit(1);
        spent += now_ns() - start;
    }
    reference_destroy(reference);
    return spent / (double)done;
}

static void open_bench(struct bench *b, uint64_t entities)
{
    struct err err;
    memset(b, 0, sizeof *b);
    field_set_init(&b->fields);
    struct file_options options = {.lateness_ms = 600000, .future_skew_ms = 300000, .max_events = 4096};
    struct feature_spec_source source = scene_source(options, entries, sizeof entries / sizeof *entries);
    if (feature_spec_create(&source, &b->fields, &b->spec, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    for (int i = 0; i < FIELDS; i++)
        b->slots[i] = field_set_find(&b->fields, field_names[i]);
    b->windows = windows_create(b->spec, (struct window_limits){20000000, 500000000});
    b->hand = hand_loop_create(entities);
    b->rows = calloc(BATCH * b->spec->count, sizeof *b->rows);
    if (!b->windows || !b->hand || !b->rows)
        exit(1);
    b->chance = 1;
    b->entities = entities;
    b->log_entities = log((double)entities);
    b->now_us = INT64_C(1700000000000000);
    b->step_us = WEEK_MS * 1000 / (int64_t)(entities * 20);
}

static void close_bench(struct bench *b)
{
    windows_destroy(b->windows);
    hand_loop_destroy(b->hand);
    feature_spec_destroy(b->spec);
    field_set_finish(&b->fields);
    free(b->rows);
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *numbers, int count)
{
    qsort(numbers, (size_t)count, sizeof *numbers, order);
    return numbers[count / 2];
}

/* What the table of entities takes, an entity that is held: its parts add up to entity_table_bytes. */
static void print_entity_bytes(const struct entity_table *t)
{
    const double held = (double)t->held, index = (double)entity_index_bytes(&t->index);
    const double used = (double)t->ever * t->entity_size, gone = (double)(t->ever - t->held) * t->entity_size;
    const double lists = (double)entity_table_bytes(t) - index - (double)t->piece_bytes;
    printf("  %u entities: %.1f bytes each: itself %u, index %.1f, of entities that went %.1f, not used yet %.1f, long keys and their like %.1f\n",
           t->held, (double)entity_table_bytes(t) / held, t->entity_size, index / held, gone / held, ((double)t->piece_bytes - used) / held, lists / held);
}

/* What blocks take, an event that is held: its parts add up to block_pool_bytes. */
static void print_event_bytes(const struct windows *w)
{
    const struct feature_program *p = w->program;
    const struct block_pool *pool = &w->store.blocks;
    const double events = (double)w->store.events, record = p->record_words * 8.0;
    double places = 0, blocks = 0;
    for (uint32_t i = 0; i < w->entities.ever; i++) {
        const struct entity *e = entity_at(&w->entities, i);
        if (!e->held || !e->block)
            continue;
        places += p->layouts[e->layout].capacity;
        blocks += (double)p->layouts[e->layout].size;
    }
    const double unused = (double)(pool->end - pool->at), free_blocks = (double)block_pool_bytes(pool) - blocks - unused;
    printf("  %.0f events: %.1f bytes each: record %.0f, tables and staircases %.1f, free places %.1f; free blocks %.1f, not used yet %.1f\n", events,
           (double)block_pool_bytes(pool) / events, record, (blocks - places * record) / events, (places - events) * record / events,
           free_blocks / events, unused / events);
}

static void print_bytes(const struct windows *w)
{
    print_entity_bytes(&w->entities);
    print_event_bytes(w);
    printf("  in all %.1f MiB\n", (double)windows_count(w).bytes / 1048576);
}

/* The share of the process's memory that lies in huge pages; where the system does not say, nothing. */
static void print_huge_pages(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    double resident_kb = 0, huge_kb = 0;
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "Rss: %lf", &resident_kb);
        sscanf(line, "AnonHugePages: %lf", &huge_kb);
    }
    if (file)
        fclose(file);
    if (resident_kb > 0)
        printf("  huge pages: %.0f %% of %.0f MiB resident, the hand-written loop's included\n", 100 * huge_kb / resident_kb, resident_kb / 1024);
}

static void measure(struct bench *b, uint64_t entities, uint64_t events, int rounds, uint64_t fill)
{
    double quiet[ROUNDS_MAX], late[ROUNDS_MAX], hot[ROUNDS_MAX], hand[ROUNDS_MAX];
    events = events ? events : entities * 2 < 200000 ? 200000 : entities * 2 < 4000000 ? entities * 2 : 4000000;
    open_bench(b, entities);
    run_hand(b, entities * fill);
    run(b, entities * fill);
    b->hot = 0.5;
    run(b, 20000);
    for (int i = 0; i < rounds; i++) {
        b->hot = 0;
        double by_hand = run_hand(b, events);
        quiet[i] = run(b, events);
        hand[i] = quiet[i] / by_hand;
        b->late = 0.01;
        late[i] = run(b, events) / quiet[i];
        b->late = 0;
        b->hot = 0.5;
        hot[i] = run(b, events) / quiet[i];
    }
    double ns = median(quiet, rounds);
    printf("%9llu entities: %6.1f ns/event, %5.2f ns/feature; times %.2f with 1 %% late, %.2f with half of them on a hot key; %.1f times the "
           "hand-written loop\n",
           (unsigned long long)entities, ns, ns / (double)b->spec->count, median(late, rounds), median(hot, rounds), median(hand, rounds));
    print_bytes(b->windows);
    print_huge_pages();
    if (entities == 1000) {
        double reference = run_reference(b);
        printf("  the list scan: %.0f ns/event, %.0f times the engine\n", reference, reference / ns);
    }
    fflush(stdout);
    close_bench(b);
}

int main(int argc, char **argv)
{
    static struct bench b;
    static const uint64_t sizes[] = {1000, 100000, 1000000};
    uint64_t events = 0, rounds = 9, fill = 22;
    int at = 1;
    for (; at + 1 < argc && !strncmp(argv[at], "--", 2); at += 2)
        *(!strcmp(argv[at], "--events") ? &events : !strcmp(argv[at], "--fill") ? &fill : &rounds) = strtoull(argv[at + 1], NULL, 10);
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (int i = at; i < argc; i++)
        measure(&b, strtoull(argv[i], NULL, 10), events, (int)rounds, fill);
    for (size_t i = 0; at == argc && i < sizeof sizes / sizeof *sizes; i++)
        measure(&b, sizes[i], events, (int)rounds, fill);
    return b.checked > 0 ? 0 : 1;
}
