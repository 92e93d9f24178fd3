"""The features of a stream by their definition (scoring/features/features.h, README.md) and nothing else: lists, loops and whole
numbers. Every column, window_complete, late_ms and reject of every op and option; no thought for speed.

A value is what the writer's schema says: unions are (branch, value). `field` looks one up by its dotted name."""

import math
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

NUMBERS_LIMITED = {"value", "sum", "min", "max", "mean", "std", "zscore", "ratio"}
WINDOWED = ["count", "sum", "min", "max", "mean", "std", "zscore", "ratio", "distinct", "same"]
NUMBER_END = 1 << 40
TIME_END = 253402300800000
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
NULL, ABSENT = ("null", None), ("absent", None)
INTEGERS = {"int", "long", "decimal"}
NUMBERS = INTEGERS | {"float", "double"}
LISTED = NUMBERS | {"string", "enum", "boolean"}


def milliseconds(text):
    sign, number, unit = re.fullmatch(r"([+-]?)(\d+)(ms|s|m|h|d)", text).groups()
    return (-1 if sign == "-" else 1) * int(number) * UNITS[unit]


def concrete(schema, value):
    """Behind unions and the longer spelling of a type."""
    while True:
        if isinstance(schema, list):
            schema, value = schema[value[0]], value[1]
        elif isinstance(schema, dict) and isinstance(schema["type"], (dict, list)):
            schema = schema["type"]
        else:
            return schema if isinstance(schema, dict) else {"type": schema}, value


def field(schema, value, path):
    """(kind, value); of integers a logical type, too."""
    for name in path.split("."):
        schema, value = concrete(schema, value)
        if schema["type"] == "null":
            return NULL
        inside = {f["name"]: f["type"] for f in schema.get("fields", [])}
        if name not in inside:
            return ABSENT
        schema, value = inside[name], value[name]
    schema, value = concrete(schema, value)
    kind, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal":
        return "decimal", int.from_bytes(value, "big", signed=True)
    if kind == "float":
        return kind, struct.unpack("<f", struct.pack("<f", value))[0]
    if kind in ("int", "long"):
        return kind, value, logical
    return kind, value


def is_null(x):
    return x[0] in ("null", "absent") or (x[0] in ("float", "double") and math.isnan(x[1]))


def is_infinite(x):
    return x[0] in ("float", "double") and math.isinf(x[1])


def place(x, values):
    """Index of the first of `values` that x equals, or -1: text as text, numbers as numbers, booleans as booleans."""
    for i, v in enumerate(values):
        if x[0] in ("string", "enum"):
            same = x[1] == (v if isinstance(v, str) else str(v))
        elif x[0] == "boolean":
            same = v is x[1]
        else:
            same = isinstance(v, (int, float)) and not isinstance(v, bool) and v == x[1]
        if same:
            return i
    return -1


def passes(x, condition):
    if is_null(x):
        return False
    if "in" in condition or "not_in" in condition:
        return (place(x, condition["in"]) >= 0) if "in" in condition else place(x, condition["not_in"]) < 0
    return condition.get("min", -math.inf) <= x[1] <= condition.get("max", math.inf)


def number(x, fixed):
    """As windows count it: None, an integer, the double of op value, or an infinity where it fits nothing."""
    if is_null(x):
        return None
    if fixed is None:
        return x[1]
    steps = float(x[1]) / fixed
    return steps if math.isinf(steps) else round(steps)


def category(x):
    """Strings by bytes, numbers by value."""
    return ("number" if x[0] in NUMBERS else "boolean" if x[0] == "boolean" else "text"), x[1]


class Reject(Exception):
    """fields: those of which any may be named first."""

    def __init__(self, reason, *fields, rule=None):
        super().__init__(reason)
        self.reason, self.fields, self.rule = reason, set(fields), rule


@dataclass
class Event:
    time: int
    offset: int
    id: str
    fields: dict

    @property
    def order(self):
        return self.time, self.offset


class Entity:
    def __init__(self, dropped):
        self.events, self.dropped = [], dropped

    def drop(self, time):
        self.dropped = time if self.dropped is None else max(time, self.dropped)


