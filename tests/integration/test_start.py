"""What a worker refuses to start with, or to go on with: it says what is wrong, where, and what to do, and exits 1 (2 where the
configuration itself is wrong)."""

import os
import re
import signal
import socket
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

import ledger
from deployment import FEATURES, Pipeline, column_names, train_model
from outputs import PREDICTION, Written, decode, split_header
from traffic import Traffic, produce
from worker import START_SECONDS_MAX


def refused(pipeline, status, *patterns, instance="w", seconds=START_SECONDS_MAX, **settings):
    """The worker ends by itself with that status and one error that says all of it."""
    worker = pipeline.worker(instance, **settings).start()
    assert worker.ends(seconds) == status, worker.logged()
    errors = [line for line in worker.logged().splitlines() if " error " in line or line.startswith("weir run:")]
    assert errors, worker.logged()
    for pattern in patterns:
        assert re.search(pattern, errors[-1]), f"{pattern!r} is not in {errors[-1]!r}"
    return worker


@pytest.fixture
def traffic(schema_ids):
    return Traffic(schema_ids, 2000, cards=50, seed=10, garbage=0)


def process_all(pipeline, traffic, kafka):
    worker = pipeline.worker("w").start()
    produce(kafka.brokers, pipeline.topic, traffic.records)
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()


@pytest.mark.parametrize("setting", ["predictions", "shadows", "dead_letters", "monitoring"])
def test_a_missing_output_topic(pipeline, setting):
    outputs = pipeline.outputs | {setting: "not-there"}
    refused(pipeline, 1, rf"outputs\.{setting}: topic not-there", "create it", outputs=outputs)


def test_a_missing_input_topic(pipeline):
    refused(pipeline, 1, r"input\.topic: topic not-there", "create it", input=pipeline.config["input"] | {"topic": "not-there"})


def test_a_model_of_other_features(pipeline, weir, tmp_path):
    names = column_names(weir, tmp_path / "other", FEATURES.replace("name: mcc,", "name: merchant_category,"))
    other = train_model(str(tmp_path / "other.ubj"), names, seed=1, trees=2)
    champion = {"id": "champion-1", "file": other}
    refused(pipeline, 1, r"models\.champion", r"other\.ubj", "merchant_category", r"\bmcc\b", models=pipeline.config["models"] | {"champion": champion})


def test_an_unknown_key(pipeline):
    refused(pipeline, 2, r"w\.yaml:\d+", "comit_interval_ms", comit_interval_ms=100)


@pytest.mark.heavy
def test_a_broker_that_is_not_there(pipeline):
    """It is waited for as long as a restart may take, and not for ever."""
    worker = refused(pipeline, 1, "no broker answered within 60 s", "bootstrap.servers", seconds=90, kafka={"bootstrap.servers": "127.0.0.1:1"})
    assert re.search(r"asked again for \d+ s more", worker.logged())


def test_a_registry_that_is_not_there(pipeline):
    schemas = {"url": "http://127.0.0.1:1/", "timeout": "1s"}
    refused(pipeline, 1, "127.0.0.1:1", input=pipeline.config["input"] | {"schemas": schemas})


def test_an_http_port_that_is_taken(pipeline):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(pipeline, 1, re.escape(address), r"\bhttp\b", http=address)


def test_a_second_process_of_the_same_instance(pipeline):
    first = pipeline.worker("w").start().wait_ready()
    second = pipeline.worker("w")
    second.process.log = second.log = f"{pipeline.directory}/second.log"
    second.start()
    assert second.ends() == 1
    assert re.search(r"error instance w of \S+ runs already on this host", second.logged())
    assert first.get("/ready")[0] == 200
    first.stop()


def test_state_without_offsets(pipeline, traffic, kafka):
    """A group without offsets would process again what its changelog knows of: refused, or begun anew where that is wanted."""
    process_all(pipeline, traffic, kafka)
    other = pipeline.config["kafka"] | {"group.id": "another"}
    refused(pipeline, 1, "group another has no offsets", f"{pipeline.app_id}-windows-changelog", "on_gap: continue", kafka=other)
    worker = pipeline.worker("w", kafka=other, input=pipeline.config["input"] | {"on_gap": "continue"}).start().wait_ready()
    assert "group another has no offsets" in worker.logged()
    worker.stop()


def test_a_worker_that_is_stopped_while_it_starts_begins_nothing(pipeline, traffic, kafka):
    """Wherever the signal meets it, the group's offsets stay: a look at them that was broken off says nothing."""
    process_all(pipeline, traffic, kafka)
    for attempt in range(8):
        late = pipeline.worker("w", input=pipeline.config["input"] | {"on_gap": "continue" if attempt % 2 else "refuse"}).start()
        time.sleep(0.02 + 0.06 * attempt)
        code = late.process.stop()
        assert code in (0, -signal.SIGTERM), late.logged()     # before it listens to signals one ends it at once
        assert "has no offsets" not in late.logged()
        assert pipeline.committed() == traffic.ends


