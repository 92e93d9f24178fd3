"""SHADOW reports of a replay against what its own predictions and shadow predictions say, reckoned here anew."""

import collections
import json

import numpy
import pytest
import xgboost

from deployment import FEATURES, Models
from outputs import read_container
from worker import run_weir

HOUR, DAY = 3_600_000, 86_400_000
MASK = (1 << 64) - 1
P0, P1, P2 = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3


def mix(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64) ^ a ^ b


def hash_of(data):
    """scoring/features/bytes_hash.h."""
    size, h = len(data), mix(P0, len(data) ^ P1)
    while len(data) > 16:
        h = mix(int.from_bytes(data[:8], "little") ^ P1, int.from_bytes(data[8:16], "little") ^ h)
        data = data[16:]
    word = 8 if len(data) >= 8 else 4
    if len(data) >= 4:
        a, b = int.from_bytes(data[:word], "little"), int.from_bytes(data[-word:], "little")
    else:
        a, b = data[0] << 16 | data[len(data) // 2] << 8 | data[-1], 0
    return mix(P1 ^ size, mix(a ^ P2, b ^ h))


@pytest.fixture(scope="module")
def replayed(weir, tmp_path_factory):
    """Models and output directory of a replay with a shadow that sees every event."""
    directory = tmp_path_factory.mktemp("shadow-reports")
    models = Models(weir, directory, FEATURES)
    done = run_weir(weir, "generate", "--output", f"{directory}/events.avro", "--events", 20_000, "--cards", 2_000, "--seed", 8)
    assert done.returncode == 0, done.stderr
    config = {"app_id": "offline", "kafka": {"bootstrap.servers": "none"}, "input": {"topic": "none", "schemas": {"dir": "."}}, "features": models.features,
              "models": {"champion": {"id": "served", "file": models.champion}, "shadows": [{"id": "beside", "file": models.shadow}]},
              "monitor": {"window": "1h", "segments": ["channel", "merchant_id", "mcc"]}}
    with open(f"{directory}/weir.yaml", "w") as file:
        json.dump(config, file)
    done = run_weir(weir, "replay", "-c", f"{directory}/weir.yaml", "--input", f"{directory}/events.avro", "--output", f"{directory}/out")
    assert done.returncode == 0, done.stderr
    return models, f"{directory}/out"


@pytest.fixture(scope="module")
def reports(replayed):
    """{(start, width, subject, statistic): row} of the shadow."""
    found = {}
    for row, _ in read_container(f"{replayed[1]}/reports.avro"):
        if row["kind"] == "SHADOW":
            assert row["model_id"] == "beside"
            start, end = (round(row[key].timestamp() * 1000) for key in ("window_start", "window_end"))
            found[start, end - start, row["subject"], row["statistic"]] = row
    return found


@pytest.fixture(scope="module")
def windows(replayed):
    """{(start, width): [(prediction, shadow prediction)]}"""
    shadows = {value["offset"]: value for value, _ in read_container(f"{replayed[1]}/shadow-predictions.avro")}
    found = collections.defaultdict(list)
    for p, _ in read_container(f"{replayed[1]}/predictions.avro"):
        at = round(p["event_time"].timestamp() * 1000)
        for width in (HOUR, DAY):
            found[at // width * width, width].append((p, shadows[p["offset"]]))
    assert len(shadows) == sum(len(pairs) for (_, width), pairs in found.items() if width == DAY) > 19_000
    return found


def by_segment(pairs, field):
    parts = collections.defaultdict(list)
    for pair in pairs:
        parts[f"{field}={pair[0]['segments'][field]}"].append(pair)
    return parts


def agree(pairs):
    return sum(p["decision"] == s["decision"] for p, s in pairs) / len(pairs)


def test_each_segment_is_compared(windows, reports):
    compared = 0
    for (start, width), pairs in windows.items():
        for subject, part in by_segment(pairs, "channel").items():
            if len(part) < 30:                                 # too few to be told of
                assert (start, width, subject, "agreement") not in reports
                continue
            row = reports[start, width, subject, "agreement"]
            assert (row["value"], row["count"]) == (agree(part), len(part))
            apart = numpy.abs([numpy.float64(numpy.float32(s["score"]) - numpy.float32(p["score"])) for p, s in part])
            assert abs(reports[start, width, subject, "mean_difference"]["value"] - apart.mean()) < 1e-6
            assert abs(reports[start, width, subject, "p95_difference"]["value"] - numpy.quantile(apart, 0.95)) < 0.25 or len(part) < 100
            assert {(start, width, subject, s) in reports for s in ("p50_difference", "p99_difference", "psi")} == {True}
            compared += 1
    assert compared > 50


def test_what_is_told_of_a_value_is_of_all_its_events(windows, reports):
    (start, width), pairs = max(windows.items(), key=lambda item: len(item[1]))
    parts = by_segment(pairs, "mcc")
    rows = {key[2]: row for key, row in reports.items() if key[:2] == (start, width) and key[2].startswith("mcc=") and key[3] == "agreement"}
    assert 3 < len(rows) <= 32
    for subject, row in rows.items():
        assert row["count"] >= 30 and (row["value"], row["count"]) == (agree(parts[subject]), len(parts[subject]))


def test_the_segments_that_disagree_most_are_named(windows, reports):
    (start, width), pairs = max(windows.items(), key=lambda item: len(item[1]))
    row = reports[start, width, "score", "disagreeing_segments"]
    top = json.loads(row["detail"])["top"]
    assert len(top) == 5 and row["count"] == len(pairs)
    for entry in top:
        field = entry["segment"].partition("=")[0]
        part = by_segment(pairs, field)[entry["segment"]]
        assert (entry["events"], entry["disagreeing"]) == (len(part), sum(p["decision"] != s["decision"] for p, s in part))


def test_the_features_behind_disagreements_are_those_of_the_sample(replayed, windows, reports):
    models = replayed[0]
    boosters = [xgboost.Booster(model_file=path) for path in (models.champion, models.shadow)]
    looked_at = 0
    for (start, width), pairs in windows.items():
        differing = [(hash_of(p["transaction_id"].encode()), p) for p, s in pairs if p["decision"] != s["decision"]]
        sample = sorted((h // 4, p["features"]) for h, p in differing if h % 4 == 0)[:32]
        row = reports.get((start, width, "score", "explained"))
        assert (int(row["value"]) if row else 0) == len(sample)
        if not sample or looked_at > 20:
            continue
        assert row["count"] == len(differing)
        data = xgboost.DMatrix(numpy.array([features for _, features in sample], numpy.float32), feature_names=models.names)
        served, own = (booster.predict(data, pred_contribs=True)[:, :-1] for booster in boosters)
        mean = numpy.abs(served - own).mean(axis=0)
        ours = {key[2]: r for key, r in reports.items() if key[:2] == (start, width) and key[3] == "contribution_difference"}
        in_order = sorted(ours.values(), key=lambda r: json.loads(r["detail"])["place"])
        assert [json.loads(r["detail"])["place"] for r in in_order] == list(range(1, len(models.names) + 1))
        assert [r["value"] for r in in_order] == sorted((r["value"] for r in in_order), reverse=True)
        for feature, r in ours.items():
            assert abs(r["value"] - mean[models.names.index(feature)]) < 1e-5 and r["count"] == len(sample)
        looked_at += 1
    assert looked_at > 5
