/* What stands behind the registry's cache: a directory or an HTTP service.  Calls may come from several threads. */
#pragma once
#include "consumer/registry/registry.h"

struct schema_source {
    enum registry_answer (*fetch)(struct schema_source *source, int32_t id, struct avro_schema **schema, struct err *err);
    int (*output_id)(struct schema_source *source, const char *subject, const char *schema_text, int32_t *id, struct err *err);
    void (*destroy)(struct schema_source *source);
};

int directory_source_create(const struct registry_options *options, struct schema_source **out, struct err *err);
int http_source_create(const struct registry_options *options, struct schema_source **out, struct err *err);
