"""The schema registry goes away, comes back, and learns: the worker waits, loses nothing, and can always start again."""

import time

import pytest

import ledger
from deployment import Pipeline
from outputs import Replayed, Written
from services import Registry
from traffic import SCHEMAS, Traffic, encoded, framed, produce, register_schemas
from worker import OTHER_STATE


@pytest.fixture
def own_registry(tmp_path):
    with Registry(tmp_path / "registry") as registry:
        yield registry


@pytest.fixture
def own_pipeline(kafka, models, own_registry, tmp_path, request):
    app_id = "registry-" + request.node.name.removeprefix("test_")[-40:]
    return Pipeline(kafka, models, tmp_path, app_id, {"url": own_registry.url, "timeout": "2s"}).create_topics()


def test_a_registry_that_is_away_costs_only_time(own_pipeline, own_registry, kafka):
    """Records of a new schema arrive while nobody can say what it is; far more of them than a lane holds in memory, and
    for longer than max.poll.interval.ms: the worker must stay in its group and keep answering."""
    ids = register_schemas(own_registry)
    traffic = Traffic(ids, 6000, cards=100, seed=4)
    known = [i for i, r in enumerate(traffic.records) if r.value and r.value[:5] == framed(ids["second"], b"")][300]
    asleep = own_pipeline.shorten_session() + 2
    own_pipeline.config["kafka"] |= {"max.poll.interval.ms": str(1000 * asleep)}
    worker = own_pipeline.worker("w").start().wait_ready()
    own_registry.stop()                                        # no id has been asked for yet
    produce(kafka.brokers, own_pipeline.topic, traffic.records[:known])
    worker.wait_for(lambda: worker.status()["lanes"][0]["state"] == "waiting for the schema registry", "the lane says that it waits")
    produce(kafka.brokers, own_pipeline.topic, traffic.records[known:])
    cpu = worker.cpu_seconds()
    time.sleep(1.5 * asleep)
    spent = worker.cpu_seconds() - cpu
    assert worker.get("/live")[0] == 200
    assert sum(own_pipeline.committed()) < len(traffic.records) / 4
    own_registry.start()
    own_pipeline.wait_committed([worker], traffic.ends)
    assert worker.status()["lanes"][0]["state"] == "working"
    assert "lost" not in worker.logged() and worker.logged().count("takes partitions") == 1, "it was thrown out of its group"
    worker.stop()
    assert spent < asleep / 3, f"waiting took {spent:.1f} s of CPU time in {1.5 * asleep} s"
    replayed = Replayed(own_pipeline.replay(f"{own_pipeline.directory}/replayed"))
    ledger.check_all(own_pipeline, traffic, Written(kafka, own_pipeline.outputs), replayed)


def test_a_schema_registered_after_its_records_does_not_stop_the_worker(own_pipeline, own_registry, kafka):
    """They are dead letters by then; a restart, which reads them again, must go on from there."""
    ids = register_schemas(own_registry)
    worker = own_pipeline.worker("w").start().wait_ready()     # its output schemas have their ids now
    marker = own_registry.register("marker", SCHEMAS["first"] | {"name": "Marker"})
    coming = marker + 1
    traffic = Traffic(ids, 400, cards=20, seed=5, garbage=0, duplicates=0)
    for record in traffic.records[50:60]:
        record.value, record.reason = framed(coming, encoded("first", only_first(record.event))), "unknown_schema"
    produce(kafka.brokers, own_pipeline.topic, traffic.records[:200])
    own_pipeline.wait_committed([worker], traffic.ends, 0.5)
    worker.stop()
    own_pipeline.forget_state()
    assert own_registry.register("late", SCHEMAS["first"] | {"name": "Late"}) == coming
    worker.start()
    produce(kafka.brokers, own_pipeline.topic, traffic.records[200:])
    own_pipeline.wait_committed([worker], traffic.ends)
    worker.may_judge_otherwise = True
    worker.stop()
    assert OTHER_STATE in worker.logged()
    letters = Written(kafka, own_pipeline.outputs).dead_letters
    assert [m.header("weir.reason") for m in letters] == ["unknown_schema"] * 10


def only_first(event):
    return {field["name"]: event[field["name"]] for field in SCHEMAS["first"]["fields"]}
