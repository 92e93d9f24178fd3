"""`weir baseline` against the same file computed from the exported rows (baseline_reference.py)."""

import csv
import json
import random
from collections import Counter

import fastavro
import numpy
import pytest
import xgboost
from sklearn import metrics

import baseline_reference as reference
from traffic import DAY, MINUTE, ROOT, Traffic
from worker import run_weir

SEGMENTS = ["mcc", "merchant_country", "channel", "device_id"]
CODES = {"channel": ["POS", "ECOM", "ATM", "MOTO"], "currency": ["EUR", "USD", "GBP", "JPY", "CHF"], "domestic": ["0", "1"], "norwegian": ["0", "1"],
         "risky_mcc": ["0", "1"], "hour": [str(h) for h in range(24)], "weekday": [str(d) for d in range(7)], "weekend": ["0", "1"]}
LONGEST_WINDOW = 7 * DAY


def iso(time_ms):
    return f"{numpy.datetime64(time_ms, 'ms')}Z"


@pytest.fixture(scope="module")
def traffic(schema_ids):
    """Three weeks; most cards have a full week behind them for two of them."""
    return Traffic(schema_ids, 8000, cards=150, seed=21, garbage=0.03, step_ms=4 * MINUTE)


@pytest.fixture(scope="module")
def labels(traffic, tmp_path_factory):
    """transaction_id -> label of two thirds of the events; and the container file of them."""
    draw = random.Random(4)
    found = {r.event["transaction_id"]: int(draw.random() < 0.3) for r in traffic.records if r.event and draw.random() < 0.66}
    path = tmp_path_factory.mktemp("labels") / "labels.avro"
    with open(f"{ROOT}/schemas/label.avsc") as schema, open(path, "wb") as file:
        rows = [{"transaction_id": i, "entity": "", "label": label, "fraud_type": None, "reported_time": 0} for i, label in found.items()]
        fastavro.writer(file, fastavro.parse_schema(json.load(schema)), rows)
    return found, path


def baseline(pipeline, output, *options, status=0):
    done = run_weir(pipeline.binary, "baseline", "-c", pipeline.write_config("baseline"), "--output", output, "--json", *options)
    assert done.returncode == status, done.stderr
    return (json.loads(done.stdout), json.load(open(output))) if status == 0 else done.stderr


def exported(pipeline):
    """transaction_id -> feature vector, of all accepted events."""
    path = f"{pipeline.directory}/rows.csv"
    done = run_weir(pipeline.binary, "replay", "-c", pipeline.write_config("rows"), "--export", path, "--json")
    assert done.returncode == 0, done.stderr
    with open(path) as file:
        return {row["transaction_id"]: [float(row[name] or "nan") for name in pipeline.models.names] for row in csv.DictReader(file)}


def counted(traffic, from_ms=0, to_ms=1 << 60):
    """The accepted records and the rejected ones that count: from the longest window after their partition's first event."""
    first, events, rejects = {}, [], []
    for r in traffic.records:
        if r.event:
            first.setdefault(r.partition, r.event["event_time"])
        time_ms = r.event["event_time"] if r.event else r.timestamp_ms
        if r.partition in first and time_ms - first[r.partition] >= LONGEST_WINDOW and from_ms <= time_ms < to_ms:
            (events if r.event else rejects).append(r)
    return events, rejects


def segment_value(event, field):
    return None if event.get(field) is None else str(event[field])


