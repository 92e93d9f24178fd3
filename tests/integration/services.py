"""The services that integration tests run against: a Kafka broker, a schema registry, PostgreSQL. All real.

Each listens on loopback ports that were free when it was made, keeps its data and its log in its own directory, and comes
back on the same ports with the same data after stop() or kill() and start(). They end with this process, however that
ends. tests/deps.sh installs what they need. Run as a program, this file starts each once and says how long that took.
"""

import atexit
import concurrent.futures
import contextlib
import ctypes
import glob
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

PREFIX = os.environ.get("WEIR_PREFIX") or os.path.expanduser("~/.cache/weir")
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 30
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]


def free_ports(count):
    """Ports below the ephemeral range: a client that knocks while a service is down cannot be given the service's port."""
    sockets = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.randrange(10000, 32768)))
                sockets.append(candidate)
            except OSError:
                candidate.close()
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child in a process group of its own, its output appended to a log file. weir itself can be run by it, too."""

    _running = set()
    # a child's life is tied to the thread that started it: this one lasts as long as the process
    _starter = concurrent.futures.ThreadPoolExecutor(1, "starter")

    def __init__(self, command, log, **popen):
        self.command, self.log = [str(part) for part in command], str(log)
        self.popen, self.child = popen, None

    def start(self):
        assert not self.running(), f"{self.command[0]} is running already"
        with open(self.log, "ab") as log:
            self.child = self._starter.submit(subprocess.Popen, self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                              start_new_session=True, preexec_fn=_die_with_parent, **self.popen).result()
        Process._running.add(self)
        return self

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def wait(self, seconds=STOP_SECONDS_MAX):
        """The exit code; what is left of the group is ended."""
        code = self.child.wait(seconds)
        self._end_group()
        return code

    def stop(self, seconds=STOP_SECONDS_MAX, signal_number=signal.SIGTERM):
        """Asks it to end, and makes it after `seconds`. Returns the exit code."""
        if self.running():
            self.child.send_signal(signal_number)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        return self.kill()

    def kill(self):
        if self.child is None:
            return None
        self._end_group()
        return self.child.wait()

    @contextlib.contextmanager
    def frozen(self):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end_group(self):
        if self in Process._running:
            Process._running.discard(self)
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def tail(self, lines=40):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


@atexit.register
def _end_all():
    for process in list(Process._running):
        process.kill()


class Service:
    """start() returns when the service answers. As a context manager it starts on entry and is stopped on exit."""

    process: Process

    def answers(self):
        raise NotImplementedError

    def start(self):
        self.process.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.answers():
            if not self.process.running() or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"{type(self).__name__} did not start; the end of {self.process.log}:\n{self.process.tail()}")
            time.sleep(0.05)
        return self

    def stop(self):
        return self.process.stop()

    def kill(self):
        return self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        return self if self.process.running() else self.start()

    def __exit__(self, *_):
        self.stop()


class Kafka(Service):
    """One KRaft node, broker and controller. `settings` are added to server.properties, or replace what stands there.
    `proxied`: it listens at the first of these ports, too, and tells who comes there to go on at the second."""

    SETTINGS = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # a broker that was killed may come back once its session has ended
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # events carry old timestamps: nothing may expire or roll on time
        "log.retention.ms": "-1",
        "log.roll.hours": "100000",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }

    def __init__(self, directory, settings=None, proxied=None):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        port, controller_port = free_ports(2)
        self.brokers = f"127.0.0.1:{port}"
        listener, advertised = (f",PROXIED://127.0.0.1:{p}" for p in proxied) if proxied else ("", "")
        settings = self.SETTINGS | {
            "listeners": f"PLAINTEXT://{self.brokers}{listener},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.brokers}{advertised}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "log.dirs": f"{self.directory}/data",
        } | (settings or {})
        properties = f"{self.directory}/server.properties"
        with open(properties, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

        java = JAVA + ["-Xms256m", "-Xmx1g", "-Dlog4j2.level=WARN", "-cp", f"{PREFIX}/kafka-4.1.0/libs/*"]
        formatted = subprocess.run(java + ["kafka.tools.StorageTool", "format", "-t", "d2VpciB0ZXN0IG5vZGUgMQ", "-c", properties],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if formatted.returncode:
            raise RuntimeError(f"the broker's storage could not be formatted:\n{formatted.stdout}")
        self.process = Process(java + ["kafka.Kafka", properties], f"{self.directory}/kafka.log")
        self.admin = None

    def answers(self):
        if not accepts(int(self.brokers.rpartition(":")[2])):
            return False
        try:
            self.admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
            return len(self.admin.list_topics(timeout=2).brokers) == 1
        except KafkaException:
            return False

    def create(self, topic, partitions=1, config=None):
        """Creates the topic and returns when a client can see all its partitions' leaders."""
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(30)
        return self.wait_leaders(topic, partitions)

    def grow(self, topic, partitions):
        """The topic has more partitions from now on; returns when a client can see all their leaders. Until then a producer
        refuses records for those that it does not see."""
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)
        return self.wait_leaders(topic, partitions)

    def wait_leaders(self, topic, partitions):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            seen = self.admin.list_topics(topic, timeout=5).topics[topic].partitions
            if len(seen) == partitions and all(p.leader == 1 for p in seen.values()):
                return topic
            time.sleep(0.02)
        raise RuntimeError(f"topic {topic} has no {partitions} partitions with leaders to be seen")

    def delete(self, topic):
        """Returns when no client can see it any more."""
        self.admin.delete_topics([topic])[topic].result(30)
        deadline = time.monotonic() + 30
        while topic in self.admin.list_topics(timeout=5).topics:
            assert time.monotonic() < deadline, f"topic {topic} was deleted, and is still there"
            time.sleep(0.02)

    def configure(self, topic, config):
        """Changes settings of a topic; the others stay."""
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(30)

    def settings(self, topic):
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return {name: entry.value for name, entry in self.admin.describe_configs([resource])[resource].result(30).items()}

    def delete_records_before(self, topic, offsets):
        """The log of partition p then begins at offsets[p]."""
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
        for done in self.admin.delete_records(wanted).values():
            done.result(30)


