/* The only place where the process asks what time it is. */
#pragma once
#include <stdint.h>

int64_t clock_wall_ms(void);      /* since the epoch */
int64_t clock_monotonic_ns(void);
int64_t clock_cpu_ns(void);       /* user and system time of the process */
int64_t clock_thread_cpu_ns(void);
