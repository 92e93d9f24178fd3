"""A run: workers under load, hurt in every way that the schedule says, and an account of every record afterwards.

    chaos.py --seed 7 --size ci            the same actions in the same order, at about the same times
    chaos.py --kinds kill,proxy            only some kinds of actions

What it prints first is what repeats it. Some hands act at a time, so actions overlap, but a worker is hurt by one at a time."""

import argparse
import contextlib
import dataclasses
import json
import operator
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import actions as kinds                                        # noqa: E402
import schedule                                                # noqa: E402
from checker import Findings, account, check_offsets, check_seen, settle    # noqa: E402
from deployment import Models, Pipeline                        # noqa: E402
from feeder import Feeder                                      # noqa: E402
from fleet import Fleet, failpoints_of                         # noqa: E402
from outputs import Replayed, Written                          # noqa: E402
from proxied import ProxiedKafka                               # noqa: E402
from services import Registry                                  # noqa: E402
from traffic import ROOT, Traffic, register_schemas            # noqa: E402
from watcher import Watcher                                    # noqa: E402

HANDS = 3
BREATH_SECONDS = (0.2, 1.5)                                    # of a hand between two actions
SETTLE_SECONDS_MAX = 180
READY_SECONDS_MAX = 45
TRIES_MAX = 3
COMPACTION = {"min.compaction.lag.ms": "0", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}
SHED_LAG_MS = 86_400_000                                       # never: each shadow must be there
SETTINGS = {"state": {"checkpoint_interval": "2s"}}


