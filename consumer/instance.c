#include "consumer/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "consumer/kafka/client.h"

enum { SLOTS_MAX = 256 };

static const char *lock_directory(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    if (dir && *dir && access(dir, W_OK) == 0)
        return dir;
    return access("/run/lock", W_OK) == 0 ? "/run/lock" : "/tmp";
}

/* 1: ours now, 0: somebody else's, -1: cannot lock at all. */
static int try_lock(const char *app_id, struct instance *instance, struct err *err)
{
    char path[1024], safe[512];
    snprintf(safe, sizeof safe, "%s-%s", app_id, instance->name);
    for (char *c = safe; *c; c++)
        if (*c == '/')
            *c = '_';
    snprintf(path, sizeof path, "%s/weir-%s.lock", lock_directory(), safe);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return err_set(err, "%s: cannot open the lock of instance %s: %s", path, instance->name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return 0;
    }
    instance->lock_fd = fd;
    return 1;
}

int instance_acquire(const struct config *config, struct instance *instance, struct err *err)
{
    const char *given = config->instance ? config->instance : kafka_property(config, "client.id");
    char host[200];
    instance->lock_fd = -1;
    if (given) {
        snprintf(instance->name, sizeof instance->name, "%s", given);
        int locked = try_lock(config->app_id, instance, err);
        if (locked == 0)
            return err_set(err, "instance %s of %s runs already on this host; give each process its own `instance`", given, config->app_id);
        return locked < 0 ? -1 : 0;
    }
    if (gethostname(host, sizeof host) < 0)
        return err_set(err, "the host has no name (%s); set `instance`", strerror(errno));
    host[sizeof host - 1] = 0;
    for (int slot = 0; slot < SLOTS_MAX; slot++) {
        snprintf(instance->name, sizeof instance->name, "%s-%d", host, slot);
        int locked = try_lock(config->app_id, instance, err);
        if (locked)
            return locked < 0 ? -1 : 0;
    }
    return err_set(err, "%d instances of %s run on this host already; set `instance`", SLOTS_MAX, config->app_id);
}

void instance_release(struct instance *instance)
{
    if (instance->lock_fd >= 0)
        close(instance->lock_fd);
    instance->lock_fd = -1;
}
