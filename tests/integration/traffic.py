"""Deterministic transaction traffic: events of many cards, and all that can be wrong with a record.

Traffic knows of each record what must become of it: a prediction, or a dead letter with which reason and field. Partition
and offset are known beforehand too, for each record goes to crc32(card) modulo the partition count of a topic that nobody
else writes to. Nothing here is random but by its seed: the same arguments give the same bytes.
"""

import dataclasses
import io
import json
import os
import random
import zlib

import fastavro
from confluent_kafka import Producer

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
START_MS = 1_772_323_200_000              # 2026-03-01
FUTURE_SKEW_MS, MAX_AGE_MS = 5 * MINUTE, 9 * DAY
UNKNOWN_SCHEMA_ID = 999_999
RECORD_BYTES_MAX = 64 << 10               # input.max_record_bytes
PREDICTION_BYTES_MAX = 24 << 10           # max.message.bytes of the predictions topic

with open(f"{ROOT}/schemas/transaction.avsc") as _file:
    TRANSACTION = json.load(_file)


def changed(changes, without=(), extra=(), order=None):
    """The transaction schema with other types for some fields, without some, with more, in another order."""
    fields = [dict(field) for field in TRANSACTION["fields"] if field["name"] not in without]
    for field in fields:
        if field["name"] in changes:
            field["type"] = changes[field["name"]]
            field.pop("default", None)
    fields += [dict(field) for field in extra]
    if order:
        fields.sort(key=lambda field: order(field["name"]))
    return TRANSACTION | {"fields": fields}


# The second writer: three more fields (two of them to be skipped with care), wider types, another order.
LATER_FIELDS = [
    {"name": "terminal", "type": {"type": "record", "name": "Terminal", "fields": [
        {"name": "serial", "type": "string"}, {"name": "keys", "type": {"type": "array", "items": ["null", "long", "bytes"]}}]}},
    {"name": "tags", "type": {"type": "map", "values": "string"}},
    {"name": "ratio", "type": "float"},
]
SCHEMAS = {
    "first": TRANSACTION,
    "second": changed({"mcc": "long", "merchant_id": ["null", "string"]}, extra=LATER_FIELDS, order=lambda name: name[::-1]),
    "without id": changed({}, without=["transaction_id"]),
    "nullable id": changed({"transaction_id": ["null", "string"]}),
    "amount as text": changed({"amount_minor": "string"}),
    "long mcc": changed({"mcc": "long"}),                    # written under the first schema's id: an int past 32 bits
    "channel as int": changed({"channel": "int"}),           # likewise: a symbol that is not there
}
PARSED = {name: fastavro.parse_schema(json.loads(json.dumps(schema))) for name, schema in SCHEMAS.items()}


def register_schemas(registry, subject="transactions-value"):
    """Registers the writers' schemas; returns their ids by name."""
    writers = [name for name in SCHEMAS if name not in ("long mcc", "channel as int")]
    return {name: registry.register(subject, SCHEMAS[name]) for name in writers}


@dataclasses.dataclass(slots=True)
class Record:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list
    reason: str | None = None             # None: it must become a prediction
    field: str | None = None              # that the dead letter must name; None: whatever it says
    event: dict | None = None             # of what the windows hold


def framed(schema_id, body):
    return b"\0" + schema_id.to_bytes(4, "big") + body


def encoded(schema, event):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED[schema], event)
    return out.getvalue()


