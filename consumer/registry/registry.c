/* The cache in front of a source of schemas.
 *
 * Found ids lie in an open hash table that only grows; ids that do not exist in a small table where a newer one may
 * push an older one out.  The lock guards the tables alone, so a slow fetch delays nobody but its caller; two
 * threads that fetch one id at the same time keep the first answer. */
#include "consumer/registry/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include "consumer/clock.h"
#include "consumer/registry/source.h"

enum { UNKNOWN_SLOTS = 4096 };

struct registry {
    struct schema_source *source;
    pthread_mutex_t lock;
    struct known {
        int32_t id; /* 0: free */
        struct avro_schema *schema;
    } *known;
    size_t known_count, known_capacity; /* a power of two */
    struct unknown {
        int32_t id;
        int64_t until_ns;
    } unknown[UNKNOWN_SLOTS];
};

static size_t spread(int32_t id)
{
    return (size_t)((uint32_t)id * 2654435761u >> 8);
}

int registry_create(const struct registry_options *options, struct registry **out, struct err *err)
{
    if (!options->url == !options->dir)
        return err_set(err, "input.schemas: give either url or dir");
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return err_set(err, "schema registry: out of memory");
    int result = options->dir ? directory_source_create(options, &registry->source, err) : http_source_create(options, &registry->source, err);
    if (result < 0) {
        free(registry);
        return -1;
    }
    pthread_mutex_init(&registry->lock, NULL);
    *out = registry;
    return 0;
}

void registry_destroy(struct registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->known_capacity; i++)
        avro_schema_destroy(registry->known[i].schema);
    free(registry->known);
    pthread_mutex_destroy(&registry->lock);
    registry->source->destroy(registry->source);
    free(registry);
}

static struct known *known_slot(struct known *table, size_t capacity, int32_t id)
{
    size_t i = spread(id) & (capacity - 1);
    while (table[i].id && table[i].id != id)
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static bool known_grow(struct registry *registry)
{
    if (2 * (registry->known_count + 1) <= registry->known_capacity)
        return true;
    size_t capacity = registry->known_capacity ? 2 * registry->known_capacity : 64;
    struct known *table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < registry->known_capacity; i++)
        if (registry->known[i].id)
            *known_slot(table, capacity, registry->known[i].id) = registry->known[i];
    free(registry->known);
    registry->known = table;
    registry->known_capacity = capacity;
    return true;
}

/* What the tables say; REGISTRY_AWAY: nothing. */
static enum registry_answer cached(struct registry *registry, int32_t id, const struct avro_schema **schema)
{
    enum registry_answer answer = REGISTRY_AWAY;
    pthread_mutex_lock(&registry->lock);
    const struct known *known = registry->known_capacity ? known_slot(registry->known, registry->known_capacity, id) : NULL;
    const struct unknown *unknown = &registry->unknown[spread(id) % UNKNOWN_SLOTS];
    if (known && known->id == id) {
        *schema = known->schema;
        answer = REGISTRY_FOUND;
    } else if (unknown->id == id && clock_monotonic_ns() < unknown->until_ns) {
        answer = REGISTRY_UNKNOWN;
    }
    pthread_mutex_unlock(&registry->lock);
    return answer;
}

static enum registry_answer keep(struct registry *registry, int32_t id, struct avro_schema *fetched, const struct avro_schema **schema,
                                 struct err *err)
{
    enum registry_answer answer = REGISTRY_FOUND;
    pthread_mutex_lock(&registry->lock);
    if (known_grow(registry)) {
        struct known *known = known_slot(registry->known, registry->known_capacity, id);
        if (known->id == id) {
            avro_schema_destroy(fetched);
        } else {
            *known = (struct known){id, fetched};
            registry->known_count++;
        }
        *schema = known->schema;
    } else {
        avro_schema_destroy(fetched);
        err_set(err, "schema %d: out of memory", id);
        answer = REGISTRY_AWAY;
    }
    pthread_mutex_unlock(&registry->lock);
    return answer;
}

enum registry_answer registry_schema(struct registry *registry, int32_t id, const struct avro_schema **schema, struct err *err)
{
    if (id <= 0) {
        err_set(err, "schema %d: ids begin at 1", id);
        return REGISTRY_UNKNOWN;
    }
    enum registry_answer answer = cached(registry, id, schema);
    if (answer == REGISTRY_UNKNOWN)
        err_set(err, "schema %d: there is none of this id (asked in the last %d s)", id, REGISTRY_UNKNOWN_S);
    if (answer != REGISTRY_AWAY)
        return answer;
    struct avro_schema *fetched = NULL;
    answer = registry->source->fetch(registry->source, id, &fetched, err);
    if (answer == REGISTRY_FOUND)
        return keep(registry, id, fetched, schema, err);
    if (answer == REGISTRY_UNKNOWN) {
        pthread_mutex_lock(&registry->lock);
        registry->unknown[spread(id) % UNKNOWN_SLOTS] = (struct unknown){id, clock_monotonic_ns() + REGISTRY_UNKNOWN_S * INT64_C(1000000000)};
        pthread_mutex_unlock(&registry->lock);
    }
    return answer;
}

int registry_output_id(struct registry *registry, const char *subject, const char *schema_text, int32_t *id, struct err *err)
{
    return registry->source->output_id(registry->source, subject, schema_text, id, err);
}
