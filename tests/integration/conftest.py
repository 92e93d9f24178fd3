"""Services that last a whole test session, the binary under test (WEIR_BINARY, else the sanitizer build), and what many
tests are made of: models, writer schemas, traffic."""

import os
import re

import pytest

from deployment import Models, Pipeline
from outputs import Replayed
from services import Kafka, Postgres, Registry
from traffic import ROOT, Traffic, register_schemas
from worker import run_weir


@pytest.fixture(scope="session")
def weir():
    binary = os.environ.get("WEIR_BINARY") or f"{ROOT}/build-sanitize/weir"
    assert os.access(binary, os.X_OK), f"{binary} is not there: run deploy/build.sh --sanitize"
    return binary


@pytest.fixture
def failpoints(weir):
    """The names that this binary has."""
    listed = run_weir(weir, "run", "--failpoints")
    if listed.returncode:
        pytest.skip("the release build has no failpoints")
    return [line.split()[0] for line in listed.stdout.splitlines()]


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory):
    """Where processes hold their instances' names: not where another run of these tests does."""
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("locks"))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    with Kafka(tmp_path_factory.mktemp("kafka")) as service:
        yield service
        service.kill()                                         # nobody needs its data: an orderly stop takes long


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with Registry(tmp_path_factory.mktemp("registry")) as service:
        yield service


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as service:
        yield service


@pytest.fixture(scope="session")
def models(weir, tmp_path_factory):
    return Models(weir, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def schema_ids(registry):
    return register_schemas(registry)


@pytest.fixture(scope="session")
def schemas(registry, schema_ids):
    """The setting input.schemas of a registry that knows the writers' schemas."""
    return {"url": registry.url}


@pytest.fixture
def pipeline(kafka, models, schemas, tmp_path, request):
    """A consumer group of this test alone. Its topics are there, and empty."""
    module, test = request.module.__name__.removeprefix("test_"), request.node.name.removeprefix("test_")
    app_id = f"{module}-" + re.sub(r"[^a-zA-Z0-9]+", "-", test).strip("-")[-60:]
    return Pipeline(kafka, models, tmp_path, app_id, schemas).create_topics()


@pytest.fixture(scope="session")
def large_traffic(schema_ids):
    return Traffic(schema_ids, 100_000)


@pytest.fixture(scope="session")
def small_traffic(schema_ids):
    """A tenth of it, with a tenth of the cards."""
    return Traffic(schema_ids, 10_000, cards=250, seed=2)


def replay_of(traffic, kafka, models, schemas, directory, name):
    """What a replay computes. Topics of the same traffic hold the same records, so one replay serves them all."""
    pipeline = Pipeline(kafka, models, directory, name, schemas).create_topics()
    traffic.produce(kafka.brokers, pipeline.topic)
    return Replayed(pipeline.replay(f"{directory}/replayed"))


@pytest.fixture(scope="session")
def small_replayed(small_traffic, kafka, models, schemas, tmp_path_factory):
    return replay_of(small_traffic, kafka, models, schemas, tmp_path_factory.mktemp("small"), "small")
