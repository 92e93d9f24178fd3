"""Topics of all shapes: other partition counts, a schema directory instead of a registry, transactional input, traffic of
`weir generate`."""

import json
import os

from confluent_kafka import Producer

import ledger
from deployment import Pipeline
from outputs import PREDICTION, Replayed, Written, decode, prediction_bodies, read_container, split_header
from traffic import SCHEMAS, Traffic, produce
from worker import run_weir


def murmur2(data):
    """Kafka's own hash of keys."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    for i in range(0, len(data) - len(data) % 4, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    rest = data[len(data) - len(data) % 4:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def test_outputs_of_another_partition_count_go_by_the_hash_of_their_key(kafka, models, schemas, schema_ids, tmp_path):
    traffic = Traffic(schema_ids, 2000, cards=100, seed=11)
    pipeline = Pipeline(kafka, models, tmp_path, "other-counts", schemas)
    kafka.create(pipeline.topic, 12)
    for setting, name in pipeline.outputs.items():
        kafka.create(name, {"predictions": 5, "shadows": 12}.get(setting, 1))
    traffic.produce(kafka.brokers, pipeline.topic)
    worker = pipeline.worker("w").start()
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    written, replayed = Written(kafka, pipeline.outputs), Replayed(pipeline.replay(f"{tmp_path}/replayed"))
    ledger.check_shadows(traffic, written.shadows, replayed.shadows)
    last = {}
    for m in written.predictions:
        p = decode(PREDICTION, split_header(m.value)[1])
        assert m.partition == (murmur2(m.key) & 0x7FFFFFFF) % 5
        assert last.get(m.key, -1) < p["offset"], "order per entity"
        last[m.key] = p["offset"]
    assert len(written.predictions) == len(replayed.predictions)
    assert {m.partition for m in written.dead_letters} == {0}


def test_partitions_that_appear_later_are_read_from_their_first_record(kafka, models, schemas, schema_ids, tmp_path):
    """Even where the group started at the end of the log."""
    traffic = Traffic(schema_ids, 2000, cards=100, seed=12, garbage=0)
    few = [r for r in traffic.records if r.partition < 6]
    many = [r for r in traffic.records if r.partition >= 6]
    pipeline = Pipeline(kafka, models, tmp_path, "growing-later", schemas, partitions=6, changes={"kafka": {
        "bootstrap.servers": kafka.brokers, "topic.metadata.refresh.interval.ms": "500"}})
    pipeline.config["input"]["start"] = "latest"
    pipeline.create_topics()
    for name in pipeline.outputs.values():
        if name != pipeline.outputs["monitoring"]:
            kafka.grow(name, 12)
    worker = pipeline.worker("w").start().wait_ready()
    produce(kafka.brokers, pipeline.topic, few)
    kafka.grow(pipeline.changelog, 12)
    kafka.grow(pipeline.topic, 12)
    produce(kafka.brokers, pipeline.topic, many)
    pipeline.partitions = 12
    pipeline.wait_committed([worker], traffic.ends, seconds=60)
    worker.stop()
    written, replayed = Written(kafka, pipeline.outputs), Replayed(pipeline.replay(f"{tmp_path}/replayed"))
    assert prediction_bodies(written.predictions) == replayed.predictions
    assert sorted(map(ledger.source, written.dead_letters)) == sorted(replayed.dead_letters)
    assert len(written.predictions) + len(written.dead_letters) == len(traffic.records)


def test_transactional_input_is_read_when_it_is_committed(pipeline, schema_ids, kafka):
    """Records of aborted transactions are none; control records are no gaps, at the end of the log least of all."""
    traffic = Traffic(schema_ids, 1200, cards=50, seed=13, garbage=0.03)
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": "traffic-of-a-test", "linger.ms": 20})
    producer.init_transactions(20)
    offsets, committed = [0] * pipeline.partitions, []
    for begin in range(0, len(traffic.records), 100):
        records, commit = traffic.records[begin:begin + 100], begin % 300 != 200
        producer.begin_transaction()
        for r in records:
            producer.produce(pipeline.topic, r.value, r.key, r.partition, timestamp=r.timestamp_ms, headers=r.headers)
            r.offset = offsets[r.partition]
            offsets[r.partition] += 1
        assert producer.flush(20) == 0                         # an abort would purge what is not written yet
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)
        committed += records if commit else []
        for partition in {r.partition for r in records}:
            offsets[partition] += 1                            # the control record
    worker = pipeline.worker("w").start()
    last = {r.partition: r.offset + 1 for r in committed}
    pipeline.wait_committed([worker], last.values())
    worker.stop()
    worker.start().wait_ready()                                # a rebuild ends, too
    worker.stop()
    written, replayed = Written(kafka, pipeline.outputs), Replayed(pipeline.replay(f"{pipeline.directory}/replayed"))
    assert prediction_bodies(written.predictions) == replayed.predictions
    assert sorted(map(ledger.source, written.dead_letters)) == sorted(replayed.dead_letters)
    assert set(replayed.predictions) | set(replayed.dead_letters) == {(r.partition, r.offset) for r in committed}
    assert len(written.predictions) + len(written.dead_letters) == len(committed)


def test_a_schema_directory_instead_of_a_registry(kafka, models, tmp_path):
    """Ids are file names; output schemas are added under the next free ids, once."""
    directory = tmp_path / "schemas"
    directory.mkdir()
    ids = {}
    for schema_id, name in enumerate(["first", "second", "without id", "nullable id", "amount as text"], start=1):
        ids[name] = schema_id
        (directory / f"{schema_id}.avsc").write_text(json.dumps(SCHEMAS[name]))
    traffic = Traffic(ids, 3000, cards=100, seed=14)
    pipeline = Pipeline(kafka, models, tmp_path, "directory", {"dir": str(directory)}).create_topics()
    traffic.produce(kafka.brokers, pipeline.topic)
    workers = [worker.start() for worker in pipeline.workers(2)]
    pipeline.wait_committed(workers, traffic.ends)
    for worker in workers:
        worker.stop()
    schema_id = ledger.check_all(pipeline, traffic, Written(kafka, pipeline.outputs), Replayed(pipeline.replay(f"{tmp_path}/replayed")))
    schemas = {name: json.loads((directory / name).read_text()) for name in os.listdir(directory) if int(name.removesuffix(".avsc")) > 5}
    added = {name: schema["name"] if isinstance(schema, dict) else "/".join(branch["name"] for branch in schema) for name, schema in schemas.items()}
    assert sorted(added.values()) == ["EntityState/CheckpointMarker/DeploymentRecord/PartitionGrowth", "Prediction", "Report", "Shadow", "Sketch"]
    assert added[f"{schema_id}.avsc"] == "Prediction"


def test_generated_traffic_is_scored_as_its_file_is(pipeline, weir, kafka, registry, tmp_path):
    """`weir generate` writes the same events to a topic and to a file; a worker and a replay of the file agree on all of an
    entity's features but for what a partition alone knows: its stream time."""
    settings = ["--events", 3000, "--cards", 200, "--seed", 7]
    done = run_weir(weir, "generate", "--topic", pipeline.topic, "--brokers", kafka.brokers, "--schema-registry", registry.url, *settings)
    assert done.returncode == 0, done.stderr
    done = run_weir(weir, "generate", "--output", tmp_path / "events.avro", *settings)
    assert done.returncode == 0, done.stderr
    events = {event["transaction_id"]: event for event, _ in read_container(tmp_path / "events.avro")}
    assert len(events) == 3000
    worker = pipeline.worker("w").start()
    pipeline.wait_committed([worker], [3000])
    worker.stop()
    written = Written(kafka, pipeline.outputs)
    assert not written.dead_letters, written.dead_letters[0].headers
    predictions = [decode(PREDICTION, split_header(m.value)[1]) for m in written.predictions]
    assert {p["transaction_id"] for p in predictions} == set(events)
    assert prediction_bodies(written.predictions) == Replayed(pipeline.replay(f"{tmp_path}/replayed")).predictions
    for p in predictions:
        event = events[p["transaction_id"]]
        assert p["entity"] == event["card_token"] and p["value"] == event["amount_minor"]
        assert p["segments"]["mcc"] == str(event["mcc"])
