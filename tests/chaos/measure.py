"""What exactly once costs and how fast it comes back, on this machine. Run by hand; the last lines are the figures.

    measure.py recovery [--events 10000000 --cards 1000000 --protocol consumer]
        kill -9 and start again at a given size of state: seconds from the start to the first prediction that a
        read_committed reader sees, to readiness, and how fast state came back; the same for SIGTERM; then whether a state
        from a checkpoint is that of a rebuild from the input, and how fast that is
    measure.py cost [--events 2000000 --repeat 3] [--rate 5000 --seconds 60]
        CPU an event: exactly once, at least once, and exactly once with checkpoints every --interval, all on the same events at
        the same time; of a backlog (start included), or at a rate, slice by slice, with the standard error of the quotients;
        the changelog's bytes
    measure.py monitoring [--seconds 60 --rate 5000] [--rate 0 --events 1000000 --repeat 3]
        CPU of a worker beside that of one whose lanes count nothing for monitoring (WEIR_WITHOUT names that binary, compiled
        with -DWEIR_WITHOUT_SKETCHES), on the same events, at the same time at a rate, in turn on a backlog (rate 0); bytes of
        the sketches beside the predictions'
    measure.py outage [--seconds 30]
        memory of a worker whose broker is away, beside the worst case that `weir check` prints
    measure.py latency --peers DIRECTORY [--rate 5000 --repeat 3]
        from the moment an event was due to a read_committed reader, of a worker and of a pass-through with two transactions
        in turn, both on the same events at the same time.  The directory holds three programs: `gen` (stamps each record
        with the moment it is due), `latency` (reads an output and subtracts that stamp) and `passthrough`

WEIR_BINARY names the binary, which should be the optimised one. The events are `weir generate`'s, the features those of
deploy/examples, the model has 100 trees of depth 6."""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition     # noqa: E402

from deployment import column_names, train_model                         # noqa: E402
from outputs import end_offsets                                          # noqa: E402
from services import Kafka                                               # noqa: E402
from traffic import ROOT                                                 # noqa: E402
from worker import Worker, run_weir                                      # noqa: E402

PARTITIONS = 12
OUTPUTS = {"predictions": "predictions", "shadows": "shadows", "dead_letters": "dead-letters", "monitoring": "monitoring"}
WAIT_SECONDS_MAX = 3600
SLICE_SECONDS = 10
SEGMENTS = ["mcc", "merchant_country", "channel"]


