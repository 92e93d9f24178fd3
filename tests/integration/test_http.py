"""What a running worker says of itself: /live, /ready, /status, /metrics, and the reports on the monitoring topic."""

import hashlib
import json
import math
import re
import time
from collections import Counter

import numpy
import pytest

import ledger
from baseline_reference import without_times
from deployment import Pipeline
from outputs import PREDICTION, REPORT, SHADOW, Replayed, Written, decode, read_container, read_topic, split_header
from traffic import MINUTE, Traffic


class Scraped:
    """The samples of a Prometheus exposition: value by name and labels; and each family's type."""

    def __init__(self, text):
        self.samples, self.types = {}, {}
        for line in text.splitlines():
            if found := re.fullmatch(r"# TYPE (\S+) (\w+)", line):
                self.types[found[1]] = found[2]
            elif not line.startswith("#"):
                found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
                assert found, f"not a sample: {line!r}"
                labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")))
                self.samples[found[1], labels] = float(found[3])

    def value(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]

    def by_label(self, name, label):
        return {dict(labels)[label]: value for (sample, labels), value in self.samples.items() if sample == name}


def write_baseline(path, names, predictions, model_id):
    rows = numpy.array([p["features"] for p in predictions], dtype=numpy.float32)
    with open(path, "w") as file:
        json.dump(without_times(names, rows, [p["score"] for p in predictions], predictions[0]["feature_spec_sha256"].hex(), model_id), file)


def pipeline_with_baseline(kafka, models, schemas, directory, app_id, traffic):
    """A pipeline whose replay of the traffic has become `directory`/baseline.json."""
    pipeline = Pipeline(kafka, models, directory, app_id, schemas).create_topics()
    traffic.produce(kafka.brokers, pipeline.topic)
    predictions = [decode(PREDICTION, body) for body in Replayed(pipeline.replay(f"{directory}/replayed")).predictions.values()]
    write_baseline(f"{directory}/baseline.json", models.names, predictions, "champion-1")
    return pipeline


@pytest.fixture(scope="module")
def traffic(schema_ids):
    return Traffic(schema_ids, 4000, cards=100, seed=8, garbage=0.05)


def decoded(schema, messages):
    return [decode(schema, split_header(m.value)[1]) for m in messages]


def test_a_worker_tells_what_it_did(pipeline, traffic, kafka, models):
    worker = pipeline.worker("w").start()
    assert worker.get("/live")[0] == 200
    worker.wait_ready()
    traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], traffic.ends)
    written = Written(kafka, pipeline.outputs)
    predictions, shadows = decoded(PREDICTION, written.predictions), decoded(SHADOW, written.shadows)
    worker.wait_for(lambda: Scraped(worker.get("/metrics")[1]).value("weir_records_total") == len(traffic.records), "all records are counted", 10)
    metrics, status = Scraped(worker.get("/metrics")[1]), worker.status()
    assert worker.get("/nothing")[0] == 404

    assert metrics.value("weir_predictions_total") == len(predictions)
    rejected = {reason: count for reason, count in metrics.by_label("weir_dead_letters_total", "reason").items() if count}
    assert rejected == ledger.reasons(traffic)
    decisions = Counter(p["decision"] for p in predictions)
    assert len(decisions) == 3
    for decision, count in decisions.items():
        assert metrics.value("ml_predictions_total", model_version="champion-1", outcome=decision) == count
    assert sum(metrics.by_label("weir_shadow_predictions_total", "outcome").values()) == len(shadows)
    assert metrics.value("weir_late_events_total") == sum(p["late_ms"] > 0 for p in predictions)
    assert metrics.value("weir_incomplete_windows_total") == sum(not p["window_complete"] for p in predictions)
    assert metrics.by_label("ml_feature_missing_total", "feature") == {
        name: sum(math.isnan(p["features"][i]) for p in predictions) for i, name in enumerate(models.names)}
    assert metrics.value("ml_prediction_latency_seconds_count") == metrics.value("weir_end_to_end_latency_seconds_count") == len(traffic.records)
    assert metrics.value("weir_end_to_end_latency_seconds_sum") > 1e6   # the records' own dates lie far back
    assert metrics.value("ml_prediction_latency_seconds_sum") < 600 * len(traffic.records)
    assert metrics.value("ml_model_confidence_count", model_version="champion-1", role="served") == len(predictions)
    stages = metrics.by_label("weir_stage_cpu_seconds_total", "stage")
    assert set(stages) == {"decode", "features", "score", "emit", "observe"} and all(stages.values()) and sum(stages.values()) < metrics.value("process_cpu_seconds_total")
    assert metrics.by_label("ml_model_info", "model_version")["champion-1"] == 1
    assert metrics.value("ml_prediction_value_count", model_version="champion-1", role="served") == len(predictions)
    assert metrics.value("ml_prediction_value_sum", model_version="champion-1", role="served") == pytest.approx(sum(p["score"] for p in predictions))
    assert metrics.value("ml_prediction_value_bucket", model_version="champion-1", role="served", le="0.5") == sum(p["score"] <= 0.5 for p in predictions)
    assert set(metrics.by_label("weir_consumer_lag_records", "partition").values()) == {0}
    assert metrics.value("weir_ready") == 1
    assert metrics.types["weir_records_total"] == "counter" and metrics.types["ml_prediction_latency_seconds"] == "histogram"

    assert status["ready"] is True and status["instance"] == "w" and status["delivery"] == "exactly_once"
    assert status["features"]["sha256"] == predictions[0]["feature_spec_sha256"].hex()
    with open(models.champion, "rb") as file:
        assert status["models"][0]["sha256"] == hashlib.sha256(file.read()).hexdigest()
    places = {p["partition"]: p for lane in status["lanes"] for p in lane["partitions"]}
    assert {p: place["committed"] for p, place in places.items()} == dict(enumerate(traffic.ends))
    worker.stop()


