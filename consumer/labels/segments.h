/* Combinations of segment values by number, so that a waiting prediction needs two bytes for its segments.
 *
 * Of a field the first SEGMENT_VALUES_MAX values have a name, all others are `other`; beyond SEGMENT_COMBINATIONS_MAX
 * combinations a prediction counts as `other` in each field that it has.  Which ones come first hangs on where reading
 * began: after a restart a rare value may have a name that it had not before.
 *
 * Cost: a comparison a known value of the field and one look-up; 65,536 x fields bytes and the names. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/value.h"

enum { SEGMENT_VALUES_MAX = 200, SEGMENT_COMBINATIONS_MAX = 65535, SEGMENT_FIELDS_MAX = 32, SEGMENT_TEXT_MAX = 255 };

struct segments;
/* fields: the names, borrowed. */
struct segments *segments_create(char *const *fields, size_t count);
void segments_destroy(struct segments *segments);
/* blocks: an Avro map of string to string; what is not, ends where it stops to be.  0: no segment at all. */
uint16_t segments_number(struct segments *segments, struct bytes blocks);
/* "mcc=5411" of field i of a combination; false: it has none. */
bool segments_subject(const struct segments *segments, uint16_t number, size_t i, char subject[SEGMENT_TEXT_MAX + 1]);
size_t segments_fields(const struct segments *segments);
