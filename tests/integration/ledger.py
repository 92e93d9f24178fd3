"""Accounts for every input record: exactly one prediction or one dead letter, and each equal to what a replay computes.

All differences of a kind are collected before a test fails, so that the message shows whether one record is concerned or
all of them."""

from collections import Counter

from outputs import PREDICTION, SHADOW, decode, split_header

STAGES = {"missing_field": "validate", "null_field": "validate", "type": "validate", "range": "validate", "rule": "validate",
          "future": "features", "stale": "features", "duplicate": "features"}     # any other: decode, and see STAGE_OF_LARGE_OUTPUTS
CONNECT = "__connect.errors."


class Differences:
    def __init__(self, what):
        self.what, self.lines = what, []

    def add(self, line):
        self.lines.append(line)

    def none(self):
        shown = "\n  ".join(self.lines[:10])
        assert not self.lines, f"{self.what}: {len(self.lines)} differences, the first:\n  {shown}"


def check_predictions(traffic, messages, replayed, repeated=False):
    """`repeated`: a record may come more than once (at_least_once), if its bytes are the same."""
    wrong, seen, order = Differences("predictions"), {}, {}
    records = {(r.partition, r.offset): r for r in traffic.records}
    schema_ids = set()
    for m in messages:
        schema_id, body = split_header(m.value)
        schema_ids.add(schema_id)
        p = decode(PREDICTION, body)
        place = p["partition"], p["offset"]
        record = records[place]
        if place in seen and not (repeated and seen[place] == body):
            wrong.add(f"{place}: written twice")
        if record.reason:
            wrong.add(f"{place}: a prediction of a record that is {record.reason}")
        if body != replayed.get(place):
            wrong.add(f"{place}: not the bytes of the replay\n    written  {p}\n    replayed {place in replayed and decode(PREDICTION, replayed[place])}")
        if place not in seen and order.get(p["entity"], -1) > place[1]:
            wrong.add(f"{place}: comes after offset {order[p['entity']]} of the same entity")
        order[p["entity"]] = max(order.get(p["entity"], -1), place[1])
        check_envelope(m, record, p["entity"].encode(), wrong)
        seen[place] = body
    wrong.none()
    missing = Differences("predictions that are missing")
    for place, record in records.items():
        if record.reason is None and place not in seen:
            missing.add(f"{place}: {record.event['transaction_id']}")
    missing.none()
    assert set(seen) == set(replayed), f"the replay predicts {len(replayed)} records, the worker {len(seen)}"
    assert len(schema_ids) == 1
    return schema_ids.pop()


def check_shadows(traffic, messages, replayed, repeated=False):
    wrong, seen = Differences("shadow predictions"), {}
    records = {(r.partition, r.offset): r for r in traffic.records}
    for m in messages:
        _, body = split_header(m.value)
        s = decode(SHADOW, body)
        place = s["partition"], s["offset"]
        if place in seen and not (repeated and seen[place] == body):
            wrong.add(f"{place}: written twice")
        if body != replayed.get(place):
            wrong.add(f"{place}: not the bytes of the replay: {s}")
        check_envelope(m, records[place], s["entity"].encode(), wrong)
        seen[place] = body
    missing = set(replayed) - set(seen)
    if missing:
        wrong.add(f"{len(missing)} shadows are missing, such as {min(missing)}")
    wrong.none()


def source(dead_letter):
    """Partition and offset of the input record that the dead letter names as its own."""
    return int(dead_letter.header(CONNECT + "partition")), int(dead_letter.header(CONNECT + "offset"))


def check_envelope(m, record, key, wrong):
    """Key, timestamp, partition and trace headers are those of the input record."""
    place = record.partition, record.offset
    if m.key != key:
        wrong.add(f"{place}: key {m.key!r}, the entity is {key!r}")
    if m.timestamp_ms != record.timestamp_ms:
        wrong.add(f"{place}: timestamp {m.timestamp_ms}, its input's is {record.timestamp_ms}")
    if m.partition != record.partition:
        wrong.add(f"{place}: lies in partition {m.partition}")
    traced = [header for header in record.headers if header[0] in ("traceparent", "tracestate")]
    if m.headers != traced:
        wrong.add(f"{place}: headers {m.headers}, to be copied were {traced}")


def check_dead_letters(pipeline, traffic, messages, replayed, repeated=False):
    wrong, seen, records = Differences("dead letters"), set(), {(r.partition, r.offset): r for r in traffic.records}
    for m in messages:
        place = source(m)
        if place in seen and not repeated:
            wrong.add(f"{place}: written twice")
        seen.add(place)
        record = records[place]
        if record.reason is None:
            wrong.add(f"{place}: {m.header('weir.reason')}, but nothing is wrong with it: {record.event}")
            continue
        check_dead_letter(pipeline, m, record, replayed.get(place), wrong)
    for place, record in records.items():
        if record.reason and place not in seen:
            wrong.add(f"{place}: missing; it is {record.reason}")
    wrong.none()
    assert set(seen) == set(replayed), "the replay rejects other records than the worker"


def check_dead_letter(pipeline, m, record, replayed, wrong):
    place = record.partition, record.offset
    if replayed is None:
        wrong.add(f"{place}: the replay does not reject it; the worker says {m.header('weir.reason')}")
        return
    if (m.key, m.value, m.timestamp_ms, m.partition) != (record.key, record.value, record.timestamp_ms, record.partition):
        wrong.add(f"{place}: key, value, timestamp or partition are not the original's: {m}")
    if m.headers[:len(record.headers)] != record.headers:
        wrong.add(f"{place}: the original headers {record.headers} are not kept: {m.headers}")
    if (replayed["key"], replayed["value"]) != (record.key, record.value):
        wrong.add(f"{place}: the replay's dead letter does not hold the original bytes")
    reason = record.reason
    said = {
        "weir.reason": (reason, replayed["reason"]), "weir.field": (record.field or replayed["field"], replayed["field"]),
        "weir.rule": ("atm_limit" if reason == "rule" else None,),
        CONNECT + "topic": (pipeline.topic,), CONNECT + "connector.name": (pipeline.app_id,), CONNECT + "exception.class.name": (reason,),
        CONNECT + "exception.message": (replayed["message"],),
    }
    if reason != "output_too_large":
        said[CONNECT + "stage"] = (STAGES.get(reason, "decode"),)
    for name, expected in said.items():
        if any(m.header(name) != value for value in expected):
            wrong.add(f"{place}: {reason}: header {name} is {m.header(name)!r}, expected {expected!r}")


def check_all(pipeline, traffic, written, replayed, repeated=False):
    """Nothing missing, nothing doubled, nothing different. Returns the schema id of the predictions."""
    check_dead_letters(pipeline, traffic, written.dead_letters, replayed.dead_letters, repeated)
    schema_id = check_predictions(traffic, written.predictions, replayed.predictions, repeated)
    check_shadows(traffic, written.shadows, replayed.shadows, repeated)
    return schema_id


def reasons(traffic):
    return Counter(record.reason for record in traffic.records if record.reason)
