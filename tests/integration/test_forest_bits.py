"""The compiled forest gives XGBoost's bits: models of many shapes, 10,000 rows each, every path of this machine.

The rows are made of the model's own thresholds and the numbers next to them, missing values, infinities, denormals and
plain values; batches are of odd sizes. The scorer is tests/bench/forest.c."""

import json
import os
import subprocess

import numpy as np
import pytest
import xgboost

from traffic import ROOT

ROWS = 10_000
BUILD = os.path.dirname(os.environ.get("WEIR_BINARY") or f"{ROOT}/build-sanitize/weir")
SCORER = f"{BUILD}/tests/bench/bench_forest"
ENGINES = ("forest-portable", "forest-avx2", "forest-avx512")
LOGISTIC, LOGITRAW, SQUARED = "binary:logistic", "binary:logitraw", "reg:squarederror"

# features, share of missing values, rounds, parameters
SHAPES = [
    *((12, 0.1, 30, {"max_depth": depth}) for depth in range(1, 13)),
    *((30, missing, 60, {"max_depth": 6}) for missing in (0, 0.02, 0.5, 0.95)),
    *((features, 0.1, 40, {"max_depth": 6}) for features in (1, 2, 3, 31, 64, 65, 128, 129, 200, 500)),
    *((8, 0.1, 20, {"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": leaves})
      for leaves in (2, 3, 7, 16, 31, 64, 100, 255, 256, 257, 400, 1000)),
    *((6, 0.1, 15, {"tree_method": "exact", "max_depth": depth, "min_child_weight": 0}) for depth in (4, 8, 12)),
    *((6, 0.1, 30, {"max_depth": 5, "base_score": base}) for base in (0.5, 0.01, 0.98)),
    *((10, 0.2, 10, {"max_depth": depth, "num_parallel_tree": 4, "subsample": 0.7}) for depth in (3, 7)),
    *((10, 0.2, 30, {"max_depth": 6, "objective": objective, **base})
      for objective in (LOGITRAW, SQUARED) for base in ({}, {"base_score": 0.25})),
    (10, 0.2, 5, {"max_depth": 6, "objective": SQUARED, "base_score": -17.5}),
    (10, 0.1, 300, {"max_depth": 2}),
    (10, 0.1, 200, {"max_depth": 8, "max_bin": 1024}),
    (10, 0.1, 30, {"max_depth": 6, "gamma": 2.0}),
    (10, 0.1, 30, {"max_depth": 6, "min_child_weight": 40}),
    (10, 0.1, 7, {"max_depth": 6, "eta": 1e-5}),
]


def training_set(features, missing, random):
    x = random.normal(size=(6000, features)).astype(np.float32)
    x[:, ::3] = np.round(x[:, ::3] * 4)  # few distinct values: ties with thresholds
    signal = np.sin(x[:, : min(features, 6)] * 3).sum(axis=1)
    x[random.random(x.shape) < missing] = np.nan
    return x, (signal + random.normal(size=len(x)) * 0.3 > 0).astype(np.float32)


def thresholds_of(booster, features):
    """By feature, from the model as JSON."""
    found = [[0.0] for _ in range(features)]
    model = json.loads(booster.save_raw("json"))
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for left, feature, threshold in zip(tree["left_children"], tree["split_indices"], tree["split_conditions"]):
            if left != -1:
                found[feature].append(threshold)
    return [np.array(values, np.float32) for values in found]


def rows_for(booster, features, random):
    edges = np.array([np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-39, 3.4e38, -3.4e38], np.float32)
    rows = np.empty((ROWS, features), np.float32)
    for feature, thresholds in enumerate(thresholds_of(booster, features)):
        at = random.choice(thresholds, ROWS)
        kinds = [at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf)), np.full(ROWS, np.nan, np.float32),
                 random.choice(edges, ROWS), random.normal(size=ROWS).astype(np.float32), np.round(random.normal(size=ROWS) * 4)]
        rows[:, feature] = np.choose(random.choice(7, ROWS, p=[0.25, 0.1, 0.1, 0.15, 0.1, 0.15, 0.15]), kinds)
    rows[0] = np.nan
    return rows


def scored(model, engine, rows, batch, directory):
    """Margins and scores, or None where this machine has no such engine."""
    rows.tofile(directory / "rows")
    done = subprocess.run([SCORER, "score", model, engine, directory / "rows", directory / "out", str(batch)], capture_output=True, text=True)
    if done.returncode == 3:
        return None
    assert done.returncode == 0, done.stderr
    return np.fromfile(directory / "out", np.float32).reshape(2, -1)


def differing(a, b):
    return int((a.view(np.uint32) != b.view(np.uint32)).sum())


