"""Models judged by labels: the reports against an independent computation over what stands in the topics, through kills."""

import collections
import io
import itertools
import json
import math
import random
import time
import zlib

import fastavro
import numpy
import pytest
from confluent_kafka import Producer
from sklearn.metrics import average_precision_score, brier_score_loss, precision_score, recall_score, roc_auc_score

from outputs import PREDICTION, REPORT, SHADOW, decode, read_topic, split_header
from traffic import DAY, HOUR, MINUTE, ROOT, Traffic
from worker import run_weir

WINDOW, HORIZON, PARTITIONS = 2 * HOUR, 5 * DAY, 3
RULE = {"name": "brier_is_high", "kind": "CALIBRATION", "statistic": "brier", "threshold": 0.15, "windows": 2, "min_count": 120, "playbook": "accuracy"}
REVIEW, DECLINE = 0.5, 0.9                                     # the pipeline's thresholds
BINS = 1000                                                    # that weir ranks by
with open(f"{ROOT}/schemas/label.avsc") as file:
    LABEL_TEXT = json.load(file)
LABEL = fastavro.parse_schema(dict(LABEL_TEXT))


# -- labels --

class Labels:
    """Labels of predictions, in the order in which they are written, and what is to become of each."""

    def __init__(self, predictions, seed):
        self.random = random.Random(seed)
        self.written = []                                      # (time, partition, value)
        self.judged = []                                       # (window, prediction, label): what the statistics hold
        self.fates = collections.Counter()                     # over all windows
        self.window_fates = collections.defaultdict(collections.Counter)
        self.end_ms = max(p["event_time"] for p in predictions)
        for p in predictions:
            if p["timestamp"] - p["event_time"] < HOUR:        # none is reported before its transaction is known
                self.label(p, self.random.random())
        for i in range(60):
            at = min(p["event_time"] for p in predictions) + self.random.randrange(3 * DAY)
            self.put(f"unknown-{i}", 1, at, "labels_unmatched")
        for i in range(20):
            self.put_bad(i)
        self.finish()
        self.written.sort(key=lambda entry: entry[:2])

    def label(self, p, draw):
        """The score is right more often than not."""
        value, reported = int(self.random.random() < 0.1 + 0.6 * p["score"]), p["event_time"] + self.random.randrange(HOUR, 3 * DAY)
        id_ = p["transaction_id"]
        if draw < 0.02:
            self.put(id_, value, p["event_time"] + HORIZON + 2000 + self.random.randrange(DAY), "labels_beyond_horizon")
        elif draw < 0.04:                                      # written when its window is long over
            self.put(id_, value, reported, "labels_late", written=reported + 4 * WINDOW)
        elif draw < 0.8:
            self.put(id_, value, reported, "labels_matched", p)
            if draw < 0.12:
                self.put(id_, 1 - value, reported + self.random.randrange(HOUR, DAY), "labels_changed", p)
            elif draw < 0.16:
                self.put(id_, value, reported + self.random.randrange(HOUR, DAY), "labels_repeated")

    def put(self, id_, value, reported, fate, judges=None, written=None):
        window = reported - reported % WINDOW
        self.fates[fate] += 1
        if fate != "labels_late":
            self.window_fates[window][fate] += 1
        if judges:
            self.judged.append((window, judges, value))
        out = io.BytesIO()
        fastavro.schemaless_writer(out, LABEL, {"transaction_id": id_, "entity": "e", "label": value, "fraud_type": None, "reported_time": reported})
        self.add(id_, written or reported + self.random.randrange(5 * MINUTE), out.getvalue())

    def add(self, key, written, body, framed=True):
        self.written.append((written, zlib.crc32(key.encode()) % PARTITIONS, body, framed, key))

    def put_bad(self, i):
        out, at = io.BytesIO(), self.end_ms + self.random.randrange(2 * DAY)
        value = {"transaction_id": f"bad-{i}", "entity": "e", "label": 2 if i % 4 == 0 else 1, "fraud_type": "x",
                 "reported_time": at + (DAY if i % 4 == 1 else 0)}   # neither 0 nor 1; from the future
        fastavro.schemaless_writer(out, LABEL, value)
        body = out.getvalue() + b"\0" if i % 4 == 2 else out.getvalue()
        self.add(f"bad-{i}", at, body, framed=i % 4 != 3)
        self.fates["labels_bad"] += 1

    def finish(self):
        """Far behind the last one, in each partition: what closes the windows before, and stands in one that stays open."""
        last = max(self.window_fates)
        self.windows = sorted(self.window_fates)
        for partition in range(PARTITIONS):
            key = next(f"end-{i}" for i in itertools.count() if zlib.crc32(f"end-{i}".encode()) % PARTITIONS == partition)
            out = io.BytesIO()
            fastavro.schemaless_writer(out, LABEL, {"transaction_id": key, "entity": "e", "label": 0, "fraud_type": None, "reported_time": last + 6 * WINDOW})
            self.add(key, last + 6 * WINDOW, out.getvalue())

    def produce(self, kafka, topic, schema_id, begin=0.0, end=1.0):
        producer = Producer({"bootstrap.servers": kafka.brokers, "linger.ms": 5, "enable.idempotence": True})
        for written, partition, body, framed, key in self.written[int(begin * len(self.written)):int(end * len(self.written))]:
            producer.produce(topic, (b"\0" + schema_id.to_bytes(4, "big") if framed else b"") + body, key, partition, timestamp=written)
            producer.poll(0)
        assert producer.flush(30) == 0


