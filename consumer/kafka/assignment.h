/* What a member of a group was given, as the classic protocol writes it: version, topics, each with its partitions, user
 * data (ConsumerProtocolAssignment, KIP-429 and before; integers are big-endian). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks the partitions of that topic in owned[0..count) (NULL: only counts).  Returns how many there are, whatever their
 * number; -1: it does not read.  Nothing at all is no partition: a member that has just joined. */
int assignment_read(const void *data, size_t size, const char *topic, bool *owned, int32_t count);
