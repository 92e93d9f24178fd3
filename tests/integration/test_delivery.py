"""What restarts, rebalances and the weaker delivery cost: time, and nothing else."""

import os
import re
import resource
import signal
import time

import pytest
from confluent_kafka import IsolationLevel

import ledger
from deployment import Pipeline
from outputs import PREDICTION, Replayed, Written, assert_no_open_transaction, decode, end_offsets, split_header
from services import Kafka
from traffic import PREDICTION_BYTES_MAX, Traffic, produce


def test_at_least_once_loses_nothing_and_repeats_only_equal_bytes(pipeline, small_traffic, small_replayed, kafka):
    pipeline.config["delivery"] = "at_least_once"
    half = len(small_traffic.records) // 2
    workers = [worker.start() for worker in pipeline.workers(2)]
    for worker in workers:
        worker.wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    pipeline.wait_committed(workers, small_traffic.ends, 0.2)
    workers[0].kill()
    workers[0].start()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
    pipeline.wait_committed(workers, small_traffic.ends)
    for worker in workers:
        worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed, repeated=True)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_restart_brings_the_windows_back(pipeline, small_traffic, small_replayed, kafka, lanes):
    pipeline.config["lanes"] = lanes
    worker = pipeline.worker("w")
    third = len(small_traffic.records) // 3
    for share, first in ((1 / 3, 0), (2 / 3, third), (1, 2 * third)):
        last = first + third if share < 1 else None
        produce(kafka.brokers, pipeline.topic, small_traffic.records[first:last])
        worker.start()
        pipeline.wait_committed([worker], small_traffic.ends, share * 0.999)
        worker.stop()
        for topic in pipeline.outputs.values():
            assert_no_open_transaction(kafka, topic)
    assert re.search("rebuilding its state|reading its state from the changelog", worker.logged())
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_with_the_brokers_own_group_protocol_members_come_and_go(pipeline, small_traffic, small_replayed, kafka):
    """KIP-848: a member leaves, another joins, while records come in."""
    pipeline.config["input"] |= {"group_protocol": "consumer"}
    first, second, third = pipeline.workers(3)
    third_of = len(small_traffic.records) // 3
    for worker in (first, second):
        worker.start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:third_of])
    pipeline.wait_committed([first, second], small_traffic.ends, 0.1)
    third.start()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[third_of:2 * third_of])
    pipeline.wait_committed([first, second, third], small_traffic.ends, 0.5)
    second.stop()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[2 * third_of:])
    pipeline.wait_committed([first, third], small_traffic.ends)
    for worker in (first, third):
        worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def kill(kafka):
    """Writes in flight, an open transaction, and a commit of which nobody knows how it ended."""
    kafka.kill()


