"""`weir replay --input` of small container files: what becomes of each record."""

import json

import fastavro
import pytest

from worker import run_weir

LAST_LONG = 2**63 - 1
EVENT = {"type": "record", "name": "Event", "fields": [
    {"name": "id", "type": "string"}, {"name": "card", "type": "string"}, {"name": "at", "type": "long"}, {"name": "sent", "type": "long"}]}
COUNT = {"name": "n", "op": "count", "windows": ["1h"]}


class Bench:
    """A directory with a feature file, a configuration without models, and files of events."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory

    def configure(self, *features):
        spec = {"version": 1, "id": "id", "entity": "card", "time": "at", "lateness": "10s", "future_skew": "5m", "features": list(features)}
        (self.directory / "features.yaml").write_text(json.dumps(spec))
        (self.directory / "weir.yaml").write_text(json.dumps(
            {"app_id": "t", "kafka": {"bootstrap.servers": "none"}, "input": {"schemas": {"dir": "."}}, "features": "features.yaml"}))

    def write(self, rows):
        with open(self.directory / "events.avro", "wb") as out:
            fastavro.writer(out, EVENT, rows)

    def replay(self, *arguments):
        return run_weir(self.binary, "replay", "-c", self.directory / "weir.yaml", "--input", self.directory / "events.avro", *arguments)

    def read(self, name):
        with open(self.directory / name, "rb") as file:
            return list(fastavro.reader(file))


@pytest.fixture
def bench(weir, tmp_path):
    made = Bench(weir, tmp_path)
    made.configure(COUNT)
    return made


@pytest.mark.parametrize("timestamps", [[], ["--timestamps", "sent"]])
def test_no_event_time_is_so_far_off_that_its_record_is_dropped(bench, timestamps):
    times = [0, LAST_LONG, -LAST_LONG - 1, -1, 253402300800000, 1]
    bench.write([{"id": str(i), "card": "c", "at": t, "sent": 0} for i, t in enumerate(times)])
    done = bench.replay("--output", bench.directory / "out", "--export", bench.directory / "rows.avro", *timestamps)
    assert done.returncode == 0, done.stderr
    rejected = {r["offset"]: (r["reason"], r["field"]) for r in bench.read("out/dead-letters.avro")}
    assert rejected == {offset: ("range", "at") for offset in (1, 2, 3, 4)}
    assert [r["transaction_id"] for r in bench.read("rows.avro")] == ["0", "5"]


def test_what_is_no_integer_cannot_be_the_record_timestamp(bench):
    bench.write([])
    done = bench.replay("--export", bench.directory / "rows.csv", "--timestamps", "card")
    assert (done.returncode, done.stderr) == (1, "weir replay: timestamps: field card is no int or long\n")


def test_a_training_set_of_unknown_form_is_an_error_of_usage(bench):
    bench.write([])
    done = bench.replay("--export", bench.directory / "rows.parquet")
    assert (done.returncode, done.stderr) == (2, "weir replay: --export: the name of the file must end in .csv or .avro\n")


@pytest.mark.parametrize("name", ["transaction_id", "entity", "event_time", "window_complete", "label"])
@pytest.mark.parametrize("ending", ["csv", "avro"])
def test_a_training_set_has_no_two_columns_of_one_name(bench, name, ending):
    bench.configure(COUNT, {"name": name, "op": "since_last"})
    bench.write([])
    done = bench.replay("--export", bench.directory / f"rows.{ending}")
    assert done.returncode == 1
    assert f"feature {name} has the name of another column of a training set; rename it in the feature file" in done.stderr
