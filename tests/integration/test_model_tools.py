"""From a training set to a model that is inspected, proved and explained: `train`, `model inspect`, `check`, `explain`."""

import csv
import json
import math
import random

import numpy
import pytest
import xgboost

from outputs import PREDICTION, decode, prediction_bodies, read_container, read_topic
from traffic import produce
from worker import run_weir

COLUMNS = ["amount", "txn_count_1h", "hour"]
FEATURES = """\
version: 1
id: transaction_id
entity: card_token
time: event_time
lateness: 10m
future_skew: 5m
features:
  - {name: amount, op: value, field: amount_minor, scale: 0.01}
  - {name: txn_count, op: count, windows: [1h]}
  - {name: hour, op: hour_of_day}
"""


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A directory with a feature file and a training set of its columns, in which a third of the labels are noise."""
    directory = tmp_path_factory.mktemp("training")
    (directory / "features.yaml").write_text(FEATURES)
    draw = random.Random(1)
    with open(directory / "train.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["transaction_id", "entity", "event_time", *COLUMNS, "window_complete", "label"])
        for i in range(6000):
            amount, count, hour = draw.lognormvariate(3, 1), draw.randrange(1, 20), draw.randrange(24)
            label = draw.random() < 0.5 if draw.random() < 0.3 else amount > 25 and count > 6
            out.writerow([f"t{i}", f"c{i % 50}", 1_700_000_000_000 + i * 1000, "" if i % 17 == 0 else f"{amount:.2f}", count, hour, "true", int(label)])
    return directory


def train(weir, training, name, *options):
    done = run_weir(weir, "train", "--input", training / "train.csv", "--output", training / name, "--features", training / "features.yaml", "--json",
                    *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def inspect(weir, path, status=0):
    done = run_weir(weir, "model", "inspect", path, "--json")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def check(weir, training, name, **models):
    config = {"app_id": "tools", "features": "features.yaml", "models": {"champion": {"id": "m", "file": name}} | models}
    (training / "weir.yaml").write_text(json.dumps(config))
    done = run_weir(weir, "check", "-c", training / "weir.yaml", "--offline", "--json")
    return done.returncode, [(step["outcome"], step["text"]) for step in json.loads(done.stdout)["steps"] if step["step"].startswith("models")]


def test_early_stopping_writes_the_sliced_model_and_what_lies_beside_it(weir, training):
    found = train(weir, training, "early.ubj", "--early-stopping", 5, "--rounds", 300, "--params", "eta=0.3,eval_metric=auc,colsample_bytree=0.7")
    stopped = found["early_stopping"]
    assert stopped["metric"] == "auc" and stopped["rounds"] == stopped["best_iteration"] + 6 < 300
    assert found["trees"] == stopped["best_iteration"] + 1 and stopped["rows"] == 960     # a fifth of four fifths
    booster = xgboost.Booster(model_file=training / "early.ubj")
    assert (booster.num_boosted_rounds(), booster.best_iteration, booster.feature_names) == (found["trees"], stopped["best_iteration"], COLUMNS)
    with open(training / "early.ubj.baseline.json") as file:
        baseline = json.load(file)
    assert [column["name"] for column in baseline["features"]] == COLUMNS and baseline["model_id"] == "early"
    with open(training / "early.ubj.golden.csv") as file:
        header, *rows = csv.reader(file)
    assert header == [*COLUMNS, "expected_margin", "expected_score"] and len(rows) == 100
    vectors = numpy.array([[float(cell or "nan") for cell in row[:3]] for row in rows], numpy.float32)
    scores = numpy.array([row[4] for row in rows]).astype(numpy.float32)
    assert numpy.isnan(vectors[-1]).all()
    assert (booster.predict(xgboost.DMatrix(vectors, feature_names=COLUMNS)) == scores).all()


def test_calibration_is_what_the_held_out_rows_say(weir, training):
    found = train(weir, training, "plain.ubj", "--bare")["held_out"]
    calibration = found["calibration"]
    assert sum(bin["count"] for bin in calibration["equal"]) == sum(bin["count"] for bin in calibration["decile"]) == found["rows"] == 1200
    ece = sum(bin["count"] * abs(bin["mean_score"] - bin["positive_share"]) for bin in calibration["equal"] if bin["count"]) / found["rows"]
    assert math.isclose(ece, calibration["ece"], rel_tol=1e-9)
    assert 0 < calibration["brier"] < 0.25
    assert not (training / "plain.ubj.golden.csv").exists() and not (training / "plain.ubj.baseline.json").exists()


def test_parameters_that_xgboost_does_not_use_are_refused(weir, training):
    for params, said in (("max_dpth=3", "max_dpth"), ("eta=0.1,eta=0.2", "eta is given twice"), ("objective=count:poisson", "count:poisson")):
        done = run_weir(weir, "train", "--input", training / "train.csv", "--output", training / "no.ubj", "--params", params)
        assert done.returncode == 1 and said in done.stderr and not (training / "no.ubj").exists()


def test_inspect_counts_as_xgboost_does(weir, training):
    train(weir, training, "seen.ubj", "--rounds", 20)
    shown = inspect(weir, training / "seen.ubj")
    booster = xgboost.Booster(model_file=training / "seen.ubj")
    for kind in ("weight", "gain", "cover", "total_gain", "total_cover"):
        ours = {feature["name"]: feature[kind] for feature in shown["features"] if feature["weight"]}
        theirs = booster.get_score(importance_type=kind)
        assert ours.keys() == theirs.keys()
        assert all(math.isclose(ours[name], theirs[name], rel_tol=1e-5) for name in ours), (kind, ours, theirs)
    dumped = "".join(booster.get_dump())
    assert (shown["splits"], shown["leaves"]) == (dumped.count("yes="), dumped.count("leaf="))
    assert (shown["trees"], shown["rounds"], shown["golden_rows"], shown["golden_error"]) == (20, 20, 100, None)
    assert shown["engine"].startswith("forest-") and shown["engine_reason"] is None and shown["objective"] == "binary:logistic"
    text = run_weir(weir, "model", "inspect", training / "seen.ubj").stdout
    assert shown["sha256"] in text and "100, all met to the bit" in text


def test_inspect_says_why_the_library_runs_a_model_and_refuses_what_is_none(weir, training):
    draw = numpy.random.default_rng(3)
    data = xgboost.DMatrix(draw.normal(size=(200, 3)), draw.integers(0, 2, 200), feature_names=COLUMNS)
    xgboost.train({"objective": "binary:logistic", "booster": "dart"}, data, 3).save_model(training / "dart.json")
    shown = inspect(weir, training / "dart.json")
    assert (shown["engine"], shown["engine_reason"], shown["format"]) == ("xgboost", "DART boosters are not compiled", "json")
    assert "(DART boosters are not compiled)" in check(weir, training, "dart.json")[1][0][1]
    (training / "no-model.ubj").write_bytes(b"{L")
    done = run_weir(weir, "model", "inspect", training / "no-model.ubj")
    assert done.returncode == 1 and "no-model.ubj" in done.stderr


def test_rounds_past_the_best_are_warned_of(weir, training):
    draw = numpy.random.default_rng(4)
    x, y = draw.normal(size=(400, 3)), draw.integers(0, 2, 400)
    data, judge = (xgboost.DMatrix(x[part], y[part], feature_names=COLUMNS) for part in (slice(0, 300), slice(300, 400)))
    booster = xgboost.train({"objective": "binary:logistic"}, data, 50, evals=[(judge, "judge")], early_stopping_rounds=4, verbose_eval=False)
    booster.save_model(training / "past.ubj")
    assert booster.num_boosted_rounds() == booster.best_iteration + 5
    assert inspect(weir, training / "past.ubj")["rounds_past_best"] == 4
    status, steps = check(weir, training, "past.ubj")
    assert status == 0 and [outcome for outcome, _ in steps] == ["ok", "warning"]
    assert f"its best iteration is {booster.best_iteration}, and the 4 rounds after it score too" in steps[1][1]


def test_golden_rows_are_compared_wherever_a_model_is_loaded(weir, training):
    train(weir, training, "golden.ubj", "--rounds", 15)
    status, steps = check(weir, training, "golden.ubj", golden="required")
    assert status == 0 and "100 golden rows met" in steps[0][1]
    golden = training / "golden.ubj.golden.csv"
    lines = golden.read_text().splitlines()
    cells = lines[8].split(",")
    score = numpy.float32(cells[4])
    lines[8] = ",".join([*cells[:4], f"{numpy.nextafter(score, numpy.float32(1)):.9g}"])           # one bit
    golden.write_text("\n".join(lines) + "\n")
    for on_difference in ("refuse", "library"):
        status, steps = check(weir, training, "golden.ubj", on_difference=on_difference)
        assert status == 1 and "golden.ubj.golden.csv: golden row 7: xgboost gives the score" in steps[0][1], steps
    assert "golden row 7" in inspect(weir, training / "golden.ubj", status=1)["golden_error"]
    assert check(weir, training, "golden.ubj", golden="off")[0] == 0
    golden.unlink()
    assert check(weir, training, "golden.ubj")[0] == 0
    status, steps = check(weir, training, "golden.ubj", golden="required")
    assert status == 1 and "models.golden is required" in steps[0][1]


# Explain


def explain(pipeline, place, *options, status=0):
    done = run_weir(pipeline.binary, "explain", "-c", pipeline.write_config("explain"), place, *options)
    assert done.returncode == status, done.stderr
    return done


def expect_prediction(shown, prediction, names):
    served = shown["served"]
    assert (served["role"], served["model"], served["decision"], served["confidence"]) == \
        tuple(prediction[key] for key in ("role", "model_id", "decision", "confidence"))
    for key in ("score", "margin"):
        assert numpy.float32(served[key]) == numpy.float32(prediction[key])
    assert [feature["name"] for feature in shown["features"]] == names
    ours = numpy.array([math.nan if f["value"] is None else f["value"] for f in shown["features"]], numpy.float32)
    assert (ours.view(numpy.uint32) == numpy.array(prediction["features"], numpy.float32).view(numpy.uint32)).all()
    assert (shown["id"], shown["entity"], shown["late_ms"], shown["window_complete"]) == \
        tuple(prediction[key] for key in ("transaction_id", "entity", "late_ms", "window_complete"))
    model = next(model for model in shown["models"] if model["role"] == served["role"])
    assert (model["id"], model["sampled"]) == (served["model"], True)
    assert [c["feature"] for c in model["contributions"][:len(prediction["reasons"])]] == [r["feature"] for r in prediction["reasons"]]
    for ours, theirs in zip(model["contributions"], prediction["reasons"]):
        assert numpy.float32(ours["contribution"]) == numpy.float32(theirs["contribution"])
    total = model["bias"] + sum(c["contribution"] for c in model["contributions"])
    assert math.isclose(total, model["margin"], abs_tol=1e-5)


def test_explain_shows_what_was_served(pipeline, small_traffic, small_replayed, kafka, models):
    """Late records, repetitions and records of both writers' schemas among them."""
    small_traffic.produce(kafka.brokers, pipeline.topic)
    places = sorted(small_replayed.predictions)
    chosen = random.Random(1).sample(places, 12) + [places[-1]]
    reasons = 0
    for place in chosen:
        prediction = decode(PREDICTION, small_replayed.predictions[place])
        shown = json.loads(explain(pipeline, f"{place[0]}:{place[1]}", "--json").stdout)
        expect_prediction(shown, prediction, models.names)
        reasons += len(prediction["reasons"])
        shadow = shown["models"][1]
        assert (shadow["role"], shadow["sampled"]) == ("SHADOW", place in small_replayed.shadows)
        event = next(r for r in small_traffic.records if (r.partition, r.offset) == place).event
        assert shown["record"]["amount_minor"] == event["amount_minor"] and shown["record"]["account_id"] == event["account_id"]
    assert reasons > 0
    assert set(pipeline.committed()) == {-1001}, "it has committed offsets"


