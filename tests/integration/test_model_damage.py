"""Model files with bits flipped and bytes moved: none crashes, none hangs, memory stays small, and those that are taken
score the same by the forest as by the library. A few hundred by default, 5,000 and more with the heavy tests."""

import os
import subprocess

import numpy as np
import pytest
import xgboost

from test_forest_bits import BUILD, LOGISTIC, SQUARED
from worker import SANITIZER_REPORT

FUZZ = f"{BUILD}/tests/bench/fuzz_model"
RESIDENT_KIB_MAX = 1 << 20             # with a sanitizer's own memory
LONGEST_MS_MAX = 5000

# name, rounds, parameters; "categorical" is ours
MODELS = [
    ("plain.ubj", 12, {"max_depth": 4}),
    ("plain.json", 12, {"max_depth": 4}),
    ("deep.ubj", 3, {"max_depth": 12, "min_child_weight": 0}),
    ("deep.json", 2, {"max_depth": 10, "min_child_weight": 0}),
    ("wide.ubj", 6, {"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": 300}),
    ("dart.ubj", 8, {"booster": "dart", "rate_drop": 0.3, "max_depth": 4}),
    ("categories.json", 8, {"max_depth": 4, "categorical": True}),
    ("categories.ubj", 8, {"max_depth": 4, "categorical": True}),
    ("squared.ubj", 8, {"objective": SQUARED, "max_depth": 5}),
    ("parallel.json", 4, {"num_parallel_tree": 4, "subsample": 0.7, "max_depth": 3}),
]


def make(path, number):
    name, rounds, shape = MODELS[number]
    draw = np.random.default_rng(number)
    x = draw.normal(size=(2000, 5)).astype(np.float32)
    x[:, 1] = draw.integers(0, 8, len(x))
    y = (x[:, 0] * x[:, 2] > 0) ^ np.isin(x[:, 1], (1, 4, 6))
    x[draw.random(x.shape) < 0.05] = np.nan
    shape = dict(shape)
    types = ["q", "c", "q", "q", "q"] if shape.pop("categorical", False) else None
    data = xgboost.DMatrix(x, y, feature_types=types, feature_names=[f"f_{i}" for i in range(5)])
    xgboost.train({"objective": LOGISTIC, "nthread": 1, **shape}, data, rounds).save_model(path / name)
    return path / name


def run(model, count, seed):
    """Taken, refused."""
    with subprocess.Popen([FUZZ, model, str(count), str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, said = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0 and not SANITIZER_REPORT.search(said), said
    taken, refused, longest = map(int, out.split())
    assert taken + refused == count
    assert longest < LONGEST_MS_MAX and usage.ru_maxrss < RESIDENT_KIB_MAX, (longest, usage.ru_maxrss)
    return taken, refused


def sweep(path, count, seed):
    totals = np.array([run(make(path, number), count, seed + number) for number in range(len(MODELS))]).sum(axis=0)
    assert (totals > 0).all(), "flips in leaves are taken, flips in structure are not"
    return totals


def test_some_damaged_files(tmp_path):
    sweep(tmp_path, 30, seed=100)


@pytest.mark.heavy
def test_five_thousand_damaged_files(tmp_path):
    assert sweep(tmp_path, 500, seed=1).sum() == 5000
