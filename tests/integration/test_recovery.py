"""State comes back from the changelog: what a worker computes after a restart is what it would have computed without one."""

import contextlib
import re
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import ledger
from deployment import FEATURES, Models, Pipeline
from outputs import PREDICTION, Replayed, Written, assert_no_open_transaction, decode, end_offsets, read_topic, split_header
from test_start import refused
from traffic import Traffic, produce

OFTEN = {"checkpoint_interval": "1s"}


@pytest.fixture
def traffic(schema_ids):
    return Traffic(schema_ids, 2000, cards=50, seed=10, garbage=0)


def restored_from(worker):
    """How each partition came back, from the log: {partition: "changelog" | "input"}."""
    ways = {}
    for line in worker.logged().splitlines():
        if found := re.search(r"partition (\d+): (?:(\d+ entities read from the changelog)|rebuilding its state from offset)", line):
            ways[int(found[1])] = "changelog" if found[2] else "input"
    return ways


def tails(worker):
    return {int(p): int(n) for p, n in re.findall(r"partition (\d+): .*?; (\d+) records of the input follow", worker.logged())}


def digests(worker):
    """{partition: {offset: digest}} of a worker that says more."""
    found = {}
    for partition, digest, offset in re.findall(r"partition (\d+): state digest (\w+) at offset (\d+)", worker.logged()):
        found.setdefault(int(partition), {})[int(offset)] = digest
    return found


def checkpoints(worker):
    """How many have been closed."""
    found = re.search(r"^weir_checkpoints_total (\d+)", worker.get("/metrics")[1], re.M)
    return int(found[1])


def wait_checkpoints(worker, count):
    worker.wait_for(lambda: checkpoints(worker) >= count, f"{count} checkpoints are closed")


def check(pipeline, traffic, replayed, repeated=False):
    for topic in [*pipeline.outputs.values(), pipeline.changelog]:
        assert_no_open_transaction(pipeline.kafka, topic)
    ledger.check_all(pipeline, traffic, Written(pipeline.kafka, pipeline.outputs), replayed, repeated)


