"""What a worker is given: feature file, models, configuration, topics."""

import json
import os

import numpy
import xgboost
from confluent_kafka import Consumer, KafkaException, TopicPartition

from traffic import PREDICTION_BYTES_MAX, RECORD_BYTES_MAX
from worker import Worker, run_weir

REPLAY_SECONDS_MAX = 1200                                      # of a million events, by a sanitizer's build

# Every op, with and without what it can be given.
FEATURES = """\
version: 1
id: transaction_id
entity: card_token
time: event_time
lateness: 10m
future_skew: 5m
max_age: 9d
max_events_per_entity: 64
features:
  - {name: amount, op: value, field: amount_minor, scale: 0.01}
  - {name: mcc, op: value, field: mcc}
  - {name: latitude, op: value, field: merchant_lat}
  - {name: channel, op: code, field: channel, values: [POS, ECOM, ATM, MOTO]}
  - {name: currency, op: code, field: currency, values: [EUR, USD, GBP, JPY, CHF]}
  - {name: domestic, op: equals, field: merchant_country, values: [DE]}
  - {name: norwegian, op: equals, field: merchant_country, values: [NO]}
  - {name: risky_mcc, op: in, field: mcc, values: [5967, 6011, 7995]}
  - {name: hour, op: hour_of_day, offset: 1h}
  - {name: weekday, op: day_of_week}
  - {name: weekend, op: day_of_week, offset: -30m, values: [5, 6]}
  - {name: since_last, op: since_last}
  - {name: since_first, op: since_first}
  - {name: speed, op: speed_kmh, lat: merchant_lat, lon: merchant_lon}
  - {name: txn_count, op: count, windows: [1m, 5m, 1h, 24h, 7d]}
  - {name: device_count, op: count, field: device_id, windows: [24h]}
  - {name: amount_sum, op: sum, field: amount_minor, windows: [1m, 5m, 1h, 24h, 7d], scale: 0.01}
  - {name: amount_before, op: mean, field: amount_minor, windows: [24h, 7d], scale: 0.01, current: exclude}
  - {name: amount_min, op: min, field: amount_minor, windows: [1h, 24h], scale: 0.01}
  - {name: amount_max, op: max, field: amount_minor, windows: [1m, 5m, 1h, 24h, 7d], scale: 0.01}
  - {name: amount_std, op: std, field: amount_minor, windows: [24h, 7d]}
  - {name: amount_z, op: zscore, field: amount_minor, windows: [24h, 7d]}
  - {name: amount_ratio, op: ratio, field: amount_minor, windows: [24h, 7d]}
  - {name: latitude_std, op: std, field: merchant_lat, fixed: 0.000001, windows: [24h]}
  - {name: merchants, op: distinct, field: merchant_id, windows: [1m, 5m, 1h, 24h, 7d]}
  - {name: codes, op: distinct, field: mcc, windows: [24h]}
  - {name: same_merchant, op: same, field: merchant_id, windows: [24h, 7d]}
  - {name: declines, op: count, windows: [1m, 5m, 1h, 24h, 7d], where: {field: response_code, not_in: ["00"]}}
  - {name: large, op: sum, field: amount_minor, windows: [24h], where: {field: amount_minor, min: 5000, max: 100000}}
  - {name: online, op: count, windows: [24h], where: {field: channel, in: [ECOM, MOTO]}, current: exclude}
"""


