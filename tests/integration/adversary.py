"""Random writers' schemas, feature files, validations and streams, made to hurt: ties, edges of windows to the millisecond,
lateness around every limit, doubled ids, nulls, numbers at their bounds, fields of unfit types.

Values are as oracle.py reads them: unions are (branch, value). The same random.Random gives the same."""

import math
import struct

from oracle import NUMBER_END, WINDOWED, milliseconds

LENGTHS = ["500ms", "1s", "5s", "1m", "5m", "1h", "24h", "7d", "30d"]
TEXTS = ["", "a", "b", "ab", "00", "\u00e9", "x" * 40, "NO", "5", "a.b", "A", "B"]
STARTS = [1700000000000, 1767225600000, 951782400000, 1704067199000]
SCALES = [0.01, 0.1, 3, -1, 1e-3, 1e20, 0.333]
TIMES = [{"type": "long", "logicalType": "timestamp-millis"}, {"type": "long", "logicalType": "timestamp-micros"}, "long"]
UNFIT = ["string", "bytes", "boolean", "int", "float", "double", {"type": "array", "items": "int"}, {"type": "map", "values": "string"},
         {"type": "enum", "name": "Unfit", "symbols": ["a", "B"]}, "null", ["null", "string", "long", "double", "boolean"]]


# ---- bytes ----

def zigzag(n):
    n, out = ((n << 1) ^ (n >> 63)) & (2**64 - 1), bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def encode(schema, value):
    """An Avro body: no library takes every value that a writer can send."""
    if isinstance(schema, list):
        return zigzag(value[0]) + encode(schema[value[0]], value[1])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return encode(kind, value)
    match kind:
        case "null":
            return b""
        case "boolean":
            return bytes([value])
        case "int" | "long":
            return zigzag(value)
        case "float" | "double":
            return struct.pack("<f" if kind == "float" else "<d", value)
        case "string" | "bytes":
            data = value.encode() if kind == "string" else value
            return zigzag(len(data)) + data
        case "fixed":
            return value
        case "enum":
            return zigzag(schema["symbols"].index(value))
        case "record":
            return b"".join(encode(f["type"], value[f["name"]]) for f in schema["fields"])
    item = schema.get("items") or schema["values"]
    entries = [encode(item, x) for x in value] if kind == "array" else [encode("string", k) + encode(item, x) for k, x in value.items()]
    return (zigzag(len(entries)) + b"".join(entries) if entries else b"") + b"\0"


def container(path, schema_text, bodies, per_block):
    sync = b"sixteen bytes..."
    with open(path, "wb") as file:
        file.write(b"Obj\1" + zigzag(1) + encode("string", "avro.schema") + encode("string", schema_text) + b"\0" + sync)
        for i in range(0, len(bodies), per_block):
            block = bodies[i:i + per_block]
            file.write(zigzag(len(block)) + encode("bytes", b"".join(block)) + sync)


# ---- a schema and what is asked of it ----

