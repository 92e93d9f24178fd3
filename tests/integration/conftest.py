"""Services that last a whole test session, and the binary under test (WEIR_BINARY, else the sanitizer build)."""

import os

import pytest

from services import Kafka, Postgres, Registry

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


@pytest.fixture(scope="session")
def weir():
    binary = os.environ.get("WEIR_BINARY") or f"{ROOT}/build-sanitize/weir"
    assert os.access(binary, os.X_OK), f"{binary} is not there: run deploy/build.sh --sanitize"
    return binary


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    with Kafka(tmp_path_factory.mktemp("kafka")) as service:
        yield service


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with Registry(tmp_path_factory.mktemp("registry")) as service:
        yield service


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as service:
        yield service