class Bench:
    """A broker, an input topic full of events, and workers of any delivery on it."""

    def __init__(self, kafka, directory, binary):
        self.kafka, self.directory, self.binary = kafka, directory, binary
        self.schemas = f"{directory}/schemas"
        os.makedirs(self.schemas, exist_ok=True)
        shutil.copy(f"{ROOT}/schemas/transaction.avsc", f"{self.schemas}/1.avsc")
        with open(f"{ROOT}/deploy/examples/features.yaml") as file:
            features = file.read()
        self.features = f"{directory}/model/features.yaml"
        self.model = train_model(f"{directory}/champion.ubj", column_names(binary, f"{directory}/model", features), seed=1, depth=6, trees=100)

    def generate(self, topic, events, cards, *more):
        done = run_weir(self.binary, "generate", "--topic", topic, "--brokers", self.kafka.brokers, "--schema-dir", self.schemas,
                        "--events", events, "--cards", cards, *more, seconds=WAIT_SECONDS_MAX)
        assert done.returncode == 0, done.stderr

    def worker(self, app_id, topic, binary=None, **changes):
        outputs = {name: f"{app_id}-{suffix}" for name, suffix in OUTPUTS.items()}
        for name, output in outputs.items():
            self.kafka.create(output, 1 if name == "monitoring" else PARTITIONS)
        config = {"app_id": app_id, "instance": "m", "kafka": {"bootstrap.servers": self.kafka.brokers}, "features": self.features,
                  "input": {"topic": topic, "schemas": {"dir": self.schemas}}, "outputs": outputs, "http": "127.0.0.1:0",
                  "models": {"champion": {"id": "bench", "file": self.model}}, "monitor": {"window": "1h"}} | changes
        if "protocol" in changes:
            config["input"]["group_protocol"] = config.pop("protocol")
        path = f"{self.directory}/{app_id}.yaml"
        with open(path, "w") as file:
            json.dump(config, file, indent=1)
        return Worker(binary or self.binary, path, f"{self.directory}/{app_id}.log")

    def committed(self, app_id, topic):
        group = Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": app_id, "enable.auto.commit": False, "log_level": 0})
        try:
            return sum(max(0, p.offset) for p in group.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=20))
        except KafkaException:                                 # no coordinator for the moment: asked again
            return -1
        finally:
            group.close()

    def wait_committed(self, worker, app_id, topic, events):
        worker.wait_for(lambda: self.committed(app_id, topic) >= events, f"{events} events are committed", WAIT_SECONDS_MAX)

    def visible(self, topic, seconds=30):
        """Of a broker that may have come up just now."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return sum(end_offsets(self.kafka, topic, IsolationLevel.READ_COMMITTED))
            except KafkaException:
                assert time.monotonic() < deadline, f"no offsets of {topic} within {seconds} s"
                time.sleep(0.2)

    def topic_bytes(self, topic):
        size = 0
        for partition in range(PARTITIONS):
            directory = f"{self.kafka.directory}/data/{topic}-{partition}"
            if os.path.isdir(directory):
                size += sum(os.path.getsize(f"{directory}/{name}") for name in os.listdir(directory) if name.endswith(".log"))
        return size


def memory_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        found = dict(line.split(":", 1) for line in status if line.startswith(("VmRSS", "VmHWM")))
    return {name: round(int(value.split()[0]) / 1024) for name, value in found.items()}


# -- recovery --


class Visible:
    """Predictions that become visible from now on: of transactions that are open now, and of later ones."""

    def __init__(self, bench, topic):
        self.consumer = Consumer({"bootstrap.servers": bench.kafka.brokers, "group.id": "visible", "isolation.level": "read_committed",
                                  "enable.auto.commit": False, "fetch.wait.max.ms": 20, "log_level": 0})
        ends = end_offsets(bench.kafka, topic, IsolationLevel.READ_COMMITTED)
        self.consumer.assign([TopicPartition(topic, partition, end) for partition, end in enumerate(ends)])

    def any(self):
        message = self.consumer.poll(0.02)
        return message is not None and not message.error()


def comes_back(bench, worker, app_id, end):
    """Ends the worker by `end`, starts it, and says how long things took. Events come in all the time."""
    began = time.monotonic()
    end()
    ended = time.monotonic()
    visible = Visible(bench, f"{app_id}-predictions")
    started = time.monotonic()
    worker.start()
    first = ready = None
    while first is None or ready is None:
        now = time.monotonic()
        assert now - began < 600 and worker.process.running(), worker.process.tail()
        if first is None and visible.any():
            first = time.monotonic() - started
        if ready is None and worker.get("/ready")[0] == 200:
            ready, cpu = time.monotonic() - started, worker.cpu_seconds()
    visible.consumer.close()
    lines = [line[25:] for line in worker.logged().splitlines() if re.search("entities read from|state re(stored|built)", line)]
    return {"stop took s": round(ended - began, 2), "first prediction after s": round(first, 1), "ready after s": round(ready, 1), "CPU until then s": round(cpu, 1)}, lines


def recovery(bench, given):
    app_id, topic = "recovery", bench.kafka.create("recovery-in", PARTITIONS)
    bench.generate(topic, given.events, given.cards, "--span", "6d", "--start", time.strftime("%Y-%m-%d", time.gmtime(time.time() - 7 * 86400)))
    worker = bench.worker(app_id, topic, protocol=given.protocol, state={"checkpoint_interval": "30s"})
    began = time.monotonic()
    worker.start()
    bench.wait_committed(worker, app_id, topic, given.events)
    print(f"{given.events} events in {time.monotonic() - began:.0f} s, {worker.cpu_seconds():.0f} s of CPU, {memory_mib(worker.process.pid)} MiB", flush=True)
    feeding = subprocess.Popen([bench.binary, "generate", "--topic", topic, "--brokers", bench.kafka.brokers, "--schema-dir", bench.schemas,
                                "--events", "2000000", "--cards", str(given.cards), "--rate", "1000", "--seed", "2"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(given.settle)
        for what, end in (("kill -9", worker.kill), ("SIGTERM", worker.stop)):
            figures, lines = comes_back(bench, worker, app_id, end)
            print("\n".join(sorted(lines)[:4]))
            print(f"{what}: {figures}", flush=True)
            time.sleep(5)
    finally:
        feeding.kill()
        feeding.wait()
    changelog = f"{app_id}-windows-changelog"
    print(f"changelog {bench.topic_bytes(changelog)} bytes, input {bench.topic_bytes(topic)} bytes", flush=True)
    compare_digests(bench, worker, app_id, topic, changelog)


def compare_digests(bench, worker, app_id, topic, changelog):
    """The state at one offset a partition: as it was folded, from a checkpoint and the tail behind it, and from the input."""
    worker.process.command.append("--verbose")
    events = sum(end_offsets(bench.kafka, topic, IsolationLevel.READ_COMMITTED))
    bench.wait_committed(worker, app_id, topic, events)
    worker.kill()
    worker.start().wait_ready(WAIT_SECONDS_MAX)
    from_checkpoint = digests(worker)
    worker.stop()
    bench.kafka.delete(changelog)
    began = time.monotonic()
    worker.start().wait_ready(WAIT_SECONDS_MAX)
    seconds, from_input = time.monotonic() - began, digests(worker)
    worker.stop()
    assert len(from_checkpoint) == len(from_input) == PARTITIONS, worker.process.tail()
    same = sum(from_input[place] == digest for place, digest in from_checkpoint.items())
    print(f"rebuilt from the input in {seconds:.1f} s with the start: {events / seconds:,.0f} events/s, {bench.topic_bytes(topic) / seconds / 1e6:.0f} MB/s")
    print(f"state digests of a checkpoint and its tail, and of a rebuild: {same} of {PARTITIONS} partitions equal")


def digests(worker):
    """{(partition, offset): digest} where a restore ended."""
    found = re.findall(r"partition (\d+): state digest (\w+) at offset (\d+)", worker.logged())
    return {(int(partition), int(offset)): digest for partition, digest, offset in found}


# -- cost --


def kinds_of_cost(given):
    never = {"state": {"checkpoint_interval": "7d"}}
    return {"exactly once": never, "at least once": never | {"delivery": "at_least_once"},
            f"exactly once, checkpoints every {given.interval}": {"state": {"checkpoint_interval": given.interval}}}


def tell_quotients(used, base):
    """Of each kind by that one, slice by slice: what else the machine did in a slice hit both."""
    for name, values in used.items():
        quotients = [value / other for value, other in zip(values, used[base], strict=True)]
        error = statistics.stdev(quotients) / len(quotients) ** 0.5 if len(quotients) > 1 else float("nan")
        print(f"{name}: {statistics.mean(values):.2f} us, {statistics.mean(quotients):.3f} +- {error:.3f} of {base} ({len(quotients)} slices)")


def cost(bench, given):
    """A worker of each kind on the same events at the same time, so that what else the machine does hits all alike."""
    topic, kinds = bench.kafka.create("cost-in", PARTITIONS), kinds_of_cost(given)
    used = (cost_at_rate if given.rate else cost_of_backlog)(bench, given, topic, kinds)
    for base in list(kinds)[:2]:
        tell_quotients(used, base)
    logs = bench.topic_bytes("cost-0-2-windows-changelog")
    print(f"changelog {logs} bytes, input {bench.topic_bytes(topic)} bytes: {logs / bench.topic_bytes(topic):.2f} bytes a byte")


def cost_of_backlog(bench, given, topic, kinds):
    bench.generate(topic, given.events, given.events // 10, "--span", "6d")
    used = {name: [] for name in kinds}
    for round_number in range(given.repeat):
        workers = {name: bench.worker(f"cost-{round_number}-{number}", topic, **changes) for number, (name, changes) in enumerate(kinds.items())}
        for worker in workers.values():
            worker.start()
        done = {}
        while len(done) < len(workers):
            for number, (name, worker) in enumerate(workers.items()):
                if name not in done and bench.committed(f"cost-{round_number}-{number}", topic) >= given.events:
                    done[name] = worker.cpu_seconds()
            assert all(worker.process.running() for worker in workers.values()), "a worker has ended"
        for name, worker in workers.items():
            worker.stop()
            used[name].append(done[name] / given.events * 1e6)
            print(f"{name}: {used[name][-1]:.2f} us of CPU an event, start included", flush=True)
    return used


def cost_at_rate(bench, given, topic, kinds):
    workers = {name: bench.worker(f"cost-0-{number}", topic, **changes) for number, (name, changes) in enumerate(kinds.items())}
    for worker in workers.values():
        worker.start().wait_ready()
    feeding = threading.Thread(target=bench.generate, args=(topic, int(given.rate * (given.seconds + 2 * SLICE_SECONDS)), given.cards, "--rate", given.rate))
    feeding.start()
    time.sleep(SLICE_SECONDS)
    used = slices(bench, workers, round(given.seconds / SLICE_SECONDS), [f"cost-0-{number}-predictions" for number in range(len(kinds))])
    feeding.join()
    for worker in workers.values():
        worker.stop()
    return used


def slices(bench, workers, count, outputs):
    """{name: [us of CPU an event, slice by slice]}"""
    def marks():
        return [(worker.cpu_seconds(), bench.visible(output)) for worker, output in zip(workers.values(), outputs, strict=True)]

    used, before = {name: [] for name in workers}, marks()
    for _ in range(count):
        time.sleep(SLICE_SECONDS)
        now = marks()
        for name, (cpu, seen), (cpu_before, seen_before) in zip(workers, now, before, strict=True):
            used[name].append((cpu - cpu_before) / (seen - seen_before) * 1e6)
        before = now
    return used


# -- monitoring --


def make_baseline(bench):
    events, output = f"{bench.directory}/before.avro", f"{bench.directory}/baseline.json"
    config = f"{bench.directory}/baseline.yaml"
    with open(config, "w") as file:
        json.dump({"app_id": "before", "kafka": {"bootstrap.servers": bench.kafka.brokers}, "features": bench.features,
                   "input": {"topic": "t", "schemas": {"dir": bench.schemas}}, "models": {"champion": {"id": "bench", "file": bench.model}},
                   "monitor": {"segments": SEGMENTS}}, file)
    for command in (("generate", "--output", events, "--events", 200_000, "--span", "20d"), ("baseline", "-c", config, "--input", events, "--output", output)):
        done = run_weir(bench.binary, *command, seconds=300)
        assert done.returncode == 0, done.stderr
    return output


def share(used):
    return f"monitoring: {used['with'] - used['without']:.2f} us an event, {1 - used['without'] / used['with']:.3f} of the worker's CPU"


def monitoring_of_backlog(bench, given, topic, monitor):
    """Of events that came at 5,000 a second: how many windows they fill matters as well."""
    bench.generate(topic, given.events, 20_000, "--span", f"{given.events // 5000}s")
    used = {"with": [], "without": []}
    for number in range(given.repeat):
        for name, binary in (("with", None), ("without", os.environ["WEIR_WITHOUT"])):
            app_id = f"{name}-{number}"
            worker = bench.worker(app_id, topic, binary=binary, monitor=monitor)
            worker.start().wait_ready()
            bench.wait_committed(worker, app_id, topic, given.events)
            used[name].append(worker.cpu_seconds() / given.events * 1e6)
            worker.stop()
            print(f"{name}: {used[name][-1]:.2f} us of CPU an event, start included", flush=True)
    sizes = [bench.topic_bytes(f"with-0-{suffix}") for suffix in ("sketches", "predictions")]
    print(f"{share({name: statistics.median(values) for name, values in used.items()})}; bytes: {sizes[0] / sizes[1]:.2f} of the predictions'")


def monitoring(bench, given):
    """Both at once, so that what else the machine does hits both; the first and last seconds are left out."""
    topic = bench.kafka.create("monitoring-in", PARTITIONS)
    monitor = {"window": "5m", "baseline": make_baseline(bench), "segments": SEGMENTS}
    if given.rate == 0:
        monitoring_of_backlog(bench, given, topic, monitor)
        return
    workers = {"with": bench.worker("with", topic, monitor=monitor),
               "without": bench.worker("without", topic, binary=os.environ["WEIR_WITHOUT"], monitor=monitor)}
    for worker in workers.values():
        worker.start().wait_ready()
    events = int(given.rate * given.seconds)
    feeding = threading.Thread(target=bench.generate, args=(topic, events, 20_000, "--rate", given.rate))
    feeding.start()
    time.sleep(5)
    began = {name: (worker.cpu_seconds(), bench.visible(f"{name}-predictions")) for name, worker in workers.items()}
    time.sleep(given.seconds - 8)
    used = {}
    for name, worker in workers.items():
        cpu, seen = worker.cpu_seconds() - began[name][0], bench.visible(f"{name}-predictions") - began[name][1]
        used[name] = cpu / seen * 1e6
        print(f"{name}: {seen / (given.seconds - 8):.0f} events a second, {used[name]:.2f} us of CPU an event", flush=True)
    feeding.join()
    for name, worker in workers.items():
        bench.wait_committed(worker, name, topic, events)
        worker.stop()
    sizes = {name: bench.topic_bytes(name) for name in ("with-predictions", "with-sketches", "without-sketches")}
    print(f"{share(used)}; bytes: {sizes}, {sizes['with-sketches'] / sizes['with-predictions']:.2f} of the predictions'")


# -- from due to visible --


LATENCY_SECONDS = 30


def latency(bench, given):
    quotients = []
    for number in range(given.repeat):
        topic = bench.kafka.create(f"latency-in-{number}", PARTITIONS)
        worker = bench.worker(f"latency-{number}", topic)
        through = bench.kafka.create(f"through-{number}", PARTITIONS)
        worker.start().wait_ready()
        passing = subprocess.Popen([f"{given.peers}/passthrough", "--brokers", bench.kafka.brokers, "--group", through, "--mode", "eos", "--overlap", "1",
                                    "--in", topic, "--out", through, "--commit-ms", "100"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)
            measured = [latencies(bench, given, output) for output in (f"latency-{number}-predictions", through)]
            subprocess.run([f"{given.peers}/gen", "--brokers", bench.kafka.brokers, "--topic", topic, "--events", str(given.rate * LATENCY_SECONDS),
                            "--rate", str(given.rate), "--cards", str(given.cards)], check=True, stderr=subprocess.DEVNULL)
            ours, theirs = (json.loads(probe.communicate()[0]) for probe in measured)
        finally:
            passing.terminate()
            passing.wait()
        cpu = worker.cpu_seconds() / given.rate / LATENCY_SECONDS * 1e6
        worker.stop()
        quotients.append(ours["p99_ms"] / theirs["p99_ms"])
        print(f"worker {ours}, {cpu:.0f} us of CPU an event; pass-through {theirs}; p99 {quotients[-1]:.2f}", flush=True)
    print(f"p99 at {given.rate} events/s: {statistics.median(quotients):.2f} of the overlapped pass-through's")


def latencies(bench, given, topic):
    events = given.rate * LATENCY_SECONDS
    return subprocess.Popen([f"{given.peers}/latency", "--brokers", bench.kafka.brokers, "--topic", topic, "--events", str(events), "--skip", str(events // 3),
                             "--partitions", str(PARTITIONS), "--timeout", str(LATENCY_SECONDS + 30)], stdout=subprocess.PIPE)


# -- a broker that is away --


def outage(bench, given):
    topic, app_id = bench.kafka.create("outage-in", PARTITIONS), "outage"
    bench.generate(topic, given.events, given.events // 10, "--span", "6d")
    worker = bench.worker(app_id, topic).start()
    worker.wait_for(lambda: bench.visible(f"{app_id}-predictions") > given.events // 10, "a tenth is done", WAIT_SECONDS_MAX)
    before, most, watching = memory_mib(worker.process.pid), [0], threading.Event()

    def watch():
        while not watching.wait(0.2):
            most[0] = max(most[0], memory_mib(worker.process.pid)["VmRSS"])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    bench.kafka.kill()
    time.sleep(given.seconds)
    bench.kafka.start()
    back = time.monotonic()
    seen = bench.visible(f"{app_id}-predictions")
    worker.wait_for(lambda: bench.visible(f"{app_id}-predictions") > seen, "it goes on", 120)
    print(f"goes on {time.monotonic() - back:.1f} s after the broker is back")
    watching.set()
    thread.join()
    bench.wait_committed(worker, app_id, topic, given.events)
    worker.stop()
    check = run_weir(bench.binary, "check", "-c", worker.config)
    print("\n".join(line for line in (check.stdout + check.stderr).splitlines() if re.search("worst|memory", line)))
    print(f"before {before} MiB, most while the broker was away {given.seconds} s: {most[0]} MiB; {given.events} events committed")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("recovery", "cost", "latency", "monitoring", "outage"))
    arguments.add_argument("--peers", help="a directory, for latency")
    arguments.add_argument("--events", type=int)
    arguments.add_argument("--cards", type=int, default=1_000_000)
    arguments.add_argument("--protocol", default="classic", choices=("classic", "consumer"))
    arguments.add_argument("--settle", type=float, default=60, help="seconds before the first kill, for a checkpoint")
    arguments.add_argument("--interval", default="10s", help="of checkpoints, for cost")
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--seconds", type=float, help="that the broker is away (30), or that events come (60)")
    arguments.add_argument("--rate", type=int, help="events a second, for latency and monitoring (5000) and cost (0: a backlog)")
    given = arguments.parse_args()
    given.events = given.events or {"recovery": 10_000_000, "cost": 2_000_000, "outage": 1_000_000, "latency": 0, "monitoring": 1_000_000}[given.what]
    given.rate = given.rate if given.rate is not None else 0 if given.what == "cost" else 5000
    given.seconds = given.seconds or (30 if given.what == "outage" else 60)
    binary = os.environ.get("WEIR_BINARY") or f"{ROOT}/build/weir"
    directory = tempfile.mkdtemp(prefix="weir-measure-")
    with Kafka(f"{directory}/kafka") as kafka:
        globals()[given.what](Bench(kafka, directory, binary), given)
        kafka.kill()
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
