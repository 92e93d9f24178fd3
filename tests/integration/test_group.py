"""The consumer group: members that are shut out, partitions without an owner, offsets that hang, an input that is transactional."""

import contextlib
import re
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import ledger
from outputs import Written, assert_no_open_transaction
from traffic import Traffic, produce


def partitions(worker):
    """Of its one lane: the whole status by partition."""
    return {p["partition"]: p for p in worker.status()["lanes"][0]["partitions"]}


def count(worker, metric):
    return int(re.search(rf"^{metric} (\d+)", worker.get("/metrics")[1], re.M)[1])


def take_name(pipeline, member):
    """Joins the group under a static member's name, and is never heard of again: the group then knows the name as this one's.
    The consumer is to be kept: closed, it would say goodbye."""
    thief = Consumer({"bootstrap.servers": pipeline.kafka.brokers, "group.id": pipeline.app_id, "group.instance.id": member,
                      "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000, "enable.auto.commit": False,
                      "isolation.level": "read_committed"})
    assigned = []
    thief.subscribe([pipeline.topic], on_assign=lambda _, partitions: assigned.append(partitions))
    deadline = time.monotonic() + 30
    while not assigned:
        assert time.monotonic() < deadline, "the name could not be taken"
        thief.poll(0.1)
    return thief


def test_a_member_whose_name_was_taken_joins_anew(pipeline, small_traffic, small_replayed, kafka):
    """As after a join whose answer was lost: the library never works again under its old handle. No process is needed to
    mend that; what was under way goes to whoever has the partitions."""
    third = len(small_traffic.records) // 3
    worker = pipeline.worker("w").start().wait_ready()
    thieves = []
    for part in range(2):
        produce(kafka.brokers, pipeline.topic, small_traffic.records[part * third:(part + 1) * third])
        pipeline.wait_committed([worker], small_traffic.ends, 0.2 + part / 3)
        thieves.append(take_name(pipeline, "w-0"))
        worker.wait_for(lambda before=part: count(worker, "weir_members_renewed_total") == before + 1, "it has a new member")
    produce(kafka.brokers, pipeline.topic, small_traffic.records[2 * third:])
    pipeline.wait_committed([worker], small_traffic.ends)
    assert len(re.findall(r"has shut out member w-0: .*FENCED_INSTANCE_ID.*joins anew", worker.logged())) == 2, worker.logged()
    worker.stop()
    assert_no_open_transaction(kafka, pipeline.outputs["predictions"])
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)
    assert len(thieves) == 2