def feed(pipeline, records, steps, wait=0.2):
    size = max(1, len(records) // steps)
    for i in range(0, len(records), size):
        produce(pipeline.kafka.brokers, pipeline.topic, records[i:i + size])
        time.sleep(wait)


def finish(pipeline, worker, traffic):
    replayed = Replayed(pipeline.replay(f"{pipeline.directory}/replayed"))
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    check(pipeline, traffic, replayed)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_after_a_kill_the_state_comes_from_the_changelog(pipeline, small_traffic, small_replayed, delivery):
    third = len(small_traffic.records) // 3
    worker = pipeline.worker("w", state=OFTEN, delivery=delivery).start()
    feed(pipeline, small_traffic.records[:third], 15)
    wait_checkpoints(worker, 12)
    for begin, end in ((third, 2 * third), (2 * third, None)):
        worker.kill()
        worker.start().wait_ready()
        ways = restored_from(worker)
        assert ways and set(ways.values()) == {"changelog"}, worker.logged()
        feed(pipeline, small_traffic.records[begin:end], 10)
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    check(pipeline, small_traffic, small_replayed, repeated=delivery == "at_least_once")


def test_after_an_orderly_stop_no_record_is_read_again_and_the_state_is_the_same(pipeline, small_traffic, small_replayed):
    half = len(small_traffic.records) // 2
    produce(pipeline.kafka.brokers, pipeline.topic, small_traffic.records[:half])
    worker = pipeline.worker("w")
    worker.process.command.append("--verbose")
    worker.start()
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    before = digests(worker)
    worker.start().wait_ready()
    assert tails(worker) == {p: 0 for p in range(pipeline.partitions)}, worker.logged()
    after = digests(worker)
    for partition, offset in enumerate(pipeline.committed()):
        assert after[partition][offset] == before[partition][offset]
    produce(pipeline.kafka.brokers, pipeline.topic, small_traffic.records[half:])
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    check(pipeline, small_traffic, small_replayed)


@pytest.mark.parametrize("place", ["in_checkpoint_begin:kill@5", "in_checkpoint_write:kill@30", "before_marker:kill@5", "after_marker:kill@5",
                                   "in_restore_changelog:kill@30", "in_restore_tail:kill@3"])
def test_killed_in_the_middle_of_it(pipeline, traffic, place):
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state=OFTEN).start()
    feed(pipeline, traffic.records[:half // 2], 8)
    wait_checkpoints(worker, 12)
    feed(pipeline, traffic.records[half // 2:half], 2)
    worker.kill()
    dying = pipeline.worker("w", state=OFTEN, failpoints=[place]).start()
    feed(pipeline, traffic.records[half:], 10)
    dying.process.wait(40)
    dying.assert_clean()
    worker = pipeline.worker("w", state=OFTEN).start().wait_ready()
    assert set(restored_from(worker).values()) == {"changelog"}, worker.logged()
    finish(pipeline, worker, traffic)


def test_records_before_the_committed_offset_stay_under_their_rules(pipeline, traffic):
    """Between the checkpoint and the committed offset lie records that other rules would judge otherwise."""
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state={"checkpoint_interval": "2s"}).start()
    feed(pipeline, traffic.records[:half // 2], 10)
    wait_checkpoints(worker, 12)
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half // 2:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.kill()
    stricter = [*pipeline.config["validation"], {"name": "small", "field": "amount_minor", "max": 3000},
                {"name": "dollars", "when": {"field": "currency", "in": ["USD", "NO"]}, "field": "mcc", "not_in": [5967]}]
    committed = pipeline.committed()
    worker = pipeline.worker("w", validation=stricter).start().wait_ready()
    assert "folded under the rules they were judged by" in worker.logged()
    assert set(restored_from(worker).values()) == {"changelog"}, worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half:])
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    letters = [m for m in Written(pipeline.kafka, pipeline.outputs).dead_letters if m.header("weir.rule") == "small"]
    places = [ledger.source(m) for m in letters]
    assert places and all(offset >= committed[partition] for partition, offset in places)


def test_another_feature_file_is_another_state(pipeline, traffic, weir, tmp_path):
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state=OFTEN).start()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    models = Models(weir, tmp_path / "other", FEATURES.replace("windows: [24h, 7d]", "windows: [12h, 24h]"))
    pipeline.config |= {"features": models.features,
                        "models": pipeline.config["models"] | {"champion": {"id": "champion-2", "file": models.champion}, "shadows": []}}
    worker = pipeline.worker("w").start().wait_ready()
    assert "the feature file has changed" in worker.logged()
    assert set(restored_from(worker).values()) == {"input"}, worker.logged()
    worker.stop()


def test_what_a_rebuild_reads_first_is_read_beside_the_others(pipeline, traffic):
    """The changelog says which deployments served what is folded again; while it is read the lane goes on and says how far it is."""
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state={"checkpoint_interval": "7d"}).start()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.kill()
    worker = pipeline.worker("w", state=OFTEN, failpoints=["in_restore_changelog:pause=3000@1"]).start()
    lanes = worker.wait_for(lambda: [lane for lane in worker.status()["lanes"] if lane["partitions"]], "partitions are shown")
    assert any(p.get("restoring") == "changelog" for lane in lanes for p in lane["partitions"]), lanes
    worker.wait_ready()
    assert set(restored_from(worker).values()) == {"input"}, worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half:])
    finish(pipeline, worker, traffic)


def latest(pipeline):
    """Of each key of the changelog its latest value, in the order they were written: {(partition, key): value}."""
    left = {}
    assert_no_open_transaction(pipeline.kafka, pipeline.changelog)
    for m in read_topic(pipeline.kafka, pipeline.changelog):
        left.pop((m.partition, m.key), None)
        left[m.partition, m.key] = m.value
    return {place: value for place, value in left.items() if value is not None}


