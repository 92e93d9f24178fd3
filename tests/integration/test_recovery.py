"""State comes back from the changelog: what a worker computes after a restart is what it would have computed without one."""

import re
import time

import pytest

import ledger
from outputs import Replayed, Written, assert_no_open_transaction, read_topic
from traffic import produce

OFTEN = {"checkpoint_interval": "1s", "max_entities": 2_000_000, "max_events": 50_000_000}


def restored_from(worker):
    """How each partition came back, from the log: {partition: "changelog" | "input"}."""
    ways = {}
    for line in worker.logged().splitlines():
        if found := re.search(r"partition (\d+): (?:(\d+ entities read from the changelog)|rebuilding its state)", line):
            ways[int(found[1])] = "changelog" if found[2] else "input"
    return ways


def tails(worker):
    return {int(p): int(n) for p, n in re.findall(r"partition (\d+): .*?; (\d+) records of the input follow", worker.logged())}


def check(pipeline, traffic, replayed):
    for topic in [*pipeline.outputs.values(), f"{pipeline.app_id}-windows-changelog"]:
        assert_no_open_transaction(pipeline.kafka, topic)
    ledger.check_all(pipeline, traffic, Written(pipeline.kafka, pipeline.outputs), replayed)


def feed(pipeline, records, steps, wait=0.2):
    for i in range(0, len(records), max(1, len(records) // steps)):
        produce(pipeline.kafka.brokers, pipeline.topic, records[i:i + max(1, len(records) // steps)])
        time.sleep(wait)


def test_after_a_kill_the_state_comes_from_the_changelog(pipeline, small_traffic, small_replayed):
    third = len(small_traffic.records) // 3
    worker = pipeline.worker("w", state=OFTEN).start()
    feed(pipeline, small_traffic.records[:third], 15)
    for part in (1, 2):
        worker.kill()
        worker.start()
        worker.wait_ready()
        ways = restored_from(worker)
        assert set(ways.values()) == {"changelog"} and len(ways) == pipeline.partitions, worker.logged()
        records = small_traffic.records[part * third:] if part == 2 else small_traffic.records[third:2 * third]
        feed(pipeline, records, 10)
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    check(pipeline, small_traffic, small_replayed)


def test_after_an_orderly_stop_no_record_is_read_again(pipeline, small_traffic, small_replayed):
    half = len(small_traffic.records) // 2
    produce(pipeline.kafka.brokers, pipeline.topic, small_traffic.records[:half])
    worker = pipeline.worker("w").start()
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    worker.start().wait_ready()
    assert tails(worker) == {p: 0 for p in range(pipeline.partitions)}, worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, small_traffic.records[half:])
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    check(pipeline, small_traffic, small_replayed)
