"""Kafka's requests as far as a proxy has to know them: what a request is, whose, and of which transaction.

A frame is int32 size, then api_key int16, api_version int16, correlation_id int32, client_id nullable string, and from an
api's first flexible version on tagged fields. Broker and client answer in order; a response begins with the correlation id.
All integers are big-endian. What cannot be read raises ValueError: the proxy passes it on as it is."""

import dataclasses
import struct

PRODUCE, FETCH, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT = 0, 1, 22, 24, 25, 26, 28
NAMES = {PRODUCE: "Produce", FETCH: "Fetch", INIT_PRODUCER_ID: "InitProducerId", ADD_PARTITIONS: "AddPartitionsToTxn",
         ADD_OFFSETS: "AddOffsetsToTxn", END_TXN: "EndTxn", TXN_OFFSET_COMMIT: "TxnOffsetCommit"}
FIRST_FLEXIBLE = {PRODUCE: 9, INIT_PRODUCER_ID: 2, ADD_PARTITIONS: 3, ADD_OFFSETS: 3, END_TXN: 3, TXN_OFFSET_COMMIT: 3}
FRAME_BYTES_MAX = 200 << 20


@dataclasses.dataclass(slots=True)
class Request:
    api: int
    version: int
    correlation: int
    client: str | None
    transactional_id: str | None = None
    commits: bool | None = None                  # of EndTxn: commit, or abort


class Cursor:
    def __init__(self, data, position=0):
        self.data, self.position = data, position

    def take(self, size):
        if size < 0 or self.position + size > len(self.data):
            raise ValueError("the frame ends within a field")
        self.position += size
        return self.data[self.position - size:self.position]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 28:
                raise ValueError("a varint of more than 32 bits")

    def string(self, compact=False):
        """A nullable one."""
        size = self.varint() - 1 if compact else self.unpack(">h")
        return None if size < 0 else bytes(self.take(size)).decode()

    def skip_tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.take(self.varint())


def parse_request(frame):
    """Of a frame without its size. The transaction is read only of those apis that FIRST_FLEXIBLE knows."""
    cursor = Cursor(frame)
    request = Request(cursor.unpack(">h"), cursor.unpack(">h"), cursor.unpack(">i"), cursor.string())
    if request.api in FIRST_FLEXIBLE and not (request.api == PRODUCE and request.version < 3):
        flexible = request.version >= FIRST_FLEXIBLE[request.api]
        if flexible:
            cursor.skip_tags()
        if not (request.api == ADD_PARTITIONS and request.version > 3):    # batched, by brokers alone
            request.transactional_id = cursor.string(flexible)
    if request.api == END_TXN:
        cursor.take(8 + 2)                       # producer id and epoch
        request.commits = bool(cursor.unpack(">b"))
    return request


def correlation_of(response):
    return struct.unpack_from(">i", response)[0]