class Registry(Service):
    """The Apicurio registry, used by its Confluent-compatible API at `url`."""

    def __init__(self, directory):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        home = f"{PREFIX}/apicurio-registry-3.0.9"
        self.process = Process(
            JAVA + ["-Xmx512m", "-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}", "-Dquarkus.log.level=WARN",
                    f"-Dapicurio.datasource.url=jdbc:h2:file:{self.directory}/registry",
                    "-cp", f"{home}/*:{home}/lib/*", "io.quarkus.runner.GeneratedMain"],
            f"{self.directory}/registry.log", cwd=self.directory)

    def request(self, method, path, body=None):
        """The answer's JSON; an HTTP error is raised with what the registry said."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def answers(self):
        try:
            self.request("GET", "/subjects")
            return True
        except (OSError, RuntimeError):
            return False

    def register(self, subject, schema, references=()):
        """Registers an Avro schema (text or parsed JSON) and returns its id. A reference is (name, subject, version)."""
        body = {"schema": schema if isinstance(schema, str) else json.dumps(schema), "schemaType": "AVRO"}
        if references:
            body["references"] = [dict(zip(("name", "subject", "version"), reference)) for reference in references]
        return self.request("POST", f"/subjects/{subject}/versions", body)["id"]

    def schema(self, schema_id):
        return self.request("GET", f"/schemas/ids/{schema_id}")["schema"]


class Postgres(Service):
    """A cluster of its own with one superuser, `weir`, and no password. It lies in a directory that its user may enter."""

    def __init__(self, _directory=None):
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.directory = tempfile.mkdtemp(prefix="weir-postgres-")
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self.identity = {}
        if os.getuid() == 0:                                      # initdb and postgres refuse root
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        (self.port,) = free_ports(1)
        self.dsn = f"host=127.0.0.1 port={self.port} user=weir dbname=postgres"
        data = f"{self.directory}/data"
        subprocess.run([f"{self.bin}/initdb", "-D", data, "-U", "weir", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
                       stdout=subprocess.DEVNULL, check=True, cwd=self.directory, **self.identity)
        self.process = Process([f"{self.bin}/postgres", "-D", data, "-h", "127.0.0.1", "-p", self.port, "-k", self.directory,
                                "-c", "fsync=off"], f"{self.directory}/postgres.log", cwd=self.directory, **self.identity)

    def answers(self):
        return subprocess.run([f"{self.bin}/pg_isready", "-q", "-d", self.dsn], check=False).returncode == 0

    def stop(self):
        return self.process.stop(signal_number=signal.SIGINT)     # fast: ends sessions, does not wait for them

    def sql(self, text):
        """Runs SQL and returns the rows as lines, their columns parted by |."""
        done = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.dsn],
                              input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.splitlines()


def main():
    with tempfile.TemporaryDirectory(prefix="weir-services-") as directory:
        for service in (Kafka, Registry, Postgres):
            began = time.monotonic()
            with service(f"{directory}/{service.__name__.lower()}") as running:
                ready = time.monotonic()
                running.restart()
                again = time.monotonic()
                running.kill()
                running.start()
                back = time.monotonic()
            print(f"{service.__name__}: ready after {ready - began:.1f} s, restarted in {again - ready:.1f} s, "
                  f"back {back - again:.1f} s after a kill, stopped in {time.monotonic() - back:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
