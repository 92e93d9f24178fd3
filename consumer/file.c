#include "consumer/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct err *err, const char *verb, const char *path)
{
    int code = errno;
    err_set(err, "%s: cannot %s: %s", path, verb, strerror(code));
    if (err)
        err->code = code;
    return -1;
}

int file_read(const char *path, size_t max, char **data, size_t *size, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    struct stat st;
    int result = -1;
    char *bytes = NULL;
    if (fstat(fd, &st) < 0) {
        fail(err, "read", path);
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, "%s: not a regular file", path);
    } else if ((uint64_t)st.st_size > max) {
        err_set(err, "%s: %lld bytes, more than the %zu that such a file may have", path, (long long)st.st_size, max);
    } else if (!(bytes = malloc((size_t)st.st_size + 1))) {
        fail(err, "read", path);
    } else {
        size_t n = 0;
        ssize_t got = 0;
        while (n < (size_t)st.st_size && (got = read(fd, bytes + n, (size_t)st.st_size - n)) > 0)
            n += (size_t)got;
        if (got < 0) {
            fail(err, "read", path);
            free(bytes);
        } else {
            bytes[n] = 0;
            *data = bytes;
            *size = n;
            result = 0;
        }
    }
    close(fd);
    return result;
}

int file_write(const char *path, const void *data, size_t size, struct err *err)
{
    char partial[4096];
    if ((size_t)snprintf(partial, sizeof partial, "%s.partial", path) >= sizeof partial)
        return err_set(err, "%s: the path is too long", path);
    FILE *f = fopen(partial, "we");
    if (!f)
        return fail(err, "write", partial);
    bool ok = fwrite(data, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
    ok = (fclose(f) == 0) && ok;
    if (!ok || rename(partial, path) < 0) {
        fail(err, "write", path);
        unlink(partial);
        return -1;
    }
    return 0;
}