def settled(kafka, topic):
    """What the aggregator has to say: it comes after the predictions, until it has read all that the lanes count."""
    messages, count = read_topic(kafka, topic), -1
    while len(messages) > count:
        count = len(messages)
        time.sleep(6)
        messages = [m for m in read_topic(kafka, topic) if b"wall_age_seconds" not in m.value and b"_lag_" not in m.value]
    return messages


def test_reports_tell_of_drift_predictions_and_freshness(kafka, models, schemas, schema_ids, registry, tmp_path):
    """The baseline is made of the very traffic that comes: nothing has drifted, until all cards are only used online."""
    before = Traffic(schema_ids, 6000, cards=100, seed=9, step_ms=MINUTE)
    after = Traffic(schema_ids, 6000, cards=100, seed=9, step_ms=MINUTE, all_online_after=3000)
    pipeline = pipeline_with_baseline(kafka, models, schemas, tmp_path, "before-the-drift", before)
    monitor = pipeline.config["monitor"] | {"window": "12h", "baseline": f"{tmp_path}/baseline.json"}
    pipeline = Pipeline(kafka, models, tmp_path, "drifted", schemas, changes={"monitor": monitor}).create_topics()
    worker = pipeline.worker("w").start()
    after.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], after.ends)
    drift = worker.wait_for(lambda: Scraped(worker.get("/metrics")[1]).by_label("ml_drift_score", "feature_name"), "drift is exposed", 10)
    assert drift["channel"] > 0.25
    messages = settled(kafka, pipeline.outputs["monitoring"])
    worker.stop()
    assert '"Report"' in registry.schema(split_header(messages[0].value)[0])
    reports = [r for r in decoded(REPORT, messages) if (r["window_end"] - r["window_start"]).total_seconds() in (0, 12 * 3600)]
    assert {r["kind"] for r in reports} >= {"DRIFT", "PREDICTION", "FRESHNESS", "QUALITY"}
    whole = {}                                                 # of windows that hold half a day of events, not what came days late
    for r in sorted(reports, key=lambda r: r["window_start"]):
        if r["count"] > 300:
            whole.setdefault((r["kind"], r["model_id"], r["subject"], r["statistic"]), []).append(r)

    psi = [r["value"] for r in whole["DRIFT", None, "channel", "psi"]]
    assert len(psi) >= 6
    assert psi[0] < 0.1 and psi[-1] > 0.25, psi
    assert [r["severity"] for r in whole["DRIFT", None, "channel", "psi"]][::len(psi) - 1] == ["OK", "CRITICAL"]
    assert max(r["value"] for r in whole["DRIFT", None, "currency", "psi"]) < 0.1
    assert whole["DRIFT", "champion-1", "score", "psi"]
    for statistic in ("mean", "p50", "p99", "share_decline", "positive_share"):
        assert all(0 <= r["value"] <= 1 for r in whole["PREDICTION", "champion-1", "score", statistic])
    ages = [r["value"] for r in whole["FRESHNESS", None, "amount_minor", "age_seconds"]]
    assert ages and all(0 <= age < 12 * 3600 for age in ages)
    for r in whole["QUALITY", None, pipeline.topic, "rejects"]:
        assert 0 < r["value"] < r["count"] / 10


def test_quality_reports_count_every_record(pipeline, traffic, kafka):
    """At the end of a replay every window is published; the last revision of each adds up to the traffic."""
    traffic.produce(kafka.brokers, pipeline.topic)
    directory = pipeline.replay(f"{pipeline.directory}/replayed")
    last = {}
    for r, _ in read_container(f"{directory}/reports.avro"):
        if r["kind"] == "QUALITY" and r["subject"] == pipeline.topic:
            last[r["window_start"], r["window_end"] - r["window_start"], r["statistic"]] = r["value"]
    shortest = min(width for _, width, _ in last)
    total = Counter()
    for (_, width, statistic), value in last.items():
        total[statistic] += value if width == shortest else 0
    assert total["records"] + total["beyond"] == len(traffic.records)
    for reason, count in ledger.reasons(traffic).items():
        assert total[f"rejects_{reason}"] == count
