"""A TCP proxy between workers and the broker that knows enough of Kafka's protocol to hurt where it hurts.

Started as a program with three ports: where workers connect, where the broker listens, and where it is told what to do: one
line of JSON each, {"do": NAME, ...}, answered by one line. The broker must advertise the first port, so that no worker finds
a way past. `client` in a command restricts it to workers of that client.id.

  reset                              connections end at once (RST)
  refuse     seconds                 connections end, and new ones are turned away
  hang       seconds, reset          nothing goes through in either direction; then all that came in, or a reset
  delay      seconds, ms             each frame comes later by that much
  throttle   seconds, bytes_per_s    for each connection and direction
  swallow    api, count, reset       the request arrives, its response never does: what it did is in doubt. Without reset
                                     the connection stays, and the client finds out by its own time-out
  hold       api, seconds            the next request of that kind waits, and what is behind it: until "release", at most so long
  late_produce  seconds, after       the next Produce request of a transaction is kept back, its connection reset, and
                                     retries are cut off for so long; it arrives after the transaction was aborted, or at
                                     its end, by whomever; or with after = "next" when the next transaction's records have
                                     passed, as from a network that kept a packet
  stats                              how often each thing happened
  calm                               ends all of it
"""

import asyncio
import collections
import contextlib
import json
import socket
import struct
import sys
import time

import wire

READ_LIMIT = 4 << 20
LATE_PRODUCE_SECONDS_MAX = 30


class Connection:
    """One of a worker, with its own to the broker. `asked` maps a request's correlation id to it until it is answered."""

    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.client, self.asked = None, {}
        self.broker_reader = self.broker_writer = None
        self.detached = False                    # the worker is gone, the broker does not know it yet

    async def run(self):
        self.broker_reader, self.broker_writer = await asyncio.open_connection("127.0.0.1", self.proxy.broker_port, limit=READ_LIMIT)
        for writer in (self.writer, self.broker_writer):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pumps = [asyncio.create_task(self.requests()), asyncio.create_task(self.responses())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.reset()
            if not self.detached:
                self.broker_writer.transport.abort()

    def reset(self):
        """The worker sees an RST, not an orderly end."""
        if not self.writer.transport.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()

    async def requests(self):
        while frame := await read_frame(self.reader):
            request = self.read_request(frame)
            if not await self.proxy.may_pass_request(self, request, frame):
                return
            await self.proxy.slow_down(self, len(frame))
            self.broker_writer.write(frame)
            await self.broker_writer.drain()

    def read_request(self, frame):
        try:
            request = wire.parse_request(memoryview(frame)[4:])
        except ValueError:
            return None
        self.client = request.client or self.client
        self.asked[request.correlation] = request
        return request

    async def responses(self):
        while frame := await read_frame(self.broker_reader):
            request = self.asked.pop(wire.correlation_of(memoryview(frame)[4:]), None)
            await self.proxy.slow_down(self, len(frame))
            verdict = self.proxy.judge_response(self, request)
            if verdict == "reset":
                return
            if verdict == "pass":
                self.writer.write(frame)
                await self.writer.drain()


async def read_frame(reader):
    """With its size; None at the end of the stream."""
    try:
        head = await reader.readexactly(4)
        (size,) = struct.unpack(">i", head)
        if not 4 <= size <= wire.FRAME_BYTES_MAX:
            return None
        return head + await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError):
        return None


