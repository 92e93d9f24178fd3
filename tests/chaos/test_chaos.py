"""Whatever dies: nothing is lost, nothing is doubled, nothing is different. WEIR_CHAOS_SEED is another run, `random` any."""

import os
import random

import pytest

import schedule
from chaos import Run


@pytest.fixture
def seed():
    given = os.environ.get("WEIR_CHAOS_SEED", "8")
    return random.SystemRandom().randrange(1 << 31) if given == "random" else int(given)


def run(kafka, registry, models, directory, seed, sizes, **more):
    kafka.proxy.tell("calm")
    chaos = Run(kafka, registry, models, directory, seed, sizes, **more)
    chaos.go().none()
    return chaos


@pytest.mark.timeout(900)
def test_three_workers_under_load(kafka, registry, models, tmp_path, seed):
    """And the failpoints that the build has are reached: whether a rebalance comes by each of them is up to timing, so two may
    be missed; they are named."""
    chaos = run(kafka, registry, models, tmp_path, seed, schedule.SIZES["ci"])
    assert sum(chaos.done.values()) >= len(chaos.actions)
    print(f"seed {seed}: failpoints that were not reached: {chaos.missed() or 'none'}")
    assert len(chaos.missed()) <= 2, f"seed {seed}: failpoints that were not reached: {chaos.missed()}"


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_with_the_brokers_own_group_protocol(kafka, registry, models, tmp_path, seed):
    run(kafka, registry, models, tmp_path, seed, schedule.SIZES["ci"], changes={"input": {"group_protocol": "consumer"}}, name="kip848")


@pytest.mark.heavy
@pytest.mark.timeout(7200)
def test_for_an_hour(kafka, registry, models, tmp_path, seed):
    run(kafka, registry, models, tmp_path, seed, schedule.SIZES["all"], name="long")