def fill_its_disk(kafka):
    """No file of its may grow any more: it refuses what it cannot write, and ends."""
    resource.prlimit(kafka.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    kafka.process.wait(60)


@pytest.mark.parametrize("harm", [kill, fill_its_disk])
def test_a_broker_that_ends_in_the_middle_costs_nothing(models, schemas, small_traffic, small_replayed, tmp_path, harm):
    """It comes back, with room, and nobody has to start the workers again."""
    with Kafka(tmp_path / "kafka") as kafka:
        pipeline = Pipeline(kafka, models, tmp_path, harm.__name__.replace("_", "-"), schemas).create_topics()
        workers = [worker.start().wait_ready() for worker in pipeline.workers(2)]
        third = len(small_traffic.records) // 3
        produce(kafka.brokers, pipeline.topic, small_traffic.records[:third])
        pipeline.wait_committed(workers, small_traffic.ends, 0.05)
        harm(kafka)
        time.sleep(1)
        kafka.start()
        produce(kafka.brokers, pipeline.topic, small_traffic.records[third:])
        pipeline.wait_committed(workers, small_traffic.ends)
        for worker in workers:
            worker.stop()
        ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def partitions(worker):
    """Of its one lane: the position by partition."""
    return {p["partition"]: p["position"] for p in worker.status()["lanes"][0]["partitions"]}


def test_a_worker_that_is_frozen_past_its_session_writes_nothing_twice(pipeline, small_traffic, small_replayed, kafka):
    """It comes back with a full transaction open into a group that has done the same work without it."""
    pipeline.shorten_session()
    frozen, other = pipeline.worker("w0", commit_interval_ms=60_000), pipeline.worker("w1")
    for worker in (frozen, other):
        worker.start().wait_ready()
    frozen.wait_for(lambda: [len(partitions(worker)) for worker in (frozen, other)] == [6, 6], "both have their share of partitions")
    theirs = set(partitions(frozen))
    half = len(small_traffic.records) // 2
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    ends = {r.partition: r.offset + 1 for r in small_traffic.records[:half]}
    frozen.wait_for(lambda: partitions(frozen) == {p: ends[p] for p in theirs}, "it has processed its share")
    assert not any(pipeline.committed()[p] > 0 for p in theirs), "and committed nothing of it"
    with frozen.process.frozen():
        produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
        pipeline.wait_committed([other], small_traffic.ends)
    frozen.wait_for(lambda: "lost partitions" in frozen.logged(), "it knows that it was given up")
    for worker in (frozen, other):
        worker.stop()
    assert "send offsets" not in frozen.logged(), "what was not its own any more was aborted, not tried"
    assert_no_open_transaction(kafka, pipeline.outputs["predictions"])
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


@pytest.mark.parametrize("orders", [
    # A commit that worked and says that it did not, one that was never sent, and one after the other.
    ["after_commit:error@3"],
    ["before_commit:error@3"],
    # Everything that can be refused, some of it while the answer to the last refusal is under way.
    ["before_send_offsets:error@4", "after_send_offsets:error@6", "before_abort:error@2", "before_commit:error@9", "after_commit:error@12"],
    # The group has let the member in again as somebody else.
    ["in_membership:error@3"],
], ids=["commit-in-doubt-had-worked", "commit-in-doubt-had-not-worked", "refusals-one-after-the-other", "another-member"])
def test_what_the_broker_refuses_is_sent_again_and_what_it_has_is_not(pipeline, small_traffic, small_replayed, kafka, failpoints, orders):
    assert {order.split(":")[0] for order in orders} <= set(failpoints)
    worker = pipeline.worker("w", failpoints=orders, commit_interval_ms=20).start().wait_ready()
    records = small_traffic.records
    for i in range(0, len(records), 500):
        produce(kafka.brokers, pipeline.topic, records[i:i + 500])
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    for order in orders:
        assert f"failpoint {order.split(':')[0]}: the process fails here" in worker.logged()
    assert_no_open_transaction(kafka, pipeline.outputs["predictions"])
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_a_successor_ends_what_a_dead_worker_left_open(pipeline, small_traffic, small_replayed, kafka, failpoints):
    """It dies with both its transactions open, offsets sent: the broker would wait 10 s for it, and readers too."""
    worker = pipeline.worker("w", failpoints=["before_commit:kill@2"], commit_interval_ms=20).start().wait_ready()
    small_traffic.produce(kafka.brokers, pipeline.topic)
    assert worker.ends(60) == -signal.SIGKILL
    died = time.monotonic()
    predictions = pipeline.outputs["predictions"]
    written = end_offsets(kafka, predictions)
    assert end_offsets(kafka, predictions, IsolationLevel.READ_COMMITTED) != written
    worker = pipeline.worker("w").start()
    while any(now < then for now, then in zip(end_offsets(kafka, predictions, IsolationLevel.READ_COMMITTED), written)):
        assert time.monotonic() - died < 9, "nobody ended it but the broker"
        time.sleep(0.05)
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_a_name_that_two_processes_use_ends_one_of_them(pipeline, small_traffic, small_replayed, kafka, tmp_path):
    """As from two hosts, whose locks do not meet. Each takes the transactional ids from the other, until one has had enough;
    not a record is doubled meanwhile."""
    pipeline.config["input"] |= {"group_protocol": "consumer"}         # static members would be told apart by the group
    workers = [pipeline.worker("w"), pipeline.worker("w")]
    workers[1].log = workers[1].process.log = f"{tmp_path}/other.log"
    records, at = small_traffic.records, 0
    for i, worker in enumerate(workers):
        os.mkdir(f"{tmp_path}/host{i}")
        worker.process.command[:0] = ["env", f"XDG_RUNTIME_DIR={tmp_path}/host{i}"]
        worker.start().wait_ready()
    deadline = time.monotonic() + 60
    while all(worker.process.running() for worker in workers):
        assert time.monotonic() < deadline, "both live on"
        produce(kafka.brokers, pipeline.topic, records[at:at + 20])
        at += 20
        time.sleep(0.1)
    ended, living = sorted(workers, key=lambda worker: worker.process.running())
    assert ended.ends(5) == 1
    assert re.search(rf"transactional id {pipeline.app_id}-w-0-[ab] was taken away 3 times within a minute.*set `instance`", ended.logged())
    time.sleep(2)
    if not living.process.running():                               # both have had enough at the same time
        assert living.ends(5) == 1
        living.start().wait_ready()
    produce(kafka.brokers, pipeline.topic, records[at:])
    pipeline.wait_committed([living], small_traffic.ends)
    living.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_an_input_that_grows_is_followed(kafka, models, schemas, schema_ids, tmp_path):
    """Outputs and changelog have grown first; the new partitions' records go to the same partitions of the outputs."""
    pipeline = Pipeline(kafka, models, tmp_path, "growing", schemas, partitions=2).create_topics()
    pipeline.config["kafka"] |= {"topic.metadata.refresh.interval.ms": "500"}
    worker = pipeline.worker("w").start().wait_ready()
    changelog = f"{pipeline.app_id}-windows-changelog"
    for topic in (*[name for setting, name in pipeline.outputs.items() if setting != "monitoring"], changelog, pipeline.topic):
        kafka.grow(topic, 4)
    worker.wait_for(lambda: sorted(partitions(worker)) == [0, 1, 2, 3], "it has the new partitions")
    traffic = Traffic(schema_ids, 2_000, partitions=4, cards=100, seed=3)
    traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.partitions = 4
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    written = Written(kafka, pipeline.outputs)
    assert {m.partition for m in written.predictions} == {0, 1, 2, 3}
    ledger.check_all(pipeline, traffic, written, Replayed(pipeline.replay(f"{tmp_path}/replayed")))
    whole = [decode(PREDICTION, split_header(m.value)[1])["window_complete"] for m in written.predictions]
    assert not any(whole[:1]) and len(whole) > 1000, "an entity may have come from another partition"


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_outputs_that_a_topic_refuses_are_not_lost(pipeline, small_traffic, small_replayed, kafka, delivery):
    """The predictions topic takes less than it did when the worker started: no input offset may be committed past a
    prediction that is not there."""
    pipeline.config["delivery"] = delivery
    worker = pipeline.worker("w").start().wait_ready()
    kafka.configure(pipeline.outputs["predictions"], {"max.message.bytes": "300"})
    small_traffic.produce(kafka.brokers, pipeline.topic)
    assert worker.ends(60) == 1
    assert re.search(r"error .*(MSG_SIZE_TOO_LARGE|[Mm]essage size too large)", worker.logged())
    kafka.configure(pipeline.outputs["predictions"], {"max.message.bytes": str(PREDICTION_BYTES_MAX)})
    worker.start()
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed, repeated=delivery == "at_least_once")