def generations(pipeline):
    return {(partition, key[:16]) for partition, key in latest(pipeline) if key[16:17] in (b"E", b"M")}


def compact(pipeline):
    """What the broker will do some day."""
    left = latest(pipeline)
    pipeline.kafka.configure(pipeline.changelog, {"cleanup.policy": "compact,delete"}) # else nothing can be deleted
    pipeline.kafka.delete_records_before(pipeline.changelog, end_offsets(pipeline.kafka, pipeline.changelog))
    pipeline.kafka.configure(pipeline.changelog, {"cleanup.policy": "compact"})
    write(pipeline, [(partition, key, value) for (partition, key), value in left.items()])


def write(pipeline, records):
    producer = Producer({"bootstrap.servers": pipeline.kafka.brokers})
    for partition, key, value in records:
        producer.produce(pipeline.changelog, value, key, partition)
    assert producer.flush(20) == 0


def test_at_least_once_a_late_writer_cannot_spoil_its_successors_checkpoints(pipeline, small_traffic, small_replayed):
    """What a process that stood still sends when it wakes: nothing fences it, so the successor's state lies elsewhere."""
    third = len(small_traffic.records) // 3
    worker = pipeline.worker("w", state=OFTEN, delivery="at_least_once").start()
    feed(pipeline, small_traffic.records[:third], 5)
    wait_checkpoints(worker, 12)
    worker.kill()
    late = [(m.partition, m.key, m.value) for m in read_topic(pipeline.kafka, pipeline.changelog) if m.key[16:17] == b"E" and m.value]
    worker.start().wait_ready()
    feed(pipeline, small_traffic.records[third:2 * third], 5)
    wait_checkpoints(worker, 13)
    worker.wait_for(lambda: len(generations(pipeline)) == pipeline.partitions, "of the predecessor's state nothing is left")
    worker.kill()
    write(pipeline, late)
    compact(pipeline)
    worker.start().wait_ready()
    assert set(restored_from(worker).values()) == {"changelog"}, worker.logged()
    feed(pipeline, small_traffic.records[2 * third:], 5)
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    check(pipeline, small_traffic, small_replayed, repeated=True)


def test_a_changelog_that_is_lost_is_made_anew(pipeline, traffic):
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state=OFTEN).start()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    pipeline.forget_state()
    worker.start().wait_ready()
    assert set(restored_from(worker).values()) == {"input"}, worker.logged()
    worker.stop()
    worker.start().wait_ready()
    assert set(restored_from(worker).values()) == {"changelog"}, worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half:])
    finish(pipeline, worker, traffic)


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0\1\0\2\2\2", b"x" * 40], ids=["empty", "cut off", "garbage"])
def test_a_changelog_that_is_damaged_is_not_believed(pipeline, traffic, value):
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state=OFTEN).start()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    assert_no_open_transaction(pipeline.kafka, pipeline.changelog)
    entity = next(m for m in read_topic(pipeline.kafka, pipeline.changelog) if m.key[16:17] == b"E")
    producer = Producer({"bootstrap.servers": pipeline.kafka.brokers})
    producer.produce(pipeline.changelog, value, entity.key, entity.partition)
    assert producer.flush(20) == 0
    worker.start().wait_ready()
    ways = restored_from(worker)
    assert ways.pop(entity.partition) == "input" and set(ways.values()) == {"changelog"}, worker.logged()
    assert "damaged" in worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half:])
    finish(pipeline, worker, traffic)


def set_offsets(pipeline, change):
    """Of the group, which has no members; change(partition, offset) gives offset and metadata to commit instead."""
    new = [TopicPartition(pipeline.topic, p, *change(p, offset)) for p, offset in enumerate(pipeline.committed())]
    consumer = Consumer({"bootstrap.servers": pipeline.kafka.brokers, "group.id": pipeline.app_id, "enable.auto.commit": False})
    deadline = time.monotonic() + 30
    while True:                                                # a static member that has gone is one until its session ends
        try:
            consumer.commit(offsets=new, asynchronous=False)
            break
        except KafkaException:
            assert time.monotonic() < deadline, "the group keeps a member"
            time.sleep(0.5)
    consumer.close()


