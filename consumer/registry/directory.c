/* Schemas as files <id>.avsc of one directory.
 *
 * A new one is written under a temporary name and linked to its id, which fails if the id is taken: readers see
 * whole files only, and of two writers one looks again.  The next free id is one above the highest, so two writers
 * of the same schema always meet at the same id. */
#include "consumer/registry/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "consumer/file.h"

enum { COLLISIONS_MAX = 1000 };

struct directory_source {
    struct schema_source source;
    char *dir;
};

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int path_of(const struct directory_source *d, int32_t id, char path[PATH_MAX], struct err *err)
{
    if (snprintf(path, PATH_MAX, "%s/%d.avsc", d->dir, id) >= PATH_MAX)
        return err_set(err, "%s: the path is too long", d->dir);
    return 0;
}

static enum registry_answer directory_fetch(struct schema_source *source, int32_t id, struct avro_schema **schema, struct err *err)
{
    const struct directory_source *d = (const struct directory_source *)source;
    char path[PATH_MAX], *text = NULL;
    size_t size;
    if (path_of(d, id, path, err) < 0)
        return REGISTRY_AWAY;
    if (access(path, F_OK) < 0 && errno == ENOENT && is_directory(d->dir)) {
        err_set(err, "schema %d: %s does not exist", id, path);
        return REGISTRY_UNKNOWN;
    }
    enum registry_answer answer = REGISTRY_AWAY;
    if (file_read(path, SCHEMA_TEXT_MAX, &text, &size, err) == 0) {
        if (avro_schema_create(text, size, NULL, 0, schema, err) == 0)
            answer = REGISTRY_FOUND;
        else
            err_prefix(err, "%s", path);
    }
    if (answer == REGISTRY_AWAY && err)
        err->retriable = true;
    free(text);
    return answer;
}

/* The id that a file's name says; 0: none. */
static int32_t id_of(const char *name)
{
    char *end, again[32];
    long id = strtol(name, &end, 10);
    if (strcmp(end, ".avsc") || id < 1 || id > INT32_MAX)
        return 0;
    snprintf(again, sizeof again, "%ld.avsc", id);
    return strcmp(again, name) ? 0 : (int32_t)id;
}

/* The lowest id whose file equals the text (0: none) and the highest there is. */
static int scan(const struct directory_source *d, const char *schema_text, int32_t *same, int32_t *highest, struct err *err)
{
    DIR *dir = opendir(d->dir);
    if (!dir)
        return err_set(err, "schema directory %s: cannot open: %s", d->dir, strerror(errno));
    *same = *highest = 0;
    int result = 0;
    for (const struct dirent *entry; result == 0 && (entry = readdir(dir));) {
        int32_t id = id_of(entry->d_name);
        char path[PATH_MAX], *text = NULL;
        size_t size;
        if (!id)
            continue;
        *highest = id > *highest ? id : *highest;
        if (*same && id > *same)
            continue;
        result = path_of(d, id, path, err) < 0 || file_read(path, SCHEMA_TEXT_MAX, &text, &size, err) < 0 ? -1 : 0;
        if (result == 0 && avro_schema_same(text, schema_text))
            *same = id;
        free(text);
    }
    closedir(dir);
    return result;
}

static bool write_whole(int fd, const char *text)
{
    size_t size = strlen(text), done = 0;
    while (done < size) {
        ssize_t n = write(fd, text + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return fsync(fd) == 0;
}

static void sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* 1: the file is there now; 0: the id is taken; -1: neither. */
static int add_file(const struct directory_source *d, const char *subject, const char *schema_text, int32_t id, struct err *err)
{
    char path[PATH_MAX], partial[PATH_MAX];
    if (path_of(d, id, path, err) < 0 || snprintf(partial, sizeof partial, "%s/.weir-XXXXXX", d->dir) >= PATH_MAX)
        return err_set(err, "%s: the path is too long", d->dir);
    int fd = mkostemp(partial, O_CLOEXEC);
    if (fd < 0) {
        int code = errno;
        err_set(err, "schema directory %s: the schema of %s is not in it and cannot be added (%s): make it writable, or add the schema as %s",
                d->dir, subject, strerror(code), path);
        if (err)
            err->code = code;
        return -1;
    }
    int result = -1;
    if (write_whole(fd, schema_text) && fchmod(fd, 0644) == 0)
        result = link(partial, path) == 0 ? 1 : errno == EEXIST ? 0 : -1;
    if (result < 0)
        err_set(err, "schema directory %s: cannot write the schema of %s as %s: %s", d->dir, subject, path, strerror(errno));
    close(fd);
    unlink(partial);
    if (result == 1)
        sync_directory(d->dir);
    return result;
}

static int directory_output_id(struct schema_source *source, const char *subject, const char *schema_text, int32_t *id, struct err *err)
{
    const struct directory_source *d = (const struct directory_source *)source;
    for (int i = 0; i < COLLISIONS_MAX; i++) {
        int32_t same, highest;
        if (scan(d, schema_text, &same, &highest, err) < 0)
            return err_prefix(err, "schema of %s", subject);
        if (same) {
            *id = same;
            return 0;
        }
        if (highest == INT32_MAX)
            return err_set(err, "schema directory %s: no id is left for the schema of %s: %d.avsc is the highest that there can be", d->dir,
                           subject, INT32_MAX);
        int added = add_file(d, subject, schema_text, highest + 1, err);
        if (added > 0)
            *id = highest + 1;
        if (added != 0)
            return added > 0 ? 0 : -1;
    }
    return err_set(err, "schema directory %s: others keep taking the id for the schema of %s", d->dir, subject);
}

static void directory_destroy(struct schema_source *source)
{
    struct directory_source *d = (struct directory_source *)source;
    free(d->dir);
    free(d);
}

int directory_source_create(const struct registry_options *options, struct schema_source **out, struct err *err)
{
    if (!is_directory(options->dir))
        return err_set(err, "input.schemas.dir: %s is no directory: create it, or name the one that holds the <id>.avsc files", options->dir);
    struct directory_source *d = calloc(1, sizeof *d);
    char *dir = strdup(options->dir);
    if (!d || !dir) {
        free(d);
        free(dir);
        return err_set(err, "schema directory: out of memory");
    }
    d->source = (struct schema_source){directory_fetch, directory_output_id, directory_destroy};
    d->dir = dir;
    *out = &d->source;
    return 0;
}