class Run:
    def __init__(self, kafka, registry, models, directory, seed, sizes, changes=None, only=None, log=print, name=None, actions=None,
                 patience=SETTLE_SECONDS_MAX, compacts=False):
        """`actions` instead of the schedule's; `patience`: seconds until all must be committed after them; `compacts`: the
        changelog is compacted all the time, of which weir asks ten minutes of rest: it looks only when it starts."""
        self.kafka, self.proxy, self.directory, self.seed, self.sizes, self.log = kafka, kafka.proxy, str(directory), seed, sizes, log
        self.findings, self.hits, self.done, self.hands = Findings(self.note), Counter(), Counter(), []
        self.began, self.lock, self.broker_lock, self.failure = time.monotonic(), threading.Lock(), threading.Lock(), None
        self.compaction_lock = threading.Lock()
        self.patience, self.compacts = patience, compacts
        self.actions = actions or schedule.make(seed, sizes, failpoints(models.binary, sizes.failpoints, seed))
        self.actions = [action for action in self.actions if not only or action.kind in only]
        self.waiting, self.left = list(self.actions), sum(action.seconds for action in self.actions)
        name = f"{name or 'chaos'}-{os.getpid()}"             # an instance of an app is locked on its host
        self.pipeline = Pipeline(kafka, models, directory, name, {"url": registry.url}, sizes.partitions, changes=SETTINGS).create_topics()
        self.pipeline.config["models"]["shed_lag_ms"] = SHED_LAG_MS
        self.records = Traffic(register_schemas(registry), sizes.events, partitions=sizes.partitions, seed=seed).records
        self.ends = Counter(record.partition for record in self.records)
        changes = {name: self.pipeline.config.get(name, {}) | value if isinstance(value, dict) else value for name, value in (changes or {}).items()}
        self.fleet = Fleet(schedule.WORKERS + schedule.GUESTS, self.pipeline, kafka.proxy.address, self.findings, changes)

    def note(self, what, action=""):
        self.log(f"{time.monotonic() - self.began:7.1f} s  {what}{': ' if action else ''}{action}", flush=True)

    # -- while it goes on --

    def seconds_left(self):
        """Of the actions: those that are being done count half."""
        return self.left / HANDS

    def hand(self, number):
        draw = random.Random(self.seed * HANDS + number)
        try:
            while not self.failure and (action := self.take()):
                self.note("begins", action)
                kinds.KINDS[action.kind](self, action)
                with self.lock:
                    self.left -= action.seconds
                    self.done[action.kind] += 1
                time.sleep(draw.uniform(*BREATH_SECONDS))
        except Exception as error:                             # noqa: the one who waits for the hands raises it
            self.failure = error
            traceback.print_exc()

    def take(self):
        """The first whose worker nobody is at."""
        with self.lock:
            free = (action for action in self.waiting if not self.busy(action))
            action = next(free, self.waiting[0] if self.waiting else None)
            if action:
                self.waiting.remove(action)
            return action

    def again(self, action):
        """A failpoint that the worker did not come by, because it had no partitions yet, or nothing to do: another one does, at
        its first chance."""
        tries = action.details.get("tries", 1)
        if tries < TRIES_MAX:
            act, other = action.details["act"].partition("@")[0], schedule.WORKERS[schedule.WORKERS.index(action.worker) - 1]
            with self.lock:
                self.waiting.append(dataclasses.replace(action, worker=other, details=action.details | {"act": f"{act}@1", "tries": tries + 1}))
                self.left += action.seconds

    def busy(self, action):
        return (self.fleet[action.worker].lock if action.worker else self.broker_lock).locked()

    def go(self):
        """Returns what is wrong: nothing, if all is well."""
        self.note(f"seed {self.seed}, {self.sizes}")
        self.watcher = Watcher(self.kafka, self.pipeline.outputs, self.findings).start()
        self.feeder = Feeder(self.kafka.brokers, self.pipeline.topic, self.records, self.seconds_left)
        try:
            self.fleet.start(schedule.WORKERS)
            for name in schedule.WORKERS:
                self.fleet[name].worker.wait_ready(READY_SECONDS_MAX)
            self.wait_shared_out()
            self.compact(COMPACTION)
            self.feeder.start()
            self.hands = [threading.Thread(target=self.hand, args=(i,), daemon=True) for i in range(HANDS)]
            for hand in self.hands:
                hand.start()
            for hand in self.hands:
                hand.join()
            if self.failure:
                raise self.failure
            self.note(f"all is done: {dict(self.done)}; {self.feeder.fed} records are in")
            self.proxy.tell("calm")
            self.feeder.join()
            self.wait_committed()
            self.fleet.check_ready(min(self.patience, READY_SECONDS_MAX))
            self.fleet.stop()
        finally:
            self.fleet.kill()
        self.judge()
        return self.findings

    def compact(self, settings):
        if self.compacts:
            self.kafka.configure(f"{self.pipeline.app_id}-windows-changelog", settings)

    @contextlib.contextmanager
    def compaction_at_rest(self, slot):
        """While a worker starts, in which there is no more than that."""
        with self.compaction_lock if self.compacts else contextlib.nullcontext():
            self.compact({"min.compaction.lag.ms": "600000"})
            yield
            if self.compacts:
                slot.worker.address()                          # it has looked
            self.compact(COMPACTION)

    def wait_shared_out(self):
        """Until the group has come to rest: each partition has an owner, and each worker has some."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            shares = [len(lane["partitions"]) for name in schedule.WORKERS for lane in self.fleet[name].worker.status()["lanes"]]
            if sum(shares) == self.sizes.partitions and all(shares):
                return
            time.sleep(0.1)
        self.findings.add("stuck", f"after {READY_SECONDS_MAX} s the workers have {shares} partitions")

    # -- afterwards --

    def wait_committed(self):
        ends = [self.ends[p] for p in range(self.sizes.partitions)]
        deadline, committed = time.monotonic() + self.patience, None
        while time.monotonic() < deadline and not (committed and all(map(operator.ge, committed, ends))):
            committed = self.pipeline.committed()
            time.sleep(0.1)
        self.note("all is committed" if committed == ends else f"after {self.patience} s {committed} of {ends} is committed")

    def judge(self):
        settle(self.findings, self.kafka, self.output_topics())
        self.watcher.stop()
        written = Written(self.kafka, self.pipeline.outputs)
        self.note(f"{len(written.predictions)} predictions, {len(written.shadows)} shadows, {len(written.dead_letters)} dead letters")
        self.compact({"min.compaction.lag.ms": "600000"})      # replay looks, too
        replayed = Replayed(self.pipeline.replay(f"{self.directory}/replayed"))
        account(self.findings, self.pipeline, self.records, written, replayed)
        check_seen(self.findings, self.watcher, written)
        check_offsets(self.findings, self.pipeline.committed(), [self.ends[p] for p in range(self.sizes.partitions)])
        self.note(f"{self.counts()}")

    def output_topics(self):
        """All that workers write to, those of their state too."""
        there = self.kafka.admin.list_topics(timeout=10).topics
        state = [topic for topic in there if topic.startswith(f"{self.pipeline.app_id}-") and topic != self.pipeline.topic]
        return sorted(set(self.pipeline.outputs.values()) | set(state))

    def missed(self):
        """Failpoints that were not reached."""
        return sorted({action.details["name"] for action in self.actions if action.kind == "failpoint"} - set(+self.hits))

    def counts(self):
        stops = [seconds for slot in self.fleet.slots.values() for seconds in slot.stops]
        return {"findings": self.findings.counts(), "done": dict(self.done), "failpoints": dict(self.hits), "missed": self.missed(), "proxy": self.proxy.tell("stats"),
                "starts": sum(slot.starts for slot in self.fleet.slots.values()), "longest stop": round(max(stops, default=0), 1)}


def failpoints(binary, times, seed):
    """(name, act) of all that this build has: dies there the first time, then pauses and fails too. All in all `times` each."""
    draw = random.Random(seed)
    acts = []
    for name, can_fail in failpoints_of(binary):
        if name in kinds.NOT_HERE:
            continue
        for i in range(times):
            act = "kill" if i == 0 else draw.choice(["kill", "pause=2500", "pause=11500", "error" if can_fail else "kill"])
            acts.append((name, f"{act}@{draw.randint(1, kinds.passes(name))}"))
    return acts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    arguments.add_argument("--size", default="ci", choices=schedule.SIZES)
    arguments.add_argument("--kinds", type=lambda text: text.split(","), help="only these of: " + " ".join(kinds.KINDS))
    arguments.add_argument("--binary", default=os.environ.get("WEIR_BINARY") or f"{ROOT}/build-sanitize/weir")
    arguments.add_argument("--events", type=int)
    arguments.add_argument("--changes", type=json.loads, default={}, help="settings of the workers, as JSON")
    arguments.add_argument("--directory", help="where logs stay; else they go with the run, if nothing was wrong")
    given = arguments.parse_args()
    sizes = schedule.SIZES[given.size]
    if given.events:
        sizes = dataclasses.replace(sizes, events=given.events)
    directory = given.directory or tempfile.mkdtemp(prefix="weir-chaos-")
    print(f"chaos.py --seed {given.seed} --size {given.size} --directory {directory}", flush=True)
    with ProxiedKafka(f"{directory}/kafka") as kafka, Registry(f"{directory}/registry") as registry:
        models = Models(given.binary, f"{directory}/models")
        findings = Run(kafka, registry, models, directory, given.seed, sizes, given.changes, given.kinds).go()
    print(findings, flush=True)
    return 1 if findings.by_kind else 0


if __name__ == "__main__":
    sys.exit(main())
