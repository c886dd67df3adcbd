"""Nonsense on the wire: a clear error in the right place, and the other sessions never notice."""

import struct

import bson
import pytest
import wire


@pytest.fixture
def connect(stand):
    return lambda: wire.Connection(stand.fieldgate.addresses["doctors"])


@pytest.fixture(autouse=True)
def neighbour(connect):
    """Another session, used before and after: it must not notice."""
    with connect() as other:
        assert other.ask({"ping": 1, "$db": "admin"})["ok"] == 1
        yield
        assert other.ask({"ping": 1, "$db": "admin"})["ok"] == 1


def answers_or_closes(connection):
    """The reply's body, or None if the connection was closed instead."""
    try:
        return connection.receive().body
    except ConnectionError:
        return None


@pytest.mark.parametrize("length", [-1, 0, 1, 15, 48_000_001, 2**31 - 1])
def test_a_length_outside_the_limits_closes(connect, length):
    with connect() as connection:
        connection.send(struct.pack("<iiii", length, 1, 0, wire.OP_MSG) + b"\0" * 100)
        assert connection.closed()


def test_a_truncated_message_then_nothing_is_no_request(connect):
    message = wire.op_msg({"ping": 1, "$db": "admin"})
    for cut in range(1, len(message), 7):
        with connect() as connection:
            connection.send(message[:cut])
            connection.socket.shutdown(1)
            assert connection.closed()


def test_a_message_in_single_bytes_is_answered(connect):
    with connect() as connection:
        for byte in wire.op_msg({"ping": 1, "$db": "admin"}):
            connection.send(bytes([byte]))
        assert connection.receive().body["ok"] == 1


def test_several_messages_at_once_are_answered_in_order(connect, database):
    with connect() as connection:
        messages = [{"ping": 1}, {"hello": 1}, {"find": "patients", "filter": {"ssn": {"$gt": 1}}, "$db": database},
                    {"hello": 1}, {"ping": 1}, {"find": "patients", "filter": {"ssn": 5}, "$db": database}]
        connection.send(b"".join(wire.op_msg({**m, "$db": m.get("$db", "admin")}, request_id=100 + n) for n, m in enumerate(messages)))
        replies = [connection.receive() for _ in messages]
        assert [r.response_to for r in replies] == list(range(100, 106))
        assert [r.body["ok"] for r in replies] == [1, 1, 0, 1, 1, 1]


def test_a_checksummed_message_is_accepted(connect, database, stored, patient, secrets):
    from clinic import assert_sealed
    with connect() as connection:
        assert connection.ask({"ping": 1, "$db": "admin"}, checksum=True)["ok"] == 1
        reply = connection.ask({"insert": "patients", "$db": database},
                               wire.sequence_section("documents", [patient()]), checksum=True)
        assert reply["ok"] == 1 and reply["n"] == 1, reply
        assert_sealed(stored.find_one(), secrets.needles)


def test_a_message_of_a_wrong_checksum_is_not_obeyed(connect, database, stored):
    with connect() as connection:
        connection.send(wire.op_msg({"insert": "wards", "documents": [{"x": 1}], "$db": database}, checksum=12345))
        reply = answers_or_closes(connection)
        assert reply is None or (reply["ok"] == 0 and connection.closed()), reply
    assert stored.database.wards.count_documents({}) == 0


@pytest.mark.parametrize("bit", [2, 3, 7, 15])
def test_unknown_required_flags_are_not_ignored(connect, bit):
    with connect() as connection:
        connection.send(wire.op_msg({"ping": 1, "$db": "admin"}, flags=1 << bit))
        reply = answers_or_closes(connection)
        assert reply is None or reply["ok"] == 0, reply


@pytest.mark.parametrize("bit", [17, 24, 31])
def test_unknown_optional_flags_are_ignored(connect, bit):
    with connect() as connection:
        assert connection.ask({"ping": 1, "$db": "admin"}, flags=1 << bit)["ok"] == 1


@pytest.mark.parametrize("sections", [
    [], [b"\x02\x05\0\0\0\0"], [wire.body_section({"ping": 1, "$db": "admin"})] * 2,
    [wire.body_section({"ping": 1, "$db": "admin"}), b"\1" + struct.pack("<i", 3) + b"x\0"],
    [wire.body_section({"ping": 1, "$db": "admin"}), b"\1" + struct.pack("<i", 100) + b"x\0"],
    [wire.body_section({"ping": 1, "$db": "admin"}), b"\1" + struct.pack("<i", 7) + b"abc"],
    [wire.body_section({"ping": 1, "$db": "admin"}), b"\0"],
    [wire.sequence_section("documents", [{"x": 1}])],
], ids=["none", "kind 2", "two bodies", "sequence below its header", "sequence beyond the message", "name without end",
        "half a section", "no body"])
def test_broken_sections(connect, sections):
    with connect() as connection:
        connection.send(wire.op_msg(*sections))
        reply = answers_or_closes(connection)
        assert reply is None or reply["ok"] == 0, reply


def nested(levels, kind=b"\x03"):
    """`levels` objects around one: built from the outside, or the deepest would take minutes."""
    inner = bson.encode({"x": 1})
    heads = [struct.pack("<i", len(inner) + 8 * level) + kind + b"a\0" for level in range(levels, 0, -1)]
    return b"".join(heads) + inner + b"\0" * levels


def insert_raw(connection, database, document):
    content = b"documents\0" + document
    connection.send(wire.op_msg({"insert": "patients", "$db": database}, b"\1" + struct.pack("<i", len(content) + 4) + content))
    return answers_or_closes(connection)