# -- the independent computation --

def binned(scores):
    return numpy.minimum(numpy.floor(scores.astype(float) * BINS), BINS - 1)


def expected_calibration_error(scores, labels):
    bins = numpy.searchsorted(numpy.array([i / 10 for i in range(1, 10)]), scores.astype(float), side="left")
    return sum(abs(scores[bins == b].astype(float).sum() - labels[bins == b].sum()) for b in range(10)) / len(scores)


def statistics(scores, labels, values):
    scores, labels = numpy.array(scores, dtype=numpy.float32), numpy.array(labels)
    found = {"labels": len(labels), "positives": labels.sum(), "ece": expected_calibration_error(scores, labels),
             "brier": brier_score_loss(labels, scores.astype(float))}
    if 0 < labels.sum() < len(labels):
        found["auc"] = roc_auc_score(labels, binned(scores))
    if labels.sum():
        found["average_precision"] = average_precision_score(labels, binned(scores))
    for name, threshold in (("review", REVIEW), ("decline", DECLINE)):
        called = scores.astype(float) >= threshold
        caught, missed, stopped = (sum(v for v, c, y in zip(values, called, labels) if (c, y) == kind) for kind in ((True, 1), (False, 1), (True, 0)))
        found |= {f"value_caught_{name}": caught, f"value_missed_{name}": missed, f"value_stopped_{name}": stopped}
        if called.any():
            found[f"precision_{name}"] = precision_score(labels, called)
        if labels.any():
            found[f"recall_{name}"] = recall_score(labels, called)
        if caught + missed:
            found[f"value_recall_{name}"] = caught / (caught + missed)
        if (called & (labels == 1)).any():
            found[f"false_positive_ratio_{name}"] = (called & (labels == 0)).sum() / (called & (labels == 1)).sum()
    return found


def subjects(prediction):
    return ["labels"] + [f"{field}={value}" for field, value in prediction["segments"].items()]


def computed(labels, shadows):
    """(window, model, subject, statistic) -> value"""
    groups = collections.defaultdict(lambda: ([], [], []))
    for window, p, label in labels.judged:
        shadow = shadows.get((p["partition"], p["offset"]))
        cases = [(p["model_id"], "", p["score"])]
        if shadow:
            cases += [(shadow["model_id"], "", shadow["score"]), (None, f"_against_{shadow['model_id']}", p["score"])]
        for subject in subjects(p):
            for model, suffix, score in cases:
                for kept, value in zip(groups[window, model, subject, suffix], (score, label, p["value"])):
                    kept.append(value)
    return {(window, model, subject, name + suffix): value for (window, model, subject, suffix), columns in groups.items()
            for name, value in statistics(*columns).items()}


# -- what was published --

def millis(value):
    return value if isinstance(value, int) else round(value.timestamp() * 1000)


def published(kafka, topic, label_topic):
    """Rows of models, and counts of windows, each there once."""
    rows, counts = {}, {}
    for m in read_topic(kafka, topic):
        r = decode(REPORT, split_header(m.value)[1])
        window = millis(r["window_start"])
        if r["kind"] not in ("QUALITY", "CALIBRATION") or millis(r["window_end"]) != window + WINDOW:
            continue                                           # of the input's own windows
        assert window % WINDOW == 0
        into, key = (counts, (window, r["statistic"])) if r["subject"] == label_topic else (rows, (window, r["model_id"], r["subject"], r["statistic"]))
        assert key not in into, f"published twice: {key}"
        into[key] = r
    return rows, counts