def column_names(binary, directory, features=FEATURES):
    """The names of the feature vector's columns, as weir says them."""
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/features.yaml", "w") as file:
        file.write(features)
    with open(f"{directory}/columns.yaml", "w") as file:
        file.write("app_id: names\nkafka: {bootstrap.servers: nowhere}\ninput: {topic: t, schemas: {dir: .}}\nfeatures: features.yaml\n")
    done = run_weir(binary, "check", "-c", f"{directory}/columns.yaml", "--offline", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return [column["name"] for column in json.loads(done.stdout)["columns"]]


def train_model(path, names, seed, depth=4, trees=30):
    """A model of noise: its scores spread over all decisions and hang on many features."""
    draw = numpy.random.default_rng(seed)
    rows = draw.lognormal(2, 2, (4000, len(names)))
    rows[draw.random(rows.shape) < 0.05] = numpy.nan
    weight = draw.normal(0, 1, len(names))
    logit = numpy.nan_to_num(numpy.log1p(rows)) @ weight
    labels = logit > numpy.median(logit)
    data = xgboost.DMatrix(rows, labels, feature_names=names)
    xgboost.train({"objective": "binary:logistic", "max_depth": depth, "seed": seed, "nthread": 2}, data, trees).save_model(path)
    return path


class Models:
    """The feature file, a champion and a shadow, in one directory."""

    def __init__(self, binary, directory, features=FEATURES):
        self.binary, self.directory = binary, str(directory)
        self.names = column_names(binary, self.directory, features)
        self.champion = train_model(f"{self.directory}/champion.ubj", self.names, seed=1)
        self.shadow = train_model(f"{self.directory}/shadow.json", self.names, seed=2, depth=3)
        self.features = f"{self.directory}/features.yaml"


class Pipeline:
    """One consumer group with its topics: writes configurations, makes workers, reads where the group stands."""

    OUTPUTS = {"predictions": "predictions", "shadows": "shadows", "dead_letters": "dead-letters", "monitoring": "monitoring"}

    def __init__(self, kafka, models, directory, app_id, schemas, partitions=12, topic=None, changes=None):
        self.kafka, self.models, self.directory, self.app_id = kafka, models, str(directory), app_id
        self.partitions, self.topic = partitions, topic or f"{app_id}-transactions"
        self.outputs = {setting: f"{app_id}-{name}" for setting, name in self.OUTPUTS.items()}
        self.binary = models.binary
        self.config = {
            "app_id": app_id,
            "kafka": {"bootstrap.servers": kafka.brokers},
            "input": {"topic": self.topic, "schemas": schemas, "max_record_bytes": RECORD_BYTES_MAX},
            "validation": [
                {"field": "amount_minor", "min": 1, "max": 1 << 41},
                {"name": "atm_limit", "when": {"field": "channel", "in": ["ATM"]}, "field": "amount_minor", "max": 500_000},
            ],
            "features": models.features,
            "models": {
                "champion": {"id": "champion-1", "file": models.champion},
                "shadows": [{"id": "shadow-1", "file": models.shadow, "sample_percent": 50}],
                "decision": {"review": 0.5, "decline": 0.9},
                "reasons": {"top": 3, "min_score": 0.5},
                "shed_lag_ms": 86_400_000,                     # what is not about shedding sheds nothing
            },
            "outputs": self.outputs,
            "monitor": {"window": "1h", "segments": ["mcc", "merchant_country", "channel", "device_id"], "value_field": "amount_minor"},
            "http": "127.0.0.1:0",
        } | (changes or {})

    def create_topics(self, input_config=None, output_config=None):
        if self.topic.startswith(self.app_id):
            self.kafka.create(self.topic, self.partitions, input_config)
        for setting, name in self.outputs.items():
            limits = {"max.message.bytes": str(PREDICTION_BYTES_MAX)} if setting == "predictions" else {}
            self.kafka.create(name, 1 if setting == "monitoring" else self.partitions, limits | (output_config or {}))
        return self

    def write_config(self, instance, **changes):
        """JSON is YAML. Returns the path."""
        os.makedirs(self.directory, exist_ok=True)
        path = f"{self.directory}/{instance}.yaml"
        with open(path, "w") as file:
            json.dump(self.config | {"instance": instance} | changes, file, indent=1)
        return path

    def shorten_session(self):
        """A worker that does not answer loses its membership as soon as this build can have it (a release: in 20 s, the
        least that it takes). Returns the seconds."""
        seconds = 20 if run_weir(self.binary, "run", "--failpoints").returncode else 6
        self.config["kafka"] |= {"session.timeout.ms": str(1000 * seconds), "heartbeat.interval.ms": "1000"}
        return seconds

    def worker(self, instance, **changes):
        return Worker(self.binary, self.write_config(instance, **changes), f"{self.directory}/{instance}.log")

    def workers(self, count):
        return [self.worker(f"w{i}") for i in range(count)]

    def replay(self, directory, **changes):
        """Computes from the topic what the workers should have written; returns the directory of the files."""
        done = run_weir(self.binary, "replay", "-c", self.write_config("replay", **changes), "--output", directory, "--json", seconds=REPLAY_SECONDS_MAX)
        assert done.returncode == 0, done.stderr
        return directory

    # -- where the group stands --

    @property
    def changelog(self):
        return f"{self.app_id}-windows-changelog"

    def forget_state(self):
        """The changelog is lost: state can be rebuilt from the input alone."""
        self.kafka.delete(self.changelog)

    def committed(self):
        consumer = Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": self.app_id, "enable.auto.commit": False, "log_level": 0})
        try:
            found = consumer.committed([TopicPartition(self.topic, p) for p in range(self.partitions)], timeout=15)
            return [partition.offset for partition in found]
        except KafkaException:                                 # offsets of a transaction that hangs
            return [-1] * self.partitions
        finally:
            consumer.close()

    def wait_committed(self, workers, ends, share=1.0, seconds=180):
        """Until the group has committed that share of the input; all workers must live meanwhile."""
        wanted = share * sum(ends)
        done = 0

        def reached():
            nonlocal done
            for worker in workers:
                assert worker.process.running(), f"a worker ended by itself:\n{worker.process.tail()}"
            done = sum(max(0, offset) for offset in self.committed())
            return done >= wanted

        try:
            workers[0].wait_for(reached, f"{wanted:.0f} records are committed", seconds)
        except AssertionError as error:
            raise AssertionError(f"{done} of {wanted:.0f} records committed: {self.committed()} of {ends}\n{error}") from error