def test_explain_is_by_the_deployment_that_served(pipeline, small_traffic, kafka, models, tmp_path):
    """The champion changes half-way; the configuration names the later one alone."""
    records, half = small_traffic.records, len(small_traffic.records) // 2
    kept = {"shadows": [], "cache_dir": f"{tmp_path}/kept"}
    settings = [pipeline.config["models"] | kept | {"champion": {"id": name, "file": path}} for name, path in (("before", models.champion), ("after", models.shadow))]
    before = None
    for setting, part in zip(settings, (records[:half], records[half:])):
        pipeline.config["models"] = setting
        worker = pipeline.worker("w").start().wait_ready()
        produce(kafka.brokers, pipeline.topic, part)
        ends = [sum(r.partition == p for r in (records[:half] if before is None else records)) for p in range(pipeline.partitions)]
        pipeline.wait_committed([worker], ends)
        worker.stop()
        before = ends if before is None else before
    written = {(p["partition"], p["offset"]): p for p in (decode(PREDICTION, body) for body in prediction_bodies(read_topic(kafka, pipeline.outputs["predictions"])).values())}
    for served in ("before", "after"):
        place = next(place for place, p in sorted(written.items()) if p["model_id"] == served and (place[1] < before[place[0]]) == (served == "before"))
        shown = json.loads(explain(pipeline, f"{place[0]}:{place[1]}", "--json").stdout)
        expect_prediction(shown, written[place], models.names)
        assert shown["deployment"]["source"] == "recorded" and shown["deployment"]["since"] <= place[1]
        assert f"{served}: score" in explain(pipeline, f"{place[0]}:{place[1]}").stdout
        configured = json.loads(explain(pipeline, f"{place[0]}:{place[1]}", "--configured", "--json").stdout)
        assert (configured["deployment"]["source"], configured["models"][0]["id"]) == ("configured", "after")


