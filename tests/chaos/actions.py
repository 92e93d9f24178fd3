"""What can be done to a run: one function a kind of action (schedule.py chooses which, when and to whom)."""

import time

import wire

HELD_SECONDS_MAX = 12
HIT_SECONDS_MAX = 15
PASSERS_BY_MAX = 3
PASSES_BY_SECONDS_MAX = 12

# What makes a worker come by a place that it does not pass every day: other failpoints, or something done to it.
PROVOKED_BY_FAILPOINT = {
    "before_abort": ["before_send_offsets:error@3"],
    "after_abort": ["before_send_offsets:error@3"],
    "before_recreate": ["before_commit:error@3"],
}
PROVOKED_BY_GUEST = {"in_revoke", "after_revoke"}
PROVOKED_BY_FREEZING = {"in_lost"}
PROVOKED_BY_STOPPING = {"in_stop"}
AT_START = {"in_assign", "in_restore_changelog", "in_restore_tail"}
ONCE_A_CHECKPOINT = {"in_checkpoint_begin", "before_marker", "after_marker"}   # of which there is one every two seconds
NOT_HERE = {"before_swap"}                                     # deployments come from files, they do not change
FREEZE_SECONDS = 8                                             # past the session time-out

PROXY_EFFECTS = {                                              # what the proxy counts when it was able to do it
    "swallow": [f"swallowed {name}" for name in wire.NAMES.values()],
    "late_produce": ["kept a Produce back"],
}


def passes(name):
    """How often a worker comes by this place within HIT_SECONDS_MAX, by what is done to it or by itself."""
    if name in AT_START | PROVOKED_BY_GUEST | PROVOKED_BY_FREEZING | PROVOKED_BY_STOPPING | PROVOKED_BY_FAILPOINT.keys():
        return 1
    return 2 if name in ONCE_A_CHECKPOINT else 8


def kill(run, action):
    """`before`: so long it is left in peace."""
    slot = run.fleet[action.worker]
    with slot.lock:
        time.sleep(action.details.get("before", 0))
        slot.kill()
        time.sleep(action.details["down"])
        with run.compaction_at_rest(slot):
            slot.start()


def pause(run, action):
    slot = run.fleet[action.worker]
    with slot.lock:
        if slot.running():
            slot.freeze(action.details["pause"])


def pause_in_commit(run, action):
    """The request waits in the proxy, the worker is frozen, its partitions move; then both go on."""
    slot = run.fleet[action.worker]
    with slot.lock:
        run.proxy.tell("hold", api=action.details["api"], client=slot.name, seconds=60)
        deadline = time.monotonic() + HELD_SECONDS_MAX
        while not (held := run.proxy.tell("held", client=slot.name)) and time.monotonic() < deadline:
            time.sleep(0.02)
        run.note("in the middle of a commit" if held else "found no commit to freeze", action)
        if slot.running():
            slot.freeze(action.details["pause"])
        run.proxy.tell("release", client=slot.name)


def change(run, action):
    """A guest joins, or leaves if it is there."""
    slot = run.fleet[action.worker]
    with slot.lock:
        if slot.running():
            slot.stop()
        else:
            slot.start()


def broker(run, action):
    with run.broker_lock, run.feeder.quiet(), run.watcher.away():
        run.kafka.kill()
        time.sleep(action.details["down"])
        run.kafka.start()


def proxy(run, action):
    """Not every fault finds somebody to hurt: a worker without partitions commits nothing."""
    command, before = dict(action.details), run.proxy.tell("stats")
    run.proxy.tell(command.pop("do"), client=action.worker, **command)
    time.sleep(action.seconds)
    after = run.proxy.tell("stats")
    for name, effects in PROXY_EFFECTS.items():
        if action.details["do"] == name and all(before.get(e, 0) == after.get(e, 0) for e in effects):
            run.note("nobody was hurt", action)


def failpoint(run, action):
    """The worker starts with the failpoint armed; how many times it passes by before is drawn in the schedule."""
    slot, name = run.fleet[action.worker], action.details["name"]
    with slot.lock:
        slot.kill()
        armed = [f"{name}:{action.details['act']}", *PROVOKED_BY_FAILPOINT.get(name, [])]
        slot.start(failpoints=armed)
        slot.wanted = False                                    # it may end
        hit = lambda: f"failpoint {name}: the process" in slot.worker.logged()
        over = lambda: hit() or not slot.running()
        provoke(run, slot, name, over)
        wait_until(over, HIT_SECONDS_MAX)
        run.hits[name] += bool(hit())
        if not hit():
            run.note("was not reached", action)
            run.again(action)
        if action.details["act"].startswith("kill"):
            slot.wait_end(2)
        else:
            time.sleep(1)
        if not slot.running() and not (hit() and action.details["act"].startswith("kill")) and name not in PROVOKED_BY_STOPPING and not slot.wants_a_broker():
            run.findings.add("ended", f"{slot.name} at failpoint {name}:{action.details['act']}:\n{slot.worker.process.tail(15)}")
        slot.kill()
        slot.start()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def provoke(run, slot, name, over):
    if name in AT_START:
        return
    if name in PROVOKED_BY_GUEST | PROVOKED_BY_FREEZING | PROVOKED_BY_STOPPING:
        wait_partitions(slot)
    if name in PROVOKED_BY_FREEZING and slot.running():
        slot.freeze(FREEZE_SECONDS)
    if name in PROVOKED_BY_STOPPING and slot.running():
        slot.signal(15)
    for _ in range(PASSERS_BY_MAX if name in PROVOKED_BY_GUEST else 0):
        passer_by = run.fleet.passer_by()
        wait_until(lambda: over() or passer_by.has_taken_partitions(), PASSES_BY_SECONDS_MAX)
        with passer_by.lock:
            passer_by.stop()
        if over():
            break


def wait_partitions(slot):
    wait_until(lambda: slot.has_taken_partitions() or not slot.running(), HIT_SECONDS_MAX)
    time.sleep(0.5)


KINDS = {f.__name__: f for f in (kill, pause, pause_in_commit, change, broker, proxy, failpoint)}
