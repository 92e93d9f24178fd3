"""Some features by their definition, slowly: every event looks at all events before it. Written from the definition of the
features alone, to be compared with the worker's bits.

The window (t-w, t] of event e holds the accepted events e' of its entity with t-w < t' <= t, offset(e') <= offset(e) and
t' > T - W - L, where T is the largest event time of the partition so far. It is complete unless e is later than L, or an
event of the entity with t' > t-W was dropped because only the newest `kept` by (time, offset) stay."""

import math
import struct
from collections import namedtuple

Event = namedtuple("Event", "time offset fields")


def as_float(value):
    """The nearest float32."""
    return math.nan if value is None else struct.unpack("<f", struct.pack("<f", value))[0]


class Partition:
    def __init__(self, longest_ms, lateness_ms, kept):
        self.longest, self.lateness, self.kept = longest_ms, lateness_ms, kept
        self.stream_time, self.entities, self.dropped = -math.inf, {}, {}

    def fold(self, entity, event):
        """The event's window function: window_ms -> the events of it, in order; late_ms; whether windows are complete."""
        self.stream_time = max(self.stream_time, event.time)
        horizon = self.stream_time - self.longest - self.lateness
        events = [e for e in self.entities.get(entity, []) if e.time > horizon]
        held = sorted(events + [event] if event.time > horizon else events, key=lambda e: e[:2])

        def window(width_ms):
            return [e for e in events if event.time - width_ms < e.time <= event.time] + [event]

        before = [e for e in events if e[:2] < event[:2]]
        late = self.stream_time - event.time
        complete = late <= self.lateness and self.dropped.get(entity, -math.inf) <= event.time - self.longest
        surplus = held[:max(0, len(held) - self.kept)]
        if surplus:
            self.dropped[entity] = max(self.dropped.get(entity, -math.inf), surplus[-1].time)
        self.entities[entity] = held[len(surplus):]
        return window, max(before, key=lambda e: e[:2], default=None), late, complete


def numbers(window, field):
    return [e.fields[field] for e in window if e.fields[field] is not None]


def total(window, field, scale):
    return float(sum(numbers(window, field))) * scale


def distinct(window, field):
    return len(set(numbers(window, field)))


def deviation(window, field):
    xs = numbers(window, field)
    n, s, q = len(xs), sum(xs), sum(x * x for x in xs)
    return math.sqrt(float(n * q - s * s)) / float(n) if n else None
