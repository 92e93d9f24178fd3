/* Which entities a checkpoint has to write, and each of them as it was at the checkpoint's offset.
 *
 * A checkpoint is the state at one offset O, captured little by little while events go on being folded:
 *
 *   begin    every entity changed since the checkpoint before is due, all at once: "changed" alternates between two
 *            values, and begin swaps which of them means now;
 *   step     captures entities that are due, in the order of their numbers;
 *   fold     an entity about to change (an event, a trim, the cap, eviction, forgetting) while due is captured first;
 *   end      nothing is due any more: the marker may be written.
 *
 * Each entity has two keys in the changelog, its slots, and a new version goes to the one that does not hold its latest
 * version.  An entity that goes while the changelog holds a version of it stays among the `gone`: the next checkpoint
 * writes it as empty, and after that one's end it is buried (its keys are deleted).  One that comes back inherits its
 * slots from there.
 *
 *   invariant  between begin and end, what was captured and what is still due is together the state at O;
 *              `gone` holds keys that the changelog holds and the windows do not: at most those of one checkpoint
 *              and the buried-to-be of the one before.
 *   cost       an event: one comparison.  A checkpoint: a look at each entity, a pass over the events of those changed. */
#pragma once
#include "scoring/features/entity_image.h"
#include "scoring/features/entity_table.h"
#include "scoring/features/features.h"

/* Where captured entities go. */
struct capture {
    void *context;
    /* The image lives until the call returns.  slot: 0 or 1.  True: it took more than one record. */
    bool (*entity)(void *context, const struct entity_image *image, unsigned slot);
    /* Both keys of an entity are to be deleted, that of `older` first. */
    void (*bury)(void *context, struct bytes key, unsigned older, bool split);
};

struct changes {
    struct capture capture;
    uint8_t now;   /* the value of entity.changed that means: since the last begin */
    bool running;  /* between begin and end */
    bool failed;   /* memory was short */
    int64_t horizon_ms; /* at O */
    uint32_t scan_at, scan_end, gone_at, gone_end;
    struct entity_table gone;
    uint64_t *words; /* of the image that is being taken */
    size_t word_room;
};

/* What a checkpoint says of the partition as a whole. */
struct windows_mark {
    int64_t stream_time_ms, history_start_ms, evicted_ms;
};

struct changes_counts {
    uint64_t gone;  /* entities remembered for their keys' sake */
};

/* From now on checkpoints can be taken; what is held already counts as changed.  0, or -1 if memory is short. */
int windows_track(struct windows *windows, struct capture capture);
struct windows_mark windows_mark(const struct windows *windows);
/* Freezes what is due.  No checkpoint may be running, and everything must be buried. */
void windows_checkpoint_begin(struct windows *windows);
/* Goes on capturing; `work` bounds it (an entity looked at is 1, one captured 16 and 4 an event).  True: nothing is due. */
bool windows_checkpoint_step(struct windows *windows, size_t work);
/* After step has returned true, and the marker is on its way. */
void windows_checkpoint_end(struct windows *windows);
/* Hands out keys to delete, at most `most`.  True: none is left.  Not while a checkpoint runs. */
bool windows_bury_step(struct windows *windows, size_t most);
/* Hands out the keys of entities held, from number *at on, of at most `most` numbers.  True: those were the last. */
bool windows_keys_step(const struct windows *windows, uint32_t *at, size_t most, void (*take)(void *context, struct bytes key, bool split), void *context);
struct changes_counts windows_changes(const struct windows *windows);

/* ---- a checkpoint read back, into windows that hold nothing yet ---- */

enum import_result { IMPORT_DONE, IMPORT_NO_MEMORY, IMPORT_DAMAGED };
/* The entity of this key, without events if it is new. */
enum import_result windows_import_open(struct windows *windows, struct bytes key, uint32_t *number);
void windows_import_clear(struct windows *windows, uint32_t number);
/* Appends the events of an image, or of a part of one: they must not be older than those it has. */
enum import_result windows_import_events(struct windows *windows, uint32_t number, const struct entity_image *image);
/* What the changelog holds of it.  dirty: another version lies there that no marker has closed. */
struct import_version {
    bool versioned, dirty, split;
    unsigned slot;
};
/* All is imported: this is the state at O, as soon as each entity has been settled.  Those without visible events go. */
void windows_import_mark(struct windows *windows, const struct windows_mark *mark);
void windows_import_settle(struct windows *windows, uint32_t number, struct import_version version);
enum import_result windows_import_end(struct windows *windows);

/* Other limits from the next event on: what is over them is evicted now.  0, or -1 if memory is short. */
int windows_set_limits(struct windows *windows, struct window_limits limits);

/* ---- for the fold ---- */

int changes_init(struct windows *windows);
void changes_finish(struct windows *windows);
void changes_note_new(struct windows *windows, struct entity *entity);
bool changes_are_due(const struct changes *changes, const struct entity *entity); /* to be captured by the checkpoint that runs */
void changes_capture_due(struct windows *windows, struct entity *entity);
void changes_arrived_slowly(struct windows *windows, struct entity *entity, uint64_t hash);
/* It is about to go. */
void changes_gone(struct windows *windows, struct entity *entity);
uint64_t changes_bytes(const struct changes *changes);
