"""The workers of a run, each in a slot: who acts on one has it alone, and one that should run and does not is noted."""

import itertools
import os
import re
import threading
import time

from worker import run_weir

KAFKA = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000", "socket.timeout.ms": "8000", "reconnect.backoff.max.ms": "500"}
STOP_SECONDS_MAX = 45
NOBODY_TO_COMMIT_TO = re.compile(r" error .*\((_TIMED_OUT|_TRANSPORT|NOT_COORDINATOR|COORDINATOR_\w+)\)")      # while the broker is away: exit status 1 is right


class Slot:
    def __init__(self, name, pipeline, address, findings, changes):
        self.name, self.pipeline, self.findings, self.changes = name, pipeline, findings, changes
        self.kafka = KAFKA | pipeline.config["kafka"] | {"bootstrap.servers": address, "client.id": name}
        if changes.get("input", {}).get("group_protocol") == "consumer":       # the broker decides on the session then
            self.kafka = {key: value for key, value in self.kafka.items() if key not in ("session.timeout.ms", "heartbeat.interval.ms")}
        self.lock, self.wanted, self.starts, self.stops = threading.Lock(), False, 0, []
        self.worker = pipeline.worker(name, kafka=self.kafka, **changes)

    def start(self, **more):
        """`more`: settings of this start alone."""
        self.worker = self.pipeline.worker(self.name, **({"kafka": self.kafka} | self.changes | more))
        self.worker.start()
        self.starts, self.wanted = self.starts + 1, True

    def running(self):
        return self.worker.process.running()

    def has_taken_partitions(self):
        return "takes partitions" in self.worker.logged()

    def wants_a_broker(self):
        """What it said last is that there is none."""
        return NOBODY_TO_COMMIT_TO.search(self.worker.process.tail(3))

    def checked(self, end):
        """Ends the worker by `end`; whatever a sanitizer had to say is a finding."""
        self.wanted = False
        try:
            end()
        except AssertionError as error:
            if not self.wants_a_broker():
                self.findings.add("ended", f"{self.name}: {error}")

    def kill(self):
        self.checked(self.worker.kill)

    def stop(self):
        """SIGTERM: it must end with exit status 0, once it has begun to run."""
        began = time.monotonic()
        self.checked(lambda: self.worker.stop(STOP_SECONDS_MAX) if self.worker.logged() else self.worker.kill())
        self.stops.append(time.monotonic() - began)

    def signal(self, number):
        os.kill(self.worker.process.pid, number)

    def freeze(self, seconds):
        with self.worker.process.frozen():
            time.sleep(seconds)

    def wait_end(self, seconds):
        """True if it has ended by itself."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.running()

    def look_after(self):
        """A worker that has ended by itself is a finding; then it is started again, as an init system would."""
        if not self.wanted or self.running() or not self.lock.acquire(blocking=False):
            return
        try:
            if self.wanted and not self.running():
                code = self.worker.process.kill()
                self.checked(self.worker.assert_clean)
                if not self.wants_a_broker():
                    self.findings.add("ended", f"{self.name} by itself, exit status {code}:\n{self.worker.process.tail(15)}")
                self.start()
        finally:
            self.lock.release()


class Fleet:
    def __init__(self, names, pipeline, address, findings, changes=None):
        self.given = pipeline, address, findings, changes or {}
        self.slots = {name: Slot(name, *self.given) for name in names}
        self.passers_by = itertools.count(len(self.slots))
        self.stopping = threading.Event()
        self.warden = threading.Thread(target=self.watch, name="warden", daemon=True)

    def __getitem__(self, name):
        return self.slots[name]

    def start(self, names):
        for name in names:
            self.slots[name].start()
        self.warden.start()

    def passer_by(self):
        """A worker that the group has never seen: unlike a guest who was there a moment ago, it makes others give up partitions."""
        name = f"p{next(self.passers_by)}"
        slot = self.slots[name] = Slot(name, *self.given)
        slot.start()
        return slot

    def watch(self):
        while not self.stopping.wait(0.5):
            for slot in list(self.slots.values()):
                slot.look_after()

    def check_ready(self, seconds):
        """Who lives is of use: it has joined and its partitions are rebuilt. Otherwise it is stuck."""
        deadline = time.monotonic() + seconds
        for slot in self.running():
            try:
                slot.worker.wait_ready(max(1, deadline - time.monotonic()))
            except AssertionError:
                slot.findings.add("stuck", f"{slot.name} is not ready after {seconds} s: {slot.worker.get('/status')[1]}\n{slot.worker.process.tail(15)}")

    def running(self):
        return [slot for slot in self.slots.values() if slot.running()]

    def stop(self):
        self.stopping.set()
        self.warden.join()
        for slot in self.running():
            slot.stop()

    def kill(self):
        self.stopping.set()
        for slot in self.slots.values():
            slot.worker.process.kill()


def failpoints_of(binary):
    """(name, whether it can fail) of the places where this build can stop; none in a build without."""
    done = run_weir(binary, "run", "--failpoints")
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [(name, "error" in acts.split(",")) for name, acts, *_ in map(str.split, lines)]
