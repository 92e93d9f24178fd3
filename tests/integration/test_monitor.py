"""The aggregator: reports of a group of workers do not depend on how the stream was split nor on who was restarted when."""

import collections
import datetime
import json
import random
import time

import fastavro
import pytest

from deployment import Pipeline
from outputs import decode, read_container, read_topic, split_header
from test_http import pipeline_with_baseline
from traffic import MINUTE, ROOT, Traffic, produce

WINDOW, LATENESS = 60 * MINUTE, 10 * MINUTE
EVENTS = 3000
with open(f"{ROOT}/schemas/report.avsc") as file:
    REPORT = fastavro.parse_schema(json.load(file))
OF_THE_DATA = {"DRIFT", "PREDICTION", "QUALITY", "FRESHNESS", "SHADOW"}  # LATENCY is of the process


def stream(schema_ids, partitions):
    """A minute between events, out of order by up to five: none is later than the lateness."""
    traffic = Traffic(schema_ids, EVENTS, partitions=partitions, cards=200, late=0, duplicates=0, garbage=0, step_ms=MINUTE)
    draw = random.Random(5)
    traffic.records.sort(key=lambda r: r.event["event_time"] + draw.randrange(5 * MINUTE))
    return traffic


def last_words(reports, topic, until):
    """What stands of each window that ends by `until`: every row of its highest revision, which nothing says any more, and no
    row of an earlier one."""
    highest, rows = collections.defaultdict(int), {}
    for r in reports:
        if r["kind"] not in OF_THE_DATA or r["window_start"] == r["window_end"] or r["window_end"].timestamp() * 1000 > until:
            continue
        detail = json.loads(r["detail"] or "{}")
        revision = detail.pop("revision", 0)
        for event in detail.get("events", []):
            del event["partition"], event["offset"]            # where it lies hangs on the split; which one it is does not
        subject = "<topic>" if r["subject"] == topic else r["subject"]
        key = (r["kind"], r["window_start"], r["window_end"], r["model_id"], subject, r["statistic"])
        highest[key[1:3]] = max(highest[key[1:3]], revision)
        if key not in rows or rows[key][0] <= revision:
            rows[key] = (revision, repr((r["value"], r["threshold"], r["p_value"], r["count"], r["severity"], sorted(detail.items()))))
    return {key: row for key, (revision, row) in rows.items() if revision == highest[key[1:3]]}


def published(pipeline):
    return [decode(REPORT, split_header(m.value)[1]) for m in read_topic(pipeline.kafka, pipeline.outputs["monitoring"])]


def told_events(rows):
    """How many events each window's latest rows are about."""
    return {key[1:3]: float(row[1:].split(",")[0]) for key, row in rows.items() if key[0] == "QUALITY" and key[5] == "events"}


def events_of_windows(traffic, until):
    """The same as it must become; of a day and of an hour, as far as there are events."""
    counts = collections.Counter()
    for record in traffic.records:
        for width in (WINDOW, 24 * WINDOW):
            start = record.event["event_time"] // width * width
            if start + width <= until:
                counts[tuple(datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc) for at in (start, start + width))] += 1
    return counts


def wait_published(pipeline, traffic, until):
    """Until every window up to there is closed and tells of all its events: no delta can come for it any more."""
    wanted, deadline = events_of_windows(traffic, until), time.monotonic() + 150
    assert wanted
    while True:
        rows = last_words(published(pipeline), pipeline.topic, until)
        told = told_events(rows)
        if told == wanted:
            return rows
        short = {window: (told.get(window), events) for window, events in wanted.items() if told.get(window) != events}
        assert time.monotonic() < deadline, f"of {len(wanted)} windows up to {until} these tell of fewer events than came, or are not there: {short}"
        time.sleep(1)


def last_whole_window(traffic):
    """The end of the last window that is closed however the stream is split."""
    largest = max(r.event["event_time"] for r in traffic.records)
    return (largest - WINDOW - LATENESS) // WINDOW * WINDOW


