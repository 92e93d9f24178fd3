/* What ends a wait from outside: a flag that a signal or another thread sets.  NULL: nobody does. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

static inline bool stop_is_set(const atomic_bool *stop)
{
    return stop && atomic_load(stop);
}
