"""What is done to the workers and the broker, in which order: a function of a seed and of how much of each."""

import dataclasses
import random

import wire

WORKERS = ("w0", "w1", "w2")                 # always meant to run
GUESTS = ("w3", "w4")                        # join and leave
PAUSE_SECONDS = (10.5, 13)                   # past transaction.timeout.ms and the session time-out

PROXY_FAULTS = (                             # (share of the draws, what the proxy is told, seconds until it is over)
    (2, {"do": "reset"}, 1),
    (1, {"do": "refuse", "seconds": 3}, 4),
    (1, {"do": "hang", "seconds": 4}, 5),
    (1, {"do": "hang", "seconds": 7, "reset": True}, 8),
    (1, {"do": "delay", "seconds": 5, "ms": 100}, 5),
    (1, {"do": "throttle", "seconds": 5, "bytes_per_s": 100_000}, 5),
    (3, {"do": "swallow", "api": wire.END_TXN, "reset": True}, 2),
    (1, {"do": "swallow", "api": wire.END_TXN, "count": 3, "reset": True}, 3),
    (1, {"do": "swallow", "api": wire.END_TXN}, 2),
    (1, {"do": "swallow", "api": wire.TXN_OFFSET_COMMIT, "reset": True}, 2),
    (1, {"do": "swallow", "api": wire.TXN_OFFSET_COMMIT}, 2),
    (1, {"do": "swallow", "api": wire.PRODUCE, "count": 2, "reset": True}, 2),
    (2, {"do": "late_produce", "seconds": 11, "after": "abort"}, 14),
    (1, {"do": "late_produce", "seconds": 11, "after": "next"}, 14),
)
HELD_APIS = (wire.END_TXN, wire.TXN_OFFSET_COMMIT, wire.ADD_OFFSETS)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How often each; `failpoints` is how often each of them is hit."""
    events: int = 200_000
    partitions: int = 12
    kills: int = 10
    pauses: int = 5
    changes: int = 10
    broker_restarts: int = 3
    proxy_faults: int = 10
    failpoints: int = 1


SIZES = {
    "small": Sizes(events=20_000, kills=2, pauses=2, changes=2, broker_restarts=1, proxy_faults=3),
    "ci": Sizes(),
    "all": Sizes(events=1_000_000, kills=100, pauses=20, changes=50, broker_restarts=20, proxy_faults=60, failpoints=10),
}


@dataclasses.dataclass(frozen=True)
class Action:
    kind: str                                # kill pause pause_in_commit change broker proxy failpoint
    worker: str | None
    seconds: float                           # about how long it takes
    details: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        details = " ".join(f"{name}={wire.NAMES[value] if name == 'api' else value}" for name, value in self.details.items())
        return " ".join(filter(None, (self.kind, self.worker, details)))


def one_of_each(kinds, count, draw):
    """`count` of them: each at least once where there is room, then by their shares."""
    chosen = list(range(len(kinds)))
    draw.shuffle(chosen)
    chosen += draw.choices(range(len(kinds)), [kind[0] for kind in kinds], k=max(0, count - len(kinds)))
    return [kinds[i] for i in chosen[:count]]


def make(seed, sizes, failpoints=()):
    """The actions in their order. failpoints: (name, action) pairs, such as ("commit.after", "kill")."""
    draw = random.Random(seed)
    worker = lambda: draw.choice(WORKERS)
    actions = [Action("kill", worker(), down + 1, {"down": round(down, 1)}) for down in (draw.choice((0, draw.uniform(0, 4))) for _ in range(sizes.kills))]
    in_commit = sizes.pauses // 2
    actions += [Action("pause", worker(), seconds, {"pause": round(seconds, 1)}) for seconds in (draw.uniform(*PAUSE_SECONDS) for _ in range(sizes.pauses - in_commit))]
    actions += [Action("pause_in_commit", worker(), seconds + 1, {"pause": round(seconds, 1), "api": draw.choice(HELD_APIS)})
                for seconds in (draw.uniform(*PAUSE_SECONDS) for _ in range(in_commit))]
    actions += [Action("change", draw.choice(GUESTS), 2) for _ in range(sizes.changes)]
    actions += [Action("broker", None, down + 6, {"down": round(down, 1)}) for down in (draw.uniform(0, 3) for _ in range(sizes.broker_restarts))]
    for _, command, seconds in one_of_each(PROXY_FAULTS, sizes.proxy_faults, draw):
        of_all = command["do"] in ("reset", "refuse", "delay", "throttle") and draw.random() < 0.5
        actions.append(Action("proxy", None if of_all else worker(), seconds, command))
    actions += [Action("failpoint", worker(), 8, {"name": name, "act": act}) for name, act in failpoints]
    draw.shuffle(actions)
    return actions
