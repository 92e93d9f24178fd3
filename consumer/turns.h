/* The pause of a thread that looks at something now and then, until it is told to stop. */
#pragma once
#include <pthread.h>
#include <stdbool.h>

struct turns {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopped;
};
void turns_init(struct turns *turns);
void turns_finish(struct turns *turns);
/* The next turn, after so long; false: it is told to stop, and that at once. */
bool turns_wait(struct turns *turns, int ms);
void turns_stop(struct turns *turns);