class Scene:
    """schema, spec, validation, and rows() of the stream."""

    def __init__(self, draw, unfit=False):
        self.draw = draw
        self.id_type, self.entity_type = draw.choice(["string", "int", "long"]), draw.choice(["string", "int", "long"])
        self.numbers = {f"n{i}": draw.choice(["int", "long", "decimal", "float", "double"]) for i in range(draw.randint(1, 4))}
        self.texts = {f"s{i}": draw.choice(["string", "enum"]) for i in range(draw.randint(1, 3))}
        self.windows = draw.sample(LENGTHS, draw.randint(1, 4)) if draw.random() < 0.4 else draw.sample(LENGTHS[:5], draw.randint(1, 3))
        self.schema = self.make_schema(unfit)
        self.spec = self.make_spec()
        self.validation = [self.make_entry() for _ in range(draw.choice([0, 0, 1, 2]))]

    def nullable(self, kind):
        return self.draw.choice([kind, ["null", kind], [kind, "null"]])

    def make_schema(self, unfit):
        kinds = {"decimal": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}}
        types = {"id": self.id_type, "at": self.draw.choice(TIMES), "flag": "boolean", "lat": "double", "lon": "float",
                 "list": {"type": "array", "items": {"type": "map", "values": ["null", "double"]}}}
        types |= {name: kinds.get(kind, kind) for name, kind in self.numbers.items()}
        types |= {name: {"type": "enum", "name": f"E{name}", "symbols": ["A", "B", "NO", "a"]} if kind == "enum" else kind for name, kind in self.texts.items()}
        if unfit:
            for name in self.draw.sample(sorted(types), 2):
                types[name] = self.draw.choice(UNFIT)
                if isinstance(types[name], dict) and "name" in types[name]:
                    types[name] = types[name] | {"name": f"Unfit{name}"}
        card = {"type": "record", "name": "Card", "fields": [{"name": "token", "type": self.nullable(self.entity_type)}]}
        fields = [{"name": name, "type": kind if isinstance(kind, list) or kind == "null" else self.nullable(kind)} for name, kind in types.items()]
        fields += [{"name": "card", "type": self.nullable(card)}, {"name": "sent", "type": "long"}]
        self.draw.shuffle(fields)
        return {"type": "record", "name": "Event", "fields": fields}

    def make_condition(self):
        draw = self.draw
        name = draw.choice([*self.numbers, *self.texts, "flag"])
        if name == "flag":
            return {"field": name, draw.choice(["in", "not_in"]): [True]}
        if name in self.texts:
            return {"field": name, draw.choice(["in", "not_in"]): draw.sample(TEXTS, draw.randint(1, 4))}
        if draw.random() < 0.4:
            return {"field": name, draw.choice(["in", "not_in"]): draw.sample(range(-3, 6), draw.randint(1, 4))}
        bounds = [{"min": draw.choice([-2, 0, 0.5])}, {"max": draw.choice([1, 2.5, 1e12])}, {"min": 0, "max": draw.choice([0, 2, 100])}]
        return {"field": name} | draw.choice(bounds)

    def make_entry(self):
        entry = self.make_condition()
        if self.draw.random() < 0.6:
            entry["name"] = f"rule_{self.draw.randint(0, 99)}"
        if self.draw.random() < 0.4:
            entry["when"] = self.make_condition()
        return entry

    def make_spec(self):
        draw = self.draw
        spec = {"version": 1, "id": "id", "entity": "card.token", "time": "at", "lateness": draw.choice(["0s", "1ms", "1s", "10s", "10m", "24h"]),
                "future_skew": draw.choice(["0s", "1s", "5m"]), "features": [self.make_feature(f"f{i}") for i in range(draw.randint(1, 14))]}
        if draw.random() < 0.3:
            spec["max_age"] = draw.choice(["0s", "1s", "1h", "3d"])
        if draw.random() < 0.5:
            spec["max_events_per_entity"] = draw.choice([1, 2, 3, 5, 17])
        return spec

    def make_feature(self, name):
        draw = self.draw
        feature = {"name": name, "op": draw.choice(["value", "equals", "in", "code", "hour_of_day", "day_of_week", "since_last", "since_first", "speed_kmh", *WINDOWED])}
        op = feature["op"]
        if op in ("equals", "in", "code"):
            listed = draw.choice([*self.numbers, *self.texts, "flag"])
            values = [True, False] if listed == "flag" else TEXTS if listed in self.texts else [-2, 0, 1, 2, 0.5, 100]
            feature |= {"field": listed, "values": draw.sample(values, draw.randint(1, 2))}
        elif op in ("hour_of_day", "day_of_week"):
            feature["offset"] = draw.choice(["0s", "1h", "-5h", "+90m", "-1ms", "24h", "-24h"])
            if draw.random() < 0.4:
                feature["values"] = draw.sample(range(7), 3)
        elif op == "speed_kmh":
            feature |= {"lat": "lat", "lon": "lon"}
        elif op in ("distinct", "same") or op == "count" and draw.random() < 0.4:
            feature["field"] = draw.choice([*self.texts, *(n for n, kind in self.numbers.items() if kind not in ("float", "double"))])
        elif op not in ("count", "since_last", "since_first"):
            feature["field"] = draw.choice(list(self.numbers))
            if op != "value" and self.numbers[feature["field"]] in ("float", "double") or draw.random() < 0.1:
                feature["fixed"] = draw.choice([0.01, 1, 0.1, 100, 3])
        if op in WINDOWED:
            feature["windows"] = draw.sample(self.windows, draw.randint(1, len(self.windows)))
            if draw.random() < 0.35:
                feature["where"] = self.make_condition()
            if draw.random() < 0.25:
                feature["current"] = "exclude"
        if draw.random() < 0.25:
            feature["scale"] = draw.choice(SCALES)
        return feature

    # ---- events ----

    def rows(self, count):
        """(value, record timestamp)."""
        draw, spec = self.draw, self.spec
        lateness, skew = milliseconds(spec["lateness"]), milliseconds(spec["future_skew"])
        widths = [milliseconds(w) for w in self.windows]
        reach = max(widths)
        now, entities = draw.choice([*STARTS, reach + lateness + 5]), draw.choice([1, 2, 3, 8, 30])
        late_share, double_share = draw.choice([0, 0.1, 0.4]), draw.choice([0, 0.05, 0.2])
        steps = [0, 0, 1, 1, 499, 500, 1000, 999, 1001, 5000, 60000, *(w // 3 for w in widths)]
        if draw.random() < 0.5:
            steps += [*widths, reach + lateness, reach + lateness + 1]
        lates = [0, 1, lateness, lateness + 1, reach, reach + lateness, reach + lateness + 1, reach - 1, *widths, *(w - 1 for w in widths)]
        self.null_share, self.wild_share = draw.choice([0, 0.1, 0.3]), draw.choice([0, 0, 0.02])
        former = []
        for number in range(1, count + 1):
            time, entity, name = now + draw.choice(steps) * (draw.random() < 0.7), draw.randrange(entities), number
            if draw.random() < late_share:
                time = now - draw.choice(lates)
            if former and draw.random() < 0.3:
                time = min(draw.choice(former[-20:])[0] + draw.choice([0, 0, 1, -1]) + draw.choice([0, *widths]), now + reach)
            if former and draw.random() < double_share:
                _, entity, name = draw.choice(former[-30:])
            if draw.random() < 0.002:
                time = draw.choice([-1, 0, 253402300799999, 253402300800000, 2**50])
            sent = time - draw.choice([0, 0, 0, 0, skew, skew + 1]) + draw.choice([0, 0, 0, 1000, 1001, 3600001]) * (draw.random() < 0.3)
            former.append((time, entity, name))
            self.event = {"at": time, "sent": sent, "id": name, "token": entity}
            yield self.value(self.schema, ""), sent
            if 0 <= time <= sent + skew and time < 2**46:
                now = max(now, time)

    def value(self, schema, name):
        draw = self.draw
        if isinstance(schema, list):
            rare = 0.02 if name in ("id", "at", "token", "card") else 1
            branches = [i for i, branch in enumerate(schema) if (branch == "null") == (draw.random() < self.null_share * rare)] or range(len(schema))
            branch = draw.choice(branches)
            return branch, self.value(schema[branch], name)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "record":
            return {f["name"]: self.value(f["type"], f["name"]) for f in schema["fields"]}
        if kind in ("int", "long") and name in self.event:
            micros = isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros"
            whole = self.event[name] * 1000 + draw.choice([0, 1, 999]) if micros else self.event[name]
            return whole % 2**31 if kind == "int" else whole
        if kind == "string" and name in self.event:
            return f"{name}{self.event[name]}" if self.event[name] else ""
        return self.any(kind, schema, name)

    def any(self, kind, schema, name):
        draw = self.draw
        wild, edge = draw.random() < self.wild_share, draw.random() < 0.2
        match kind:
            case "null":
                return None
            case "boolean":
                return draw.random() < 0.5
            case "string":
                return draw.choice(TEXTS)
            case "enum":
                return draw.choice(schema["symbols"])
            case "int":
                return draw.choice([2**31 - 1, -2**31]) if edge else draw.randint(-5, 5)
            case "long":
                beyond, within = [NUMBER_END, -NUMBER_END, 2**63 - 1, -2**63], [NUMBER_END - 1, 1 - NUMBER_END]
                return draw.choice(beyond) if wild else draw.choice(within) if edge else draw.randint(-5, 5)
            case "bytes":
                n = draw.choice([NUMBER_END, 2**63, -2**63 - 1, 2**100]) if wild else draw.choice([NUMBER_END - 1, 0]) if edge else draw.randint(-500, 500)
                return n.to_bytes(n.bit_length() // 8 + 1 + draw.choice([0, 0, 3]), "big", signed=True)
            case "float" | "double":
                if name in ("lat", "lon"):
                    return draw.choice([0.0, 10.5, -45.25, 90.0, -90.0, 90.5, 120.0, 180.0, -180.5, math.nan, 51.5])
                if wild:
                    return draw.choice([math.inf, -math.inf, 1e15, 3e38])
                return draw.choice([math.nan, 1e11, -7.0, 1e-310]) if edge else draw.choice([0.0, -0.0, 0.5, 1.0, 1.5, -3.25, 0.015, 0.005, 100.125])
            case "array":
                return [self.value(schema["items"], "") for _ in range(draw.randint(0, 2))]
        return {f"k{i}": self.value(schema["values"], "") for i in range(draw.randint(0, 2))}
