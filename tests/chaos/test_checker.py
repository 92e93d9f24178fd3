"""The checker finds what it is there for: each fault is planted in the outputs of a run that was right."""

import dataclasses
import io
import types

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import checker
from checker import Findings, account, check_offsets, check_seen, settle
from deployment import Pipeline
from outputs import PREDICTION, Replayed, Written, decode, split_header
from traffic import Traffic, produce
from watcher import Watcher, place_at_the_end


@pytest.fixture(scope="module")
def run(kafka, models, schema_ids, registry, tmp_path_factory):
    """A small run of one worker that nobody hurt: pipeline, records, outputs, replay."""
    directory = tmp_path_factory.mktemp("checker")
    pipeline = Pipeline(kafka, models, directory, "checker", {"url": registry.url}, partitions=3).create_topics()
    records = Traffic(schema_ids, 3000, partitions=3, cards=100, seed=3).records
    produce(kafka.brokers, pipeline.topic, records)
    ends = [sum(r.partition == p for r in records) for p in range(3)]
    worker = pipeline.worker("w").start()
    pipeline.wait_committed([worker], ends)
    worker.stop()
    replayed = Replayed(pipeline.replay(f"{directory}/replayed"))
    return types.SimpleNamespace(pipeline=pipeline, records=records, ends=ends, written=Written(kafka, pipeline.outputs), replayed=replayed)


def copied(written):
    return types.SimpleNamespace(**{name: [dataclasses.replace(m) for m in getattr(written, name)] for name in ("predictions", "shadows", "dead_letters")})


def found(run, plant):
    """The kinds of what is wrong after `plant` has changed a copy of the outputs."""
    written = copied(run.written)
    shed = plant(written) or 0
    return account(Findings(), run.pipeline, run.records, written, run.replayed, shed).counts()


def test_a_run_that_nobody_hurt_is_right(run):
    assert found(run, lambda written: None) == {}
    check_offsets(findings := Findings(), run.pipeline.committed(), run.ends)
    settle(findings, run.pipeline.kafka, run.pipeline.outputs.values())
    findings.none()


@pytest.mark.parametrize("output", ["predictions", "dead_letters"])
@pytest.mark.parametrize("which", [0, 7, -1])
def test_a_lost_record(run, output, which):
    assert found(run, lambda written: getattr(written, output).pop(which) and 0) == {"lost": 1}


def test_a_lost_shadow(run):
    assert found(run, lambda written: written.shadows.pop(5) and 0) == {"lost": 1}


def test_a_shadow_that_was_shed_and_counted(run):
    assert found(run, lambda written: written.shadows.pop(5) and 1) == {}


def test_a_shadow_that_was_counted_but_is_there(run):
    assert found(run, lambda written: 1) == {"lost": 1}


@pytest.mark.parametrize("output", ["predictions", "shadows", "dead_letters"])
def test_a_doubled_record(run, output):
    def plant(written):
        messages = getattr(written, output)
        messages.insert(11, dataclasses.replace(messages[10], offset=1_000_000))
    assert found(run, plant) == {"doubled": 1}


def neighbours(messages):
    """Two outputs of an entity, the second right after the first of that entity."""
    last = {}
    for i, m in enumerate(messages):
        if (m.partition, m.key) in last:
            return last[m.partition, m.key], i
        last[m.partition, m.key] = i
    raise AssertionError("no entity has two outputs")


@pytest.mark.parametrize("output", ["predictions", "shadows"])
def test_a_swapped_order(run, output):
    def plant(written):
        messages = getattr(written, output)
        first, second = neighbours(messages)
        messages[first], messages[second] = messages[second], messages[first]
    assert found(run, plant) == {"order": 1}


