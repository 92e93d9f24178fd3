#include "consumer/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "consumer/clock.h"

static atomic_int level_most = LOG_INFO;

void log_set_level(enum log_level most)
{
    atomic_store(&level_most, (int)most);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load(&level_most);
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (!log_enabled(level))
        return;
    char line[4096];
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s ", (int)(now_ms % 1000), names[level]);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    size_t end = m < 0 ? n : (size_t)m < sizeof line - n - 1 ? n + (size_t)m : sizeof line - 2;
    for (size_t i = n; i < end; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[end] = '\n';
    fwrite(line, 1, end + 1, stderr);
}
