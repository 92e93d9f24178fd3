"""`weir check` against a live broker and registry: what it finds, and that it changes nothing."""

import json

import pytest

from outputs import end_offsets
from worker import run_weir


def check(pipeline, *options, **changes):
    """Exit status and steps: (state, step, text) each, in order."""
    done = run_weir(pipeline.binary, "check", "-c", pipeline.write_config("check", **changes), "--json", *options)
    found = json.loads(done.stdout)
    assert found["ok"] is (done.returncode == 0)
    return done.returncode, [(step["outcome"], step["step"], step["text"]) for step in found["steps"]]


def failures(steps):
    return [step for step in steps if step[0] == "failed"]


def test_a_deployment_that_is_ready(pipeline):
    status, steps = check(pipeline)
    assert status == 0 and not failures(steps), steps
    named = {step for _, step, _ in steps}
    assert named >= {"config", "features", "models.champion", "models.shadows[0]", "input.schemas", "kafka", "input.topic",
                     "outputs.predictions", "outputs.shadows", "outputs.dead_letters", "outputs.monitoring", "app_id", "delivery"}
    assert set(pipeline.committed()) == {-1001}, "it has committed offsets"
    assert sum(sum(end_offsets(pipeline.kafka, topic)) for topic in pipeline.outputs.values()) == 0, "it has written"


@pytest.mark.parametrize("setting", ["predictions", "shadows", "dead_letters", "monitoring"])
def test_a_missing_output_topic(pipeline, setting):
    status, steps = check(pipeline, outputs=pipeline.outputs | {setting: "not-there"})
    assert status == 1
    assert [(step, "not-there" in text) for _, step, text in failures(steps)] == [(f"outputs.{setting}", True)]


def test_the_models_directory_is_looked_at_and_not_made(pipeline, tmp_path):
    kept = tmp_path / "kept"
    status, steps = check(pipeline, models=pipeline.config["models"] | {"cache_dir": str(kept)})
    assert status == 0 and [text for _, step, text in steps if step == "models.cache_dir" and "weir run makes it" in text]
    assert not kept.exists(), "check has written"
    kept.write_text("no directory")
    status, steps = check(pipeline, models=pipeline.config["models"] | {"cache_dir": str(kept)})
    assert status == 1 and [step for _, step, _ in failures(steps)] == ["models.cache_dir"]


def test_a_missing_input_topic(pipeline):
    status, steps = check(pipeline, input=pipeline.config["input"] | {"topic": "not-there"})
    assert status == 1
    assert [step for _, step, _ in failures(steps)] == ["input.topic"]


def test_a_retention_that_is_too_short(pipeline):
    """The windows need seven days and ten minutes."""
    needed = (7 * 24 * 60 + 10) * 60_000
    for retention, expected in ((needed - 1, 1), (needed, 0)):
        pipeline.kafka.configure(pipeline.topic, {"retention.ms": str(retention)})
        status, steps = check(pipeline)
        assert status == expected, (retention, steps)
    pipeline.kafka.configure(pipeline.topic, {"retention.ms": str(needed - 1)})
    assert any("retention.ms" in text and str(needed) in text for _, step, text in failures(check(pipeline)[1]) if step == "input.topic")


def test_a_compacted_input(pipeline):
    pipeline.kafka.configure(pipeline.topic, {"cleanup.policy": "compact"})
    status, steps = check(pipeline)
    assert status == 1 and any("cleanup.policy" in text for _, _, text in failures(steps))


def test_a_registry_that_is_not_there(pipeline):
    status, steps = check(pipeline, input=pipeline.config["input"] | {"schemas": {"url": "http://127.0.0.1:1", "timeout": "1s"}})
    assert status == 1
    assert [step for _, step, _ in failures(steps)] == ["input.schemas"]


def test_offline_asks_nobody(pipeline):
    status, steps = check(pipeline, "--offline", kafka={"bootstrap.servers": "127.0.0.1:1"})
    assert status == 0
    assert ("skipped", "connections") in [step[:2] for step in steps]
