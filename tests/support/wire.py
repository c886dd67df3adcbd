"""Just enough of MongoDB's wire protocol to say things that no driver would say."""

import itertools
import socket
import struct
from dataclasses import dataclass, field

import bson
from bson.codec_options import CodecOptions

OP_REPLY, OP_UPDATE, OP_INSERT, OP_QUERY, OP_GET_MORE, OP_DELETE, OP_KILL_CURSORS = 1, 2001, 2002, 2004, 2005, 2006, 2007
OP_COMPRESSED, OP_MSG = 2012, 2013
CHECKSUM_PRESENT, MORE_TO_COME, EXHAUST_ALLOWED = 1, 2, 1 << 16

_request_ids = itertools.count(1000)
_OPTIONS = CodecOptions(unicode_decode_error_handler="replace")


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(opcode, payload, request_id=None, response_to=0):
    if request_id is None:
        request_id = next(_request_ids)
    return struct.pack("<iiii", 16 + len(payload), request_id, response_to, opcode) + payload


def body_section(document):
    return b"\0" + (document if isinstance(document, bytes) else bson.encode(document))


def sequence_section(name, documents):
    content = name.encode() + b"\0" + b"".join(bson.encode(d) for d in documents)
    return b"\1" + struct.pack("<i", len(content) + 4) + content


def op_msg(*sections, flags=0, checksum=None, request_id=None):
    """An OP_MSG of these sections (a dict is a body). `checksum`: True for the right one, a number for that one."""
    content = b"".join(body_section(s) if isinstance(s, dict) else s for s in sections)
    if checksum is None:
        return frame(OP_MSG, struct.pack("<I", flags) + content, request_id)
    payload = struct.pack("<I", flags | CHECKSUM_PRESENT) + content
    request_id = next(_request_ids) if request_id is None else request_id
    message = struct.pack("<iiii", 16 + len(payload) + 4, request_id, 0, OP_MSG) + payload
    return message + struct.pack("<I", crc32c(message) if checksum is True else checksum)


def op_query(namespace, document, number_to_return=-1, flags=0, request_id=None):
    payload = struct.pack("<i", flags) + namespace.encode() + b"\0" + struct.pack("<ii", 0, number_to_return)
    return frame(OP_QUERY, payload + bson.encode(document), request_id)


@dataclass
class Message:
    opcode: int
    request_id: int
    response_to: int
    raw: bytes
    flags: int = 0
    body: dict = None
    sequences: dict = field(default_factory=dict)

    def command(self):
        """The command as one document: sequences put back as the arrays they stand for."""
        return {**(self.body or {}), **self.sequences}


def parse(raw):
    _, request_id, response_to, opcode = struct.unpack_from("<iiii", raw)
    message = Message(opcode, request_id, response_to, raw)
    if opcode == OP_REPLY:
        message.flags = struct.unpack_from("<i", raw, 16)[0]
        message.body = bson.decode(raw[36:], _OPTIONS)
    elif opcode == OP_QUERY:
        end = raw.index(b"\0", 20)
        start = end + 9
        (size,) = struct.unpack_from("<i", raw, start)
        message.body = bson.decode(raw[start:start + size], _OPTIONS)
    elif opcode == OP_MSG:
        _parse_op_msg(message)
    return message


def _parse_op_msg(message):
    raw = message.raw
    (message.flags,) = struct.unpack_from("<I", raw, 16)
    end = len(raw) - (4 if message.flags & CHECKSUM_PRESENT else 0)
    at = 20
    while at < end:
        kind = raw[at]
        (size,) = struct.unpack_from("<i", raw, at + 1)
        if kind == 0:
            message.body = bson.decode(raw[at + 1:at + 1 + size], _OPTIONS)
        elif kind == 1:
            name_end = raw.index(b"\0", at + 5)
            name = raw[at + 5:name_end].decode()
            message.sequences[name] = bson.decode_all(raw[name_end + 1:at + 1 + size], _OPTIONS)
        else:
            raise ValueError(f"section of kind {kind}")
        at += 1 + size


def split(data):
    """The whole messages in recorded bytes; an unfinished one at the end is left out."""
    at = 0
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<i", data, at)
        if length < 16:
            raise ValueError(f"message of {length} bytes at {at}")
        if at + length > len(data):
            return
        yield data[at:at + length]
        at += length


class Connection:
    """A socket that speaks whole messages. `closed()` waits for the peer to end it."""

    def __init__(self, address, timeout=10.0, tls=None):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise ConnectionError(f"closed after {len(data)} of {count} bytes")
            data += piece
        return bytes(data)

    def receive(self):
        head = self._exactly(16)
        (length,) = struct.unpack_from("<i", head)
        return parse(head + self._exactly(length - 16))

    def ask(self, *sections, **options):
        """One command, one reply: the reply's body."""
        self.send(op_msg(*sections, **options))
        return self.receive().body

    def closed(self, timeout=10.0):
        """True if the peer ends the connection without another byte."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
