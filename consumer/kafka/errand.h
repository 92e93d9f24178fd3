/* A thread that does one thing at a time for another: calls that wait for a broker, while its owner goes on.
 *
 * The owner starts a task and asks now and then whether it is done; what the task writes belongs to it until then.  The
 * lock in between orders the two: no other synchronisation is needed. */
#pragma once
#include <stdbool.h>

struct errand;
/* `done` is called by the thread after each task (to wake the owner); NULL: nobody waits elsewhere. */
struct errand *errand_create(void (*done)(void *context), void *context);
void errand_start(struct errand *errand, void (*task)(void *of), void *of); /* none may be under way */
bool errand_under_way(struct errand *errand);
/* Until the task is done, at most so long; whether it is. */
bool errand_wait(struct errand *errand, int wait_ms);
/* Ends the thread.  false: the task did not end within wait_ms; thread and errand are left to themselves, and what the
 * task uses must be, too. */
bool errand_destroy(struct errand *errand, int wait_ms);