@pytest.mark.parametrize("levels", [101, 110, 200, 5_000, 100_000])
def test_nesting_beyond_the_limit_is_refused(connect, database, stored, levels):
    with connect() as connection:
        reply = insert_raw(connection, database, nested(levels))
        assert reply is None or (reply["ok"] == 0 and reply["codeName"]), reply
    assert stored.count_documents({}) == 0


def test_nesting_below_the_limit_passes(connect, database, stored):
    with connect() as connection:
        assert insert_raw(connection, database, nested(90))["ok"] == 1
    assert stored.count_documents({}) == 1


@pytest.mark.parametrize("document", [
    b"\x05\0\0\0\x01", b"\x04\0\0\0\0", b"\xff\xff\xff\x7f\0", b"\x0c\0\0\0\x99a\0\0\0\0\0\0",
    b"\x0e\0\0\0\x02a\0\xff\0\0\0x\0\0", b"\x0e\0\0\0\x02a\0\x00\0\0\0x\0\0", b"\x0c\0\0\0\x10abcdefg",
    b"\x10\0\0\0\x05a\0\xff\xff\xff\xff\0\0\0\0\0", b"\x09\0\0\0\x08a\0\x02\0", b"",
], ids=["terminator", "length 4", "huge length", "unknown type", "string beyond", "string of 0", "name without end",
        "negative binary", "boolean 2", "empty"])
def test_invalid_bson_is_refused(connect, database, stored, document):
    with connect() as connection:
        reply = insert_raw(connection, database, document)
        assert reply is None or reply["ok"] == 0, reply
    with connect() as connection:
        connection.send(wire.op_msg(b"\0" + document))
        reply = answers_or_closes(connection)
        assert reply is None or reply["ok"] == 0, reply
    assert stored.count_documents({}) == 0


LEGACY_INSERT = struct.pack("<i", 0) + b"medicalRecords.patients\0" + bson.encode({"ssn": 145014000})
LEGACY_UPDATE = struct.pack("<i", 0) + b"medicalRecords.patients\0" + struct.pack("<i", 0) + bson.encode({}) + bson.encode({"ssn": 1})
LEGACY_DELETE = struct.pack("<i", 0) + b"medicalRecords.patients\0" + struct.pack("<i", 0) + bson.encode({})


@pytest.mark.parametrize("opcode, payload", [
    (wire.OP_INSERT, LEGACY_INSERT), (wire.OP_UPDATE, LEGACY_UPDATE), (wire.OP_DELETE, LEGACY_DELETE),
    (wire.OP_KILL_CURSORS, struct.pack("<iiq", 0, 1, 5)), (1000, b"hello\0"), (2010, b"\0" * 20), (9999, b"\0" * 20),
    (wire.OP_REPLY, b"\0" * 20),
], ids=["OP_INSERT", "OP_UPDATE", "OP_DELETE", "OP_KILL_CURSORS", "OP_MSG of old", "OP_COMMAND", "unknown", "OP_REPLY"])
def test_opcodes_without_a_reply_close(connect, direct, opcode, payload):
    before = direct.medicalRecords.patients.count_documents({})
    with connect() as connection:
        connection.send(wire.frame(opcode, payload))
        assert connection.closed()
    assert direct.medicalRecords.patients.count_documents({}) == before


def test_op_query_for_another_command_is_refused_in_op_reply(connect, database):
    for namespace, document in ((f"{database}.patients", {"ssn": 5}), (f"{database}.$cmd", {"find": "patients"}),
                                ("admin.$cmd", {"getnonce": 1})):
        with connect() as connection:
            connection.send(wire.op_query(namespace, document))
            reply = connection.receive()
            assert reply.opcode == wire.OP_REPLY
            assert reply.body.get("ok", 0) == 0 and ("errmsg" in reply.body or "$err" in reply.body), reply.body
            assert reply.body.get("code") is not None


def test_op_get_more_is_refused_in_op_reply(connect):
    with connect() as connection:
        connection.send(wire.frame(wire.OP_GET_MORE, struct.pack("<i", 0) + b"medicalRecords.patients\0" + struct.pack("<iq", 0, 77)))
        reply = connection.receive()
        assert reply.opcode == wire.OP_REPLY
        assert "errmsg" in reply.body or "$err" in reply.body, reply.body


def test_op_compressed_is_not_forwarded(connect, database, stored):
    inner = wire.op_msg({"insert": "patients", "documents": [{"ssn": 145014000}], "$db": database})[16:]
    with connect() as connection:
        connection.send(wire.frame(wire.OP_COMPRESSED, struct.pack("<iiB", wire.OP_MSG, len(inner), 0) + inner))
        reply = answers_or_closes(connection)
        assert reply is None or reply["ok"] == 0, reply
    assert stored.count_documents({}) == 0


def test_an_http_request_is_closed(connect):
    with connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.closed()


def test_a_refused_unacknowledged_write_closes_the_connection(connect, database, stored):
    """Nothing can be answered to it, so the client must notice in another way."""
    with connect() as connection:
        connection.send(wire.op_msg({"update": "patients", "updates": [{"q": {"ssn": {"$gt": 1}}, "u": {"$set": {"x": 1}}}],
                                     "writeConcern": {"w": 0}, "$db": database}, flags=wire.MORE_TO_COME))
        assert connection.closed()
    assert stored.count_documents({}) == 0
