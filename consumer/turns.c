#include "consumer/turns.h"

#include "consumer/clock.h"

void turns_init(struct turns *t)
{
    *t = (struct turns){0};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
}

void turns_finish(struct turns *t)
{
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
}

bool turns_wait(struct turns *t, int ms)
{
    struct timespec until = clock_wall_after(ms);
    pthread_mutex_lock(&t->lock);
    if (!t->stopped)
        pthread_cond_timedwait(&t->wake, &t->lock, &until);
    bool stopped = t->stopped;
    pthread_mutex_unlock(&t->lock);
    return !stopped;
}

void turns_stop(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}
