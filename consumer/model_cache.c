#include "consumer/model_cache.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumer/file.h"
#include "consumer/hash.h"

int model_cache_keep(const struct config *config, const char *file, const uint8_t sha[32], const void *bytes, size_t size, struct err *err)
{
    char hex[65], path[4096];
    const char *ending = strrchr(file, '.');
    if (!config->models.cache_dir)
        return 0;
    sha256_hex(sha, hex);
    if ((size_t)snprintf(path, sizeof path, "%s/%s%s", config->models.cache_dir, hex, ending && !strchr(ending, '/') ? ending : "") >= sizeof path)
        return err_set(err, "%s: models.cache_dir is too long", config->file);
    if (access(path, F_OK) == 0)
        return 0;
    if (mkdir(config->models.cache_dir, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: models.cache_dir %s: cannot make the directory: %s", config->file, config->models.cache_dir, strerror(errno));
    return file_write(path, bytes, size, err) < 0 ? err_prefix(err, "%s: models.cache_dir", config->file) : 0;
}

/* The file's bytes if they have that hash. */
static bool read_if(const char *path, const uint8_t sha[32], char **bytes, size_t *size)
{
    uint8_t found[32];
    if (!path || file_read(path, MODEL_FILE_MAX, bytes, size, NULL) < 0)
        return false;
    sha256(*bytes, *size, found);
    if (!memcmp(found, sha, sizeof found))
        return true;
    free(*bytes);
    return false;
}

static char *cached_path(const struct config *config, const char *hex)
{
    char *path = NULL;
    DIR *directory = config->models.cache_dir ? opendir(config->models.cache_dir) : NULL;
    for (struct dirent *entry; directory && !path && (entry = readdir(directory));)
        if (!strncmp(entry->d_name, hex, 64) && (!entry->d_name[64] || entry->d_name[64] == '.'))
            if (asprintf(&path, "%s/%s", config->models.cache_dir, entry->d_name) < 0)
                path = NULL;
    if (directory)
        closedir(directory);
    return path;
}

/* The configured model files, then NULL. */
static const char *configured_path(const struct config *config, size_t index)
{
    const char *first[] = {config->models.champion.file, config->models.canary.file, config->models.fallback.file};
    if (index < 3)
        return first[index];
    return index - 3 < config->models.shadow_count ? config->models.shadows[index - 3].file : NULL;
}

int model_cache_find(const struct config *config, const char *id, const uint8_t sha[32], char **bytes, size_t *size, char **path, struct err *err)
{
    char hex[65], *cached;
    sha256_hex(sha, hex);
    char *found = cached = cached_path(config, hex);
    if (!read_if(cached, sha, bytes, size)) {
        free(cached);
        found = NULL;
        for (size_t i = 0; !found && i < 3 + config->models.shadow_count; i++)
            if (read_if(configured_path(config, i), sha, bytes, size)) {
                found = strdup(configured_path(config, i));
                assert(found);
            }
    }
    if (!found) {
        err_set(err, "model %s (sha256 %s) is not at hand: no configured file has these bytes, and %s%s%s; put the file there, named %s.ubj or %s.json", id, hex,
            config->models.cache_dir ? "neither has models.cache_dir (" : "models.cache_dir is not set", config->models.cache_dir ? config->models.cache_dir : "",
            config->models.cache_dir ? ")" : "", hex, hex);
        if (err)
            err->fatal = true;
        return -1;
    }
    if (path)
        *path = found;
    else
        free(found);
    return 0;
}
