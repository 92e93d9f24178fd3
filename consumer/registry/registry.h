/* Where schemas come from: a Confluent-compatible schema registry over HTTP, or a directory of <id>.avsc files.
 *
 * Answers are cached for ever (an id never changes its schema); "no such id" for REGISTRY_UNKNOWN_S seconds, so that
 * garbage on the topic costs one request an id and not one a record.  Safe to use from several threads. */
#pragma once
#include <stdatomic.h>
#include "consumer/avro/schema.h"

enum { REGISTRY_UNKNOWN_S = 10, REGISTRY_RESPONSE_MAX = 4 << 20, REGISTRY_REFERENCES_MAX = 256 };

struct registry_options {
    const char *url, *dir; /* one of them */
    const char *user, *password;               /* basic auth, or NULL */
    const char *ca_file, *cert_file, *key_file; /* TLS, or NULL */
    int timeout_ms;                             /* of a request */
    bool register_schemas;                      /* false: output schemas are only looked up */
    const atomic_bool *stop;                    /* set: a request that is under way ends; NULL: nobody stops it */
};

struct registry;
int registry_create(const struct registry_options *options, struct registry **out, struct err *err);
void registry_destroy(struct registry *registry);

enum registry_answer { REGISTRY_FOUND, REGISTRY_UNKNOWN, REGISTRY_AWAY };
/* The schema of an id; owned by the registry, valid until it is destroyed.  REGISTRY_UNKNOWN: it answered that there
 * is none (HTTP 404 with an error_code; the file is not there; an id below 1), or one that is no readable Avro schema
 * (Protobuf, a type that does not exist): nothing will change that; REGISTRY_AWAY: it did not answer (a 404 without an
 * error_code is a wrong path or a proxy), or the answer is not a registry's: try again later. */
enum registry_answer registry_schema(struct registry *registry, int32_t id, const struct avro_schema **schema, struct err *err);
/* The id of an output schema under `subject`: looked up, and registered if options say so.  In a directory: the file
 * that equals it (as JSON, without doc), else the next free id, created exclusively. */
int registry_output_id(struct registry *registry, const char *subject, const char *schema_text, int32_t *id, struct err *err);