def told(rows):
    """What the rule says of the rows of one subject, window by window."""
    above = below = 0
    firing = False
    for _, row in rows:
        if row["count"] < RULE["min_count"]:
            continue
        over = row["value"] >= RULE["threshold"]
        above, below = (above + 1, 0) if over else (0, below + 1)
        if not firing and above == RULE["windows"] or firing and below == RULE["windows"]:
            firing = not firing
            yield "firing" if firing else "resolved"


def predictions_of(pipeline):
    predictions = [decode(PREDICTION, split_header(m.value)[1]) | {"timestamp": m.timestamp_ms} for m in read_topic(pipeline.kafka, pipeline.outputs["predictions"])]
    shadows = [decode(SHADOW, split_header(m.value)[1]) for m in read_topic(pipeline.kafka, pipeline.outputs["shadows"])]
    for p in predictions:
        p["event_time"] = millis(p["event_time"])
    return predictions, {(s["partition"], s["offset"]): s for s in shadows}


class Judged:
    """A pipeline whose worker judges its models."""

    def __init__(self, pipeline, registry, schema_ids, count, seed):
        self.pipeline, self.kafka, self.topic = pipeline, pipeline.kafka, f"{pipeline.app_id}-labels-in"
        pipeline.config["monitor"] |= {"label_topic": self.topic, "label_horizon": "5d", "label_window": "2h", "alerts": [RULE]}
        self.kafka.create(self.topic, PARTITIONS)
        self.schema_id = registry.register("labels-value", LABEL_TEXT)
        self.traffic = Traffic(schema_ids, count, cards=250, seed=seed, garbage=0, duplicates=0, late=0.02)

    def serve(self, *workers):
        self.traffic.produce(self.kafka.brokers, self.pipeline.topic)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready()
        self.pipeline.wait_committed(list(workers), self.traffic.ends)
        time.sleep(1)
        self.predictions, self.shadows = predictions_of(self.pipeline)
        assert len(self.predictions) == len(self.traffic.records)
        self.labels = Labels(self.predictions, seed=5)

    def closed(self):
        return {window for window, _ in published(self.kafka, self.pipeline.outputs["monitoring"], self.topic)[1]}

    def wait_closed(self, worker, seconds=60):
        wanted = set(self.labels.windows)
        worker.wait_for(lambda: self.closed() >= wanted, f"{len(wanted)} windows of labels are published", seconds)

    def assert_published(self):
        rows, counts = published(self.kafka, self.pipeline.outputs["monitoring"], self.topic)
        assert sorted({window for window, _ in counts}) == self.labels.windows, "every window with labels, and no other"
        self.assert_counts(counts)
        wanted = computed(self.labels, self.shadows)
        assert set(rows) == set(wanted)
        for key, row in rows.items():
            assert math.isclose(row["value"], wanted[key], rel_tol=1e-9, abs_tol=1e-9), (key, row, wanted[key])
            assert row["kind"] == ("CALIBRATION" if key[3].startswith(("ece", "brier")) else "QUALITY")
        assert any(key[2] != "labels" for key in rows) and any(key[3].startswith("auc_against_") for key in rows)
        self.assert_auc_within_its_bound(rows)

    def assert_alerts(self, worker):
        """One alert for each time that a model, or a segment of it, is above the limit; told once."""
        rows = published(self.kafka, self.pipeline.outputs["monitoring"], self.topic)[0]
        wanted = [(key, state) for key in sorted({(subject, model or "") for _, model, subject, name in rows if name == "brier"})
                  for state in told(sorted((window, r) for (window, model, subject, name), r in rows.items() if (subject, model or "", name) == (*key, "brier")))]
        assert wanted, "the rule has something to say"
        worker.wait_for(lambda: len(self.alerts()) >= len(wanted), "alerts stand on the monitoring topic", 30)
        assert sorted(wanted) == sorted(self.alerts())

    def alerts(self):
        reports = [decode(REPORT, split_header(m.value)[1]) for m in read_topic(self.kafka, self.pipeline.outputs["monitoring"])]
        alerts = [(r, json.loads(r["detail"])) for r in reports if r["kind"] == "ALERT"]
        assert all(detail["playbook"] == "accuracy" and r["statistic"] == "brier" for r, detail in alerts)
        return [((r["subject"], r["model_id"] or ""), detail["state"]) for r, detail in alerts if detail["state"] != "goes on"]

    def assert_counts(self, counts):
        total = collections.Counter()
        for (window, statistic), row in counts.items():
            total[statistic] += int(row["value"])
            if statistic.startswith("labels_") and statistic not in ("labels_late", "labels_bad"):
                assert row["value"] == self.labels.window_fates[window][statistic], (window, statistic)
        for fate, count in self.labels.fates.items():
            assert count > 0 and total[fate] == count, (fate, total, self.labels.fates)
        assert all(row["value"] == 1 for (_, statistic), row in counts.items() if statistic == "sampled_share")
        assert total["labels_unsampled"] == total["groups_beyond"] == 0

    def assert_auc_within_its_bound(self, rows):
        exact = collections.defaultdict(lambda: ([], []))
        for window, p, label in self.labels.judged:
            exact[window][0].append(p["score"])
            exact[window][1].append(label)
        for window, (scores, labels) in exact.items():
            row = rows.get((window, "champion-1", "labels", "auc"))
            if row:
                assert abs(row["value"] - roc_auc_score(labels, scores)) <= json.loads(row["detail"])["error_at_most"] * 1.001 + 1e-12


