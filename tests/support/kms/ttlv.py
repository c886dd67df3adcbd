"""KMIP's encoding (tag, type, length, value) as far as the front needs it: to name a request, to make a refusal, and to
spoil an answer."""

import struct

STRUCTURE, INTEGER, ENUMERATION, TEXT, BYTES, DATE_TIME = 1, 2, 5, 7, 8, 9
REQUEST_MESSAGE, RESPONSE_MESSAGE, BATCH_ITEM, OPERATION = 0x420078, 0x42007B, 0x42000F, 0x42005C
RESPONSE_HEADER, TIME_STAMP, BATCH_COUNT = 0x42007A, 0x420092, 0x42000D
PROTOCOL_VERSION, MAJOR, MINOR = 0x420069, 0x42006A, 0x42006B
RESULT_STATUS, RESULT_REASON, RESULT_MESSAGE = 0x42007F, 0x42007E, 0x42007D
KEY_MATERIAL, DATA, UNIQUE_IDENTIFIER, IV_COUNTER_NONCE = 0x420043, 0x4200C2, 0x420094, 0x42003D
OPERATIONS = {0x01: "create", 0x03: "register", 0x0A: "get", 0x12: "activate", 0x1F: "encrypt", 0x20: "decrypt", 0x13: "revoke",
              0x14: "destroy", 0x18: "query", 0x1E: "discover_versions"}
MESSAGE_BYTES_MAX = 1024 * 1024


class BadMessage(Exception):
    pass


def encode(tag, kind, value):
    if kind == STRUCTURE:
        data = b"".join(encode(*part) for part in value)
    elif kind in (INTEGER, ENUMERATION):
        data = struct.pack("!I", value)
    elif kind == DATE_TIME:
        data = struct.pack("!q", value)
    else:
        data = value.encode() if isinstance(value, str) else value
    return struct.pack("!I", tag << 8 | kind) + struct.pack("!I", len(data)) + data + b"\0" * (-len(data) % 8)


def decode(data):
    """(tag, type, value) with structures as lists; strict about lengths and padding."""
    item, rest = _decode(data, 0)
    if rest:
        raise BadMessage("bytes follow the message")
    return item


def _decode(data, depth):
    if len(data) < 8 or depth > 16:
        raise BadMessage("an item ends too early, or is nested too deeply")
    head, size = struct.unpack("!II", data[:8])
    tag, kind, padded = head >> 8, head & 0xFF, size + -size % 8
    value, rest = data[8:8 + size], data[8 + padded:]
    if len(data) < 8 + padded or any(data[8 + size:8 + padded]):
        raise BadMessage("a value ends too early, or its padding is not zero")
    if kind == STRUCTURE:
        parts = []
        while value:
            part, value = _decode(value, depth + 1)
            parts.append(part)
        return (tag, kind, parts), rest
    if kind in (INTEGER, ENUMERATION):
        if size != 4:
            raise BadMessage("a number has not four bytes")
        return (tag, kind, struct.unpack("!I", value)[0]), rest
    if kind == DATE_TIME:
        if size != 8:
            raise BadMessage("a time has not eight bytes")
        return (tag, kind, struct.unpack("!q", value)[0]), rest
    return (tag, kind, value), rest


def find(item, tag):
    """The first item with the tag, depth first; None without."""
    if item[0] == tag:
        return item
    if item[1] == STRUCTURE:
        for part in item[2]:
            found = find(part, tag)
            if found:
                return found
    return None


def changed(item, tag, change):
    """The item with `change(value)` at every occurrence of the tag; None removes it."""
    if item[0] == tag:
        value = change(item[2])
        return None if value is None else (item[0], item[1], value)
    if item[1] != STRUCTURE:
        return item
    parts = [changed(part, tag, change) for part in item[2]]
    return item[0], item[1], [part for part in parts if part is not None]


def failure(request, reason, message, now):
    """A response that says that the operation failed, in the version of the request."""
    major, minor = (find(request, tag)[2] for tag in (MAJOR, MINOR))
    operation = find(request, OPERATION)
    version = (PROTOCOL_VERSION, STRUCTURE, [(MAJOR, INTEGER, major), (MINOR, INTEGER, minor)])
    header = (RESPONSE_HEADER, STRUCTURE, [version, (TIME_STAMP, DATE_TIME, now), (BATCH_COUNT, INTEGER, 1)])
    result = [(RESULT_STATUS, ENUMERATION, 1), (RESULT_REASON, ENUMERATION, reason), (RESULT_MESSAGE, TEXT, message)]
    item = (BATCH_ITEM, STRUCTURE, ([operation] if operation else []) + result)
    return encode(RESPONSE_MESSAGE, STRUCTURE, [header, item])
