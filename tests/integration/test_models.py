"""Who serves: swaps under load, canaries, shadows that fail or are slow, models that give no answer."""

import collections
import datetime
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import signal
import statistics
import struct
import threading
import time

import numpy
import pytest
import xgboost
from confluent_kafka import Consumer, Producer, TopicPartition

from deployment import FEATURES, Models, Pipeline, train_model
from outputs import PREDICTION, REPORT, SHADOW, Replayed, Written, decode, prediction_bodies, read_container, read_topic, split_header
from traffic import Traffic
from worker import run_weir

NO_HASH = bytes(32)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


# -- models --

def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


def stump(path, names, feature, threshold, low, high, objective="reg:squarederror"):
    """One split: `low` where the feature is below the threshold (or missing), else `high`. A squared error says just that."""
    rows = numpy.zeros((8, len(names)), dtype=numpy.float32)
    rows[4:, names.index(feature)] = 2 * threshold + 1
    data = xgboost.DMatrix(rows, [0, 0, 0, 0, 1, 1, 1, 1], feature_names=names)
    booster = xgboost.train({"objective": objective, "max_depth": 1, "base_score": 0.5, "min_child_weight": 0, "lambda": 0, "eta": 1}, data, 1)
    model = json.loads(booster.save_raw("json"))
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    base = 0.5 if objective == "reg:squarederror" else 0
    tree["split_conditions"] = [float(threshold), low - base, high - base]
    tree["base_weights"] = [0.0, low - base, high - base]
    tree["default_left"] = [1, 0, 0]
    with open(path, "w") as file:
        json.dump(model, file)
    return path


def not_a_number(path, names):
    """A DART whose weights make infinities of its leaves, of both signs: it answers NaN wherever the two meet."""
    rows = numpy.zeros((8, len(names)), dtype=numpy.float32)
    rows[4:, names.index("hour")] = 23
    data = xgboost.DMatrix(rows, [0, 0, 0, 0, 1, 1, 1, 1], feature_names=names)
    booster = xgboost.train({"objective": "binary:logistic", "booster": "dart", "max_depth": 1, "min_child_weight": 0, "eta": 1, "rate_drop": 0.0}, data, 2)
    model = json.loads(booster.save_raw("json"))
    dart = model["learner"]["gradient_booster"]
    dart["weight_drop"] = [3e38, 3e38]
    for tree, (low, high) in zip(dart["gbtree"]["model"]["trees"], [(9.0, 0.0), (-9.0, 0.0)]):
        tree["split_conditions"] = [6.0, low, high]
        tree["base_weights"] = [0.0, low, high]
        tree["default_left"] = [1, 0, 0]
    with open(path, "w") as file:
        json.dump(model, file)
    return path


class Offline:
    """What a model says of vectors, asked of the library itself."""

    def __init__(self, path, names):
        self.booster, self.names = xgboost.Booster({"nthread": 1}, model_file=path), names

    def bits(self, rows):
        data = xgboost.DMatrix(numpy.array(rows, dtype=numpy.float32), feature_names=self.names)
        return self.booster.predict(data).astype("<f4").tobytes()


def predictions_of(messages):
    return [decode(PREDICTION, split_header(m.value)[1]) for m in messages]


def assert_replayed(served, replayed):
    """Byte for byte; what differs is shown by who answered."""
    assert set(served) == set(replayed)
    other = [place for place in sorted(served) if served[place] != replayed[place]]
    shown = [(place, *((p["event_time"].isoformat(), p["late_ms"], p["role"], p["confidence"], p["model_id"]) for p in (decode(PREDICTION, served[place]), decode(PREDICTION, replayed[place]))))
             for place in other[:5]]
    assert not other, f"{len(other)} predictions are not those of the replay, the first: {shown}"


# -- reloads --

def rewrite(worker, models):
    """The configuration, replaced as an editor or a deployment tool does it."""
    with open(worker.config) as file:
        config = json.load(file)
    with open(worker.config + ".new", "w") as file:
        json.dump(config | {"models": models}, file)
    os.replace(worker.config + ".new", worker.config)


def reloaded(worker, result, cause):
    """Does what causes a reload, and waits until one more has come to that result; what /status says of it."""
    before = worker.status()["reload"][result]
    cause()
    worker.wait_for(lambda: worker.status()["reload"][result] > before, f"a reload is {result}", 30)
    return worker.status()["reload"]