def near(ours, theirs, path="", tolerance=1e-9):
    """Equal: numbers that were summed to 1e-9, everything else exactly."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict) and set(ours) == set(theirs), path
        for key in theirs:
            near(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), path
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            near(a, b, f"{path}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance), path
    else:
        assert ours == theirs, path


class Expected:
    """The statistics of the counted events, by the reference."""

    def __init__(self, pipeline, traffic, labels, **span):
        rows = exported(pipeline)
        self.events, self.rejects = counted(traffic, **span)
        self.names = pipeline.models.names
        self.rows = numpy.array([rows[r.event["transaction_id"]] for r in self.events], dtype=numpy.float32)
        self.times = numpy.array([r.event["event_time"] for r in self.events])
        self.hours = reference.hour_of_week(self.times)
        model = xgboost.Booster(model_file=pipeline.models.champion)
        self.scores = model.predict(xgboost.DMatrix(self.rows, feature_names=self.names))
        self.gains = model.get_score(importance_type="total_gain")
        self.labels = numpy.array([labels.get(r.event["transaction_id"], -1) for r in self.events])

    def of(self, chosen, hours):
        """Columns, score and outcome of chosen events."""
        columns = []
        for i, name in enumerate(self.names):
            column = reference.column(name, self.rows[chosen, i], hours)
            if name in CODES:
                column["categories"] = reference.code_categories(self.rows[chosen, i], CODES[name], hours)
            columns.append(column)
        outcome = reference.outcome(self.scores[chosen], 0.5, 0.9, hours)
        score = reference.column("score", self.scores[chosen], hours)
        outcome["calibration"] = self.calibration(chosen, score)
        return columns, score, outcome

    def calibration(self, chosen, score):
        labelled = chosen & (self.labels >= 0)
        scores, labels = self.scores[labelled].astype(float), self.labels[labelled]
        deciles = [score["edges"][24 * k - 1] for k in range(1, 10)]
        bins = {"equal": numpy.searchsorted(numpy.arange(1, 10) / 10, scores), "decile": numpy.searchsorted(deciles, scores)}
        ece = {name: sum(abs(scores[b == i].sum() - labels[b == i].sum()) for i in range(10)) / len(labels) for name, b in bins.items()}
        return {"labels": len(labels), "positives": int(labels.sum()), "auc": float(metrics.roc_auc_score(labels, scores)),
                "average_precision": float(metrics.average_precision_score(labels, scores)), "brier": float(metrics.brier_score_loss(labels, scores)),
                "ece": float(ece["equal"]), "ece_decile": float(ece["decile"])} | {
                    name: reference.calibration_bins(b, scores, labels) for name, b in bins.items()}


def check_whole(found, expected):
    columns, score, outcome = expected.of(numpy.ones(len(expected.events), dtype=bool), expected.hours)
    total = sum(expected.gains.values())
    for ours, theirs in zip(found["features"], columns, strict=True):
        theirs["gain"] = expected.gains.get(ours["name"], 0.0) / total
        assert abs(ours["gain"] - theirs["gain"]) < 1e-6       # the library sums floats
        near({**ours, "contribution": None, "gain": None}, {**theirs, "gain": None}, ours["name"])
    near({**found["score"], "gain": None}, score, "score")
    near(found["outcome"], outcome, "outcome")


def check_totals(found, expected):
    n = len(expected.events)
    assert (found["events"], found["sampled"], found["records"]) == (n, n, n + len(expected.rejects))
    assert (found["from_ms"], found["to_ms"]) == (expected.times.min(), expected.times.max())
    assert found["hour_events"] == numpy.bincount(expected.hours, minlength=168).tolist()
    assert sum(found["hour_covered_ms"]) == found["to_ms"] - found["from_ms"] + 1
    rejects = {(r["reason"], r["field"]): r["count"] for r in found["rejects"]}
    assert list(rejects) == sorted(rejects, key=lambda pair: (pair[0], pair[1] or ""))
    reasons, fields = Counter(), Counter()
    for (reason, _), count in rejects.items():
        reasons[reason] += count
    for r in expected.rejects:
        fields[r.reason, r.field] += r.field is not None       # where the traffic says no field, weir may find one
    assert reasons == Counter(r.reason for r in expected.rejects)
    assert all(rejects[pair] >= count for pair, count in fields.items() if count)


def check_segments(found, expected, parts):
    assert [s["field"] for s in found["segments"]] == SEGMENTS
    for segment in found["segments"]:
        texts = [segment_value(r.event, segment["field"]) for r in expected.events]
        near(segment["categories"], reference.text_categories(texts, expected.hours), segment["field"])
        assert segment["missing"] == texts.count(None)
        if segment["field"] not in parts:
            assert segment["parts"] == []
            continue
        for part in segment["parts"]:
            chosen = numpy.array([text == part["value"] for text in texts])
            columns, score, outcome = expected.of(chosen, None)
            near(part, {"value": part["value"], "events": int(chosen.sum()), "features": columns, "score": score, "outcome": outcome}, part["value"])
        assert [p["value"] for p in segment["parts"]] == sorted(t for t in set(texts) - {None} if texts.count(t) >= 500)


def check_distinct(found, expected):
    by_field = {"transaction_id": "transaction_id", "card_token": "card_token"} | {s: s for s in SEGMENTS}
    assert {d["field"] for d in found["distinct"]} == set(by_field)
    for d in found["distinct"]:
        windows = {}
        for r in expected.events:
            windows.setdefault(r.event["event_time"] // d["window_ms"], set()).add(r.event.get(d["field"]))
        mean = numpy.mean([len(values - {None}) for values in windows.values()])
        assert d["mean"] == pytest.approx(mean, rel=0.1), d    # late events and the first and last window are left out


def test_a_baseline_is_what_its_description_says(pipeline, traffic, kafka, labels):
    traffic.produce(kafka.brokers, pipeline.topic)
    summary, found = baseline(pipeline, f"{pipeline.directory}/b.json", "--labels", labels[1], "--by", "merchant_country,channel")
    expected = Expected(pipeline, traffic, labels[0])
    assert len(expected.events) > 4000 and len(expected.rejects) > 50
    assert summary["events"] == len(expected.events) and summary["labels"] == (expected.labels >= 0).sum()
    assert found["model_id"] == "champion-1"
    check_totals(found, expected)
    check_whole(found, expected)
    check_segments(found, expected, parts=("merchant_country", "channel"))
    check_distinct(found, expected)
    assert len(found["segments"][2]["parts"]) == 4
    for column in found["features"]:
        assert column["contribution"]["count"] >= 900

    # a range: the windows before it are full, so nothing of it is left out
    start = int(expected.times.min()) + 5 * DAY
    span = {"from_ms": start, "to_ms": start + 4 * DAY}
    summary, found = baseline(pipeline, f"{pipeline.directory}/r.json", "--labels", labels[1], "--from", iso(start), "--to", iso(start + 4 * DAY))
    expected = Expected(pipeline, traffic, labels[0], **span)
    assert summary["left_out"] == 0
    check_totals(found, expected)
    check_whole(found, expected)
    check_segments(found, expected, parts=())

    # twice the same bytes, and a worker takes it
    again = f"{pipeline.directory}/again.json"
    baseline(pipeline, again, "--labels", labels[1], "--from", iso(start), "--to", iso(start + 4 * DAY))
    assert open(again, "rb").read() == open(f"{pipeline.directory}/r.json", "rb").read()
    monitor = pipeline.config["monitor"] | {"baseline": again}
    done = run_weir(pipeline.binary, "check", "-c", pipeline.write_config("check", monitor=monitor), "--offline")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def generated(weir, tmp_path_factory):
    path = tmp_path_factory.mktemp("generated") / "past.avro"
    done = run_weir(weir, "generate", "--output", path, "--labels", f"{path}.labels", "--events", "20000", "--cards", "300", "--span", "20d")
    assert done.returncode == 0, done.stderr
    return path


def test_a_file_of_events(pipeline, generated):
    with open(generated, "rb") as file:
        times = [int(event["event_time"].timestamp() * 1000 + 0.5) for event in fastavro.reader(file)]
    summary, found = baseline(pipeline, f"{pipeline.directory}/b.json", "--input", generated)
    wanted = sum(t - times[0] >= LONGEST_WINDOW for t in times)
    assert (summary["records"], summary["events"], summary["left_out"]) == (20000, wanted, 20000 - wanted)
    assert found["outcome"]["calibration"] is None
    assert all(s["parts"] == [] for s in found["segments"])


def test_features_alone_need_no_model(pipeline, generated):
    del pipeline.config["models"]
    _, found = baseline(pipeline, f"{pipeline.directory}/b.json", "--input", generated)
    assert found["score"] is None and found["outcome"] is None and found["model_id"] is None
    assert {f["gain"] for f in found["features"]} == {None}
    _, found = baseline(pipeline, f"{pipeline.directory}/b.json", "--input", generated, "--model", pipeline.models.shadow)
    assert found["model_id"] == "shadow" and found["score"]["count"] == found["events"]


@pytest.mark.parametrize("options, says", [
    (["--to", "2026-01-05"], "less than the longest window (168 h) after the first event"),
    (["--from", "2027-01-01"], "no accepted event lies in the range"),
    (["--by", "currency"], "currency is not in monitor.segments"),
    (["--model", "/nowhere.ubj"], "/nowhere.ubj"),
])
def test_what_cannot_be_is_said(pipeline, generated, options, says):
    stderr = baseline(pipeline, f"{pipeline.directory}/b.json", "--input", generated, *options, status=1)
    assert stderr.startswith("weir baseline: ") and says in stderr


def test_train_writes_the_same_features(pipeline, generated):
    """Of a file whose events all have labels, in order of time. Scores are those of the rows held out alone."""
    directory, features = pipeline.directory, pipeline.models.features
    done = run_weir(pipeline.binary, "replay", "-c", pipeline.write_config("rows"), "--input", generated, "--labels", f"{generated}.labels",
                    "--export", f"{directory}/t.csv")
    assert done.returncode == 0, done.stderr
    done = run_weir(pipeline.binary, "train", "--input", f"{directory}/t.csv", "--features", features, "--output", f"{directory}/m.ubj", "--rounds", "20")
    assert done.returncode == 0, done.stderr
    with open(f"{directory}/m.ubj.baseline.json") as file:
        trained = json.load(file)
    _, whole = baseline(pipeline, f"{directory}/b.json", "--input", generated, "--labels", f"{generated}.labels", "--model", f"{directory}/m.ubj")
    for ours, theirs in zip(trained["features"], whole["features"], strict=True):
        near({**ours, "contribution": None}, {**theirs, "contribution": None}, ours["name"])
        assert ours["contribution"]["count"] > 900
    assert trained["hour_events"] == whole["hour_events"] and trained["feature_spec_sha256"] == whole["feature_spec_sha256"]
    assert trained["score"]["count"] == 4000 == trained["outcome"]["calibration"]["labels"] < whole["score"]["count"]
