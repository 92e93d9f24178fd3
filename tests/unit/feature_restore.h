/* A partition's state written down as a checkpoint and read back into new windows. */
#pragma once
#include "feature_scene.h"
#include "scoring/features/partition_state.h"

struct restoring {
    struct windows *to;
    uint32_t first_seq;
};

/* The entity has no events yet: its sequence numbers begin here. */
static inline void restore_begin_at(const struct windows *w, struct entity *e, uint32_t first_seq)
{
    e->first_seq = first_seq;
    for (uint32_t i = 0; i < w->program->window_count; i++)
        entity_cursors(w->program, e)[i] = first_seq;
}

static inline bool restore_entity(void *context, const struct entity_image *image, unsigned slot)
{
    (void)slot;
    struct restoring *r = context;
    uint32_t number;
    assert_int_equal(windows_import_open(r->to, image->key, &number), IMPORT_DONE);
    restore_begin_at(r->to, entity_at(&r->to->entities, number), r->first_seq);
    assert_int_equal(windows_import_events(r->to, number, image), IMPORT_DONE);
    return false;
}

static inline void restore_nothing(void *context, struct bytes key, unsigned older, bool split)
{
    (void)context, (void)key, (void)older, (void)split;
}

/* `to` holds nothing yet. */
static inline void windows_restore(struct windows *from, struct windows *to, uint32_t first_seq)
{
    struct restoring r = {to, first_seq};
    const struct windows_mark mark = windows_mark(from);
    assert_int_equal(windows_track(from, (struct capture){&r, restore_entity, restore_nothing}), 0);
    windows_checkpoint_begin(from);
    while (!windows_checkpoint_step(from, 1000))
        continue;
    windows_checkpoint_end(from);
    windows_import_mark(to, &mark);
    for (uint32_t i = 0; i < to->entities.ever; i++)
        windows_import_settle(to, i, (struct import_version){.dirty = true}); /* the next checkpoint has to write it */
    assert_int_equal(windows_import_end(to), IMPORT_DONE);
}