def hang_up(worker):
    os.kill(worker.process.pid, signal.SIGHUP)


def swap(worker, models):
    def cause():
        rewrite(worker, models)
        hang_up(worker)
    reloaded(worker, "swapped", cause)


class Feeder(threading.Thread):
    """Writes the traffic at a steady rate, each record stamped as it is."""

    def __init__(self, brokers, topic, records, rate):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": brokers, "linger.ms": 2, "enable.idempotence": True})
        self.topic, self.records, self.rate, self.sent_at = topic, records, rate, {}
        self.stop = False

    def run(self):
        began = time.monotonic()
        for i, record in enumerate(self.records):
            if self.stop:
                break
            while time.monotonic() < began + i / self.rate:
                self.producer.poll(0)
                time.sleep(0.001)
            self.sent_at[record.partition, record.offset] = time.time()
            self.producer.produce(self.topic, record.value, record.key, record.partition, timestamp=record.timestamp_ms, headers=record.headers)
        self.producer.flush(30)


@pytest.mark.parametrize("swaps_wanted, events, rate", [(15, 6000, 600), pytest.param(100, 40_000, 2000, marks=pytest.mark.heavy)])
def test_swaps_under_load(swaps_wanted, events, rate, pipeline, models, schema_ids, kafka, tmp_path):
    """No event is lost, none is scored by anything but one whole model, and the topic says which served from where."""
    traffic = Traffic(schema_ids, events, cards=500, seed=40, garbage=0, duplicates=0, late=0)
    files = {"a": models.champion, "b": models.shadow, "c": train_model(f"{tmp_path}/c.ubj", models.names, seed=3, trees=200, depth=6)}
    kept = {"shadows": [], "cache_dir": f"{tmp_path}/kept"}
    settings = [pipeline.config["models"] | kept | {"champion": {"id": name, "file": path}} for name, path in files.items()]
    worker = pipeline.worker("w", models=settings[0], lanes=2).start().wait_ready()
    feeder = Feeder(kafka.brokers, pipeline.topic, traffic.records, rate)
    feeder.start()
    for i in range(1, swaps_wanted + 1):
        swap(worker, settings[i % 3])
    pipeline.wait_committed([worker], traffic.ends)
    feeder.join()
    worker.stop()

    written = Written(kafka, pipeline.outputs)
    served = predictions_of(written.predictions)
    assert sorted((p["partition"], p["offset"]) for p in served) == sorted((r.partition, r.offset) for r in traffic.records)
    offline = {sha256(path): (name, Offline(path, models.names)) for name, path in files.items()}
    by_model = {}
    for p in served:
        by_model.setdefault(p["model_sha256"], []).append(p)
    assert set(by_model) == set(offline), "each model has served"
    for digest, group in by_model.items():
        name, model = offline[digest]
        assert {p["model_id"] for p in group} == {name}
        assert model.bits([p["features"] for p in group]) == b"".join(struct.pack("<f", p["score"]) for p in group)

    # The reports: from each first offset on, up to the next, that champion and no other.
    reports = [decode(REPORT, split_header(m.value)[1]) for m in read_topic(kafka, pipeline.outputs["monitoring"])]
    begins = {}
    for r in reports:
        if r["kind"] == "DEPLOYMENT":
            partition = int(r["subject"].rpartition("-")[2])
            begins.setdefault(partition, []).append((int(r["value"]), json.loads(r["detail"])["champion"]))
    swaps = 0
    for p in served:
        latest = max(begin for begin in begins[p["partition"]] if begin[0] <= p["offset"])
        assert latest[1] == p["model_sha256"].hex()
    for partition, list_ in begins.items():
        swaps += len(list_) - 1
        assert all(a[1] != b[1] for a, b in itertools.pairwise(sorted(list_)))
    assert swaps > swaps_wanted, "swaps came while the partitions had traffic"

    # A replay is served by the same models from the same offsets on, whatever is configured now.
    assert_replayed(prediction_bodies(written.predictions), Replayed(pipeline.replay(f"{tmp_path}/replayed", models=pipeline.config["models"] | kept)).predictions)