def test_a_member_that_is_shut_out_while_it_commits_what_it_hands_over_joins_anew(pipeline, small_traffic, small_replayed, kafka, failpoints):
    """Nobody will ever let it commit again: that is not waited for, and what it had done goes to whoever has the partitions."""
    assert "in_revoke" in failpoints
    half = len(small_traffic.records) // 2
    first = pipeline.worker("w0", commit_interval_ms=60_000, failpoints=["in_revoke:pause=4000"]).start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    first.wait_for(lambda: sum(p["position"] for p in partitions(first).values()) == half, "half is processed, and not committed")
    second = pipeline.worker("w1").start()
    first.wait_for(lambda: "failpoint in_revoke" in first.logged(), "it is asked for partitions")
    thief = take_name(pipeline, "w0-0")
    first.wait_for(lambda: count(first, "weir_members_renewed_total") == 1, "it has a new member", 15)
    assert thief.memberid()                                    # it lived until then
    produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
    pipeline.wait_committed([first, second], small_traffic.ends, seconds=90)
    for worker in (first, second):
        worker.stop()
    assert_no_open_transaction(kafka, pipeline.outputs["predictions"])
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_what_is_processed_is_committed_before_its_partition_is_handed_over(pipeline, small_traffic, small_replayed, kafka):
    """Nobody else would have: neither worker ends a transaction by itself."""
    half = len(small_traffic.records) // 2
    ends = {r.partition: r.offset + 1 for r in small_traffic.records[:half]}
    first, second = (pipeline.worker(name, commit_interval_ms=60_000) for name in ("w0", "w1"))
    first.start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    first.wait_for(lambda: sum(p["position"] for p in partitions(first).values()) == half, "half is processed, and not committed")
    assert not any(pipeline.committed())
    second.start()
    handed_over = set(second.wait_for(lambda: partitions(second), "it has some of them"))
    committed = pipeline.committed()
    assert all(committed[p] == ends[p] for p in handed_over)
    assert "processed and not committed" not in first.logged()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
    for worker in (first, second):
        worker.wait_for(lambda here=worker: all(p["position"] == small_traffic.ends[i] for i, p in partitions(here).items()), "all is processed")
    for worker in (first, second):
        worker.stop()
    assert pipeline.committed() == small_traffic.ends
    assert_no_open_transaction(kafka, pipeline.outputs["predictions"])
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_two_living_processes_of_one_name_do_not_go_on(pipeline, small_traffic, small_replayed, kafka, tmp_path, monkeypatch):
    """As on two hosts: they shut each other out until one of them ends and names what they share."""
    workers = [pipeline.worker("w"), pipeline.worker("w")]
    workers[1].process.log = workers[1].log = f"{pipeline.directory}/second.log"
    workers[0].start().wait_ready()
    small_traffic.produce(kafka.brokers, pipeline.topic)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    workers[1].start()
    workers[1].wait_for(lambda: not all(worker.process.running() for worker in workers), "one of them has ended", 90)
    ended, lives = sorted(workers, key=lambda worker: worker.process.running())
    assert ended.ends() == 1
    assert re.search(r"error .*(member w-0|transactional id \S+-w-0-[ab]).* within a minute.*set `instance` to different names", ended.logged()), ended.logged()
    pipeline.wait_committed([lives], small_traffic.ends)
    lives.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


@contextlib.contextmanager
def hanging(pipeline, offsets):
    """Somebody's open transaction has these offsets of the group, by partition."""
    dead = Producer({"bootstrap.servers": pipeline.kafka.brokers, "transactional.id": f"{pipeline.app_id}-hangs", "transaction.timeout.ms": 60_000})
    dead.init_transactions(20)
    dead.begin_transaction()
    reader = Consumer({"bootstrap.servers": pipeline.kafka.brokers, "group.id": pipeline.app_id})
    dead.send_offsets_to_transaction([TopicPartition(pipeline.topic, p, offset) for p, offset in offsets.items()], reader.consumer_group_metadata(), 20)
    try:
        yield dead
    finally:
        reader.close()


