#include "consumer/demo/directory.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool empty = dir != NULL;
    while (empty && (entry = readdir(dir)))
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    if (dir)
        closedir(dir);
    return empty;
}

int directory_init(struct directory *d, const char *keep, struct err *err)
{
    const char *temporary = getenv("TMPDIR");
    *d = (struct directory){.keep = keep != NULL};
    int length = keep ? snprintf(d->path, sizeof d->path, "%s", keep) : snprintf(d->path, sizeof d->path, "%s/weir-demo-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if ((size_t)length >= sizeof d->path)
        return err_set(err, "the path is too long: %.200s...", d->path);
    if (!keep && !mkdtemp(d->path))
        return err_set(err, "cannot make a temporary directory (%s): %s", d->path, strerror(errno));
    if (keep && mkdir(keep, 0777) < 0 && errno != EEXIST)
        return err_set(err, "--keep %s: cannot make the directory: %s", keep, strerror(errno));
    if (keep && !is_empty(keep))
        return err_set(err, "--keep %s: is not an empty directory; name a new one", keep);
    d->made = true;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    remove(path);
    return 0;
}

void directory_finish(struct directory *d)
{
    if (d->made && !d->keep)
        nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    d->made = false;
}

const char *directory_file(const struct directory *d, const char *name, char room[4096])
{
    snprintf(room, 4096, "%s/%s", d->path, name);
    return room;
}
