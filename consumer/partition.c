#include "consumer/partition.h"

#include <assert.h>
#include <stdlib.h>

int partition_state_init(struct partition_state *state, const struct config *config, int32_t id)
{
    struct window_limits limits = {(uint64_t)config->state.max_entities, (uint64_t)config->state.max_events};
    *state = (struct partition_state){.id = id, .windows = windows_create(config->spec, limits)};
    if (!state->windows)
        return -1;
    state->serving = serving_create();
    return 0;
}

void partition_state_finish(struct partition_state *state)
{
    windows_destroy(state->windows);
    free(state->growths);
    state->growths = NULL;
    state->growth_count = state->growth_next = 0;
    serving_destroy(state->serving);
    state->windows = NULL;
    state->serving = NULL;
}

void partition_state_grows_at(struct partition_state *state, int64_t offset)
{
    state->growths = realloc(state->growths, (state->growth_count + 1) * sizeof *state->growths);
    assert(state->growths);
    size_t at = state->growth_count++;
    for (; at > state->growth_next && state->growths[at - 1] > offset; at--)
        state->growths[at] = state->growths[at - 1];
    state->growths[at] = offset;
}

void partition_state_pass(struct partition_state *state, int64_t offset)
{
    for (; state->growth_next < state->growth_count && state->growths[state->growth_next] <= offset; state->growth_next++)
        windows_set_history_cold(state->windows);
}
