/* The only place where the process asks what time it is. */
#pragma once
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void);      /* since the epoch */
int64_t clock_monotonic_ns(void);
int64_t clock_cpu_ns(void);       /* user and system time of the process */
int64_t clock_thread_cpu_ns(void);
/* For what waits until then. */
struct timespec clock_wall_after(int64_t ms);
struct timespec clock_monotonic_after(int64_t ms);