def trained(number, model):
    """Saves one of the shapes as `model`; rows to try it with, and its objective."""
    features, missing, rounds, shape = SHAPES[number]
    random = np.random.default_rng(number)
    x, y = training_set(features, missing, random)
    parameters = {"objective": LOGISTIC, "nthread": 1, "seed": number, "verbosity": 0, "max_depth": 6, **shape}
    booster = xgboost.train(parameters, xgboost.DMatrix(x, y), rounds)
    booster.save_model(model)
    return rows_for(booster, features, random), parameters["objective"]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_margins_and_scores_are_the_librarys_bits(number, tmp_path):
    model = tmp_path / ("model.json" if number % 2 else "model.ubj")
    rows, objective = trained(number, model)
    loaded = xgboost.Booster({"nthread": 1}, model_file=model)
    margin = loaded.inplace_predict(rows, predict_type="margin")
    value = loaded.inplace_predict(rows)
    assert np.unique(margin).size > 1

    chosen = subprocess.run([SCORER, "engine", model], check=True, capture_output=True, text=True).stdout.strip()
    available = {engine for engine in ENGINES for own in [scored(model, engine, rows, (63, 256, 7, 1000)[number % 4], tmp_path)] if own is not None
                 if expect_bits(own, margin, value, objective, engine)}
    assert chosen == [engine for engine in ENGINES if engine in available][-1]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_contributions_are_the_librarys(number, tmp_path):
    """To 1e-6 of the largest, or by as much as the library's own contributions, made in float32, miss the margins."""
    model = tmp_path / "model.ubj"
    rows = trained(number, model)[0][:40]
    rows[np.isinf(rows)] = 3.4e38  # a DMatrix takes no infinities
    rows.tofile(tmp_path / "rows")
    subprocess.run([SCORER, "contributions", model, tmp_path / "rows", tmp_path / "out"], check=True)
    own = np.fromfile(tmp_path / "out", np.float32).reshape(len(rows), rows.shape[1] + 1)
    loaded = xgboost.Booster({"nthread": 1}, model_file=model)
    library = loaded.predict(xgboost.DMatrix(rows), pred_contribs=True)
    margin = loaded.predict(xgboost.DMatrix(rows), output_margin=True)
    missed = np.abs(library.sum(axis=1, dtype=np.float64) - margin).max()
    allowed = np.maximum(1e-6 * np.maximum(1, np.abs(library).max(axis=1)), missed)
    excess = np.abs(own.astype(np.float64) - library).max(axis=1) / allowed
    assert excess.max() <= 1, excess.max()
    assert np.abs(library[:, :-1]).max() > 0


def expect_bits(own, margin, value, objective, engine):
    assert differing(own[0], margin) == 0, f"{engine}: margins differ"
    if objective != LOGITRAW:  # whose value is the margin, and whose score is the probability
        assert differing(own[1], value) == 0, f"{engine}: scores differ"
    return True


def test_a_row_alone_has_the_bits_of_its_batch(tmp_path):
    random = np.random.default_rng(1)
    for depth in (4, 6, 8, 11):
        x, y = training_set(20, 0.1, random)
        booster = xgboost.train({"objective": LOGISTIC, "max_depth": depth, "nthread": 1}, xgboost.DMatrix(x, y), 50)
        model = tmp_path / "model.ubj"
        booster.save_model(model)
        rows = rows_for(booster, 20, random)[:300]
        for engine in ENGINES:
            batches = [scored(model, engine, rows, batch, tmp_path) for batch in (300, 1, 2, 5, 8, 9, 31, 33)]
            assert all(b is None or differing(b, batches[0]) == 0 for b in batches), f"{engine}, depth {depth}"


@pytest.mark.parametrize("parameters", [{"booster": "dart", "rate_drop": 0.3}, {"categorical": True}])
def test_what_is_not_compiled_stays_with_the_library(parameters, tmp_path):
    random = np.random.default_rng(2)
    x, y = training_set(4, 0, random)
    types = None
    if parameters.pop("categorical", False):
        x[:, 1] = random.integers(0, 8, len(x))
        y = np.isin(x[:, 1], (1, 4, 6)).astype(np.float32)
        types = ["q", "c", "q", "q"]
    booster = xgboost.train({"objective": LOGISTIC, "nthread": 1, **parameters}, xgboost.DMatrix(x, y, feature_types=types), 10)
    booster.save_model(tmp_path / "model.ubj")
    chosen = subprocess.run([SCORER, "engine", tmp_path / "model.ubj"], check=True, capture_output=True, text=True).stdout.strip()
    assert chosen == "xgboost"