def metadata(checkpoint_offset, generation):
    return f"weir1 T=5 V={0:016x} F=0 H=- R={0:016x} N=12 C=1:{checkpoint_offset}:{generation.hex()}"


def half_done(pipeline, traffic):
    pipeline.shorten_session()
    half = len(traffic.records) // 2
    worker = pipeline.worker("w", state=OFTEN).start()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) >= half, "half is committed")
    worker.stop()
    return worker, half


def test_offsets_that_are_reset_backwards(pipeline, traffic):
    """Some tools keep the metadata: the checkpoint that it names then lies above the offset."""
    worker, half = half_done(pipeline, traffic)
    assert_no_open_transaction(pipeline.kafka, pipeline.changelog)
    generation = next(m.key[:16] for m in read_topic(pipeline.kafka, pipeline.changelog) if m.key[16:17] == b"M")
    set_offsets(pipeline, lambda p, offset: (offset // 2, metadata(offset, generation) if p % 2 else ""))
    worker.start().wait_ready()
    assert "above the committed offset" in worker.logged()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[half:])
    pipeline.wait_committed([worker], traffic.ends)
    worker.may_judge_otherwise = True                          # the metadata is of another offset
    worker.stop()
    replayed = Replayed(pipeline.replay(f"{pipeline.directory}/replayed"))
    written = Written(pipeline.kafka, pipeline.outputs)
    bodies = {(p["partition"], p["offset"]): body for p, body in ((decode(PREDICTION, split_header(m.value)[1]), split_header(m.value)[1]) for m in written.predictions)}
    assert bodies == replayed.predictions
    assert len(written.predictions) > len(bodies), "what was reset is written again"


@pytest.mark.parametrize("sees_it_go", [True, False])
def test_an_input_topic_that_is_made_anew_is_not_read_as_the_old_one(pipeline, traffic, sees_it_go):
    """While the worker runs: what lies where it stood was never processed. The group has no offsets there any more. One that
    does not see the topic go finds records where it stands, and only another id says that they are others."""
    half = len(traffic.records) // 2
    worker = pipeline.worker("w").start().wait_ready()
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    worker.wait_for(lambda: sum(pipeline.committed()) == half, "half is committed")
    with contextlib.nullcontext() if sees_it_go else worker.process.frozen():
        pipeline.kafka.delete(pipeline.topic)
        pipeline.kafka.create(pipeline.topic, pipeline.partitions)
        produce(pipeline.kafka.brokers, pipeline.topic, traffic.records)
    assert worker.ends() == 1
    assert re.search(r"error .*created anew", worker.logged()), worker.process.tail()
    if sees_it_go:
        refused(pipeline, 1, "on_gap: continue")


def test_an_input_topic_of_another_id_is_another_log(pipeline, traffic):
    worker, _ = half_done(pipeline, traffic)
    set_offsets(pipeline, lambda p, offset: (offset, metadata(offset, bytes(16))))
    refused(pipeline, 1, "created anew", r"partition \d+", "reset the group's offsets", "on_gap: continue")


@pytest.mark.parametrize("setting, patterns", [({"cleanup.policy": "delete"}, ("cleanup.policy is delete", "kafka-configs")),
                                               ({"cleanup.policy": "compact", "min.compaction.lag.ms": "0"}, ("min.compaction.lag.ms is 0", "600000"))])
def test_a_changelog_with_wrong_settings(pipeline, setting, patterns):
    pipeline.kafka.create(pipeline.changelog, pipeline.partitions, setting)
    somebody = Producer({"bootstrap.servers": pipeline.kafka.brokers})
    somebody.produce(pipeline.changelog, b"a value", b"a key")
    assert somebody.flush(30) == 0
    refused(pipeline, 1, *patterns)


def test_topics_that_somebody_made_beforehand(pipeline, traffic):
    """An empty changelog becomes a compacted one; of the sketches' partitions the first holds everything."""
    sketches = f"{pipeline.app_id}-sketches"
    pipeline.kafka.create(pipeline.changelog, pipeline.partitions, {"cleanup.policy": "delete"})
    pipeline.kafka.create(sketches, 3, {})
    traffic.produce(pipeline.kafka.brokers, pipeline.topic)
    worker = pipeline.worker("w").start().wait_ready()
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    assert_no_open_transaction(pipeline.kafka, sketches)
    assert pipeline.kafka.settings(pipeline.changelog)["cleanup.policy"] == "compact"
    assert {m.partition for m in read_topic(pipeline.kafka, sketches)} == {0}


def test_a_changelog_with_too_few_partitions(pipeline):
    pipeline.kafka.create(pipeline.changelog, 3, {"cleanup.policy": "compact", "min.compaction.lag.ms": "600000"})
    refused(pipeline, 1, "has 3 partitions, and the input 12", "kafka-topics.sh --alter")


def growing(kafka, models, schemas, tmp_path, name):
    pipeline = Pipeline(kafka, models, tmp_path, name, schemas, partitions=2).create_topics()
    pipeline.config["kafka"] |= {"topic.metadata.refresh.interval.ms": "500"}
    return pipeline, pipeline.worker("w", state=OFTEN).start().wait_ready()


def test_where_the_input_grew_is_known_after_a_kill(kafka, models, schemas, schema_ids, tmp_path):
    """Histories begin anew at the same offsets, in the tail of a recovery and in a replay."""
    pipeline, worker = growing(kafka, models, schemas, tmp_path, "grown")
    before = Traffic(schema_ids, 600, partitions=2, cards=40, seed=3, garbage=0)
    before.produce(kafka.brokers, pipeline.topic)
    worker.wait_for(lambda: sum(offset for offset in pipeline.committed() if offset > 0) >= 600, "all is committed")
    for topic in (*[name for setting, name in pipeline.outputs.items() if setting != "monitoring"], pipeline.changelog, pipeline.topic):
        kafka.grow(topic, 4)
    worker.wait_for(lambda: len(worker.status()["lanes"][0]["partitions"]) == 4, "it has the new partitions")
    pipeline.partitions = 4
    worker.wait_for(lambda: min(pipeline.committed()) >= 0, "it has said so where no event has come yet")
    worker.kill()
    worker.start().wait_ready()
    after = Traffic(schema_ids, 1200, partitions=4, cards=40, seed=4, garbage=0)
    for record in after.records:
        record.value = record.value.replace(b"tx-0", b"ty-0", 1)
    feed(pipeline, after.records[:600], 10)
    worker.kill()
    worker.start().wait_ready()
    feed(pipeline, after.records[600:], 4)
    worker.wait_for(lambda: sum(pipeline.committed()) >= 1800, "all is committed")
    worker.stop()
    written, replayed = Written(kafka, pipeline.outputs), Replayed(pipeline.replay(f"{tmp_path}/replayed"))
    bodies = {}
    for m in written.predictions:
        body = split_header(m.value)[1]
        p = decode(PREDICTION, body)
        bodies[p["partition"], p["offset"]] = body
    assert len(bodies) == len(written.predictions)
    assert bodies == replayed.predictions


def test_an_input_that_grows_before_its_changelog(kafka, models, schemas, tmp_path):
    pipeline, worker = growing(kafka, models, schemas, tmp_path, "outgrown")
    kafka.grow(pipeline.topic, 4)
    assert worker.ends() == 1
    assert re.search(rf"topic {pipeline.changelog}: has 2 partitions, and the input 4; grow it first", worker.logged())