class Reader(threading.Thread):
    """Notes when each prediction could be read."""

    def __init__(self, kafka, topic, partitions):
        super().__init__(daemon=True)
        self.consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "latency", "isolation.level": "read_committed", "fetch.wait.max.ms": 10,
                                  "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        self.seen, self.stop = [], False

    def run(self):
        while not self.stop:
            for m in self.consumer.consume(1000, timeout=0.005):
                self.seen.append((time.time(), m.value()))
        self.consumer.close()


PHASE, PHASES, SETTLE = 4, 13, 0.7    # seconds; the first is a start, then with swaps and without in turn; what follows a change of them is left out


def latencies_by_phase(feeder, reader):
    """Milliseconds from produce to where the prediction could be read, by the phase of the produce."""
    found = collections.defaultdict(list)
    for at, value in reader.seen:
        p = decode(PREDICTION, split_header(value)[1])
        sent = feeder.sent_at[p["partition"], p["offset"]]
        phase, within = divmod(sent - feeder.began, PHASE)
        if within >= SETTLE:
            found[int(phase)].append(1000 * (at - sent))
    return found


@pytest.mark.heavy
def test_swaps_cost_no_more_than_a_commit_interval(kafka, models, schemas, schema_ids, tmp_path):
    """The p99 of 2,000 events a second, from produce to a committed prediction: phases with swaps and without in turn, within one
    run, so that whatever else the machine does meets both; the medians of the phases are compared."""
    kept = {"shadows": [], "cache_dir": f"{tmp_path}/kept"}
    pipeline = Pipeline(kafka, models, tmp_path, "latency", schemas, partitions=4).create_topics()
    settings = [pipeline.config["models"] | kept | {"champion": {"id": name, "file": path}} for name, path in (("a", models.champion), ("b", models.shadow))]
    traffic = Traffic(schema_ids, 2000 * PHASE * PHASES, partitions=4, cards=2000, seed=43, garbage=0, duplicates=0, late=0)
    worker = pipeline.worker("w", models=settings[0]).start().wait_ready()
    reader = Reader(kafka, pipeline.outputs["predictions"], pipeline.partitions)
    reader.start()
    time.sleep(2)                                              # both have their first fetch behind them
    feeder = Feeder(kafka.brokers, pipeline.topic, traffic.records, rate=2000)
    feeder.began = time.time()
    feeder.start()
    swaps = 0
    while feeder.is_alive():
        if int((time.time() - feeder.began) / PHASE) % 2:
            swaps += 1
            swap(worker, settings[swaps % 2])
        time.sleep(0.02)
    worker.wait_for(lambda: len(reader.seen) >= len(traffic.records), "all predictions are read", 60)
    reader.stop = True
    reader.join()
    worker.stop()
    p99 = {phase: sorted(late)[int(0.99 * len(late))] for phase, late in sorted(latencies_by_phase(feeder, reader).items()) if 0 < phase < PHASES}
    without, with_swaps = ([value for phase, value in p99.items() if phase % 2 == odd] for odd in (0, 1))
    said = f"p99 by phase without swaps {[round(v) for v in without]} ms, with {swaps} swaps in all {[round(v) for v in with_swaps]} ms"
    print(said)
    assert swaps >= 100, said
    assert statistics.median(with_swaps) <= statistics.median(without) + 100, said


