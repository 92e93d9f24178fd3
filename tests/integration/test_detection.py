"""Generated traffic in which something changes, through features, scores, sketches, windows and alerts: what is told, and
that nothing is where nothing has changed.

One file of events a case goes through `weir replay`, whose reports and alerts are the aggregator's. The traffic follows
the hours and the days of the week; a window of five minutes has 6,000 events. The baseline and the model are made of one
Tuesday, the cases are of the next with other cards."""

import json
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from outputs import read_container

WINDOW = timedelta(minutes=5)
RATE = 20                                                      # events a second; x 300 s: 6,000 a window
FEATURES = """
version: 1
id: transaction_id
entity: card_token
time: event_time
lateness: 5m
future_skew: 5m
features:
  - {name: amount, op: value, field: amount_minor, scale: 0.01}
  - {name: entry_mode, op: value, field: pos_entry_mode}
  - {name: channel, op: code, field: channel, values: [POS, ECOM, ATM, MOTO]}
  - {name: risky_mcc, op: in, field: mcc, values: [5732, 5816, 5944, 6011]}
  - {name: hour, op: hour_of_day}
  - {name: txn_count, op: count, windows: [1m, 5m, 15m]}
  - {name: amount_sum, op: sum, field: amount_minor, windows: [15m], scale: 0.01}
  - {name: amount_z, op: zscore, field: amount_minor, windows: [15m]}
  - {name: merchants, op: distinct, field: merchant_id, windows: [15m]}
  - {name: declines, op: count, windows: [15m], where: {field: response_code, not_in: ["00"]}}
  - {name: since_last, op: since_last}
  - {name: speed, op: speed_kmh, lat: merchant_lat, lon: merchant_lon}
"""
CONFIG = {"app_id": "detection", "kafka": {"bootstrap.servers": "127.0.0.1:9"}, "input": {"topic": "transactions", "schemas": {"dir": "ids"}},
          "features": "features.yaml", "models": {"champion": {"id": "champion", "file": "champion.ubj"}, "decision": {"review": 0.5, "decline": 0.9}},
          "monitor": {"window": "5m", "baseline": "baseline.json", "segments": ["mcc", "merchant_country", "channel"]}, "http": "off"}