def test_records_that_were_deleted_before_they_were_read(pipeline, traffic, kafka):
    """on_gap: refuse stops at the gap and says what to do; continue goes on, with windows that say they are not complete."""
    worker = pipeline.worker("w").start()
    produce(kafka.brokers, pipeline.topic, traffic.records[:500])
    pipeline.wait_committed([worker], traffic.ends, 0.249)
    worker.stop()
    committed = pipeline.committed()
    produce(kafka.brokers, pipeline.topic, traffic.records[500:])
    kafka.delete_records_before(pipeline.topic, [offset + 20 if offset else -1 for offset in committed])
    refused(pipeline, 1, r"on_gap: continue", r"partition \d+")
    assert pipeline.committed() == committed

    worker = pipeline.worker("w", input=pipeline.config["input"] | {"on_gap": "continue"}).start()
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    predictions = [decode(PREDICTION, split_header(m.value)[1]) for m in Written(kafka, pipeline.outputs).predictions]
    after = [p for p in predictions if p["offset"] >= committed[p["partition"]] > 0]
    assert min(p["offset"] - committed[p["partition"]] for p in after) >= 20
    assert after and not any(p["window_complete"] for p in after if p["late_ms"] == 0), "their windows reach back before the gap"
    assert len({(p["partition"], p["offset"]) for p in predictions}) == len(predictions)


def test_history_that_was_deleted_behind_the_committed_offset(pipeline, traffic, kafka):
    """The records that the windows are rebuilt from are gone."""
    worker = pipeline.worker("w").start()
    produce(kafka.brokers, pipeline.topic, traffic.records[:1000])
    pipeline.wait_committed([worker], traffic.ends, 0.499)
    worker.stop()
    committed = pipeline.committed()
    kafka.delete_records_before(pipeline.topic, [offset // 2 if offset else -1 for offset in committed])
    pipeline.forget_state()
    refused(pipeline, 1, r"on_gap: continue", r"partition \d+")
    worker = pipeline.worker("w", input=pipeline.config["input"] | {"on_gap": "continue"}).start()
    produce(kafka.brokers, pipeline.topic, traffic.records[1000:])
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    written = Written(kafka, pipeline.outputs)
    predictions = {}
    for m in written.predictions:
        p = decode(PREDICTION, split_header(m.value)[1])
        assert (p["partition"], p["offset"]) not in predictions, "written twice"
        predictions[p["partition"], p["offset"]] = p
    assert len(predictions) + len(written.dead_letters) == len(traffic.records)
    after = [p for (partition, offset), p in predictions.items() if offset >= committed[partition] > 0 and p["late_ms"] == 0]
    assert after and not any(p["window_complete"] for p in after)


def test_an_offset_beyond_the_end_of_the_log(pipeline):
    """As after the loss of a broker that had not copied its log."""
    group = Consumer({"bootstrap.servers": pipeline.kafka.brokers, "group.id": pipeline.app_id})
    group.commit(offsets=[TopicPartition(pipeline.topic, p, 7) for p in range(pipeline.partitions)], asynchronous=False)
    group.close()
    refused(pipeline, 1, r"partition \d+", "offset 7", "reset the group's offsets")


@pytest.mark.parametrize("start,first", [("earliest", 0), ("latest", 1000), ("2026-03-01T01:00:00Z", None)])
def test_where_a_new_group_starts(kafka, models, schemas, tmp_path, traffic, start, first):
    """Resolved once: what is written after that, and before anything is committed, is read."""
    pipeline = Pipeline(kafka, models, tmp_path, "starts-" + re.sub(r"\W", "-", start), schemas).create_topics()
    pipeline.config["input"]["start"] = start
    produce(kafka.brokers, pipeline.topic, traffic.records[:1000])
    worker = pipeline.worker("w").start().wait_ready()
    produce(kafka.brokers, pipeline.topic, traffic.records[1000:])
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    written = Written(kafka, pipeline.outputs)
    seen = {(p["partition"], p["offset"]) for p in (decode(PREDICTION, split_header(m.value)[1]) for m in written.predictions)}
    seen |= {ledger.source(m) for m in written.dead_letters}
    if first is None:
        begins = {}
        for r in traffic.records[:1000]:                       # a partition begins at its first record of that time or later
            if r.timestamp_ms >= 1_772_326_800_000 and r.partition not in begins:
                begins[r.partition] = r.offset
        ends = {r.partition: r.offset + 1 for r in traffic.records[:1000]}
        expected = [r for r in traffic.records if r.offset >= begins.get(r.partition, ends.get(r.partition, 0))]
        assert 0 < len(expected) < len(traffic.records)
    else:
        expected = traffic.records[first:]
    assert seen == {(r.partition, r.offset) for r in expected}


def test_secrets_are_not_shown(pipeline):
    """A secret of the configuration is neither logged nor in /status."""
    os.environ["WEIR_TEST_SECRET"] = "hunter2-hunter2"
    try:
        kafka = pipeline.config["kafka"] | {"sasl.password": "${env:WEIR_TEST_SECRET}"}
        worker = pipeline.worker("w", kafka=kafka).start().wait_ready()
        assert "hunter2" not in worker.get("/status")[1] + worker.get("/metrics")[1]
        worker.stop()
        assert "hunter2" not in worker.logged()
    finally:
        del os.environ["WEIR_TEST_SECRET"]
