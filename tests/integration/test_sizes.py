"""Records that are large in every way they can be: each still becomes one prediction or one dead letter."""

import pytest

import ledger
from deployment import Pipeline
from outputs import PREDICTION, Written, decode, split_header
from traffic import Traffic, produce

SMALL_TOPIC_BYTES = 20_000


def process(pipeline, records, kafka, **settings):
    """Runs a worker over the records, put in front of some plain traffic; returns what it wrote."""
    worker = pipeline.worker("w", **settings).start()
    ends = [0] * pipeline.partitions
    for record in records:
        record.offset = ends[record.partition]
        ends[record.partition] += 1
    produce(kafka.brokers, pipeline.topic, records)
    pipeline.wait_committed([worker], ends, seconds=30)
    worker.stop()
    return Written(kafka, pipeline.outputs)


@pytest.fixture
def traffic(schema_ids):
    return Traffic(schema_ids, 300, cards=20, seed=6, garbage=0, duplicates=0, late=0)


def test_trace_headers_that_do_not_fit_are_left_out(pipeline, traffic, kafka):
    """They are copied to predictions, whose topic takes less than the input."""
    traffic.records[100].headers = [("traceparent", b"0" * 400_000), ("tracestate", b"a=b")]
    traffic.records[101].headers = [("traceparent", b"00-1-2-01"), ("tracestate", b"s" * 400_000)]
    traffic.records[102].headers = [("traceparent", b"00-1-2-01"), ("tracestate", b"a=b")]
    written = process(pipeline, traffic.records, kafka)
    assert len(written.predictions) == len(traffic.records)
    of = {}
    for m in written.predictions:
        p = decode(PREDICTION, split_header(m.value)[1])
        of[p["partition"], p["offset"]] = m
    large, large_state, usual = (of[r.partition, r.offset].headers for r in traffic.records[100:103])
    assert usual == traffic.records[102].headers
    assert all(len(value) < 1000 for _, value in large + large_state)


def test_dead_letters_that_their_topic_would_not_take_are_cut(kafka, models, schemas, traffic, tmp_path):
    """The value first, then the original headers, then the key; reason and source stay in any case."""
    pipeline = Pipeline(kafka, models, tmp_path, "small-dead-letters", schemas)
    pipeline.create_topics(output_config={"max.message.bytes": str(SMALL_TOPIC_BYTES)})
    records = traffic.records
    large_value, large_headers, large_key, all_large = bad = records[100:104]
    for record in bad:
        record.value, record.headers, record.reason = b"\1bad", [("h", b"v")], "not_avro"
    large_value.value = all_large.value = b"\1" + b"x" * 60_000
    large_headers.headers = all_large.headers = [("h", b"y" * 60_000)]
    large_key.key = all_large.key = b"k" * 60_000
    written = process(pipeline, records, kafka)
    letters = {ledger.source(m): m for m in written.dead_letters}
    assert sorted(letters) == sorted((r.partition, r.offset) for r in bad)
    assert len(written.predictions) == len(records) - len(bad)
    for record in bad:
        m = letters[record.partition, record.offset]
        assert m.header("weir.reason") == "not_avro"
        assert record.value.startswith(m.value)
        assert record.key.startswith(m.key)
        if len(m.value) < len(record.value):
            assert m.header("weir.value.bytes") == str(len(record.value))
        if len(m.key) < len(record.key):
            assert m.header("weir.key.bytes") == str(len(record.key))
    whole = letters[large_value.partition, large_value.offset]
    assert whole.key == large_value.key and whole.header("h") == "v" and len(whole.value) > SMALL_TOPIC_BYTES / 2
    assert letters[large_headers.partition, large_headers.offset].value == large_headers.value


def test_records_as_large_as_kafka_takes_them_by_default(pipeline, traffic, kafka):
    """Past librdkafka's own limit of a million bytes."""
    del pipeline.config["input"]["max_record_bytes"]
    bad = traffic.records[100]
    bad.value, bad.reason = b"\1" + b"x" * 1_048_400, "not_avro"
    written = process(pipeline, traffic.records, kafka)
    assert [m.header("weir.reason") for m in written.dead_letters] == ["not_avro"]
    assert written.dead_letters[0].header("weir.value.bytes") == str(len(bad.value)), "with its headers it no longer fits: cut"
    assert len(written.predictions) == len(traffic.records) - 1


def test_an_entity_as_long_as_a_record(kafka, models, schemas, traffic, tmp_path):
    """No output takes it, and the windows hold it all the same: so must the changelog, whose keys are never cut."""
    pipeline = Pipeline(kafka, models, tmp_path, "long-entity", schemas).create_topics(input_config={"max.message.bytes": "3000000"})
    pipeline.config["input"]["max_record_bytes"] = 2_000_000
    traffic.put_first(traffic.event(traffic.now_ms, card_token="c" * 1_400_000), "output_too_large")
    long = traffic.records[-1]
    long.key, long.partition = None, 0
    written = process(pipeline, traffic.records, kafka)
    assert [m.header("weir.reason") for m in written.dead_letters] == ["output_too_large"]
    worker = pipeline.worker("w").start().wait_ready()
    assert "rebuilding its state" not in worker.logged(), "the stop's checkpoints hold it"
    worker.stop()