class Scene:
    """A directory with a configuration, a model and a baseline."""

    def __init__(self, weir, directory, rate, hours, cards, fraud=0.005):
        self.weir, self.directory, self.rate, self.cards, self.fraud = weir, directory, rate, cards, fraud
        (directory / "ids").mkdir()
        (directory / "features.yaml").write_text(FEATURES)
        (directory / "weir.yaml").write_text(json.dumps(CONFIG))
        self.generate("past", seed=1, start="2026-02-03T08:40:00Z", hours=hours + 1 / 3)
        self.generate("taught", seed=8, start="2026-02-03T08:40:00Z", hours=1, labels="labels.avro", fraud=0.05)
        self.run("replay", "-c", "weir.yaml", "--input", "taught.avro", "--labels", "labels.avro", "--export", "rows.csv")
        self.run("train", "--input", "rows.csv", "--output", "champion.ubj", "--bare", "--rounds", "40", "--max-depth", "4")
        self.run("baseline", "-c", "weir.yaml", "--input", "past.avro", "--output", "baseline.json")

    def run(self, *command):
        done = subprocess.run([self.weir, *command], cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout, done.stderr

    def generate(self, name, seed, start, hours, labels=None, drift=None, at=None, fraud=None):
        options = ["--labels", labels] if labels else []
        options += ["--drift", drift, "--drift-at", str(at)] if drift else []
        self.run("generate", "--events", str(int(hours * 3600 * self.rate)), "--rate", str(self.rate), "--rhythm", "week", "--cards", str(self.cards), "--fraud-rate", str(fraud or self.fraud),
                 "--seed", str(seed), "--start", start, "--codec", "zstandard", "--output", f"{name}.avro", *options)

    def replay(self, name):
        """The rows of the reports, and the alerts among them."""
        _, log = self.run("replay", "-c", "weir.yaml", "--input", f"{name}.avro", "--output", name, "--json")
        rows = [row for row, _ in read_container(self.directory / name / "reports.avro")]
        alerts = [row | {"detail": json.loads(row["detail"])} for row in rows if row["kind"] == "ALERT"]
        return rows, alerts, [line for line in log.splitlines() if " alert: " in line]


@pytest.fixture(scope="module")
def scene(weir, tmp_path_factory):
    return Scene(weir, tmp_path_factory.mktemp("detection"), RATE, hours=1, cards=10000)


def drifting(scene, drift, seed, hours=0.9):
    """From the middle on; the log begins twenty minutes before the hours that the baseline has."""
    scene.generate(drift, seed, "2026-02-10T08:40:00Z", hours, drift=drift, at=0.6)
    rows, alerts, lines = scene.replay(drift)
    began = datetime(2026, 2, 10, 8, 40, tzinfo=timezone.utc) + timedelta(hours=0.6 * hours)
    return rows, [a for a in alerts if a["detail"]["state"] == "firing"], lines, began


def told_in_time(alert, began):
    """Two whole windows of the drift, whatever part of a window it began in."""
    first_whole = began.replace(minute=began.minute - began.minute % 5, second=0, microsecond=0) + WINDOW
    return alert["window_end"] <= first_whole + 2 * WINDOW


def test_half_a_deviation_of_an_important_feature_is_told_within_two_windows(scene):
    rows, alerts, lines, began = drifting(scene, "amount", seed=3)
    baseline = json.loads((scene.directory / "baseline.json").read_text())
    features = {f["name"]: f for f in baseline["features"]}
    assert "amount" in sorted(features, key=lambda name: -features[name]["gain"])[:5]
    last = [r for r in rows if r["subject"] == "amount" and r["statistic"] == "mean" and r["window_end"] - r["window_start"] == WINDOW][-2]
    assert 0.15 < (last["value"] - features["amount"]["mean"]) / features["amount"]["std"] < 0.6     # and no more
    told = [a for a in alerts if (a["subject"], a["statistic"]) == ("amount", "psi")]
    assert len(told) == 1 and told_in_time(told[0], began), alerts
    assert told[0]["severity"] in ("WARNING", "CRITICAL") and told[0]["value"] >= 0.1
    line = next(line for line in lines if "firing: amount:" in line)
    for part in ("PSI", "(limit 0.", "mean", "was", "of the model's gain", "since 2026-02-10T09:", "2 windows", "playbook prediction-shift"):
        assert part in line, line
    assert {a["subject"] for a in alerts} <= {"amount", "amount_sum_15m", "features", "score"}          # what it is made of, and no more


def test_a_new_category_is_told_by_name_within_two_windows(scene):
    _, alerts, lines, began = drifting(scene, "category", seed=4)
    assert [(a["subject"], a["statistic"]) for a in alerts] == [("merchant_country", "new_category_share")]
    assert told_in_time(alerts[0], began) and 0.01 < alerts[0]["value"] < 0.03
    assert "merchant_country: " in lines[0] and " of the values are new to the baseline (limit 0.5 %): AE" in lines[0]


def test_a_field_gone_null_is_told_within_two_windows(scene):
    _, alerts, lines, began = drifting(scene, "null", seed=5)
    told = [a for a in alerts if (a["subject"], a["statistic"]) == ("speed", "missing_change")]
    assert len(told) == 1 and told_in_time(told[0], began) and told[0]["severity"] == "CRITICAL", alerts
    assert any("firing: speed: missing in 100 % of the events, was " in line for line in lines)
    assert {a["subject"] for a in alerts} <= {"speed", "merchant_lat", "merchant_lon", "score"}


def test_a_silent_input_is_told_within_two_windows_and_is_over_when_it_comes_again(scene):
    scene.generate("silence", 6, "2026-02-10T08:40:00Z", 3, drift="silence", at=0.15)
    _, alerts, lines = scene.replay("silence")
    told = [a for a in alerts if a["statistic"] == "silence_seconds"]
    assert [(a["detail"]["state"], a["severity"]) for a in told] == [("firing", "CRITICAL"), ("resolved", "OK")], alerts
    silent_since = datetime(2026, 2, 10, 8, 40, tzinfo=timezone.utc) + timedelta(hours=0.45)
    assert told_in_time(told[0], silent_since) and told[1]["window_end"] - told[0]["window_end"] >= timedelta(minutes=110)
    assert any("transactions: no record for" in line for line in lines)


def quiet_of(scene, seed, start, hours):
    scene.generate("calm", seed, start, hours)
    rows, alerts, _ = scene.replay("calm")
    judged = [r for r in rows if r["kind"] == "DRIFT" and r["statistic"] == "psi" and '"judged": false' not in (r["detail"] or "")]
    return judged, alerts


def test_nothing_is_told_where_nothing_has_changed(scene):
    """Nor of the start, when windows fill; nor of the hours that the baseline has not seen."""
    judged, alerts = quiet_of(scene, 7, "2026-02-10T08:40:00Z", 1.6)
    assert not alerts, alerts
    assert len(judged) > 8 * 10                                # features, and windows in which they could be judged


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_a_day_at_a_hundred_events_a_second_tells_nothing(weir, tmp_path):
    """Of a Tuesday, by the Tuesday before: 8.6 million events of a million cards each."""
    scene = Scene(weir, tmp_path, 100, hours=24, cards=1000000)
    judged, alerts = quiet_of(scene, 2, "2026-02-10T08:40:00Z", 24)
    assert len([a for a in alerts if a["detail"]["state"] == "firing"]) <= 1, alerts
    assert len(judged) > 280 * 10


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_a_day_with_much_fraud_tells_nothing(weir, tmp_path):
    """One event in twenty: most of what comes at three in the morning, and at four something else."""
    scene = Scene(weir, tmp_path, 20, hours=24, cards=100000, fraud=0.05)
    judged, alerts = quiet_of(scene, 2, "2026-02-10T08:40:00Z", 24)
    assert not alerts, alerts
    assert len(judged) > 280 * 10
