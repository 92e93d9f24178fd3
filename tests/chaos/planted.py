"""Bugs to be planted in weir, each a change of one place, and what has to be done to the workers so that it shows.

A change names the text that it replaces: when that is no longer there, the runner says so, and the bug is planted anew
where the code has gone to. What the run finds is not said beforehand: anything but nothing."""

import dataclasses

import wire
from schedule import WORKERS, Action


@dataclasses.dataclass(frozen=True)
class Bug:
    file: str
    old: str
    new: str
    actions: list
    also: tuple = ()                             # (old, new): a second place in the file, where weir would find the bug itself
    settings: dict = dataclasses.field(default_factory=dict)
    compacts: bool = False                       # while the changelog is compacted all the time


def on_each(make, times=1):
    return [make(worker) for _ in range(times) for worker in WORKERS]


KILLS = on_each(lambda worker: Action("kill", worker, 2, {"down": 0.5}), 3)
ABORTS = on_each(lambda worker: Action("failpoint", worker, 4, {"name": "before_send_offsets", "act": "error@3"}), 2)
DOUBTS = (on_each(lambda worker: Action("failpoint", worker, 4, {"name": "after_commit", "act": "error@3"})) +
          on_each(lambda worker: Action("proxy", worker, 2, {"do": "swallow", "api": wire.END_TXN, "reset": True})))
HELD_RECORDS = on_each(lambda worker: Action("proxy", worker, 2, {"do": "hold", "api": wire.PRODUCE, "seconds": 1.5}), 3)
HELD_COMMITS = on_each(lambda worker: Action("pause_in_commit", worker, 10, {"pause": 8, "api": wire.TXN_OFFSET_COMMIT}))
# a pause at each entity makes a checkpoint last, and its parts lie in many transactions: some end, the next is cut off
KILLS_IN_CHECKPOINTS = [Action("kill", worker, 6, {"down": 0.2, "before": before}) for before in (4.5, 6.1, 3.7, 5.3) for worker in WORKERS]
SLOW_CHECKPOINTS = {"failpoints": ["in_checkpoint_write:pause=3@1+"], "state": {"checkpoint_interval": "1s"}}

BUGS = {
    "nothing is sent again after an abort": Bug(
        "consumer/kafka/transaction.c", "    t->sent = 0;\n    t->begun = t->spoiled = t->in_doubt = false;", "    t->begun = t->spoiled = t->in_doubt = false;", ABORTS),
    "offsets are one too high": Bug(
        "consumer/kafka/transaction.c", "p->offset = t->parts[i].next_offset;", "p->offset = t->parts[i].next_offset + 1;", KILLS),
    "offsets are one too low": Bug(
        "consumer/kafka/transaction.c", "p->offset = t->parts[i].next_offset;", "p->offset = t->parts[i].next_offset ? t->parts[i].next_offset - 1 : 0;", KILLS),
    "restore writes outputs": Bug(
        "consumer/pipeline.c", "bool suppressed = b->count && b->records[0].offset < state->suppress_below;", "bool suppressed = false;", KILLS),
    "restore begins at the committed offset": Bug(
        "consumer/kafka/restore.c", "    state->next_offset = m->checkpoint_offset;\n", "    state->next_offset = restore->target.offset;\n",
        KILLS_IN_CHECKPOINTS, (("    return windows_stream_time(state->windows) == m->stream_time &&", "    return true || windows_stream_time(state->windows) == m->stream_time &&"),)),
    "an error of commit is taken for an abort": Bug(
        "consumer/kafka/writer.c", "f->in_doubt = e->commit_called;", "f->in_doubt = false;", DOUBTS),
    "parts that were committed are sent again": Bug(
        "consumer/kafka/writer.c", "        take_out_done(w, e);\n", "        (void)take_out_done;\n", DOUBTS),
    "every other transaction goes without offsets": Bug(
        "consumer/kafka/ending.c", "    e->remedy = carrier_send_offsets(e->former, e->offsets, e->group, &e->err);",
        "    static int n;\n    e->remedy = ++n % 2 ? carrier_send_offsets(e->former, e->offsets, e->group, &e->err) : REMEDY_NONE;", KILLS),
    "offsets without a member": Bug(
        "consumer/kafka/carrier.c", "rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);\n",
        "rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(\"planted\");\n    if (consumer)\n        return group;\n", HELD_COMMITS),
    "the later transaction does not wait for the former's records": Bug(
        "consumer/kafka/writer.c", "return w->stage == NOTHING || w->stage == COMMITTING ||", "return w->stage != REPAIRING || w->stage == COMMITTING ||", HELD_RECORDS),
    "both versions of an entity under one key": Bug(
        "consumer/changelog/checkpoint.c", ".slot = slot, .part = part, .entity = image->key}, false)", ".slot = slot & 0, .part = part, .entity = image->key}, false)",
        KILLS_IN_CHECKPOINTS, settings=SLOW_CHECKPOINTS, compacts=True),
}
