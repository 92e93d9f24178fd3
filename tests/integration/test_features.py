"""Features against a slow implementation of their definition, bit for bit."""

import struct

import ledger
from outputs import PREDICTION, Written, decode, split_header
from reference import Event, Partition, as_float, deviation, distinct, numbers, total
from traffic import DAY, HOUR, MINUTE, Traffic

WIDTHS = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR, "24h": DAY, "7d": 7 * DAY}


def expected_features(partition, record):
    """Feature name -> value of an accepted event; late_ms; window_complete."""
    e = Event(record.event["event_time"], record.offset, record.event)
    window, last, late, complete = partition.fold(record.event["card_token"], e)
    values = {"since_last": (e.time - last.time) / 1000.0 if last else None}
    for name, width in WIDTHS.items():
        inside = window(width)
        values[f"txn_count_{name}"] = len(inside)
        values[f"amount_sum_{name}"] = total(inside, "amount_minor", 0.01)
        values[f"merchants_{name}"] = distinct(inside, "merchant_id")
        values[f"declines_{name}"] = sum(e.fields["response_code"] != "00" for e in inside)
    for name in ("24h", "7d"):
        values[f"amount_std_{name}"] = deviation(window(WIDTHS[name]), "amount_minor")
        values[f"same_merchant_{name}"] = sum(other.fields["merchant_id"] == e.fields["merchant_id"] for other in window(WIDTHS[name]))
    values["device_count_24h"] = len(numbers(window(DAY), "device_id"))
    values["codes_24h"] = distinct(window(DAY), "mcc")
    return values, late, complete


def test_features_are_what_their_definition_says(pipeline, schema_ids, kafka, models):
    """Sixty cards have so many events that max_events_per_entity drops some; others are late by up to days."""
    traffic = Traffic(schema_ids, 5000, cards=60, seed=3, late=0.15, garbage=0.02, step_ms=2 * MINUTE)
    traffic.produce(kafka.brokers, pipeline.topic)
    worker = pipeline.worker("w").start()
    pipeline.wait_committed([worker], traffic.ends)
    worker.stop()
    predictions = {}
    for m in Written(kafka, pipeline.outputs).predictions:
        p = decode(PREDICTION, split_header(m.value)[1])
        predictions[p["partition"], p["offset"]] = p

    partitions = [Partition(7 * DAY, 10 * MINUTE, kept=64) for _ in range(pipeline.partitions)]
    wrong, incomplete, compared = ledger.Differences("features"), 0, 0
    for record in traffic.records:
        if record.event is None:
            continue
        values, late, complete = expected_features(partitions[record.partition], record)
        if record.reason:                                      # accepted into the windows, but too large to be written
            continue
        p = predictions[record.partition, record.offset]
        incomplete += not complete
        if (p["late_ms"], p["window_complete"]) != (late, complete):
            wrong.add(f"{record.partition}/{record.offset}: late_ms {p['late_ms']}, window_complete {p['window_complete']}; expected {late}, {complete}")
        features = dict(zip(models.names, p["features"], strict=True))
        for name, value in values.items():
            compared += 1
            if struct.pack("<f", features[name]) != struct.pack("<f", as_float(value)) and not (value is None and features[name] != features[name]):
                wrong.add(f"{record.partition}/{record.offset}: {name} is {features[name]!r}, expected {as_float(value)!r}")
    wrong.none()
    assert compared > 100_000
    assert 300 < incomplete < 4500, f"{incomplete} incomplete windows: the traffic tests too little"
