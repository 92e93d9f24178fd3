/* The least that windows can cost: five windows of count, sum, mean and distinct over entities that are known by number,
 * events of 24 bytes in rings of 32, nothing else: no keys, ids, duplicates, late events, nulls, filters or limits.  It
 * is the yardstick of the features benchmark: what the machine takes for it in the same minute. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct hand_event {
    uint64_t entity;
    int64_t time_ms, amount;
    uint32_t merchant;
};

struct hand_loop;
struct hand_loop *hand_loop_create(uint64_t entities);
void hand_loop_destroy(struct hand_loop *loop);
double hand_loop_fold(struct hand_loop *loop, const struct hand_event *events, size_t n);