class Proxy:
    def __init__(self, broker_port):
        self.broker_port, self.connections = broker_port, set()
        self.counts = collections.Counter()
        self.changed = asyncio.Event()
        self.calm()

    def calm(self):
        self.slow = []                           # (until, client, seconds a frame, bytes a second)
        self.hanging, self.refusing = {}, {}     # client (None: all) -> until
        self.swallows, self.holds, self.late = [], [], None
        self.wake()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    async def accept(self, reader, writer):
        connection = Connection(self, reader, writer)
        self.counts["connections"] += 1
        if self.applies(self.refusing, None):
            connection.reset()
            return
        self.connections.add(connection)
        try:
            await connection.run()
        except OSError:                          # the broker is down: so is the connection
            connection.reset()
        finally:
            self.connections.discard(connection)

    # -- what passes --

    @staticmethod
    def applies(table, client):
        now = time.monotonic()
        return any(until > now and is_of(client, name) for name, until in table.items())

    async def slow_down(self, connection, size):
        while self.applies(self.hanging, connection.client):
            await self.wait(0.2)
        now = time.monotonic()
        for until, client, seconds, bytes_per_s in list(self.slow):
            if until <= now:
                self.slow.remove((until, client, seconds, bytes_per_s))
            elif is_of(connection.client, client):
                await asyncio.sleep(seconds + (size / bytes_per_s if bytes_per_s else 0))

    async def wait(self, seconds):
        """Until something is changed, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), seconds)

    async def may_pass_request(self, connection, request, frame):
        """False: the connection ends here."""
        if request is None:
            return True
        if self.applies(self.refusing, connection.client):
            return False
        for hold in list(self.holds):
            if not hold["held"] and matches(hold, connection, request):
                hold["held"] = True
                self.counts[f"held {wire.NAMES[request.api]}"] += 1
                while hold in self.holds and time.monotonic() < hold["until"]:
                    await self.wait(0.2)
                if hold in self.holds:
                    self.holds.remove(hold)
        if self.late:
            return self.keep_back(connection, request, frame)
        return True

    def keep_back(self, connection, request, frame):
        late, now = self.late, time.monotonic()
        if now > late["ends"]:
            self.late = None
            return True
        same = request.transactional_id is not None and request.transactional_id == late["id"]
        if request.api == wire.PRODUCE and late["id"] is None and request.transactional_id and is_of(connection.client, late["client"]):
            late["id"], late["until"], late["frame"] = request.transactional_id, now + late["seconds"], frame
            late["writer"], late["reader"], connection.detached = connection.broker_writer, connection.broker_reader, True
            self.counts["kept a Produce back"] += 1
            return False
        if request.api == wire.PRODUCE and same and not late["aborted"] and now < late["until"]:
            return False
        if request.api == wire.PRODUCE and same and late["aborted"] and late["after"] == "next":
            asyncio.get_running_loop().call_later(0.05, self.deliver, late)    # when this one has arrived
        return True

    def judge_response(self, connection, request):
        if request is None:
            return "pass"
        for swallow in self.swallows:
            if matches(swallow, connection, request):
                swallow["count"] -= 1
                if not swallow["count"]:
                    self.swallows.remove(swallow)
                self.counts[f"swallowed {wire.NAMES[request.api]}"] += 1
                return "reset" if swallow["reset"] else "drop"
        late = self.late
        if late and late["id"] and request.transactional_id == late["id"] and not late["aborted"]:
            if request.commits is False or request.api == wire.INIT_PRODUCER_ID:
                late["aborted"] = True
                if late["after"] == "abort":
                    self.deliver(late)
        return "pass"

    def deliver(self, late):
        """The Produce request that was kept back arrives at the broker; nobody reads the answer."""
        if late.get("frame") is None:
            return
        writer, frame = late["writer"], late["frame"]
        late["frame"] = None
        if self.late is late:
            self.late = None
        if not writer.transport.is_closing():
            self.counts["delivered a Produce late"] += 1
            writer.write(frame)
        asyncio.get_running_loop().call_later(2, writer.transport.abort)

    # -- commands --

    def end(self, client):
        ended = [c for c in self.connections if is_of(c.client, client)]
        for connection in ended:
            connection.reset()
        self.counts["reset"] += len(ended)
        return len(ended)

    def command(self, do, client=None, seconds=0, reset=False, **more):
        until = time.monotonic() + seconds
        later = asyncio.get_running_loop().call_later
        if do == "reset":
            return self.end(client)
        if do == "refuse":
            self.refusing = {client: until}
            return self.end(client)
        if do == "hang":
            self.hanging = {client: until}
            later(seconds, self.wake)
            if reset:
                later(seconds, self.end, client)
        elif do in ("delay", "throttle"):
            self.slow.append((until, client, more.get("ms", 0) / 1000, more.get("bytes_per_s", 0)))
        elif do == "swallow":
            self.swallows.append({"api": more["api"], "client": client, "count": more.get("count", 1), "reset": reset})
        elif do == "hold":
            self.holds.append({"api": more["api"], "client": client, "until": until, "held": False})
        elif do == "held":
            return sum(hold["held"] for hold in self.holds if hold["client"] == client)
        elif do == "release":
            self.holds = [hold for hold in self.holds if hold["client"] != client]
            self.wake()
        elif do == "late_produce":
            self.late = late = {"client": client, "seconds": seconds, "after": more.get("after", "abort"), "id": None, "aborted": False,
                                "ends": time.monotonic() + seconds + LATE_PRODUCE_SECONDS_MAX}
            later(seconds + LATE_PRODUCE_SECONDS_MAX, self.deliver, late)
        elif do == "stats":
            return dict(self.counts)
        elif do == "calm":
            self.calm()
        else:
            raise ValueError(f"no such command: {do}")
        return None

    async def serve_commands(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = {"answer": self.command(**json.loads(line))}
            except (ValueError, TypeError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


def is_of(client, worker):
    """A worker's consumers append their lane to its name. None is any worker."""
    return worker is None or client == worker or (client or "").startswith(f"{worker}-")


def matches(rule, connection, request):
    """EndTxn means one that commits."""
    return rule["api"] == request.api and is_of(connection.client, rule["client"]) and request.commits is not False


async def main(port, broker_port, control_port):
    proxy = Proxy(broker_port)
    async with (await asyncio.start_server(proxy.accept, "127.0.0.1", port, limit=READ_LIMIT) as workers,
                await asyncio.start_server(proxy.serve_commands, "127.0.0.1", control_port) as control):
        await asyncio.gather(workers.serve_forever(), control.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
