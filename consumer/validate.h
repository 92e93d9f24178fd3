/* Validation: may this decoded record become an event? */
#pragma once
#include "consumer/batch.h"
#include "consumer/config/config.h"

/* Checks record `r`'s values in the design's order: id, entity, time; types; ranges; the configuration's validation
 * entries.  On success fills *event (id and entity as text; integer ones are written into `texts`). */
struct verdict validate(const struct config *config, const struct record *record, const struct value *values, char texts[2][24], struct event *event);
