"""Scores that are calibrated no more, from generated traffic to the pager: a model trained by weir serves a topic, labels
come as they are reported, and for some hours one honest-looking payment in ten is reported as fraud."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from deployment import Pipeline
from outputs import REPORT, decode, read_topic, split_header
from test_detection import FEATURES
from worker import run_weir

HOUR = timedelta(hours=1)
RATE = 3000                                                    # events an hour
START = datetime(2026, 2, 10, tzinfo=timezone.utc)
BEGINS, ENDS, HOURS = 5, 9, 13
LABEL_DELAY = "1h"


class Judged:
    """A worker of a model that was trained on the same traffic, and the labels of what it scores."""

    def __init__(self, kafka, models, schemas, directory):
        self.directory = directory
        self.labels = "calibration-labels"
        (directory / "features.yaml").write_text(FEATURES)
        monitor = {"window": "5m", "segments": ["channel"], "label_topic": self.labels, "label_window": "1h", "label_horizon": "2d"}
        served = {"champion": {"id": "champion", "file": str(directory / "champion.ubj")}, "decision": {"review": 0.5, "decline": 0.9}}
        self.pipeline = Pipeline(kafka, models, directory, "calibration", schemas, partitions=3,
                                 changes={"features": str(directory / "features.yaml"), "models": served, "monitor": monitor}).create_topics()
        kafka.create(self.labels, 3)
        kafka.create("calibration-spare", 1)
        self.train()

    def run(self, *command):
        done = run_weir(self.pipeline.binary, *command)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def generate(self, *where):
        return self.run("generate", "--events", HOURS * RATE, "--span", f"{HOURS}h", "--rhythm", "flat", "--cards", 3000, "--fraud-rate", "0.03", "--label-delay", LABEL_DELAY,
                        "--start", START.isoformat().replace("+00:00", "Z"), *where)

    def train(self):
        past, labels, rows = (str(self.directory / name) for name in ("past.avro", "past-labels.avro", "rows.csv"))
        self.generate("--seed", 8, "--output", past, "--labels", labels, "--codec", "zstandard")
        self.run("replay", "-c", self.pipeline.write_config("export"), "--input", past, "--labels", labels, "--export", rows)
        self.run("train", "--input", rows, "--output", str(self.directory / "champion.ubj"), "--bare", "--rounds", 40, "--max-depth", 4)

    def serve(self, worker):
        """Labels come once the events are scored: the same traffic again, its events onto a topic that nobody reads."""
        drift = ("--seed", 2, "-c", self.pipeline.write_config("generate"), "--drift", "labels", "--drift-at", BEGINS * RATE, "--drift-until", ENDS * RATE)
        self.generate("--topic", self.pipeline.topic, *drift)
        self.pipeline.wait_committed([worker], [HOURS * RATE])
        time.sleep(1)
        said = self.generate("--topic", "calibration-spare", "--labels-topic", self.labels, *drift)
        assert f"{HOURS * RATE} labels to {self.labels}\n" in said

    def reports(self):
        return [decode(REPORT, split_header(m.value)[1]) for m in read_topic(self.pipeline.kafka, self.pipeline.outputs["monitoring"])]

    def judged_until(self):
        return max((r["window_end"] for r in self.reports() if r["kind"] == "CALIBRATION"), default=START)


@pytest.mark.timeout(300)
def test_scores_out_of_calibration_are_told_within_two_windows(kafka, models, schemas, tmp_path):
    judged = Judged(kafka, models, schemas, tmp_path)
    worker = judged.pipeline.worker("w").start().wait_ready()
    judged.serve(worker)
    worker.wait_for(lambda: judged.judged_until() >= START + (HOURS - 1) * HOUR, "the windows of labels are published", 120)
    time.sleep(1)
    metrics = worker.get("/metrics")[1]
    worker.stop()

    reports = judged.reports()
    ece = {r["window_start"]: r for r in reports if (r["kind"], r["subject"], r["statistic"]) == ("CALIBRATION", "labels", "ece")}
    calm = [r for start, r in ece.items() if HOUR < start - START < (BEGINS - 1) * HOUR]
    assert len(calm) >= 2 and all(r["severity"] == "OK" and r["value"] < 0.03 and r["count"] >= 1000 for r in calm), calm

    alerts = [(r, json.loads(r["detail"])) for r in reports if r["kind"] == "ALERT"]
    alerts = [(r, detail) for r, detail in alerts if detail["rule"] != "latency"]  # how long a backlog takes is the machine's
    assert {r["statistic"] for r, _ in alerts} == {"ece"}, alerts
    told = [(r, detail) for r, detail in alerts if r["subject"] == "labels" and detail["state"] != "goes on"]
    assert [(r["model_id"], detail["state"]) for r, detail in told] == [("champion", "firing"), ("champion", "resolved")]
    firing, detail = told[0]
    began = START + BEGINS * HOUR
    assert began < firing["window_end"] <= began + 2 * HOUR and firing["severity"] in ("WARNING", "CRITICAL") and firing["value"] >= 0.05
    assert detail["playbook"] == "accuracy" and detail["first_step"].startswith("compare the labels of the last days by segment")
    assert START + ENDS * HOUR < told[1][0]["window_end"] <= START + (ENDS + 3) * HOUR
    line = next(line for line in worker.logged().splitlines() if "firing: labels: scores miss the share of fraud by " in line)
    assert "model champion" in line and "playbook accuracy: compare the labels" in line
    segments = [r["subject"] for r, detail in alerts if r["subject"] != "labels" and detail["state"] == "firing"]
    assert all(subject.startswith("channel=") for subject in segments) and len(segments) <= 2, "one alert, not one a segment"
    assert 'weir_labels_total{fate="matched"}' in metrics and 'weir_labels_total{fate="bad"} 0' in metrics