def test_a_partition_whose_offset_hangs_stalls_no_other(pipeline, small_traffic, small_replayed, kafka):
    """Somebody died within a transaction that has offsets of two partitions. Until the broker ends it nobody can know where
    they begin; the lane goes on with the others, says what it waits for, and begins them once it can."""
    third = len(small_traffic.records) // 3
    worker = pipeline.worker("w").start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:third])
    worker.wait_for(lambda: sum(pipeline.committed()) == third, "a third is committed")
    worker.stop()
    hung = {3, 7}
    committed = pipeline.committed()
    with hanging(pipeline, {p: committed[p] + 1 for p in hung}) as dead:
        produce(kafka.brokers, pipeline.topic, small_traffic.records[third:])
        began = time.monotonic()
        worker.start()
        ends = dict(enumerate(small_traffic.ends))
        worker.wait_for(lambda: (found := partitions(worker)) and all(found[p]["committed"] == ends[p] for p in set(found) - hung) and len(found) == len(ends), "the others are done")
        assert time.monotonic() - began < 30, "that is before the broker would have ended it"
        waiting = partitions(worker)
        assert {p for p, status in waiting.items() if status["rebuilding"]} == hung
        assert all(waiting[p]["restoring"] == "offset" and waiting[p]["committed"] == -1 for p in hung)
        assert worker.get("/ready")[0] == 503
        dead.abort_transaction(20)
        pipeline.wait_committed([worker], small_traffic.ends)
    worker.wait_ready()
    worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_a_partition_whose_offset_hangs_is_read_from_there_though_others_come_and_go_meanwhile(pipeline, small_traffic, small_replayed, kafka, failpoints):
    """Its offset is there just when the next rebalance is served: it has been assigned, at the log's end, and is to be read from
    the offset all the same."""
    half = len(small_traffic.records) // 2
    first = pipeline.worker("w0").start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    first.wait_for(lambda: sum(pipeline.committed()) == half, "half is committed")
    first.stop()
    committed, hung = pipeline.committed(), {10, 11}
    with hanging(pipeline, {p: committed[p] + 1 for p in hung}) as dead:
        produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
        first = pipeline.worker("w0", failpoints=["in_assign:pause=5000@2"]).start()
        first.wait_for(lambda: {p for p, status in partitions(first).items() if status.get("restoring") == "offset"} == hung, "they wait")
        second = pipeline.worker("w1").start()
        first.wait_for(lambda: "failpoint in_assign" in first.logged(), "the next rebalance is there")
        assert hung <= set(partitions(first)), "it has kept them"
        dead.abort_transaction(20)
        pipeline.wait_committed([first, second], small_traffic.ends)
    for worker in (first, second):
        worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_partitions_that_a_killed_member_was_handing_over_find_an_owner(pipeline, small_traffic, small_replayed, kafka, failpoints):
    """Killed between the two rounds of a rebalance and started again: the group lets it in without a third, and what it had
    given up belongs to nobody."""
    half = len(small_traffic.records) // 2
    first, second = pipeline.worker("w0", failpoints=["after_revoke:kill"]), pipeline.worker("w1")
    first.start().wait_ready()
    produce(kafka.brokers, pipeline.topic, small_traffic.records[:half])
    second.start()
    first.ends()
    pipeline.write_config("w0")
    first.start()
    for worker in (first, second):
        worker.wait_for(lambda here=worker: here.get("/live")[0] == 200, "it lives")
    produce(kafka.brokers, pipeline.topic, small_traffic.records[half:])
    pipeline.wait_committed([first, second], small_traffic.ends, seconds=60)
    assert count(first, "weir_forced_rejoins_total") + count(second, "weir_forced_rejoins_total") == 1, "this is what has mended it"
    owned = [set(partitions(worker)) for worker in (first, second)]
    assert owned[0] | owned[1] == set(range(pipeline.partitions)) and not owned[0] & owned[1]
    for worker in (first, second):
        worker.stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


@pytest.mark.parametrize("commits", [[True, False], [False]], ids=["some committed", "nothing but aborted"])
def test_a_group_that_begins_behind_control_records_is_ready(pipeline, schema_ids, kafka, commits):
    """The log's end, where it starts, is behind what ends a transaction: no record ever comes from there, and what lies before
    is folded for its windows alone."""
    traffic = Traffic(schema_ids, 240, cards=50, seed=13, garbage=0)
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": f"{pipeline.app_id}-traffic", "linger.ms": 20})
    producer.init_transactions(20)
    for commit in commits:
        producer.begin_transaction()
        for r in traffic.records:
            producer.produce(pipeline.topic, r.value, r.key, r.partition, timestamp=r.timestamp_ms, headers=r.headers)
        assert producer.flush(20) == 0
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)
    pipeline.config["input"]["start"] = "latest"
    worker = pipeline.worker("w").start().wait_ready(20)
    assert not any(p["rebuilding"] for p in partitions(worker).values())
    worker.stop()
    worker.start().wait_ready(20)
    worker.stop()
    assert not Written(kafka, pipeline.outputs).predictions