def test_what_cannot_be_loaded_leaves_the_old_one_in_force(pipeline, models, small_traffic, kafka, tmp_path):
    champion = shutil.copy(models.champion, f"{tmp_path}/own.ubj")
    settings = pipeline.config["models"] | {"champion": {"id": "own", "file": champion}}
    worker = pipeline.worker("w", models=settings).start().wait_ready()
    digest = worker.status()["models"][0]["sha256"]

    said = reloaded(worker, "failed", lambda: os.truncate(champion, 1000))  # in place, and not whole
    assert "own.ubj" in said["error"]
    assert re.search(r"error reload: \S+w\.yaml:\d+: models\.champion: \S+own\.ubj.*; the deployment before stays in force", worker.logged())
    assert worker.status()["models"][0]["sha256"] == digest
    assert "weir_reload_failed 1" in worker.get("/metrics")[1]

    reloaded(worker, "swapped", lambda: shutil.copy(models.shadow, champion))  # another whole model under the same name
    assert worker.status()["models"][0]["sha256"] == sha256(champion).hex()
    assert "weir_reload_failed 0" in worker.get("/metrics")[1]

    reloaded(worker, "unchanged", lambda: hang_up(worker))
    said = reloaded(worker, "failed", lambda: rewrite(worker, settings | {"champion": {"id": "own"}}))
    assert re.search(r"models\.champion\.file: missing", said["error"])
    reloaded(worker, "swapped", lambda: rewrite(worker, settings | {"decision": {"review": 0.1, "decline": 0.2}}))

    def change_what_needs_a_restart():
        with open(worker.config) as file:
            config = json.load(file)
        with open(worker.config, "w") as file:
            json.dump(config | {"commit_interval_ms": 50, "outputs": pipeline.outputs | {"predictions": "elsewhere"}}, file)

    reloaded(worker, "unchanged", change_what_needs_a_restart)
    assert re.search(r"w\.yaml: commit_interval_ms has changed; that needs a restart", worker.logged())
    assert re.search(r"w\.yaml: outputs\.predictions has changed; that needs a restart", worker.logged())

    small_traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], small_traffic.ends)
    worker.stop()
    served = predictions_of(Written(kafka, pipeline.outputs).predictions)
    assert {p["model_sha256"] for p in served} == {sha256(champion)}
    assert {p["decision"] for p in served if 0.1 <= p["score"] < 0.2} <= {"REVIEW"}


# -- replays of a file: no broker --

@pytest.fixture(scope="module")
def generated(weir, tmp_path_factory):
    """Events of very many cards in a container file."""
    path = str(tmp_path_factory.mktemp("generated") / "events.avro")
    done = run_weir(weir, "generate", "--output", path, "--events", 260_000, "--cards", 250_000, "--seed", 5)
    assert done.returncode == 0, done.stderr
    return path


def replay_file(models, path, directory, **settings):
    config = {"app_id": "offline", "kafka": {"bootstrap.servers": "none"}, "input": {"topic": "none", "schemas": {"dir": "."}}, "features": models.features,
              "models": {"champion": {"id": "champion-1", "file": models.champion}, "reasons": {"top": 0}} | settings}
    os.makedirs(directory)
    with open(f"{directory}/weir.yaml", "w") as file:
        json.dump(config, file)
    done = run_weir(models.binary, "replay", "-c", f"{directory}/weir.yaml", "--input", path, "--output", f"{directory}/out")
    assert done.returncode == 0, done.stderr
    return f"{directory}/out"


@pytest.fixture(scope="module")
def plain(weir, tmp_path_factory):
    """Models of two features: what they say matters less here than to whom."""
    head = FEATURES[:FEATURES.index("features:")]
    return Models(weir, tmp_path_factory.mktemp("plain"), head + "features:\n  - {name: amount, op: value, field: amount_minor}\n"
                                                                 "  - {name: n, op: count, windows: [1h]}\n")


def test_a_canary_gets_its_share_and_each_entity_one_side(plain, generated, tmp_path):
    canary = {"id": "canary-1", "file": plain.shadow, "percent": 12.34, "salt": "s"}
    out = replay_file(plain, generated, f"{tmp_path}/r", canary=canary)
    sides = {}
    for value, _ in read_container(f"{out}/predictions.avro"):
        assert (value["role"], value["model_id"]) in (("CHAMPION", "champion-1"), ("CANARY", "canary-1"))
        assert sides.setdefault(value["entity"], value["role"]) == value["role"]
    assert len(sides) > 100_000
    share = 100 * sum(role == "CANARY" for role in sides.values()) / len(sides)
    assert abs(share - 12.34) < 0.5


def test_shadows_change_no_prediction(plain, generated, tmp_path):
    wild = stump(f"{tmp_path}/wild.json", plain.names, "amount", 1.0, 7.0, 7.0)
    slow = train_model(f"{tmp_path}/slow.ubj", plain.names, seed=9, depth=6, trees=100)
    alone = replay_file(plain, generated, f"{tmp_path}/alone")
    watched = replay_file(plain, generated, f"{tmp_path}/watched", shadows=[{"id": "wild", "file": wild}, {"id": "slow", "file": slow, "sample_percent": 10}])
    assert [body for _, body in read_container(f"{alone}/predictions.avro")] == [body for _, body in read_container(f"{watched}/predictions.avro")]
    assert {value["model_id"] for value, _ in read_container(f"{watched}/shadow-predictions.avro")} == {"slow"}


