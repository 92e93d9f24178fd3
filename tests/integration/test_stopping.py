"""A signal ends a worker within five seconds, whenever it comes and whatever the broker does; a start waits for a broker that is
just away; one that is away for long costs no more memory than `weir check` says."""

import contextlib
import functools
import json
import os
import re
import signal
import time

import pytest
from confluent_kafka import KafkaException

import ledger
from deployment import Pipeline
from outputs import Written
from services import Kafka
from worker import run_weir

STOP_SECONDS_MAX = 5
RESTART_SECONDS_MAX = 15
SANITIZER_SECONDS = 4                      # that its build may take longer, where others work too
ASKED_AGAIN = r"kafka metadata: .*; asked again for \d+ s more"


@functools.cache
def is_sanitized(binary):
    with open(binary, "rb") as file:
        return b"__asan_init" in file.read()


def within(worker, seconds):
    return seconds + (SANITIZER_SECONDS if is_sanitized(worker.process.command[0]) else 0)


def stops_in_time(worker):
    """SIGTERM; it ends with exit status 0, in time."""
    began = time.monotonic()
    worker.stop(4 * STOP_SECONDS_MAX)
    took = time.monotonic() - began
    assert took < within(worker, STOP_SECONDS_MAX), f"{took:.1f} s\n{worker.process.tail()}"


def says(worker, pattern, seconds=20):
    worker.wait_for(lambda: re.search(pattern, worker.logged()), pattern, seconds)


@pytest.fixture(scope="module")
def shaky(tmp_path_factory):
    """A broker of this file's own, to be killed and frozen."""
    with Kafka(tmp_path_factory.mktemp("shaky")) as kafka:
        yield kafka
        kafka.kill()


@pytest.fixture
def away(shaky, models, schemas, tmp_path, request):
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
    return Pipeline(shaky, models, tmp_path, f"away-{name[-60:]}", schemas).create_topics()


def wait_until_it_works(kafka, seconds=90):
    """Its own controller takes a broker that stood still for dead, for a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return kafka.create(f"works-{time.monotonic_ns()}", 1)
        except (KafkaException, TimeoutError):
            assert time.monotonic() < deadline, f"no topic could be made within {seconds} s"
            time.sleep(0.2)


@contextlib.contextmanager
def frozen(kafka):
    """It takes connections and answers nothing."""
    try:
        with kafka.process.frozen():
            yield
    finally:
        wait_until_it_works(kafka)


def test_in_full_work_what_is_done_is_committed_and_goes_on_elsewhere(pipeline, small_traffic, small_replayed, kafka):
    """A static member's partitions wait for it as long as its session lasts."""
    workers = pipeline.workers(2)
    for worker in workers:
        worker.start().wait_ready()
    small_traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed(workers, small_traffic.ends, 0.1)
    stops_in_time(workers[0])
    pipeline.wait_committed(workers[1:], small_traffic.ends)
    workers[1].stop()
    ledger.check_all(pipeline, small_traffic, Written(kafka, pipeline.outputs), small_replayed)


def test_in_full_work_of_a_broker_that_answers_nothing_any_more(away, small_traffic, shaky):
    worker = away.worker("w").start().wait_ready()
    small_traffic.produce(shaky.brokers, away.topic)
    away.wait_committed([worker], small_traffic.ends, 0.1)
    with frozen(shaky):
        time.sleep(0.5)
        stops_in_time(worker)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_while_topics_are_asked_for_and_nothing_answers(away, shaky, delivery):
    worker = away.worker("w", delivery=delivery)
    with frozen(shaky):
        says(worker.start(), ASKED_AGAIN)
        stops_in_time(worker)
    assert "stopped before it had started" in worker.logged()


@pytest.mark.parametrize("moment", ["topic .*: created", "loaded|proved", "http: listening", "takes partitions"])
def test_while_it_starts_and_the_broker_falls_silent(away, small_traffic, shaky, moment):
    """While topics are made, transactional ids are initialised, the group is joined, state is restored."""
    worker = away.worker("w").start()
    says(worker, moment)
    with frozen(shaky):
        time.sleep(0.3)
        stops_in_time(worker)


def test_while_state_comes_back(away, small_traffic, shaky):
    worker = away.worker("w").start().wait_ready()
    small_traffic.produce(shaky.brokers, away.topic)
    away.wait_committed([worker], small_traffic.ends)
    began = time.monotonic()
    stops_in_time(worker)
    worker.start().wait_ready()
    assert time.monotonic() - began < within(worker, RESTART_SECONDS_MAX), worker.process.tail()
    stops_in_time(worker)
    worker.start()
    says(worker, "takes partitions")
    stops_in_time(worker)
    worker.start()
    says(worker, "takes partitions")
    with frozen(shaky):
        stops_in_time(worker)


def test_a_start_waits_for_a_broker_that_is_just_away(away, shaky):
    shaky.kill()
    worker = away.worker("w").start()
    says(worker, ASKED_AGAIN)
    shaky.start()
    worker.wait_ready().stop()


def worst_bytes(pipeline, worker):
    """What `check` says that a worker with one lane takes at most beside what it has when it is ready."""
    done = run_weir(pipeline.binary, "check", "-c", worker.config, "--offline", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    return (pipeline.partitions * said["state_bytes_worst"] + said["lane_queue_bytes_worst"] + said["monitor_lane_bytes_worst"] +
            said["aggregator_bytes_worst"])


def resident_bytes(worker):
    with open(f"/proc/{worker.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("seconds", [30, pytest.param(120, marks=pytest.mark.heavy)])
def test_a_broker_that_is_away_for_long_costs_no_more_memory_than_check_says(away, small_traffic, shaky, seconds):
    worker = away.worker("w", state={"max_entities": 1000, "max_events": 5000}).start().wait_ready()
    ready, most = resident_bytes(worker), 0
    worst = worst_bytes(away, worker) * (3 if is_sanitized(worker.process.command[0]) else 1)   # its memory is not all weir's
    assert worst < 2 << 30, "of a bound that is this far away nothing follows"
    small_traffic.produce(shaky.brokers, away.topic)
    away.wait_committed([worker], small_traffic.ends, 0.1)
    shaky.kill()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        most = max(most, resident_bytes(worker))
        time.sleep(0.2)
    shaky.start()
    away.wait_committed([worker], small_traffic.ends)
    assert max(most, resident_bytes(worker)) < ready + worst, f"{most} bytes, {ready} when it was ready, and {worst} at most on top"
    worker.stop()


def test_a_second_signal_ends_it_at_once(pipeline, failpoints):
    worker = pipeline.worker("w", failpoints=["in_stop:pause=60000"]).start().wait_ready()
    worker.process.child.send_signal(signal.SIGTERM)
    worker.wait_for(lambda: "failpoint in_stop" in worker.logged(), "it stops, and takes its time")
    worker.process.child.send_signal(signal.SIGTERM)
    assert worker.ends(1) == 1
