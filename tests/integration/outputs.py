"""What came out: topics as a read_committed reader sees them, and the files of a replay, down to their bytes."""

import dataclasses
import io
import json
import time

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import OffsetSpec

from traffic import ROOT


def _schema(name):
    with open(f"{ROOT}/schemas/{name}.avsc") as file:
        return fastavro.parse_schema(json.load(file))


READ_SECONDS_MAX = 60
SETTLE_SECONDS_MAX = 6
PREDICTION, SHADOW, REPORT, DEAD_LETTER = (_schema(name) for name in ("prediction", "shadow", "report", "dead_letter"))


@dataclasses.dataclass(slots=True)
class Message:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list

    def header(self, name):
        """The last of that name, as text; None if there is none."""
        found = [value for header, value in self.headers if header == name]
        return found[-1].decode() if found else None


def end_offsets(kafka, topic, isolation=IsolationLevel.READ_UNCOMMITTED):
    """By partition: the high watermark, or with READ_COMMITTED the last stable offset."""
    partitions = kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions
    asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in partitions}
    answers = kafka.admin.list_offsets(asked, isolation_level=isolation)
    return [offset for _, offset in sorted((partition.partition, answer.result(15).offset) for partition, answer in answers.items())]


def assert_no_open_transaction(kafka, topic):
    """A commit that has returned may take the broker a moment more until readers see it: that is waited for, but not as
    long as the broker waits before it aborts a transaction itself."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        stable, written = end_offsets(kafka, topic, IsolationLevel.READ_COMMITTED), end_offsets(kafka, topic)
        if stable == written:
            return
        assert time.monotonic() < deadline, f"{topic}: a transaction is open: last stable offsets {stable}, high watermarks {written}"
        time.sleep(0.05)


def read_topic(kafka, topic, isolation="read_committed"):
    """All messages that a reader can see now, by partition and in order."""
    consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "reader", "isolation.level": isolation, "enable.partition.eof": True,
                         "enable.auto.commit": False, "fetch.wait.max.ms": 20, "queued.min.messages": 200_000})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    messages, open_partitions, deadline = [], set(partitions), time.monotonic() + READ_SECONDS_MAX
    while open_partitions:
        assert time.monotonic() < deadline, f"{topic}: no end of partitions {open_partitions}, and nothing for {READ_SECONDS_MAX} s"
        for m in consumer.consume(5000, timeout=0.1):          # it waits until there are as many
            deadline = time.monotonic() + READ_SECONDS_MAX
            if m.error():
                assert m.error().code() == KafkaError._PARTITION_EOF, m.error()
                open_partitions.discard(m.partition())
            else:
                messages.append(Message(m.partition(), m.offset(), m.key(), m.value(), m.timestamp()[1], m.headers() or []))
    consumer.close()
    return sorted(messages, key=lambda m: (m.partition, m.offset))


def decode(schema, body):
    """The value, and that nothing is left behind it."""
    data = io.BytesIO(body)
    value = fastavro.schemaless_reader(data, schema)
    assert data.tell() == len(body), f"{len(body) - data.tell()} bytes are left after the value"
    return value


def split_header(value):
    """Schema id and body of a value in Confluent's framing."""
    assert value[:1] == b"\0", f"magic byte {value[:1]!r}"
    return int.from_bytes(value[1:5], "big"), value[5:]


def prediction_bodies(messages):
    """The predictions' bodies by the place of their input."""
    found = {}
    for m in messages:
        body = split_header(m.value)[1]
        p = decode(PREDICTION, body)
        assert (p["partition"], p["offset"]) not in found, "written twice"
        found[p["partition"], p["offset"]] = body
    return found


def read_container(path):
    """(value, its bytes) of each datum of an Avro container file."""
    with open(path, "rb") as file:
        blocks = fastavro.block_reader(file)
        schema = fastavro.parse_schema(blocks.writer_schema)
        for block in blocks:
            data = block.bytes_
            body = data.getvalue()
            for _ in range(block.num_records):
                start = data.tell()
                value = fastavro.schemaless_reader(data, schema)
                yield value, body[start:data.tell()]
            assert data.tell() == len(body), f"{path}: bytes are left at the end of a block"


class Replayed:
    """The files of `weir replay --output`: bodies and dead letters by (partition, offset) of the input."""

    def __init__(self, directory):
        self.predictions = self._bodies(f"{directory}/predictions.avro")
        self.shadows = self._bodies(f"{directory}/shadow-predictions.avro")
        self.dead_letters = {}
        for value, _ in read_container(f"{directory}/dead-letters.avro"):
            place = value["partition"], value["offset"]
            assert place not in self.dead_letters, f"two dead letters of {place}"
            self.dead_letters[place] = value

    @staticmethod
    def _bodies(path):
        bodies = {}
        for value, body in read_container(path):
            place = value["partition"], value["offset"]
            assert place not in bodies, f"{path}: two records of {place}"
            bodies[place] = body
        return bodies


class Written:
    """What the workers of a pipeline have written, by topic, as a read_committed reader sees it once all is committed."""

    def __init__(self, kafka, outputs, isolation="read_committed"):
        for output in ("predictions", "shadows", "dead_letters"):
            assert_no_open_transaction(kafka, outputs[output])
        self.predictions = read_topic(kafka, outputs["predictions"], isolation)
        self.shadows = read_topic(kafka, outputs["shadows"], isolation)
        self.dead_letters = read_topic(kafka, outputs["dead_letters"], isolation)
