"""Messages up to the protocol's limit."""

import bson
import pytest
import wire
from clinic import assert_sealed
from processes import TIME_FACTOR

LIMIT = 48_000_000


def batch_of(total, make, collection, database):
    """An insert of exactly `total` bytes: documents of about 470 KB, the last one padded."""
    body = wire.body_section({"insert": collection, "$db": database})
    overhead = 16 + 4 + len(body) + 1 + 4 + len("documents") + 1
    documents, left = [], total - overhead
    while left > 1_000_000:
        document = bson.encode({**make(len(documents)), "padding": "p" * 470_000})
        documents.append(document)
        left -= len(document)
    padding = left - len(bson.encode({**make(len(documents)), "padding": ""}))
    documents.append(bson.encode({**make(len(documents)), "padding": "p" * padding}))
    content = b"documents\0" + b"".join(documents)
    message = wire.op_msg(body, b"\1" + (len(content) + 4).to_bytes(4, "little") + content)
    assert len(message) == total
    return message, len(documents)


def send_batch(stand, message):
    with wire.Connection(stand.fieldgate.addresses["doctors"], timeout=60 * TIME_FACTOR) as connection:
        connection.send(message)
        reply = connection.receive().body
        assert connection.ask({"ping": 1, "$db": "admin"})["ok"] == 1
    return reply


def test_a_message_of_the_limit_passes_where_nothing_is_protected(stand, database, direct):
    message, count = batch_of(LIMIT, lambda n: {"_id": n}, "wards", database)
    reply = send_batch(stand, message)
    assert reply["ok"] == 1 and reply["n"] == count, reply
    assert direct[database].wards.count_documents({}) == count
    direct.drop_database(database)


def test_a_protected_batch_near_the_limit_is_sealed(stand, database, direct, patients, secrets):
    email = secrets.text("email")
    message, count = batch_of(LIMIT - 100_000, lambda n: {"_id": n, "ssn": n, "email": email}, "patients", database)
    reply = send_batch(stand, message)
    assert reply["ok"] == 1 and reply["n"] == count, reply
    for raw in direct[database].patients.find({}, {"padding": 0}):
        assert_sealed(raw, [email.encode()])
    assert patients.find_one({"ssn": count - 1}, {"padding": 0}) == {"_id": count - 1, "ssn": count - 1, "email": email}
    assert sum(1 for d in patients.find() if d["email"] == email) == count
    direct.drop_database(database)


def test_a_batch_that_outgrows_the_limit_by_sealing_is_refused_whole(stand, database, direct):
    message, _ = batch_of(LIMIT, lambda n: {"_id": n, "ssn": n}, "patients", database)
    reply = send_batch(stand, message)
    assert reply["ok"] == 0 and reply["code"] == 10334, reply
    assert direct[database].patients.count_documents({}) == 0


def test_a_batch_of_many_small_patients(patients, stored, secrets, database, direct):
    email = secrets.text("email")
    count = 20_000
    patients.insert_many([{"n": n, "ssn": n, "email": email} for n in range(count)])
    assert stored.count_documents({}) == count
    assert patients.find_one({"ssn": 12_345})["n"] == 12_345
    assert sum(d["ssn"] == d["n"] and d["email"] == email for d in patients.find()) == count
    direct.drop_database(database)


@pytest.mark.parametrize("size", [1_000_000, 15_000_000])
def test_large_values_are_sealed_and_opened(patients, stored, secrets, size, database, direct):
    note = secrets.text("note") * (size // 30)
    patients.insert_one({"_id": 1, "medicalRecords": [{"note": note}]})
    assert stored.find_one()["medicalRecords"].subtype == 6
    assert patients.find_one()["medicalRecords"][0]["note"] == note
    direct.drop_database(database)
