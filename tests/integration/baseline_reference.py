"""A baseline file computed from rows by its description (consumer/BASELINE.md), slowly."""

import numpy

FINE_BINS, WIDE_BINS, HOURS = 240, 20, 168
HOUR_MS = 3_600_000
DECISIONS = ("APPROVE", "REVIEW", "DECLINE")


def hour_of_week(time_ms):
    return (time_ms // HOUR_MS + 72) % HOURS                   # the epoch began on a Thursday


def by_hour(bins, count, hours):
    """168 entries: a text of counts, or the one count."""
    table = numpy.zeros((HOURS, count), dtype=int)
    numpy.add.at(table, (hours, bins), 1)
    if count == 1:
        return table[:, 0].tolist()
    return [" ".join(map(str, row)) if row.any() else "" for row in table]


def column(name, values, hours=None):
    values = numpy.asarray(values, dtype=numpy.float32)
    there = numpy.sort(values[~numpy.isnan(values)])
    n = len(there)
    found = {"name": name, "count": n, "missing": int(len(values) - n), "min": 0.0, "max": 0.0, "mean": 0.0, "std": 0.0, "quartiles": [], "edges": [],
             "counts": [], "equal": [], "gain": None, "contribution": None, "categories": None, "hours": None}
    edges = numpy.array([there[-(-k * n // FINE_BINS) - 1] for k in range(1, FINE_BINS)]) if n else numpy.array([], dtype=numpy.float32)
    if n:
        least, most = float(there[0]), float(there[-1])
        wide = numpy.array([min(least + i * ((most - least) / WIDE_BINS), most) for i in range(1, WIDE_BINS)], dtype=numpy.float32)
        exact = there.astype(float)
        found |= {"min": least, "max": most, "mean": exact.mean(), "std": exact.std(), "edges": edges.astype(float).tolist(),
                  "quartiles": edges[[59, 119, 179]].astype(float).tolist(),
                  "counts": numpy.bincount(numpy.searchsorted(edges, there), minlength=FINE_BINS).tolist(),
                  "equal": numpy.bincount(numpy.searchsorted(wide, there), minlength=WIDE_BINS).tolist()}
    if hours is not None:
        known = ~numpy.isnan(values)
        fine, equal = (numpy.searchsorted(cuts, values[known]) if n else [] for cuts in (edges, wide if n else []))
        found["hours"] = {"counts": by_hour(fine, FINE_BINS, hours[known]), "equal": by_hour(equal, WIDE_BINS, hours[known]),
                          "missing": by_hour(numpy.zeros((~known).sum(), dtype=int), 1, hours[~known])}
    return found


def code_categories(values, names, hours=None):
    values = numpy.asarray(values, dtype=float)
    known = ~numpy.isnan(values)
    codes = values[known].astype(int)
    return {"named": [{"name": name, "code": code, "count": int((codes == code).sum())} for code, name in enumerate(names)], "other": 0,
            "hours": None if hours is None else by_hour(codes, len(names) + 1, hours[known])}


def text_categories(texts, hours):
    known = numpy.array([text is not None for text in texts])
    names = sorted({text for text in texts if text is not None}, key=str.encode)
    codes = numpy.array([names.index(text) for text in texts if text is not None], dtype=int)
    return {"named": [{"name": name, "count": int((codes == code).sum())} for code, name in enumerate(names)], "other": 0,
            "hours": by_hour(codes, len(names) + 1, hours[known])}


def outcome(scores, review, decline, hours=None):
    scores = numpy.asarray(scores, dtype=numpy.float32).astype(float)
    decided = (scores >= review).astype(int) + (scores >= decline)
    return {"decisions": {name: int((decided == i).sum()) for i, name in enumerate(DECISIONS)},
            "hours": None if hours is None else by_hour(decided, len(DECISIONS), hours),
            "uncertain": int(((scores >= 0.4) & (scores <= 0.6)).sum()), "calibration": None}


def calibration_bins(bins, scores, labels):
    return [{"count": int((bins == b).sum()), "positives": int(labels[bins == b].sum()),
             "mean_score": float(scores[bins == b].mean()) if (bins == b).any() else 0.0} for b in range(10)]


def without_times(names, rows, scores, feature_spec_sha256, model_id, review=0.5, decline=0.9):
    """Of events whose times do not matter: no hours."""
    n = len(rows)
    return {"format": "weir-baseline", "version": 2, "feature_spec_sha256": feature_spec_sha256, "model_id": model_id, "from_ms": None, "to_ms": None,
            "events": n, "sampled": n, "records": n, "rejects": [], "hour_events": None, "hour_covered_ms": None,
            "features": [column(name, rows[:, i]) for i, name in enumerate(names)], "score": column("score", scores),
            "outcome": outcome(scores, review, decline), "segments": [], "distinct": []}
