/* The name of this process among its like: transactional ids and static group membership hang on it, so it must be
 * unique while it lives and the same after a restart. */
#pragma once
#include "consumer/config/config.h"

struct instance {
    char name[256];
    int lock_fd;
};

/* The setting `instance`, else kafka's client.id, else the host name and the first free slot.  A name that another
 * live process of this host holds is refused. */
int instance_acquire(const struct config *config, struct instance *instance, struct err *err);
void instance_release(struct instance *instance);
