"""100,000 events with all that can be wrong with them, three processes, twelve partitions: nothing is missing, nothing is
doubled, and every byte is what a replay of the same topic computes."""

import time

import pytest

import ledger
from outputs import Replayed, Written, assert_no_open_transaction
from traffic import produce

REASONS = {"not_avro", "unknown_schema", "decode_error", "trailing_bytes", "too_large", "missing_field", "null_field", "type", "range",
           "rule", "stale", "future", "duplicate", "output_too_large"}


@pytest.fixture(scope="module")
def large_replayed(tmp_path_factory):
    """By the first test that replays the large traffic; the others' topics hold the same records."""
    return {}


def replayed(pipeline, cache):
    if not cache:
        cache["outputs"] = Replayed(pipeline.replay(f"{pipeline.directory}/replayed"))
    return cache["outputs"]


def check(pipeline, traffic, replayed):
    for topic in pipeline.outputs.values():
        assert_no_open_transaction(pipeline.kafka, topic)
    return ledger.check_all(pipeline, traffic, Written(pipeline.kafka, pipeline.outputs), replayed)


def test_three_processes_write_each_output_exactly_once(pipeline, large_traffic, large_replayed, registry, kafka):
    assert set(ledger.reasons(large_traffic)) == REASONS
    large_traffic.produce(kafka.brokers, pipeline.topic)
    workers = [worker.start() for worker in pipeline.workers(3)]
    pipeline.wait_committed(workers, large_traffic.ends)
    for worker in workers:
        worker.stop()
    schema_id = check(pipeline, large_traffic, replayed(pipeline, large_replayed))
    assert '"Prediction"' in registry.schema(schema_id)


def feed_and_kill(pipeline, traffic, restart):
    """Half of the traffic is done; while the rest comes in, one process is killed."""
    half = len(traffic.records) // 2
    produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[:half])
    workers = [worker.start() for worker in pipeline.workers(3)]
    pipeline.wait_committed(workers, traffic.ends, 0.3)
    rest = traffic.records[half:]
    for i in range(0, len(rest), 2500):
        produce(pipeline.kafka.brokers, pipeline.topic, rest[i:i + 2500])
        if i == 5 * 2500:
            workers[1].kill()
            if restart:
                time.sleep(0.5)
                workers[1].start()
        time.sleep(0.1)
    living = workers if restart else [workers[0], workers[2]]
    pipeline.wait_committed(living, traffic.ends)
    for worker in living:
        worker.stop()


@pytest.mark.parametrize("restart", [True, False], ids=["restarted", "taken-over"])
def test_a_process_killed_half_way_costs_nothing(pipeline, large_traffic, large_replayed, restart):
    feed_and_kill(pipeline, large_traffic, restart)
    check(pipeline, large_traffic, replayed(pipeline, large_replayed))
