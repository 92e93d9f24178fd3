#include "consumer/verdict.h"

#include <stdio.h>

void verdict_message(const struct verdict *verdict, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", reject_name(verdict->reason));
    struct { const char *before, *value; } parts[] = {{": field ", verdict->field}, {": rule ", verdict->rule}, {": ", verdict->what}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value && n >= 0 && (size_t)n < size)
            n += snprintf(text + n, size - (size_t)n, "%s%s", parts[i].before, parts[i].value);
}
