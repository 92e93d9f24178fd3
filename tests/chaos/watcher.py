"""A read_committed reader of the outputs while workers are hurt: at no time may it see an output twice or out of order.

It reads only what it needs of a record: the source's partition and offset, which stand at the end of predictions and
shadows, and the key, which is the entity. They are found from behind: the last byte of a varint, and only that, is below
128, so the end of the one before shows where one begins."""

import contextlib
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition

import ledger
from outputs import Message, READ_SECONDS_MAX, end_offsets

OUTPUTS = ("predictions", "shadows", "dead_letters")
FIELDS_BEHIND = {"predictions": 1, "shadows": 0}               # after the offset: the schema id
READ_AT_ONCE = 2000
IDLE_TURNS_MAX = 25                                            # of 0.2 s


def _varint_before(data, end):
    """The zigzag varint that ends at `end`, and where it begins."""
    begin = end - 1
    while begin > 0 and data[begin - 1] >= 0x80:
        begin -= 1
    value = 0
    for byte in reversed(data[begin:end]):
        value = value << 7 | byte & 0x7f
    return (value >> 1) ^ -(value & 1), begin


def place_at_the_end(value, behind):
    end = len(value)
    for _ in range(behind):
        _, end = _varint_before(value, end)
    offset, end = _varint_before(value, end)
    partition, _ = _varint_before(value, end)
    return partition, offset


class Watcher:
    """findings gets what is seen; positions[output] are the (partition, offset) of all outputs seen."""

    def __init__(self, kafka, outputs, findings):
        self.kafka, self.findings, self.topics = kafka, findings, {outputs[name]: name for name in OUTPUTS}
        self.positions = {name: {} for name in OUTPUTS}        # of the output -> of the input
        self.places = {name: {} for name in OUTPUTS}           # and back
        self.last, self.reached, self.failure = {}, {}, None   # reached: where a partition was found to end, or its last record
        self.consumer = self.open()
        partitions = self.consumer.list_topics(timeout=10).topics
        self.assigned = [TopicPartition(topic, p, OFFSET_BEGINNING) for topic in self.topics for p in partitions[topic].partitions]
        self.consumer.assign(self.assigned)
        self.ends = None                                       # by (topic, partition), once nothing more will come
        self.lock = threading.Lock()                           # of the consumer: who holds it alone reads
        self.thread = threading.Thread(target=self.run, name="watcher", daemon=True)

    def open(self):
        return Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": "watcher", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 100,
                         "reconnect.backoff.max.ms": 500, "log_level": 0})

    def start(self):
        self.thread.start()
        return self

    def run(self):
        try:
            idle = 0
            while self.ends is None or any(self.reached.get(place, 0) < end for place, end in self.ends.items()):
                with self.lock:
                    messages = self.consumer.consume(READ_AT_ONCE, timeout=0.2)
                    for m in messages:
                        self.take(m)
                    idle = 0 if messages or self.ends is None else idle + 1
                    if idle == IDLE_TURNS_MAX:
                        self.go_on_again()
                        idle = 0
                time.sleep(0.001)                              # others may want the lock
        except Exception as error:                             # noqa: the one who stops the watcher raises it
            self.failure = error
        finally:
            self.consumer.close()

    @contextlib.contextmanager
    def away(self):
        """It does not read while the broker restarts: a fetch that is answered by "the leader is not known yet" can crash the
        library of this process (an entry for the partition is counted, and not filled in)."""
        with self.lock:
            self.consumer.close()
            yield
            self.wait_led()
            self.begin_again()

    def wait_led(self):
        """Until the broker leads all partitions again."""
        deadline = time.monotonic() + READ_SECONDS_MAX
        while True:
            try:
                for topic in self.topics:
                    end_offsets(self.kafka, topic)
                return
            except KafkaException:
                assert time.monotonic() < deadline, "the broker does not lead its partitions"
                time.sleep(0.1)

    def go_on_again(self):
        """The library sometimes stops to fetch a partition after the broker has restarted: a new one goes on where that one was."""
        self.consumer.close()
        self.begin_again()

    def begin_again(self):
        self.consumer = self.open()
        for p in self.assigned:
            p.offset = self.reached.get((p.topic, p.partition), OFFSET_BEGINNING)
        self.consumer.assign(self.assigned)

    def take(self, m):
        if not m.error() or m.error().code() == KafkaError._PARTITION_EOF:
            self.reached[m.topic(), m.partition()] = m.offset()
        if m.error():
            if m.error().code() == KafkaError._PARTITION_EOF or m.error().retriable() or m.error().code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                return
            raise RuntimeError(f"the watcher cannot read: {m.error()}")
        name = self.topics[m.topic()]
        if name == "dead_letters":
            place = ledger.source(Message(m.partition(), m.offset(), m.key(), None, 0, m.headers() or []))
        else:
            place = place_at_the_end(m.value(), FIELDS_BEHIND[name])
        self.see(name, m.partition(), m.offset(), m.key(), place)

    def see(self, name, partition, offset, entity, place):
        if (partition, offset) in self.positions[name]:        # the reader itself came by twice
            return
        if place in self.places[name]:
            self.findings.add("doubled", f"seen while running: {name} {place} at {partition}/{offset} and {self.places[name][place]}")
        before = self.last.get((name, partition, entity), -1)
        if place[1] < before:
            self.findings.add("order", f"seen while running: {name} {place} at {partition}/{offset}, after offset {before} of {entity!r}")
        self.last[name, partition, entity] = max(place[1], before)
        self.positions[name][partition, offset] = place
        self.places[name][place] = partition, offset

    def stop(self):
        """After the last transaction has settled: it reads on until it has seen all that is there."""
        ends = {(topic, p): end for topic in self.topics for p, end in enumerate(end_offsets(self.kafka, topic, IsolationLevel.READ_COMMITTED))}
        self.ends = ends
        self.thread.join(READ_SECONDS_MAX)
        missing = {place: (self.reached.get(place, 0), end) for place, end in ends.items() if self.reached.get(place, 0) < end}
        assert not self.thread.is_alive(), f"the watcher does not come to the ends of {missing}"
        if self.failure:
            raise self.failure