@pytest.mark.parametrize("bit", [0, 200, -1])
def test_a_changed_byte(run, bit):
    """In the model's hash, which can be any bytes."""
    def plant(written):
        m = written.predictions[3]
        value = decode(PREDICTION, split_header(m.value)[1])
        at = m.value.index(value["model_sha256"]) * 8 + bit % 256
        changed = bytearray(m.value)
        changed[at // 8] ^= 1 << at % 8
        m.value = bytes(changed)
    assert found(run, plant) == {"bytes": 1}


def test_the_last_bit_of_a_feature(run):
    def plant(written):
        m = written.predictions[3]
        value = decode(PREDICTION, split_header(m.value)[1])
        value["features"][0] *= 1 + 2.0 ** -23
        out = io.BytesIO()
        fastavro.schemaless_writer(out, PREDICTION, value)
        m.value = m.value[:5] + out.getvalue()
    assert found(run, plant) == {"bytes": 1}


@pytest.mark.parametrize("change", [{"key": b"other"}, {"timestamp_ms": 1}, {"partition": 11}, {"headers": [("traceparent", b"x")]}])
def test_a_changed_envelope(run, change):
    def plant(written):
        written.predictions[3] = dataclasses.replace(written.predictions[3], **change)
    assert found(run, plant) == {"envelope": 1}


def test_a_dead_letter_of_a_record_that_was_predicted(run):
    def plant(written):
        good = next(r for r in run.records if r.reason is None)
        letter = written.dead_letters[0]
        headers = [(name, {"__connect.errors.partition": b"%d" % good.partition, "__connect.errors.offset": b"%d" % good.offset}.get(name, value))
                   for name, value in letter.headers]
        written.dead_letters.append(dataclasses.replace(letter, headers=headers, offset=1_000_000))
    counts = found(run, plant)
    assert counts["doubled"] == 1 and counts["bytes"] == 1


def test_a_dead_letter_with_another_reason(run):
    def plant(written):
        letter = written.dead_letters[0]
        letter.headers = [(name, b"rule" if name == "weir.reason" else value) for name, value in letter.headers]
    assert found(run, plant) == {"bytes": 1}


def test_an_offset_that_is_off_by_one(run):
    for change in (-1, 1):
        committed = run.pipeline.committed()
        committed[1] += change
        check_offsets(findings := Findings(), committed, run.ends)
        assert findings.counts() == {"offsets": 1}


def test_offsets_of_a_later_transaction_that_were_sent_early(kafka):
    """The broker orders offsets by when they were sent, not by when they were committed."""
    topic = kafka.create("early-transactions", 1)
    group = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "early"})
    group.subscribe([topic])
    while not group.assignment():
        group.poll(0.1)
    former, later = (Producer({"bootstrap.servers": kafka.brokers, "transactional.id": f"early-{x}"}) for x in "ab")
    for producer in (former, later):
        producer.init_transactions(10)
        producer.begin_transaction()
    for producer, offset in ((later, 200), (former, 100)):
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], group.consumer_group_metadata(), 10)
    former.commit_transaction(10)
    later.commit_transaction(10)
    committed = [p.offset for p in group.committed([TopicPartition(topic, 0)], 10)]
    group.close()
    check_offsets(findings := Findings(), committed, [200])
    assert committed == [100] and findings.counts() == {"offsets": 1}


def test_a_transaction_that_stays_open(run):
    kafka, topic = run.pipeline.kafka, run.pipeline.outputs["shadows"]
    left = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": "left-open", "transaction.timeout.ms": 60_000})
    left.init_transactions(10)
    left.begin_transaction()
    left.produce(topic, b"open", partition=1)
    assert left.flush(10) == 0
    settle(findings := Findings(), kafka, run.pipeline.outputs.values())
    assert findings.counts() == {"open": 1}
    left.abort_transaction(10)
    settle(findings := Findings(), kafka, run.pipeline.outputs.values())
    findings.none()


# -- the reader that watches --


def test_the_watcher_finds_a_records_source(run):
    for m in run.written.predictions[:500]:
        assert place_at_the_end(m.value, 1) == checker.prediction(m)[0]
    for m in run.written.shadows[:500]:
        assert place_at_the_end(m.value, 0) == checker.shadow(m)[0]


def watched(kafka, app_id, written, run, plant=None):
    """What a watcher says of outputs that are written while it reads."""
    outputs = {name: f"{app_id}-{name}" for name in ("predictions", "shadows", "dead_letters")}
    for topic in outputs.values():
        kafka.create(topic, 3)
    watcher = Watcher(kafka, outputs, findings := Findings()).start()
    writer = Producer({"bootstrap.servers": kafka.brokers})
    if plant:
        plant(written)
    for name, topic in outputs.items():
        for m in getattr(written, name):
            writer.produce(topic, m.value, m.key, m.partition, headers=m.headers)
    assert writer.flush(30) == 0
    watcher.stop()
    return findings, watcher, Written(kafka, outputs)


def test_the_watcher_sees_all(run, kafka):
    findings, watcher, written = watched(kafka, "watched", copied(run.written), run)
    check_seen(findings, watcher, written)
    findings.none()
    assert sum(map(len, watcher.positions.values())) == len(written.predictions) + len(written.shadows) + len(written.dead_letters) > 3000


def test_the_watcher_sees_what_is_doubled_or_swapped(run, kafka):
    def plant(written):
        written.dead_letters.append(written.dead_letters[0])
        first, second = neighbours(written.predictions)
        messages = written.predictions
        messages[first], messages[second] = messages[second], messages[first]
    findings, _, _ = watched(kafka, "hurt", copied(run.written), run, plant)
    assert findings.counts() == {"doubled": 1, "order": 1} or findings.counts() == {"doubled": 1, "order": 2}


def test_what_has_vanished(run, kafka):
    findings, watcher, written = watched(kafka, "vanishing", copied(run.written), run)
    written.predictions.pop(3)
    check_seen(findings, watcher, written)
    assert findings.counts() == {"vanished": 1}
