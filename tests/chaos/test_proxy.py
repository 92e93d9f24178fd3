"""The proxy passes everything on, and each of its faults happens, to whom it is meant for, and is over when it should be."""

import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

import wire
from outputs import read_topic


@pytest.fixture
def proxy(kafka):
    kafka.proxy.tell("calm")
    yield kafka.proxy
    kafka.proxy.tell("calm")


def producer(kafka, client, **settings):
    return Producer({"bootstrap.servers": kafka.proxy.address, "client.id": client, "transactional.id": client, "linger.ms": 0,
                     "transaction.timeout.ms": 10_000, "retry.backoff.ms": 10, "log_level": 0} | settings)


def happened(proxy, what):
    return proxy.tell("stats").get(what, 0)


def produce_one(p, topic, value):
    p.begin_transaction()
    p.produce(topic, value)
    assert p.flush(20) == 0


@pytest.fixture
def topic(kafka, request):
    return kafka.create(request.node.name.replace("[", "-").strip("]"))


def values(kafka, topic, isolation="read_committed"):
    return [m.value for m in read_topic(kafka, topic, isolation)]


def test_everything_passes(kafka, proxy, topic):
    before = happened(proxy, "connections")
    p = Producer({"bootstrap.servers": proxy.address, "queue.buffering.max.messages": 300_000})
    sent = [b"%d" % i * (1 + i % 50) for i in range(100_000)]
    for value in sent:
        p.produce(topic, value)
    assert p.flush(60) == 0
    assert happened(proxy, "connections") > before
    c = Consumer({"bootstrap.servers": proxy.address, "group.id": topic})
    c.assign([TopicPartition(topic, 0, 0)])
    read = []
    while len(read) < len(sent):
        read += [m.value() for m in c.consume(10_000, 1)]
    c.close()
    assert read == sent


def test_a_lost_answer_to_a_commit_leaves_it_done(kafka, proxy, topic):
    p = producer(kafka, "lost-answer")
    p.init_transactions()
    before = happened(proxy, "swallowed EndTxn")
    proxy.tell("swallow", api=wire.END_TXN, client="lost-answer", reset=True)
    produce_one(p, topic, b"once")
    p.commit_transaction(20)                                   # the library asks again on another connection
    assert happened(proxy, "swallowed EndTxn") == before + 1
    assert values(kafka, topic) == [b"once"]


def test_an_answer_that_never_comes_is_in_doubt(kafka, proxy, topic):
    p = producer(kafka, "in-doubt")
    p.init_transactions()
    before = happened(proxy, "swallowed EndTxn")
    proxy.tell("swallow", api=wire.END_TXN, client="in-doubt")
    produce_one(p, topic, b"done")
    with pytest.raises(KafkaException) as error:
        p.commit_transaction(2)
    assert error.value.args[0].code() == KafkaError._TIMED_OUT
    assert values(kafka, topic) == [b"done"], "it was committed all the same"
    assert happened(proxy, "swallowed EndTxn") == before + 1


def test_others_are_not_concerned(kafka, proxy, topic):
    proxy.tell("hang", seconds=20, client="somebody")
    p = producer(kafka, "else")
    p.init_transactions(10)
    produce_one(p, topic, b"through")
    p.commit_transaction(10)
    assert values(kafka, topic) == [b"through"]


def test_nothing_goes_through_while_it_hangs(kafka, proxy, topic):
    p = producer(kafka, "hung")
    p.init_transactions()
    p.begin_transaction()
    proxy.tell("hang", seconds=3, client="hung")
    began = time.monotonic()
    p.produce(topic, b"late")
    assert p.flush(20) == 0
    assert 2.5 < time.monotonic() - began < 10
    p.commit_transaction(10)
    assert values(kafka, topic) == [b"late"]


def test_a_request_is_held_until_it_is_released(kafka, proxy, topic):
    p = producer(kafka, "held")
    p.init_transactions()
    p.begin_transaction()
    proxy.tell("hold", api=wire.PRODUCE, client="held", seconds=30)
    p.produce(topic, b"held")
    assert p.flush(1) == 1
    assert proxy.tell("held", client="held") == 1
    proxy.tell("release", client="held")
    assert p.flush(10) == 0
    p.commit_transaction(10)
    assert values(kafka, topic) == [b"held"]


@pytest.mark.parametrize("fault", [{"do": "delay", "ms": 100}, {"do": "throttle", "bytes_per_s": 1000}])
def test_slow(kafka, proxy, topic, fault):
    p = producer(kafka, "slow")
    p.init_transactions()
    p.begin_transaction()
    proxy.tell(**fault, seconds=5, client="slow")
    began = time.monotonic()
    p.produce(topic, b"x" * 500)
    assert p.flush(20) == 0
    assert time.monotonic() - began > 0.15


@pytest.mark.parametrize("after", ["abort", "next"])
def test_a_produce_of_an_aborted_transaction_arrives_late(kafka, proxy, topic, after):
    """Its records must not be seen, whatever the broker answers."""
    client = f"late-{after}"
    p = producer(kafka, client, **{"transaction.timeout.ms": 30000, "message.timeout.ms": 3000})
    p.init_transactions()
    before = happened(proxy, "kept a Produce back"), happened(proxy, "delivered a Produce late")
    proxy.tell("late_produce", client=client, seconds=10, after=after)
    p.begin_transaction()
    p.produce(topic, b"aborted")
    p.flush(5)
    p.abort_transaction(10)
    produce_one(p, topic, b"again")
    time.sleep(0.5)
    assert (happened(proxy, "kept a Produce back"), happened(proxy, "delivered a Produce late")) == (before[0] + 1, before[1] + 1)
    p.commit_transaction(10)
    assert values(kafka, topic) == [b"again"]
    assert b"aborted" not in values(kafka, topic)


def test_new_connections_are_refused_for_a_while(kafka, proxy, topic):
    p = producer(kafka, "refused")
    p.init_transactions()
    proxy.tell("refuse", seconds=2)
    p.begin_transaction()
    p.produce(topic, b"after")
    assert p.flush(1) == 1
    assert p.flush(20) == 0
    p.commit_transaction(10)
    assert values(kafka, topic) == [b"after"]
