/* An input topic that was deleted and created anew while it is read.
 *
 * The library goes on where it stands: if the new topic has been filled past that place by the time it fetches again, no
 * broker and no library sees anything wrong, and what lies below would never be processed.  Only the topic's id tells.  So
 * each lane asks for it now and then, and ends where it is another one; the next start says what can be done. */
#include <string.h>

#include "consumer/clock.h"
#include "consumer/kafka/errand.h"
#include "consumer/lane/lane_state.h"

static void ask_id(void *of)
{
    struct inquiry *q = of;
    struct err unknown; /* for a while there may be none; the library tells of what else is wrong */
    if (input_id((struct cluster){q->client, q->stop, LOOK_MS}, q->topic, q->input_id, &unknown) < 0)
        q->input_id[0] = 0;
}

static int take_up(struct lane *l, struct err *err)
{
    struct inquiry *q = &l->inquiry;
    const char *was = l->topics.changelog.input_id;
    q->asked = ASKED_NOTHING;
    q->look_at_input_ns = clock_monotonic_ns() + (int64_t)LOOK_EVERY_MS * 1000000;
    if (!q->input_id[0] || !was[0] || !strcmp(q->input_id, was))
        return 0;
    return err_set(err, "topic %s was created anew while it was read (its id is %s, and was %s): its first records may never have been processed; "
                   "reset the group's offsets, or set input.on_gap: continue to begin it at its first record", q->topic, q->input_id, was);
}

int lane_look_for_recreation(struct lane *l, struct err *err)
{
    struct inquiry *q = &l->inquiry;
    if (errand_under_way(q->errand))
        return 0;
    if (q->asked == ASKED_INPUT && take_up(l, err) < 0)
        return -1;
    /* an in-process broker keeps no changelog, and gives no ids */
    if (q->asked != ASKED_NOTHING || !l->joined || !l->topics.changelog.name[0] || clock_monotonic_ns() < q->look_at_input_ns)
        return 0;
    q->client = l->consumer;
    q->topic = l->o.config->input.topic;
    q->stop = l->o.stop;
    q->asked = ASKED_INPUT;
    errand_start(q->errand, ask_id, q);
    return 0;
}