class Oracle:
    """One partition, read from its offset 0. take() folds a record and says what becomes of it, or raises Reject."""

    def __init__(self, spec, schema, validation=(), max_entities=10**9, max_events=10**9):
        self.spec, self.schema, self.validation = spec, schema, validation
        self.max_entities, self.max_events, self.kept = max_entities, max_events, spec.get("max_events_per_entity", 4096)
        self.lateness, self.skew = milliseconds(spec["lateness"]), milliseconds(spec["future_skew"])
        self.columns = [(f, w, f"{f['name']}_{w}" if w else f["name"]) for f in spec["features"] for w in f.get("windows") or [None]]
        self.longest = max((milliseconds(w) for _, w, _ in self.columns if w), default=0)
        self.paths = {f[key] for f in spec["features"] for key in ("field", "lat", "lon") if key in f}
        self.paths |= {f["where"]["field"] for f in spec["features"] if "where" in f}
        self.now, self.entities, self.evicted = None, OrderedDict(), None      # entities: least recently seen first
        self.evictions = 0

    # ---- what is checked before anything counts ----

    def get(self, path):
        return field(self.schema, self.value, path)

    def key(self, path, kinds):
        x = self.get(path)
        if x[0] in ("absent", "null"):
            raise Reject("missing_field" if x[0] == "absent" else "null_field", path)
        if x[0] not in kinds:
            raise Reject("type", path)
        return x

    def event_time(self):
        _, value, logical = self.key(self.spec["time"], {"int", "long"})
        return value // (1000 if logical and logical.endswith("micros") else 1)

    def uses(self):
        """(path, kinds) of all that is read."""
        for f in self.spec["features"]:
            op, fixed = f["op"], "fixed" in f
            if op in NUMBERS_LIMITED:
                yield f["field"], NUMBERS if op == "value" or fixed else INTEGERS
            elif op in ("distinct", "same"):
                yield f["field"], LISTED if fixed else LISTED - {"float", "double"}
            elif op in ("equals", "in", "code"):
                yield f["field"], LISTED
            for key in ("lat", "lon"):
                if key in f:
                    yield f[key], NUMBERS
        conditions = [f["where"] for f in self.spec["features"] if "where" in f]
        for entry in self.validation:
            conditions += [entry] + ([entry["when"]] if "when" in entry else [])
        for c in conditions:
            yield c["field"], NUMBERS if "min" in c or "max" in c else LISTED

    def check_types(self):
        wrong = {path for path, kinds in self.uses() if self.get(path)[0] not in kinds | {"absent", "null"}}
        if wrong:
            raise Reject("type", *wrong)

    def check_ranges(self, time):
        wrong = {path for path, _ in self.uses() if is_infinite(self.get(path))}
        wrong |= {f["field"] for f in self.spec["features"] if "field" in f and is_infinite(self.get(f["field"]))}
        for f in self.spec["features"]:
            if f["op"] in NUMBERS_LIMITED and f["field"] not in wrong:
                n = number(self.get(f["field"]), f.get("fixed"))
                if n is not None and (isinstance(n, int) and abs(n) >= NUMBER_END or math.isinf(n)):
                    wrong.add(f["field"])
        if not 0 <= time < TIME_END:
            wrong.add(self.spec["time"])
        if wrong:
            raise Reject("range", *wrong)

    def check_validation(self):
        for entry in self.validation:
            x = self.get(entry["field"])
            if "when" in entry and not passes(self.get(entry["when"]["field"]), entry["when"]):
                continue
            if not is_null(x) and not passes(x, entry):
                raise Reject("rule" if "name" in entry else "range", entry["field"], rule=entry.get("name"))

    def visible(self, event):
        return event.time > self.now - self.longest - self.lateness

    # ---- the fold ----

    def take(self, offset, value, timestamp=None):
        """offset, event time, late_ms, window_complete and the row of an event."""
        self.value, spec = value, self.spec
        name = str(self.key(spec["id"], {"string", "int", "long"})[1])
        entity = str(self.key(spec["entity"], {"string", "int", "long"})[1])
        time = self.event_time()
        self.check_types()
        self.check_ranges(time)
        self.check_validation()
        timestamp = time if timestamp is None else timestamp
        if time > timestamp + self.skew:
            raise Reject("future", spec["time"])
        if "max_age" in spec and time < timestamp - milliseconds(spec["max_age"]):
            raise Reject("stale", spec["time"])
        if entity in self.entities and any(e.id == name for e in self.entities[entity].events):
            raise Reject("duplicate", spec["id"])
        own = self.entities.setdefault(entity, Entity(self.evicted))           # held or not as it stands before e
        self.entities.move_to_end(entity)
        self.now = time if self.now is None else max(time, self.now)
        self.forget(keep=own)
        event = Event(time, offset, name, {path: self.get(path) for path in self.paths})
        own.events.append(event)
        late = self.now - time
        complete = late <= self.lateness and not (own.dropped is not None and own.dropped > time - self.longest)
        row = [self.column(f, w, event, own.events) for f, w, _ in self.columns]
        self.limit(own)
        return time, late, complete, row

    def forget(self, keep=None):
        for entity in list(self.entities):
            held = self.entities[entity]
            held.events = [e for e in held.events if self.visible(e)]
            if not held.events and held is not keep:
                del self.entities[entity]

    def limit(self, own):
        if len(own.events) > self.kept:
            oldest = min(own.events, key=lambda e: e.order)
            own.events.remove(oldest)
            own.drop(oldest.time)
        self.forget()
        while len(self.entities) > self.max_entities or sum(len(e.events) for e in self.entities.values()) > self.max_events:
            _, gone = self.entities.popitem(last=False)
            newest = max(e.time for e in gone.events)
            self.evicted = newest if self.evicted is None else max(newest, self.evicted)
            self.evictions += 1

    # ---- columns ----

    def column(self, f, window, event, events):
        """None stands for missing; then one multiplication, then float32."""
        result = self.result(f, window, event, events)
        if result is None:
            return np.float32("nan")
        with np.errstate(over="ignore"):
            return np.float32(float(result) * float(f["scale"]) if "scale" in f else float(result))

    def result(self, f, window, event, events):
        op = f["op"]
        seen = [e for e in events if e is event or self.visible(e)]
        if op in ("value", "equals", "in", "code"):
            return self.of_event(f, event.fields[f["field"]])
        if op in ("hour_of_day", "day_of_week"):
            clock = event.time + milliseconds(f.get("offset", "0s"))
            part = clock // 3_600_000 % 24 if op == "hour_of_day" else (clock // 86_400_000 + 3) % 7
            return part in f["values"] if "values" in f else part
        if op == "since_last":
            before = [e.time for e in seen if e.order < event.order]
            return (event.time - max(before)) / 1000.0 if before else None
        if op == "since_first":
            return (event.time - min(e.time for e in seen if e is event or event.time - self.longest < e.time <= event.time)) / 1000.0
        if op == "speed_kmh":
            return speed(f, event, seen)
        inside = [e for e in seen if e is event or event.time - milliseconds(window) < e.time <= event.time]
        if f.get("current") == "exclude":
            inside.remove(event)
        if "where" in f:
            inside = [e for e in inside if passes(e.fields[f["where"]["field"]], f["where"])]
        if "field" not in f:
            return len(inside)
        return of_window(f, event.fields[f["field"]], [e.fields[f["field"]] for e in inside if not is_null(e.fields[f["field"]])])

    @staticmethod
    def of_event(f, x):
        if f["op"] == "value":
            return number(x, f.get("fixed"))
        if is_null(x):
            return None
        at = place(x, f["values"])
        return (at if at >= 0 else None) if f["op"] == "code" else at >= 0


