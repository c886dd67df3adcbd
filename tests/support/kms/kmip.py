"""A KMIP server: PyKMIP's engine behind the fault front. The front demands a client certificate of the clinic's
authority and hands it on, so that PyKMIP knows whose an object is."""

import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from . import programs, ttlv
from .stand import Closed, Stand

GENERAL_FAILURE, AUTHENTICATION_NOT_SUCCESSFUL, PERMISSION_DENIED, ITEM_NOT_FOUND = 0x100, 3, 0xC, 1


@dataclass
class Message:
    data: bytes
    item: tuple  # decoded
    certificate: bytes


class KmipStand(Stand):
    """`address` is the endpoint; clients of `certificates.client` own what they create. Faults that HTTP servers have
    and KMIP ones have not (throttle, 500, 503) are KMIP's "general failure"; `redirect` does not exist."""

    kinds = set(ttlv.OPERATIONS.values()) | {"other", "malformed"}
    outcomes_of_meaning = {"wrong_length": {"get", "decrypt"}, "wrong_type": {"get", "decrypt", "encrypt", "register", "create"},
                           "redirect": set()}

    def __init__(self, certificates, directory):
        super().__init__(certificates, client_certificates=True)
        self._backend = programs.free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.server = programs.start([programs.python(), "-I", Path(__file__).with_name("kmip_server.py"), str(self._backend),
                                      directory / "kmip.db"], directory / "pykmip.log", self._backend)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def stop(self):
        super().stop()
        self.server.stop()

    def receive(self, connection):
        data = self._message(connection)
        if data is None:
            return None
        try:
            item = ttlv.decode(data)
        except ttlv.BadMessage:
            item = None
        return Message(data, item, connection.getpeercert(True))

    def _message(self, connection):
        head = self._exactly(connection, 8)
        if head is None:
            return None
        size = struct.unpack("!I", head[4:])[0]
        if head[:4] not in (struct.pack("!I", tag << 8 | ttlv.STRUCTURE) for tag in (ttlv.REQUEST_MESSAGE, ttlv.RESPONSE_MESSAGE)) \
                or size > ttlv.MESSAGE_BYTES_MAX:
            raise Closed  # not KMIP
        body = self._exactly(connection, size)
        if body is None:
            raise Closed
        return head + body

    @staticmethod
    def _exactly(connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                if data:
                    raise Closed
                return None
            data += more
        return data

    def kind_of(self, message):
        if message.item is None or message.item[0] != ttlv.REQUEST_MESSAGE:
            return "malformed"
        operation = ttlv.find(message.item, ttlv.OPERATION)
        return ttlv.OPERATIONS.get(operation[2], "other") if operation else "other"

    def answer(self, message):
        """PyKMIP's, over a connection of its own."""
        try:
            with socket.create_connection((self.host, self._backend), timeout=20) as backend:
                backend.sendall(struct.pack("!I", len(message.certificate)) + message.certificate + message.data)
                answer = self._message(backend)
        except OSError:
            raise Closed from None
        if answer is None:
            raise Closed
        return answer

    def refusal(self, fault, message):
        if fault == "not_parsable":
            return b"HTTP/1.1 400 Bad Request\r\n\r\n"
        named = {"throttle": (GENERAL_FAILURE, "too many requests"), "500": (GENERAL_FAILURE, "internal failure"),
                 "503": (GENERAL_FAILURE, "unavailable"), "expired_token": (AUTHENTICATION_NOT_SUCCESSFUL, "credential expired"),
                 "wrong_credentials": (PERMISSION_DENIED, "not allowed")}
        if fault in named and message.item is not None:
            return ttlv.failure(message.item, *named[fault], int(time.time()))
        return None

    def spoil(self, fault, message, answer):
        item = ttlv.decode(answer)
        if fault == "wrong_length":
            item = ttlv.changed(ttlv.changed(item, ttlv.KEY_MATERIAL, lambda value: value[:-1]), ttlv.DATA, lambda value: value[:-1])
        elif fault == "wrong_type":
            for tag in (ttlv.KEY_MATERIAL, ttlv.DATA, ttlv.UNIQUE_IDENTIFIER):
                item = ttlv.changed(item, tag, lambda value: None)
        return ttlv.encode(*item)

    def encode(self, answer):
        return answer

    def oversized(self):
        """A message that says it is as long, and is."""
        head = struct.pack("!II", ttlv.RESPONSE_MESSAGE << 8 | ttlv.STRUCTURE, self.oversized_bytes)
        return head + encode_filler(self.oversized_bytes)

    def body_begins(self, data):
        return 8

    def outcome_of(self, answer):
        try:
            status = ttlv.find(ttlv.decode(answer), ttlv.RESULT_STATUS)
            reason = ttlv.find(ttlv.decode(answer), ttlv.RESULT_REASON)
        except ttlv.BadMessage:
            return "malformed"
        return "ok" if status and status[2] == 0 else f"reason {reason[2]}" if reason else "malformed"


def encode_filler(size):
    """One byte string that fills `size` bytes with its own head."""
    return struct.pack("!II", ttlv.DATA << 8 | ttlv.BYTES, size - 8) + b"\0" * (size - 8)
