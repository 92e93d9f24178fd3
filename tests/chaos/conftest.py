"""A broker behind a proxy, a registry, models and the binary under test (WEIR_BINARY, else the sanitizer build)."""

import os

import pytest

from deployment import Models
from proxied import ProxiedKafka
from services import Registry
from traffic import ROOT, register_schemas


@pytest.fixture(scope="session")
def weir():
    binary = os.environ.get("WEIR_BINARY") or f"{ROOT}/build-sanitize/weir"
    assert os.access(binary, os.X_OK), f"{binary} is not there: run deploy/build.sh --sanitize"
    return binary


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    with ProxiedKafka(tmp_path_factory.mktemp("kafka")) as service:
        yield service


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with Registry(tmp_path_factory.mktemp("registry")) as service:
        yield service


@pytest.fixture(scope="session")
def schema_ids(registry):
    return register_schemas(registry)


@pytest.fixture(scope="session")
def models(weir, tmp_path_factory):
    return Models(weir, tmp_path_factory.mktemp("models"))