def test_explain_says_why_a_record_is_rejected(pipeline, small_traffic, small_replayed, kafka):
    small_traffic.produce(kafka.brokers, pipeline.topic)
    first = {}
    for place, letter in sorted(small_replayed.dead_letters.items()):
        if letter["reason"] != "output_too_large":                                                # of a topic's limit, not of the record
            first.setdefault(letter["reason"], (place, letter))
    assert first.keys() >= {"not_avro", "unknown_schema", "decode_error", "type", "rule", "stale", "future", "duplicate"}
    for reason, (place, letter) in first.items():
        shown = json.loads(explain(pipeline, f"{place[0]}:{place[1]}", "--json").stdout)
        rejected = shown["rejected"]
        assert (rejected["reason"], rejected["field"], rejected["message"]) == (reason, letter["field"], letter["message"])
        assert shown["served"] is None and "features" not in shown
    text = explain(pipeline, f"{place[0]}:{place[1]}").stdout
    assert f"rejected        {reason} at" in text


def test_explain_names_what_is_not_there(pipeline, small_traffic, kafka):
    small_traffic.produce(kafka.brokers, pipeline.topic)
    end = small_traffic.ends[3]
    for place, said in ((f"3:{end}", f"holds the offsets 0 to {end - 1}"), ("12:0", "has 12 partitions, 0 to 11"), ("5", "which one? PARTITION:OFFSET")):
        assert said in explain(pipeline, place, status=1).stderr
    for place in ("x", "1:", ":1", "1:2:3", "1:-2"):
        assert "must be OFFSET or PARTITION:OFFSET" in explain(pipeline, place, status=2).stderr


