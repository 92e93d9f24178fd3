/* The reference page: the option tables as Markdown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"
#include "consumer/config/option.h"

static const char *type_text(const struct config_option *option, char *text, size_t size)
{
    static const char *const names[] = {
        [OPTION_SECTION] = "mapping", [OPTION_RECORDS] = "list of mappings", [OPTION_TEXT] = "text", [OPTION_PATH] = "path",
        [OPTION_TEXTS] = "list of texts", [OPTION_BOOL] = "`true` or `false`", [OPTION_INT] = "whole number",
        [OPTION_INT64] = "whole number", [OPTION_REAL] = "number", [OPTION_DURATION] = "duration", [OPTION_SIZE] = "size",
    };
    if (option->kind == OPTION_READ)
        return option->shape;
    if (option->kind != OPTION_WORD && option->kind != OPTION_CHOICE)
        return names[option->kind];
    size_t used = 0;
    for (const char *p = option->choices; p && used < size;) {
        size_t n = strcspn(p, "|");
        used += (size_t)snprintf(text + used, size - used, "%s`%.*s`", used ? " or " : "", (int)n, p);
        p = p[n] ? p + n + 1 : NULL;
    }
    return text;
}

static void write_row(FILE *f, const struct config_option *option)
{
    char type[200], range[80];
    bool bounded = option->min < 0 || option->max > 0;
    fprintf(f, "| `%s` | %s | ", option->key, type_text(option, type, sizeof type));
    if (option->required || option->needed_by)
        fputs("required", f);
    else if (option->preset)
        fprintf(f, "`%s`", option->preset);
    fputs(" | ", f);
    if (bounded && option->min < option->max)
        fputs(option_range(option, range, sizeof range), f);
    else if (option->kind == OPTION_RECORDS || option->kind == OPTION_TEXTS)
        fprintf(f, "%zu..%zu entries", option->least, option->most ? option->most : (size_t)OPTION_LIST_MAX);
    fprintf(f, " | %s |\n", option->meaning);
}

static void write_table(FILE *f, const struct option_table *table)
{
    fputs("| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n", f);
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].kind != OPTION_LATER)
            write_row(f, &table->rows[i]);
}

static void write_later(FILE *f, const struct option_table *table)
{
    size_t written = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].kind == OPTION_LATER)
            fprintf(f, "%s`%s`", written++ ? ", " : "", table->rows[i].key);
        for (const char *p = table->rows[i].later; p;) {
            size_t n = strcspn(p, "|");
            fprintf(f, "%s`%s: %.*s`", written++ ? ", " : "", table->rows[i].key, (int)n, p);
            p = p[n] ? p + n + 1 : NULL;
        }
    }
}

void config_reference(char **markdown)
{
    size_t size;
    *markdown = NULL;
    FILE *f = open_memstream(markdown, &size);
    if (!f)
        return;
    fputs("# Configuration reference\n\n"
          "Made of the option table by `weir check --reference`; a test keeps this page equal to it.\n\n"
          "YAML 1.2: only `true` and `false` are booleans (`NO` is a country). One document, no anchors, aliases, tags or merge keys, no key twice.\n"
          "Unknown keys are errors. Paths are relative to the file. Durations are `500ms 30s 5m 24h 7d`, sizes `4096 512KiB 1MiB 1GiB`; keys that end\n"
          "in `_ms` are plain milliseconds. `required` holds where the section is there and the command needs it. `[]` stands for each entry of a list.\n\n"
          "Secrets come from files or the environment: values under `kafka` may hold `${env:NAME}` and `${file:PATH}`,\n"
          "`input.schemas.password` holds `${env:NAME}`. They are never printed.\n\n"
          "## weir.yaml\n\n", f);
    write_table(f, &config_options);
    fputs("\nKnown, but not available in this version: ", f);
    write_later(f, &config_options);
    fputs(".\n\n## The feature file\n\n", f);
    write_table(f, &feature_options);
    fputs("\nKnown, but not available in this version: ", f);
    write_later(f, &feature_options);
    fputs(" (windows over entities that cross partitions need a repartition topic).\n", f);
    fclose(f);
}
