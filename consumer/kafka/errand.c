#include "consumer/kafka/errand.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "consumer/clock.h"

struct errand {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*task)(void *of); /* NULL: nothing is under way */
    void *of;
    bool ending;
    void (*done)(void *context);
    void *context;
};

static void *run(void *opaque)
{
    struct errand *e = opaque;
    pthread_mutex_lock(&e->lock);
    while (!e->ending) {
        if (!e->task) {
            pthread_cond_wait(&e->changed, &e->lock);
            continue;
        }
        pthread_mutex_unlock(&e->lock);
        e->task(e->of);
        pthread_mutex_lock(&e->lock);
        e->task = NULL;
        pthread_cond_broadcast(&e->changed);
        if (e->done && !e->ending)
            e->done(e->context);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

struct errand *errand_create(void (*done)(void *context), void *context)
{
    struct errand *e = calloc(1, sizeof *e);
    pthread_condattr_t clock;
    assert(e);
    e->done = done;
    e->context = context;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&e->changed, &clock);
    pthread_condattr_destroy(&clock);
    int failed = pthread_create(&e->thread, NULL, run, e);
    assert(!failed);
    return e;
}

void errand_start(struct errand *e, void (*task)(void *of), void *of)
{
    pthread_mutex_lock(&e->lock);
    assert(!e->task);
    e->task = task;
    e->of = of;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

bool errand_under_way(struct errand *e)
{
    pthread_mutex_lock(&e->lock);
    bool busy = e->task;
    pthread_mutex_unlock(&e->lock);
    return busy;
}

bool errand_wait(struct errand *e, int wait_ms)
{
    struct timespec until = clock_monotonic_after(wait_ms);
    pthread_mutex_lock(&e->lock);
    while (e->task && pthread_cond_timedwait(&e->changed, &e->lock, &until) == 0)
        ;
    bool done = !e->task;
    pthread_mutex_unlock(&e->lock);
    return done;
}

bool errand_destroy(struct errand *e, int wait_ms)
{
    if (!e)
        return true;
    bool done = errand_wait(e, wait_ms);
    pthread_mutex_lock(&e->lock);
    e->ending = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    if (!done) {
        pthread_detach(e->thread);
        return false;
    }
    pthread_join(e->thread, NULL);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
    return true;
}
