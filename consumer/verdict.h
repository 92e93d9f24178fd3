/* Why a record is rejected, for its dead letter.  Text is borrowed from plans, configuration or literals. */
#pragma once
#include <stddef.h>

#include "scoring/reject.h"

struct verdict {
    enum reject_reason reason;
    const char *field; /* at fault, or NULL */
    const char *rule;  /* name of the validation entry, or NULL */
    const char *what;  /* more than the reason says, or NULL */
};

/* The text of a dead letter's message: names the field and the rule, never the value. */
void verdict_message(const struct verdict *verdict, char *text, size_t size);