# -- models that do not answer --

def outcome(p):
    return p["role"], p["confidence"], p["model_id"]


CHAMPION, DEGRADED, FIXED = ("CHAMPION", "NORMAL", "half"), ("FALLBACK", "DEGRADED", "simple"), ("FALLBACK", "NONE", "fallback")


def check_fallbacks(served, fails, answers_then):
    """By partition and in order: an event that the champion fails, or that comes while its breaker is open, gets the next answer;
    the breaker follows the design's numbers on stream time."""
    kinds = set()
    for _, events in itertools.groupby(sorted(served, key=lambda p: (p["partition"], p["offset"])), key=lambda p: p["partition"]):
        breaker = Breaker()
        for p in events:
            now = (p["event_time"] - EPOCH) // datetime.timedelta(milliseconds=1) + p["late_ms"]
            asked = breaker.allows(now)
            if asked:
                breaker.record(now, fails(p))
            expected = CHAMPION if asked and not fails(p) else answers_then
            assert outcome(p) == expected, (p["partition"], p["offset"], breaker.opened)
            kinds.add((asked, fails(p)))
        assert breaker.opens > 1 and breaker.closes > 0, "opened and recovered"
    assert kinds == {(True, True), (True, False), (False, True), (False, False)}


class Breaker:
    """The design's circuit breaker once more: 10 %, 300 s, at least 10 calls, 60 s to half-open."""

    def __init__(self):
        self.calls, self.opened, self.opens, self.closes = [], None, 0, 0

    def allows(self, now):
        return self.opened is None or now - self.opened >= 60_000

    def record(self, now, failed):
        if self.opened is not None:
            self.opened = now if failed else None
            self.opens += failed
            self.closes += not failed
            return
        self.calls.append((now // 10_000, failed))
        self.calls = [(bucket, bad) for bucket, bad in self.calls if bucket > now // 10_000 - 30]
        if len(self.calls) >= 10 and 10 * sum(bad for _, bad in self.calls) >= len(self.calls):
            self.opened, self.calls = now, []
            self.opens += 1


@pytest.fixture(scope="module")
def dense_traffic(schema_ids):
    """Two seconds between events: a breaker's window holds many."""
    return Traffic(schema_ids, 20_000, partitions=2, cards=250, seed=41, garbage=0, duplicates=0, step_ms=2000)


def half(path, names):
    """Says 7 before six o'clock, which is no valid output, and 0.25 from then on."""
    return stump(path, names, "hour", 6.0, 7.0, 0.25)


@pytest.mark.parametrize("kind", ["fallback model", "fixed score", "not a number"])
def test_a_champion_that_fails(kind, kafka, models, schemas, dense_traffic, tmp_path, request):
    pipeline = Pipeline(kafka, models, tmp_path, f"fails-{kind.replace(' ', '-')}", schemas, partitions=2).create_topics()
    fallback = {"score": 0.75}
    if kind == "fallback model":
        fallback |= {"id": "simple", "file": models.shadow}
    make = not_a_number if kind == "not a number" else half
    pipeline.config["models"] |= {"champion": {"id": "half", "file": make(f"{tmp_path}/half.json", models.names)}, "fallback": fallback, "shadows": []}
    worker = pipeline.worker("w").start().wait_ready()
    dense_traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], dense_traffic.ends)
    metrics = worker.get("/metrics")[1]
    worker.stop()

    written = Written(kafka, pipeline.outputs)
    served = predictions_of(written.predictions)
    assert len(served) == len(dense_traffic.records)
    hour = models.names.index("hour")
    check_fallbacks(served, lambda p: p["features"][hour] < 6, DEGRADED if kind == "fallback model" else FIXED)
    for p in served:
        if p["model_id"] == "fallback":
            assert p["score"] == 0.75 and math.isnan(p["margin"]) and p["model_sha256"] == NO_HASH and not p["reasons"]
        elif p["model_id"] == "simple":
            assert p["model_sha256"] == sha256(models.shadow)
            assert bool(p["reasons"]) == (p["score"] >= 0.5)
    by_reason = {reason: int(re.search(rf'weir_fallbacks_total{{reason="{reason}"}} (\d+)', metrics)[1]) for reason in ("circuit_open", "invalid_output")}
    assert sum(by_reason.values()) == sum(p["role"] == "FALLBACK" for p in served)
    assert min(by_reason.values()) > 100

    # The same again, in other batches and without a broker's timing.
    assert_replayed(prediction_bodies(written.predictions), Replayed(pipeline.replay(f"{tmp_path}/replayed")).predictions)


@pytest.mark.parametrize("checkpoints", ["1s", "1h"])
def test_a_worker_that_is_killed_goes_on_with_its_breakers_and_swaps(checkpoints, kafka, models, schemas, dense_traffic, tmp_path):
    """Killed again and again, in the middle of open breakers; the champion changes twice, and the second fails too. What is
    written is what a replay of the whole computes by the recorded deployments. Without checkpoints the input is folded again from
    its first record, under the deployments that served it."""
    pipeline = Pipeline(kafka, models, tmp_path, f"killed-breakers-{checkpoints}", schemas, partitions=2).create_topics()
    kept = {"shadows": [], "cache_dir": f"{tmp_path}/kept"}
    champions = [{"id": "first", "file": models.shadow}, {"id": "half", "file": half(f"{tmp_path}/half.json", models.names)},
                 {"id": "wild", "file": stump(f"{tmp_path}/wild.json", models.names, "hour", 8.0, 7.0, 0.5)}]
    settings = [pipeline.config["models"] | kept | {"champion": champion} for champion in champions]
    state = {"state": {"checkpoint_interval": checkpoints}}
    feeder = Feeder(kafka.brokers, pipeline.topic, dense_traffic.records, rate=1500)
    worker = pipeline.worker("w", models=settings[0], **state).start().wait_ready()
    feeder.start()
    for i in range(4):
        time.sleep(1.5)
        if i == 1:                                             # while it lives
            swap(worker, settings[1])
            time.sleep(1)
        worker.kill()
        worker = pipeline.worker("w", models=settings[1 if i < 2 else 2] if i else settings[0], **state).start().wait_ready()
    pipeline.wait_committed([worker], dense_traffic.ends)
    worker.stop()
    feeder.join()
    written = Written(kafka, pipeline.outputs)
    served = prediction_bodies(written.predictions)
    who = {(decode(PREDICTION, body)["model_id"], decode(PREDICTION, body)["role"]) for body in served.values()}
    assert who >= {("first", "CHAMPION"), ("first", "FALLBACK"), ("half", "CHAMPION"), ("half", "FALLBACK")}, who
    assert_replayed(served, Replayed(pipeline.replay(f"{tmp_path}/replayed", models=settings[2])).predictions)


def test_shadows_are_shed_under_lag_and_serving_is_not(pipeline, models, small_traffic, kafka, tmp_path):
    """One shadow never answers, one is slow, and the lane lags from the start."""
    wild = stump(f"{tmp_path}/wild.json", models.names, "amount", 1.0, 7.0, 7.0)
    slow = train_model(f"{tmp_path}/slow.ubj", models.names, seed=9, depth=6, trees=100)
    shadows = [{"id": "slow", "file": slow}, {"id": "wild", "file": wild}]
    small_traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.config["models"] |= {"shadows": shadows, "shed_lag_ms": 1}
    worker = pipeline.worker("w").start()
    pipeline.wait_committed([worker], small_traffic.ends)
    metrics = worker.get("/metrics")[1]
    worker.stop()
    written = Written(kafka, pipeline.outputs)
    replayed = Replayed(pipeline.replay(f"{tmp_path}/replayed"))
    assert prediction_bodies(written.predictions) == replayed.predictions
    shed = int(re.search(r'weir_shadow_shed_total{model_version="slow"} (\d+)', metrics)[1])
    assert shed > 0
    assert len(written.shadows) + shed == len(replayed.shadows)
    for m in written.shadows:
        body = split_header(m.value)[1]
        value = decode(SHADOW, body)
        assert replayed.shadows[value["partition"], value["offset"]] == body