def feed(pipeline, traffic, slices, between):
    size = -(-len(traffic.records) // slices)
    for i in range(slices):
        produce(pipeline.kafka.brokers, pipeline.topic, traffic.records[i * size:(i + 1) * size])
        between(i)
        time.sleep(1)


@pytest.fixture(scope="module")
def monitored(kafka, models, schemas, schema_ids, tmp_path_factory):
    """The configuration's `monitor`, with a baseline of the same stream."""
    directory = tmp_path_factory.mktemp("before")
    known = pipeline_with_baseline(kafka, models, schemas, directory, "merge-before", stream(schema_ids, 1))
    return {"monitor": known.config["monitor"] | {"baseline": f"{directory}/baseline.json"}}


@pytest.fixture(scope="module")
def alone(kafka, models, schemas, schema_ids, monitored, tmp_path_factory):
    """One partition, one worker, nothing happens to it: topic, end, and its reports."""
    pipeline = Pipeline(kafka, models, tmp_path_factory.mktemp("alone"), "merge-1", schemas, partitions=1, changes=monitored).create_topics()
    traffic = stream(schema_ids, 1)
    worker = pipeline.worker("a").start().wait_ready()
    feed(pipeline, traffic, 3, lambda _: None)
    until = last_whole_window(traffic)
    rows = wait_published(pipeline, traffic, until)
    worker.stop()
    assert len({key[1] for key in rows}) > 40
    assert len({key[4] for key in rows if key[5] == "psi"}) > len(models.names) // 2
    return pipeline, until, rows


@pytest.mark.parametrize("partitions", [pytest.param(3, marks=pytest.mark.heavy), 12])
def test_reports_are_the_same_however_the_stream_is_split(partitions, alone, monitored, kafka, models, schemas, schema_ids, tmp_path):
    """Three workers; of those one after the other is killed or stopped, the active aggregator among them, and comes back."""
    _, until, expected = alone
    pipeline = Pipeline(kafka, models, tmp_path, f"merge-{partitions}", schemas, partitions=partitions, changes=monitored).create_topics()
    traffic = stream(schema_ids, partitions)
    workers = [worker.start() for worker in pipeline.workers(3)]
    for worker in workers:
        worker.wait_ready()

    def disturb(i):
        victim = workers[i % 3]
        victim.kill() if i % 2 else victim.stop()
        victim.start()

    feed(pipeline, traffic, 6, disturb)
    pipeline.wait_committed(workers, traffic.ends)
    rows = wait_published(pipeline, traffic, until)
    for worker in workers:
        worker.stop()
    assert sorted(rows.keys() - expected.keys(), key=str)[:5] == sorted(expected.keys() - rows.keys(), key=str)[:5] == []
    different = [(key, expected[key], rows[key]) for key in sorted(rows, key=str) if rows[key] != expected[key]]
    assert not different, different[:5]


def test_deltas_are_of_the_hour_in_which_they_are_written(alone):
    """However old the events are: by its records' time a broker deletes what has not been read."""
    pipeline = alone[0]
    deltas = read_topic(pipeline.kafka, f"{pipeline.app_id}-sketches")
    assert deltas and all(m.timestamp_ms > (time.time() - 3600) * 1000 for m in deltas)


def test_what_is_read_and_waits_to_be_merged_is_not_saved_as_merged(kafka, models, schemas, schema_ids, monitored, tmp_path):
    """Late events come so that, whenever a closed window is told anew because nothing was merged for three seconds, the next
    one's delta waits for its second to be over. Then the process dies."""
    pipeline = Pipeline(kafka, models, tmp_path, "merge-waits", schemas, partitions=1, changes=monitored).create_topics()
    pipeline.shorten_session()                                 # the dead aggregator's partition is free when that is over
    traffic = stream(schema_ids, 1)
    until = last_whole_window(traffic)
    late = [r for r in traffic.records if until - WINDOW <= r.event["event_time"] < until][:5]
    worker = pipeline.worker("a").start().wait_ready()
    produce(kafka.brokers, pipeline.topic, [r for r in traffic.records if r not in late])
    worker.wait_for(lambda: any(end.timestamp() * 1000 == until for _, end in told_events(last_words(published(pipeline), pipeline.topic, until))), "it is closed")
    for record in late:
        produce(kafka.brokers, pipeline.topic, [record])
        time.sleep(3.5)
    worker.kill()
    worker.start()
    wait_published(pipeline, traffic, until)
    worker.stop()


def test_a_replay_reports_what_the_worker_did(alone):
    pipeline, until, expected = alone
    directory = pipeline.replay(f"{pipeline.directory}/replayed")
    rows = last_words((r for r, _ in read_container(f"{directory}/reports.avro")), pipeline.topic, until)
    assert sorted(rows.keys() ^ expected.keys(), key=str)[:5] == []
    assert [(key, expected[key], rows[key]) for key in sorted(rows, key=str) if rows[key] != expected[key]][:5] == []
