"""Whatever dies: nothing is lost, nothing is doubled, nothing is different. WEIR_CHAOS_SEED repeats a run."""

import os
import random

import pytest

import schedule
from chaos import Run


@pytest.fixture
def seed():
    return int(os.environ.get("WEIR_CHAOS_SEED") or random.SystemRandom().randrange(1 << 31))


def run(kafka, registry, models, directory, seed, sizes, **more):
    kafka.proxy.tell("calm")
    chaos = Run(kafka, registry, models, directory, seed, sizes, **more)
    chaos.go().none()
    return chaos


@pytest.mark.timeout(900)
def test_three_workers_under_load(kafka, registry, models, tmp_path, seed):
    """And each failpoint that the build has is reached."""
    chaos = run(kafka, registry, models, tmp_path, seed, schedule.SIZES["ci"])
    assert sum(chaos.done.values()) >= len(chaos.actions)
    assert not chaos.missed(), f"seed {seed}: failpoints that were not reached: {chaos.missed()}"


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_with_the_brokers_own_group_protocol(kafka, registry, models, tmp_path, seed):
    run(kafka, registry, models, tmp_path, seed, schedule.SIZES["ci"], changes={"input": {"group_protocol": "consumer"}}, name="kip848")


@pytest.mark.heavy
@pytest.mark.timeout(7200)
def test_for_an_hour(kafka, registry, models, tmp_path, seed):
    run(kafka, registry, models, tmp_path, seed, schedule.SIZES["all"], name="long")
