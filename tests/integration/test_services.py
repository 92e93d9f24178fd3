"""What the other integration tests take for granted of services.py."""

import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from services import Kafka, Process, Registry, accepts

HERE = os.path.dirname(os.path.abspath(__file__))


def produce_in_a_transaction(kafka, topic, values, commit):
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": f"{topic}-producer"})
    producer.init_transactions(20)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.commit_transaction(20) if commit else producer.abort_transaction(20)


def read_committed(kafka, topic, count):
    consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "reader", "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values, deadline = [], time.monotonic() + 20
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


def test_a_killed_broker_comes_back_on_its_port_with_what_was_committed(tmp_path):
    with Kafka(tmp_path) as kafka:
        kafka.create("ledger", 1)
        produce_in_a_transaction(kafka, "ledger", [b"lost"], commit=False)
        produce_in_a_transaction(kafka, "ledger", [b"kept"], commit=True)
        brokers = kafka.brokers
        kafka.kill()
        assert not accepts(int(brokers.rpartition(":")[2]))
        kafka.start()
        assert kafka.brokers == brokers
        assert read_committed(kafka, "ledger", 1) == [b"kept"]


def test_a_restarted_registry_still_knows_its_schemas_and_resolves_references(tmp_path):
    money = {"type": "record", "name": "Money", "namespace": "t", "fields": [{"name": "minor", "type": "long"}]}
    event = {"type": "record", "name": "Event", "namespace": "t", "fields": [{"name": "amount", "type": "t.Money"}]}
    with Registry(tmp_path) as registry:
        registry.register("money", money)
        event_id = registry.register("event-value", event, references=[("t.Money", "money", 1)])
        assert registry.register("event-value", event, references=[("t.Money", "money", 1)]) == event_id
        registry.restart()
        assert '"t.Money"' in registry.schema(event_id)


def test_postgres_answers(postgres):
    assert postgres.sql("create extension btree_gist; select 1, 'a';") == ["1|a"]


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_ends_with_the_process_that_started_it(tmp_path, signal_number):
    program = "import services, sys, time; print(services.Process(['sleep', '100'], sys.argv[1]).start().pid, flush=True); time.sleep(100)"
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path / "log"], cwd=HERE, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal_number)
    parent.wait()
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{child}/exe") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}/exe")


def test_stopping_a_process_that_does_not_listen_kills_it(tmp_path):
    deaf = Process(["bash", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], tmp_path / "log").start()
    while not deaf.tail():
        time.sleep(0.01)
    assert deaf.stop(seconds=0.3) == -signal.SIGKILL
