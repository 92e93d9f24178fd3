"""Puts the input in while the workers are hurt: as much of it as of the actions is done, without a gap in the load."""

import contextlib
import threading
import time

from confluent_kafka import Producer

TICK_SECONDS = 0.1
FLUSH_SECONDS_MAX = 60


class Feeder:
    """Its producer goes around the proxy; offsets are as Traffic foresees them.

    It is quiet while the broker restarts. The broker forgets idempotent producers whose last batch is older than a day, by
    the records' timestamps, and these are months old: what is tried again then would be taken twice."""

    def __init__(self, brokers, topic, records, seconds_left):
        """seconds_left(): about how long the run will go on."""
        self.topic, self.records, self.seconds_left = topic, records, seconds_left
        self.producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 20, "message.max.bytes": 2_000_000,
                                  "message.timeout.ms": 0, "queue.buffering.max.messages": 1_000_000, "reconnect.backoff.max.ms": 500,
                                  "log_level": 0})
        self.fed, self.failure, self.lock = 0, None, threading.Lock()
        self.thread = threading.Thread(target=self.run, name="feeder", daemon=True)

    def start(self):
        self.thread.start()
        return self

    def run(self):
        try:
            while self.fed < len(self.records):
                with self.lock:
                    left = len(self.records) - self.fed
                    self.feed(max(1, min(left, int(left * TICK_SECONDS / max(TICK_SECONDS, self.seconds_left())))))
                time.sleep(TICK_SECONDS)
            assert self.producer.flush(FLUSH_SECONDS_MAX) == 0, "the broker does not take the input"
        except Exception as error:                             # noqa: the one who joins raises it
            self.failure = error

    def feed(self, count):
        for record in self.records[self.fed:self.fed + count]:
            self.producer.produce(self.topic, record.value, record.key, record.partition, timestamp=record.timestamp_ms,
                                  headers=record.headers, on_delivery=self.delivered)
        self.fed += count
        self.producer.poll(0)

    @contextlib.contextmanager
    def quiet(self):
        """The broker has all that was fed, and nothing comes meanwhile."""
        with self.lock:
            assert self.producer.flush(FLUSH_SECONDS_MAX) == 0, "the broker does not take the input"
            yield

    def delivered(self, error, _):
        if error and not self.failure:
            self.failure = RuntimeError(f"an input record was not taken: {error}")

    def join(self):
        self.thread.join(FLUSH_SECONDS_MAX + 30)
        assert not self.thread.is_alive(), f"the feeder hangs at record {self.fed}"
        if self.failure:
            raise self.failure
