"""A broker that workers reach only through a proxy, and the proxy's faults as methods of it."""

import json
import os
import socket
import sys

from services import Kafka, Process, Service, accepts, free_ports

COMMAND_SECONDS_MAX = 10


class Proxy(Service):
    """See proxy.py for what it can be told."""

    def __init__(self, directory, port, broker_port):
        os.makedirs(str(directory), exist_ok=True)
        (self.control_port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "proxy.py")
        self.process = Process([sys.executable, program, port, broker_port, self.control_port], f"{directory}/proxy.log")

    def answers(self):
        return accepts(self.control_port)

    def tell(self, do, **what):
        with socket.create_connection(("127.0.0.1", self.control_port), COMMAND_SECONDS_MAX) as control, control.makefile() as answers:
            control.sendall(json.dumps({"do": do} | what).encode() + b"\n")
            answer = json.loads(answers.readline())
        if "error" in answer:
            raise RuntimeError(f"the proxy does not take {do} {what}: {answer['error']}")
        return answer["answer"]


# of the broker's own group protocol (KIP-848), where the broker decides; and compaction without long rests
GROUP_SETTINGS = {"group.consumer.session.timeout.ms": "6000", "group.consumer.min.session.timeout.ms": "6000",
                  "group.consumer.heartbeat.interval.ms": "1000", "group.consumer.min.heartbeat.interval.ms": "1000",
                  "log.cleaner.backoff.ms": "300"}


class ProxiedKafka(Kafka):
    """`brokers` is the broker itself, for tests; `proxy.address` is what workers are given."""

    def __init__(self, directory, settings=None):
        port, broker_port = free_ports(2)
        super().__init__(directory, GROUP_SETTINGS | (settings or {}), proxied=(broker_port, port))
        self.proxy = Proxy(directory, port, broker_port)

    def __enter__(self):
        self.proxy.start()
        return super().__enter__()

    def __exit__(self, *_):
        self.process.kill()                                    # nobody needs its data: an orderly stop takes long
        self.proxy.process.kill()
