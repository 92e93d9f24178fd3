"""What must hold of a pipeline's topics, whatever was done to its workers.

Unlike ledger.py, which stops a test at the first thing that is wrong, this collects all that is wrong by kind, so that a
planted fault can be looked for, and a run of an hour says everything that it found:

  lost        an input record without its prediction or dead letter, a shadow that is neither there nor counted as shed
  doubled     an output that is there twice, or a prediction and a dead letter of one record
  order       an output of an entity that comes after a later one's
  bytes       an output that differs from what a replay of the input topic computes
  envelope    key, timestamp, partition or headers that are not its input's; an output of a record that is not there
  vanished    an output that a reader has seen while the workers were running and that is not there at the end
  offsets     a committed offset that is not the end of the input
  open        a transaction that nobody has ended: the last stable offset is not the end of the topic
  ended       a worker that ended by itself, or not as it should (fleet.py)
  stuck       a worker that lives and does nothing (fleet.py)
"""

import time
from collections import Counter, defaultdict

import ledger
from outputs import PREDICTION, SETTLE_SECONDS_MAX, SHADOW, decode, end_offsets, split_header
from confluent_kafka import IsolationLevel

SHOWN_MAX = 5


class Findings:
    """`log` hears of the first ones of each kind at once: a run that does not come to its end has said what it found."""

    def __init__(self, log=None):
        self.by_kind, self.log = defaultdict(list), log

    def add(self, kind, text):
        self.by_kind[kind].append(text)
        if self.log and len(self.by_kind[kind]) <= SHOWN_MAX:
            self.log(kind, text)

    def of(self, kind):
        """What a function of ledger.py can add differences to."""
        return _Kind(self, kind)

    def counts(self):
        return {kind: len(found) for kind, found in sorted(self.by_kind.items())}

    def none(self):
        assert not self.by_kind, str(self)

    def __str__(self):
        lines = []
        for kind, found in sorted(self.by_kind.items()):
            lines.append(f"{kind}: {len(found)}, such as")
            lines += [f"    {text[:1500]}" for text in found[:SHOWN_MAX]]
        return "\n".join(lines) or "nothing is wrong"


class _Kind:
    def __init__(self, findings, kind):
        self.findings, self.kind = findings, kind

    def add(self, text):
        self.findings.add(self.kind, text)


# -- outputs --


def prediction(message):
    """(place, entity, body) of the input record that it came from."""
    _, body = split_header(message.value)
    value = decode(PREDICTION, body)
    return (value["partition"], value["offset"]), value["entity"].encode(), body


def shadow(message):
    _, body = split_header(message.value)
    value = decode(SHADOW, body)
    return (value["partition"], value["offset"]), value["entity"].encode(), body


def dead_letter(message):
    return ledger.source(message), message.key, None


class Outputs:
    """One output topic's messages, in the order in which a reader sees them, against the input's records."""

    def __init__(self, findings, records, name):
        self.findings, self.records, self.name = findings, records, name
        self.seen, self.last = {}, {}

    def take(self, message, place, entity, body):
        """False: there is no such record."""
        where = f"{self.name} {place}"
        if place not in self.records:
            self.findings.add("envelope", f"{where}: there is no such input record")
            return False
        if place in self.seen:
            self.findings.add("doubled", f"{where}: at {message.partition}/{message.offset} and at {self.seen[place]}")
        before = self.last.get((message.partition, entity), -1)
        if place[1] < before:
            self.findings.add("order", f"{where}: at {message.partition}/{message.offset}, after offset {before} of its entity {entity!r}")
        self.last[message.partition, entity] = max(place[1], before)
        self.seen[place] = f"{message.partition}/{message.offset}"
        return True

    def compare(self, place, body, replayed, schema):
        if body != replayed.get(place):
            other = decode(schema, replayed[place]) if place in replayed else None
            self.findings.add("bytes", f"{self.name} {place}:\n        written  {decode(schema, body)}\n        replayed {other}")


def account(findings, pipeline, records, written, replayed, shed=0):
    """Every input record has exactly one prediction or dead letter, every output the replay's bytes and its input's envelope.
    `written` has messages as outputs.Written does, `shed` is how many shadows the workers say that they have left out."""
    records = {(r.partition, r.offset): r for r in records}
    predictions, shadows, dead_letters = (Outputs(findings, records, name) for name in ("prediction", "shadow", "dead letter"))
    for m in written.predictions:
        place, entity, body = prediction(m)
        if predictions.take(m, place, entity, body):
            predictions.compare(place, body, replayed.predictions, PREDICTION)
            ledger.check_envelope(m, records[place], entity, findings.of("envelope"))
    for m in written.shadows:
        place, entity, body = shadow(m)
        if shadows.take(m, place, entity, body):
            shadows.compare(place, body, replayed.shadows, SHADOW)
            ledger.check_envelope(m, records[place], entity, findings.of("envelope"))
    for m in written.dead_letters:
        place, key, _ = dead_letter(m)
        if not dead_letters.take(m, place, key, None):
            continue
        if records[place].reason is None:
            findings.add("bytes", f"dead letter {place}: {m.header('weir.reason')}, but nothing is wrong with it")
        else:
            ledger.check_dead_letter(pipeline, m, records[place], replayed.dead_letters.get(place), findings.of("bytes"))
    for place, record in records.items():
        became = dead_letters if record.reason else predictions
        if place not in became.seen:
            findings.add("lost", f"{became.name} {place}: {record.reason or record.event['transaction_id']}")
        if place in dead_letters.seen and place in predictions.seen:
            findings.add("doubled", f"{place}: a prediction and a dead letter")
    missing = sorted(set(replayed.shadows) - set(shadows.seen))
    if len(missing) != shed:
        findings.add("lost", f"{len(missing)} shadows are missing, {shed} are counted as shed; the first are {missing[:3]}")
    return findings


# -- where things stand --


def settle(findings, kafka, topics):
    """A commit that has returned may take the broker a moment more until readers see it: that is waited for, but not as
    long as the broker waits before it aborts a transaction itself."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        bounds = {topic: (end_offsets(kafka, topic, IsolationLevel.READ_COMMITTED), end_offsets(kafka, topic)) for topic in topics}
        still_open = {topic: both for topic, both in bounds.items() if both[0] != both[1]}
        if not still_open or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for topic, (stable, written) in still_open.items():
        findings.add("open", f"{topic}: last stable offsets {stable}, ends {written}")


def check_offsets(findings, committed, ends):
    for partition, (offset, end) in enumerate(zip(committed, ends)):
        if offset != end:
            findings.add("offsets", f"partition {partition}: {offset} is committed, the input ends at {end}")


def check_seen(findings, watcher, written):
    """What a reader saw while it happened is what there is at the end, no more and no less."""
    for name, messages in (("predictions", written.predictions), ("shadows", written.shadows), ("dead_letters", written.dead_letters)):
        there, seen = Counter((m.partition, m.offset) for m in messages), watcher.positions[name]
        for position in sorted(set(seen) - set(there))[:SHOWN_MAX]:
            findings.add("vanished", f"{name} {position}: seen by the reader, and gone")
        for position in sorted(set(there) - set(seen))[:SHOWN_MAX]:
            findings.add("vanished", f"{name} {position}: never seen by the reader that was there all the time")
