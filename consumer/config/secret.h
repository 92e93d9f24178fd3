/* Where secrets come from: the environment or a file, never the configuration's own text. */
#pragma once
#include "consumer/config/option.h"

/* The scalar with each ${env:NAME} and ${file:PATH} replaced (the file's last newline left out); messages never hold
 * what came out.  *replaced (may be NULL) says whether there was one. */
int secret_expand(const struct reading *reading, const char *key, const struct yaml_node *node, char **value, bool *replaced);
/* The content of the file that the scalar names, without its last newline. */
int secret_file(const struct reading *reading, const char *key, const struct yaml_node *node, char **value);
void secret_free(char *value); /* wipes it first */
