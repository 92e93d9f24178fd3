#include "consumer/process.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/log.h"

static int64_t count_open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return -1;
    int64_t n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* ".", ".." and the directory itself */
}

/* Field 22 of /proc/self/stat, in ticks since boot, as seconds since the epoch. */
static double start_time_seconds(void)
{
    char text[1024];
    unsigned long long ticks = 0;
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
        return 0;
    double uptime = 0;
    f = fopen("/proc/uptime", "re");
    if (!f)
        return 0;
    int read = fscanf(f, "%lf", &uptime);
    fclose(f);
    return read == 1 ? (double)clock_wall_ms() / 1000 - uptime + (double)ticks / (double)sysconf(_SC_CLK_TCK) : 0;
}

struct process_metrics process_metrics_read(void)
{
    struct process_metrics p = {.version = WEIR_VERSION, .cpu_seconds = (double)clock_cpu_ns() / 1e9, .start_time_seconds = start_time_seconds(), .resident_bytes = -1,
        .virtual_bytes = -1, .open_fds = count_open_files(), .max_fds = -1};
    long long virtual_pages, resident_pages;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &virtual_pages, &resident_pages) == 2) {
            p.virtual_bytes = virtual_pages * sysconf(_SC_PAGESIZE);
            p.resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
        }
        fclose(f);
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        p.max_fds = (int64_t)files.rlim_cur;
    return p;
}

static atomic_bool *stop_flag; /* a signal handler has no other way to know */

static void on_signal(int number)
{
    (void)number;
    if (atomic_exchange(stop_flag, true))
        _exit(1);
}

void process_stop_on_signals(atomic_bool *stop)
{
    struct sigaction action = {.sa_handler = on_signal};
    stop_flag = stop;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool process_was_stopped(const atomic_bool *stop, const struct err *cause)
{
    if (!atomic_load(stop))
        return false;
    log_info("stopped before it had started: %s", cause->msg);
    return true;
}

static atomic_bool *asked_flag;

static void on_hangup(int number)
{
    (void)number;
    atomic_store(asked_flag, true);
}

void process_ask_on_hangup(atomic_bool *asked)
{
    struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    asked_flag = asked;
    sigemptyset(&action.sa_mask);
    sigaction(SIGHUP, &action, NULL);
}

struct registry_options registry_options_of(const struct config *config)
{
    return (struct registry_options){.url = config->input.schemas.url, .dir = config->input.schemas.dir, .user = config->input.schemas.user,
        .password = config->input.schemas.password, .ca_file = config->input.schemas.ca_file, .cert_file = config->input.schemas.cert_file,
        .key_file = config->input.schemas.key_file, .timeout_ms = (int)config->input.schemas.timeout_ms, .register_schemas = config->input.schemas.register_schemas};
}