@pytest.fixture
def judged(pipeline, registry, schema_ids):
    return Judged(pipeline, registry, schema_ids, 6000, seed=60)


@pytest.mark.timeout(240)
def test_models_are_judged_by_labels(judged):
    worker = judged.pipeline.worker("w")
    judged.serve(worker)
    judged.labels.produce(judged.kafka, judged.topic, judged.schema_id)
    judged.wait_closed(worker)
    metrics = worker.get("/metrics")[1]
    assert judges(worker)
    assert f'weir_labels_total{{fate="changed"}} {judged.labels.fates["labels_changed"]}' in metrics
    logged = worker.logged()
    judged.assert_alerts(worker)
    worker.stop()
    for cause in ("the label is neither 0 nor 1", "it was reported after it was written", "it does not decode", "not in the Confluent wire format"):
        assert logged.count(f"labels: a label cannot be used: {cause}") == 1
    judged.assert_published()


def judges(worker):
    return worker.process.running() and "\nweir_labels_active 1\n" in worker.get("/metrics")[1]


@pytest.mark.timeout(300)
def test_kills_lose_no_window_and_double_none(judged):
    """Killed while it publishes and started again, twice; killed for good, the other process takes over."""
    draw = random.Random(9)
    judged.pipeline.shorten_session()
    workers = [judged.pipeline.worker(f"w{i}") for i in range(2)]
    judged.serve(*workers)
    judged.labels.produce(judged.kafka, judged.topic, judged.schema_id)
    for windows in (1, 6, 8):
        workers[0].wait_for(lambda: any(map(judges, workers)), "somebody judges")
        active = next(filter(judges, workers))
        active.wait_for(lambda: active.logged().count(" published, ") >= windows, f"{windows} windows are published")
        time.sleep(draw.uniform(0, 0.3))
        assert sum(map(judges, workers)) == 1
        active.kill()
        assert not judged.closed() >= set(judged.labels.windows), "there is something left to do"
        if windows < 8:
            active.start()
    other = next(worker for worker in workers if worker is not active)
    judged.wait_closed(other, 60)
    assert judges(other)
    judged.assert_alerts(other)
    other.stop()
    judged.assert_published()


def test_check_looks_at_the_label_topic(judged):
    def found():
        done = run_weir(judged.pipeline.binary, "check", "-c", judged.pipeline.write_config("check"), "--json")
        return done.returncode, [(step["outcome"], step["text"]) for step in json.loads(done.stdout)["steps"] if step["step"] == "monitor.label_topic"]

    status, steps = found()
    assert status == 0 and ("ok", f"topic {judged.topic}, partitions: {PARTITIONS}") in steps
    judged.pipeline.config["monitor"]["label_topic"] = "not-there"
    status, steps = found()
    assert status == 1 and steps[0][0] == "failed" and "not-there" in steps[0][1]
