#include "consumer/failpoint.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/log.h"

enum { NUMBER_MAX = 1000000, REACHED_MAX = 1 << 30 };

static const struct {
    const char *name, *where;
    bool can_fail;
} places[] = {
#define PLACE(name, can_fail, where) {#name, where, can_fail},
    FAILPOINTS(PLACE)
#undef PLACE
};

/* Of the whole process: lanes count together, as a test of one place does not care which of them gets there. */
static struct failpoint_order armed[FAILPOINT_COUNT];
static atomic_int reached[FAILPOINT_COUNT];

const char *failpoint_name(enum failpoint place)
{
    return places[place].name;
}

bool failpoint_can_fail(enum failpoint place)
{
    return places[place].can_fail;
}

const char *failpoint_where(enum failpoint place)
{
    return places[place].where;
}

/* A number from 1 on at *text, which then stands behind it. */
static bool take_number(const char **text, int *number)
{
    char *end;
    long value = **text >= '0' && **text <= '9' ? strtol(*text, &end, 10) : 0;
    if (value < 1 || value > NUMBER_MAX)
        return false;
    *text = end;
    *number = (int)value;
    return true;
}

static bool take_word(const char **text, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(*text, word, size))
        return false;
    *text += size;
    return true;
}

static bool take_place(const char **text, enum failpoint *place)
{
    size_t size = strcspn(*text, ":");
    for (int i = 0; i < FAILPOINT_COUNT; i++)
        if (strlen(places[i].name) == size && !memcmp(places[i].name, *text, size)) {
            *place = (enum failpoint)i;
            *text += size;
            return true;
        }
    return false;
}

int failpoint_parse(const char *text, struct failpoint_order *out, struct err *err)
{
    struct failpoint_order order = {.hit = 1};
    const char *rest = text;
    if (!take_place(&rest, &order.place))
        return err_set(err, "'%.60s' is no failpoint; weir run --failpoints lists them", text);
    if (take_word(&rest, ":kill"))
        order.action = FAILPOINT_KILL;
    else if (take_word(&rest, ":error"))
        order.action = FAILPOINT_ERROR;
    else if (take_word(&rest, ":pause=") && take_number(&rest, &order.pause_ms))
        order.action = FAILPOINT_PAUSE;
    else
        return err_set(err, "'%.60s' needs an action: kill, pause=MS or error", text);
    if (take_word(&rest, "@")) {
        if (!take_number(&rest, &order.hit))
            return err_set(err, "'%.60s': behind the @ stands which time it acts, 1..%d", text, NUMBER_MAX);
        order.onward = take_word(&rest, "+");
    }
    if (*rest)
        return err_set(err, "'%.60s' ends in '%.20s'; it is written name:action or name:action@N", text, rest);
    if (order.action == FAILPOINT_ERROR && !places[order.place].can_fail)
        return err_set(err, "%s cannot fail, there is no call; it can kill and pause", places[order.place].name);
    *out = order;
    return 0;
}

void failpoint_arm(const struct failpoint_order *order)
{
    armed[order->place] = *order;
    atomic_store(&reached[order->place], 0);
}

static void sleep_ms(int ms)
{
    for (; ms > 0; ms -= 500)
        usleep((useconds_t)(ms < 500 ? ms : 500) * 1000);
}

bool failpoint_reach(enum failpoint place)
{
    static const char *const verbs[] = {"", "dies", "pauses", "fails"};
    const struct failpoint_order *order = &armed[place];
    if (order->action == FAILPOINT_OFF)
        return false;
    int hit = atomic_load(&reached[place]);
    hit = hit < REACHED_MAX ? atomic_fetch_add(&reached[place], 1) + 1 : hit;
    if (hit < order->hit || (hit > order->hit && !order->onward))
        return false;
    log_warning("failpoint %s: the process %s here, reached %d times", places[place].name, verbs[order->action], hit);
    if (order->action == FAILPOINT_KILL)
        raise(SIGKILL);
    if (order->action == FAILPOINT_PAUSE)
        sleep_ms(order->pause_ms);
    return order->action == FAILPOINT_ERROR;
}
