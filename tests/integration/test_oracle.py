"""What a replay makes of random feature files and streams, against a slow implementation of the definition: each column bit for
bit, window_complete, and of each record that is rejected the reason, the field and the rule."""

import itertools
import json
import random

import fastavro
import numpy as np
import pytest

from adversary import Scene, container, encode
from oracle import Oracle, Reject
from worker import run_weir


def replayed(weir, scene, limits, bodies, directory, timestamps):
    """Rows in order, and dead letters by offset."""
    (directory / "features.yaml").write_text(json.dumps(scene.spec))
    config = {"app_id": "t", "kafka": {"bootstrap.servers": "none"}, "input": {"schemas": {"dir": "."}}, "features": "features.yaml", "state": limits}
    (directory / "weir.yaml").write_text(json.dumps(config | ({"validation": scene.validation} if scene.validation else {})))
    container(directory / "events.avro", json.dumps(scene.schema), bodies, per_block=scene.draw.choice([1, 7, 100]))
    done = run_weir(weir, "replay", "-c", directory / "weir.yaml", "--input", directory / "events.avro", "--output", directory / "out",
                    "--export", directory / "rows.avro", *(["--timestamps", "sent"] if timestamps else []))
    assert done.returncode == 0, done.stderr
    with open(directory / "rows.avro", "rb") as rows, open(directory / "out/dead-letters.avro", "rb") as dead:
        return list(fastavro.reader(rows)), {r["offset"]: r for r in fastavro.reader(dead)}


def same_bits(op, expected, found):
    if op == "speed_kmh" and abs(expected - found) <= 2e-6 * abs(expected):    # the one column whose last bits may differ
        return True
    return expected.tobytes() == found.tobytes() or np.isnan(expected) and np.isnan(found)


def compare(weir, seed, count, directory, unfit, limited):
    """What differs first, or None."""
    draw = random.Random(seed)
    scene, timestamps = Scene(draw, unfit), draw.random() < 0.6
    limits = {"max_entities": draw.choice([1, 2, 3, 5]), "max_events": draw.choice([1, 2, 5, 20, 60, 1000])} if limited else {}
    rows = list(scene.rows(count))
    bodies = [encode(scene.schema, value) for value, _ in rows]
    found, dead = replayed(weir, scene, limits, bodies, directory, timestamps)
    oracle, taken = Oracle(scene.spec, scene.schema, scene.validation, **limits), iter(found)
    for offset, (value, sent) in enumerate(rows):
        try:
            _, late, complete, row = oracle.take(offset, value, sent if timestamps else None)
        except Reject as reject:
            letter = dead.pop(offset, None)
            if letter is None or letter["reason"] != reject.reason or letter["field"] not in reject.fields or (reject.rule or "") not in letter["message"]:
                return f"offset {offset} is {reject.reason} {reject.fields} {reject.rule}; weir: {letter and letter['message']}"
            assert letter["value"] == bodies[offset]
            continue
        if offset in dead:
            return f"offset {offset} is accepted; weir: {dead[offset]['message']}"
        r = next(taken)
        if r["window_complete"] != complete:
            return f"offset {offset}, late by {late} ms: window_complete is {complete}"
        for (f, _, name), expected in zip(oracle.columns, row, strict=True):
            if not same_bits(f["op"], expected, np.float32(r[name])):
                return f"offset {offset}: {name} ({f['op']}) is {expected!r}; weir: {r[name]!r}"
    assert not dead and next(taken, None) is None
    return None


def sweep(weir, directory, seeds, count):
    wrong = []
    for seed, kind in zip(seeds, itertools.cycle([(False, False), (False, True), (True, False)])):
        here = directory / str(seed)
        here.mkdir()
        difference = compare(weir, seed, count, here, *kind)
        if difference:
            wrong.append(f"seed {seed}, kept in {here}: {difference}")
    assert not wrong, "\n".join(wrong)


def test_random_features_are_what_their_definition_says(weir, tmp_path):
    sweep(weir, tmp_path, range(24), 200)


@pytest.mark.heavy
@pytest.mark.timeout(1500)
def test_many_more_random_features_too(weir, tmp_path):
    sweep(weir, tmp_path, range(1000, 1600), 600)