def test_explain_takes_a_file(weir, training, tmp_path):
    run_weir(weir, "generate", "--events", 3000, "--cards", 40, "--output", tmp_path / "e.avro", "--labels", tmp_path / "l.avro")
    train(weir, training, "file.ubj", "--rounds", 10)
    train(weir, training, "other.ubj", "--rounds", 5)
    models = {"champion": {"id": "m", "file": str(training / "file.ubj")}, "canary": {"id": "n", "file": str(training / "other.ubj"), "percent": 50, "salt": "a"}}
    config = {"app_id": "tools", "features": str(training / "features.yaml"), "models": models}
    (tmp_path / "weir.yaml").write_text(json.dumps(config))
    assert run_weir(weir, "replay", "-c", tmp_path / "weir.yaml", "--input", tmp_path / "e.avro", "--output", tmp_path / "out").returncode == 0
    predictions = {value["offset"]: value for value, _ in read_container(tmp_path / "out/predictions.avro")}
    roles = set()
    for offset in (0, 1, 2, 3, 511, 512, 513, 2999):
        shown = json.loads(run_weir(weir, "explain", "-c", tmp_path / "weir.yaml", "--input", tmp_path / "e.avro", offset, "--json").stdout)
        expect_prediction(shown, predictions[offset], COLUMNS)
        roles.add(shown["served"]["role"])
        assert shown["models"][1]["sampled"] == (shown["served"]["role"] == "CANARY")
    assert roles == {"CHAMPION", "CANARY"}
    done = run_weir(weir, "explain", "-c", tmp_path / "weir.yaml", "--input", tmp_path / "e.avro", 3000)
    assert done.returncode == 1 and "there is no value 3000" in done.stderr
    text = run_weir(weir, "explain", "-c", tmp_path / "weir.yaml", "--input", tmp_path / "e.avro", 2999, "--top", 2).stdout
    assert "CHAMPION m: score" in text and "the other 1" in text and "on average (bias)" in text