class Traffic:
    """`records` of a topic in the order in which they are to be written."""

    def __init__(self, schema_ids, count, partitions=12, cards=2500, seed=1, late=0.05, duplicates=0.01, garbage=0.01,
                 step_ms=7 * SECOND, all_online_after=None):
        """all_online_after: from that many events on, cards are only used online."""
        self.all_online_after = all_online_after or count
        self.ids, self.partitions, self.random = schema_ids, partitions, random.Random(seed)
        self.cards = [f"card-{i:05d}" for i in range(cards)]
        self.step_ms, self.now_ms, self.serial = step_ms, START_MS, 0
        self.ends, self.records, self.recent, self.garbage_count = [0] * partitions, [], [], 0
        for _ in range(count):
            self.now_ms += 1 + int(self.random.expovariate(1 / step_ms))
            draw = self.random.random()
            if draw < garbage:
                self.add_garbage()
            elif draw < garbage + duplicates and self.recent:
                self.add_duplicate()
            elif draw < garbage + duplicates + late:
                self.add_late()
            else:
                self.add_event(self.now_ms)

    # -- records --

    def put(self, key, value, timestamp_ms, reason=None, field=None, event=None):
        partition = zlib.crc32(key or b"") % self.partitions
        headers = [("source", b"pos-%d" % (self.serial % 7)), ("empty", b"")] if reason or self.serial % 10 == 0 else []
        if self.serial % 5 == 0:
            headers += [("traceparent", b"00-%032x-%016x-01" % (self.serial + 1, self.serial + 1)), ("tracestate", b"shop=%d" % self.serial)]
        record = Record(partition, self.ends[partition], key, value, timestamp_ms, headers, reason, field, event)
        self.ends[partition] += 1
        self.records.append(record)
        return record

    def put_event(self, event, timestamp_ms, reason=None, field=None):
        schema = "second" if self.random.random() < 0.4 else "first"
        if schema == "second":
            event = event | {"terminal": {"serial": f"t{self.serial}", "keys": [None, self.serial, b"\0\1"]}, "tags": {"a": "b"}, "ratio": 0.5}
        value = framed(self.ids[schema], encoded(schema, event))
        return self.put(event["card_token"].encode(), value, timestamp_ms, reason, field, None if reason else event)

    def event(self, time_ms, **changes):
        """A transaction; a few cards have most of them."""
        draw = self.random
        self.serial += 1
        place = draw.random() < 0.9
        card = self.cards[int(len(self.cards) * draw.random() ** 2.5)]
        return {
            "transaction_id": f"tx-{self.serial:07d}", "event_time": time_ms, "card_token": card, "account_id": "a" + card[5:],
            "amount_minor": 1 + int(draw.lognormvariate(8, 1.2)) % 400_000, "currency": draw.choice(["EUR", "USD", "GBP", "JPY", "SEK"]),
            "mcc": draw.choice([5411, 5812, 5967, 6011, 7995]), "merchant_id": f"m-{int(40 * draw.random() ** 2)}",
            "merchant_country": draw.choice(["DE", "DE", "FR", "NO"]),
            "merchant_lat": draw.uniform(-89, 89) if place else None, "merchant_lon": draw.uniform(-179, 179) if place else None,
            "pos_entry_mode": draw.choice([1, 5, 7, 81]), "channel": draw.choice(["POS", "ECOM", "ATM", "MOTO"]),
            "device_id": f"d-{draw.randrange(9)}" if draw.random() < 0.5 else None, "ip": None,
            "response_code": "00" if draw.random() < 0.9 else "51",
        } | ({"channel": "ECOM"} if self.serial > self.all_online_after else {}) | changes

    # -- kinds of traffic --

    def add_event(self, time_ms):
        record = self.put_event(self.event(time_ms), self.now_ms + self.random.randrange(1000))
        if time_ms > self.now_ms - 10 * MINUTE:
            self.recent = (self.recent + [record])[-50:]

    def add_late(self):
        """Mostly within the lateness of ten minutes, some beyond it, a few days late and out of every window."""
        draw = self.random.random()
        late_ms = self.random.randrange(8 * DAY, MAX_AGE_MS - MINUTE) if draw < 0.02 else self.random.randrange(1, 25 * MINUTE)
        self.add_event(self.now_ms - late_ms)

    def add_duplicate(self):
        """The same id and card again, as a client that tries twice sends it: some unchanged, some with another time."""
        event = dict(self.random.choice(self.recent).event)
        for later in ("terminal", "tags", "ratio"):
            event.pop(later, None)
        if self.random.random() < 0.5:
            event["event_time"] = self.now_ms
        self.put_event(event, self.now_ms, "duplicate", "transaction_id")

    def add_garbage(self):
        kinds = [kind for name, kind in sorted(vars(Traffic).items()) if name.startswith("garbage_")]
        kinds[self.garbage_count % len(kinds)](self)
        self.garbage_count += 1

    def put_first(self, event, reason, field=None, **how):
        """An event written by the first schema; `how` changes its encoding."""
        body = encoded(how.get("schema", "first"), event)
        body = how["alter"](body) if "alter" in how else body
        self.put(event["card_token"].encode(), framed(self.ids[how.get("under", how.get("schema", "first"))], body), self.now_ms, reason, field)

    def garbage_null_value(self):
        self.put(b"card-00001", None, self.now_ms, "not_avro")

    def garbage_empty_value_of_an_empty_key(self):
        self.put(b"", b"", self.now_ms, "not_avro")

    def garbage_short_value_of_a_null_key(self):
        self.put(None, b"\0\0\0\1", self.now_ms, "not_avro")

    def garbage_other_magic(self):
        self.put(b"card-00002", b"\1" + self.random.randbytes(80), self.now_ms, "not_avro")

    def garbage_unknown_schema(self):
        self.put(b"card-00003", framed(UNKNOWN_SCHEMA_ID, self.random.randbytes(40)), self.now_ms, "unknown_schema")

    def garbage_bytes_that_are_no_utf8(self):
        self.put_first(self.event(self.now_ms, merchant_id="m-XXXX"), "decode_error", alter=lambda body: body.replace(b"XXXX", b"\xff\xfe\xc0\x80"))

    def garbage_cut_off(self):
        self.put_first(self.event(self.now_ms), "decode_error", alter=lambda body: body[:-self.random.randrange(1, len(body))])

    def garbage_int_past_32_bits(self):
        self.put_first(self.event(self.now_ms, mcc=1 << 40), "decode_error", schema="long mcc", under="first")

    def garbage_symbol_that_is_not_there(self):
        self.put_first(self.event(self.now_ms, channel=4), "decode_error", schema="channel as int", under="first")

    def garbage_trailing_bytes(self):
        self.put_first(self.event(self.now_ms), "trailing_bytes", alter=lambda body: body + b"\0")

    def garbage_too_large(self):
        self.put_first(self.event(self.now_ms, account_id="x" * RECORD_BYTES_MAX), "too_large")

    def garbage_missing_id(self):
        self.put_first(self.event(self.now_ms), "missing_field", "transaction_id", schema="without id")

    def garbage_null_id(self):
        self.put_first(self.event(self.now_ms, transaction_id=None), "null_field", "transaction_id", schema="nullable id")

    def garbage_amount_as_text(self):
        self.put_first(self.event(self.now_ms, amount_minor="12"), "type", "amount_minor", schema="amount as text")

    def garbage_amount_past_40_bits(self):
        self.put_first(self.event(self.now_ms, amount_minor=1 << 40), "range", "amount_minor")

    def garbage_amount_below_the_least(self):
        self.put_first(self.event(self.now_ms, amount_minor=0), "range", "amount_minor")

    def garbage_time_before_1970(self):
        self.put_first(self.event(-1), "range", "event_time")

    def garbage_infinite_latitude(self):
        self.put_first(self.event(self.now_ms, merchant_lat=float("inf")), "range", "merchant_lat")

    def garbage_atm_limit(self):
        self.put_first(self.event(self.now_ms, channel="ATM", amount_minor=500_001), "rule", "amount_minor")

    def garbage_stale(self):
        self.put_first(self.event(self.now_ms - MAX_AGE_MS - 1), "stale", "event_time")

    def garbage_future(self):
        self.put_first(self.event(self.now_ms + FUTURE_SKEW_MS + 1), "future", "event_time")

    def garbage_id_too_large_to_write(self):
        event = self.event(self.now_ms, transaction_id=f"{self.serial}".ljust(2 * PREDICTION_BYTES_MAX, "i"))
        self.put_first(event, "output_too_large")
        self.records[-1].event = event                        # it is in the windows all the same

    def produce(self, brokers, topic):
        produce(brokers, topic, self.records)


def produce(brokers, topic, records):
    """Returns when the broker has the records: all of them, for one that it refused is only told to who asks."""
    refused = []
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "enable.idempotence": True, "message.max.bytes": 2_000_000,
                         "batch.size": 500_000, "queue.buffering.max.messages": 1_000_000, "compression.type": "lz4",
                         "delivery.report.only.error": True})
    for record in records:
        producer.produce(topic, record.value, record.key, record.partition, timestamp=record.timestamp_ms, headers=record.headers,
                         on_delivery=lambda error, message: refused.append((error.str(), message.partition())))
    assert producer.flush(60) == 0, "the broker did not take the records in time"
    assert not refused, f"{len(refused)} records were refused; partition {refused[0][1]}: {refused[0][0]}"