def of_window(f, current, inside):
    """current: the event's field; inside: those in the window that are not null."""
    op = f["op"]
    if op == "count":
        return len(inside)
    if op == "distinct":
        return len({category(x) for x in inside})
    if op == "same":
        return None if is_null(current) else sum(category(x) == category(current) for x in inside)
    xs = [number(x, f.get("fixed")) for x in inside]
    n, total = len(xs), sum(xs)
    if op == "sum":
        return total
    if not n:
        return None
    mean = float(total) / float(n)
    deviation = math.sqrt(float(n * sum(x * x for x in xs) - total * total)) / float(n)
    simple = {"min": min(xs), "max": max(xs), "mean": mean, "std": deviation}
    if op in simple:
        return simple[op]
    x = number(current, f.get("fixed"))
    if x is None:
        return None
    if op == "ratio":
        return float(x) / mean if mean else None
    return (float(x) - mean) / deviation if deviation else 0.0


def speed(f, event, seen):
    def position(e):
        found = [None if is_null(e.fields[f[key]]) or abs(e.fields[f[key]][1]) > most else math.radians(e.fields[f[key]][1])
                 for key, most in (("lat", 90), ("lon", 180))]
        return None if None in found else found

    before = [e for e in seen if e.order < event.order and position(e)]
    if not before or not position(event):
        return None
    last = max(before, key=lambda e: e.order)
    (lat_a, lon_a), (lat_b, lon_b) = position(last), position(event)
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * 6371.0088 * math.asin(min(1.0, math.sqrt(half))) / (max(event.time - last.time, 1000) / 3_600_000)
