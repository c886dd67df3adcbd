"""Cursors: every batch is opened or withheld, whoever continues them and on whichever connection."""

import bson
import pytest
import wire
from clinic import assert_withheld
from refusal import CURSOR_NOT_FOUND, UNAUTHORIZED, refused


@pytest.fixture
def many(patients, patient):
    documents = [patient(n=n) for n in range(30)]
    patients.insert_many(documents)
    return documents


def open_cursor(database, **options):
    """A cursor opened without a session (so that anybody may continue it): its id and first batch."""
    reply = database.command({"find": "patients", "sort": {"n": 1}, "batchSize": 5, **options})
    return reply["cursor"]["id"], reply["cursor"]["firstBatch"]


def raw_find(connection, database):
    reply = connection.ask({"find": "patients", "$db": database, "sort": {"n": 1}, "batchSize": 5})
    assert reply["ok"] == 1, reply
    return reply["cursor"]["id"], reply["cursor"]["firstBatch"]


def raw_more(connection, database, cursor_id, size=1000):
    return connection.ask({"getMore": cursor_id, "collection": "patients", "$db": database, "batchSize": size})


@pytest.mark.parametrize("size", [1, 7, 29, 30, 31])
def test_batches_of_every_size_are_opened(patients, many, size):
    cursor = patients.find({}, batch_size=size).sort("n", 1)
    assert list(cursor) == many


def test_get_more_on_another_connection(stand, many, database):
    address = stand.fieldgate.addresses["doctors"]
    with wire.Connection(address) as first, wire.Connection(address) as second:
        cursor_id, batch = raw_find(first, database)
        rest = raw_more(second, database, cursor_id)
        assert rest["ok"] == 1, rest
        assert [d["ssn"] for d in batch + rest["cursor"]["nextBatch"]] == [d["ssn"] for d in many]


def test_get_more_on_every_worker(stand, many, database):
    """Goal: a cursor is known on all worker threads. Method: 32 connections share the few workers between them."""
    address = stand.fieldgate.addresses["doctors"]
    others = [wire.Connection(address) for _ in range(32)]
    with wire.Connection(address) as first:
        for other in others:
            cursor_id, batch = raw_find(first, database)
            rest = raw_more(other, database, cursor_id)
            assert rest["ok"] == 1, rest
            assert [d["email"] for d in batch + rest["cursor"]["nextBatch"]] == [d["email"] for d in many]
            other.socket.close()


def test_a_second_client_continues_a_cursor(stand, doctor, many, database):
    cursor_id, batch = raw_find(wire.Connection(stand.fieldgate.addresses["doctors"]), database)
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as other:
        rest = raw_more(other, database, cursor_id)
    assert [d["ssn"] for d in batch + rest["cursor"]["nextBatch"]] == [d["ssn"] for d in many]


def test_receptionists_batches_are_withheld_on_another_connection(stand, many, database, secrets):
    address = stand.fieldgate.addresses["receptionists"]
    with wire.Connection(address) as first, wire.Connection(address) as second:
        cursor_id, batch = raw_find(first, database)
        rest = raw_more(second, database, cursor_id)
        documents = batch + rest["cursor"]["nextBatch"]
        assert [d["n"] for d in documents] == list(range(30))
        for document in documents:
            assert_withheld(document, [many[document["n"]]["email"].encode()])


@pytest.mark.parametrize("opener, continuer", [("doctors", "receptionists"), ("receptionists", "doctors")])
def test_a_cursor_of_another_role_is_not_found(stand, many, database, opener, continuer):
    with wire.Connection(stand.fieldgate.addresses[opener]) as first, \
            wire.Connection(stand.fieldgate.addresses[continuer]) as second:
        cursor_id, _ = raw_find(first, database)
        reply = raw_more(second, database, cursor_id)
        assert reply["ok"] == 0 and reply["code"] == CURSOR_NOT_FOUND, reply
        assert second.ask({"ping": 1, "$db": "admin"})["ok"] == 1


def test_a_cursor_opened_past_the_proxy_is_not_found_for_receptionists(direct, receptionist, many, database):
    reply = direct[database].command({"find": "patients", "batchSize": 2})
    with refused(CURSOR_NOT_FOUND):
        receptionist[database].command({"getMore": reply["cursor"]["id"], "collection": "patients"})


def test_a_cursor_cannot_be_continued_under_another_collection(stand, many, database):
    with wire.Connection(stand.fieldgate.addresses["receptionists"]) as connection:
        cursor_id, _ = raw_find(connection, database)
        reply = connection.ask({"getMore": cursor_id, "collection": "wards", "$db": database})
        assert reply["ok"] == 0, "a cursor of a protected collection was continued as one of another"


def test_kill_cursors_ends_a_cursor(stand, many, database):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        cursor_id, _ = raw_find(connection, database)
        reply = connection.ask({"killCursors": "patients", "cursors": [cursor_id], "$db": database})
        assert reply["ok"] == 1 and reply["cursorsKilled"] == [cursor_id], reply
        assert raw_more(connection, database, cursor_id)["code"] == CURSOR_NOT_FOUND


def test_an_unknown_cursor_is_the_servers_error(doctor, database):
    with refused(CURSOR_NOT_FOUND, by_server=True):
        doctor[database].command({"getMore": bson.Int64(123456789), "collection": "patients"})


def test_cursors_in_a_session(doctor, many, database):
    with doctor.start_session() as session:
        found = list(doctor[database].patients.find({}, batch_size=4, session=session).sort("n", 1))
    assert found == many


def test_single_batch_and_limit(patients, many):
    assert list(patients.find().sort("n", 1).limit(3)) == many[:3]
    assert list(patients.find().sort("n", 1).limit(-3)) == many[:3]


def test_exhaust_cursors_are_opened(patients, many):
    from pymongo.cursor import CursorType
    from pymongo.errors import InvalidOperation
    try:
        found = list(patients.find({}, batch_size=5, cursor_type=CursorType.EXHAUST).sort("n", 1))
    except InvalidOperation as error:  # a mongos before 7.1 has none: the driver refuses by itself
        assert "mongos" in str(error)
    else:
        assert found == many


def test_a_join_from_an_unprotected_namespace_leaves_nothing_to_another_fieldgate(stand, many, doctor, database):
    """What the first batch leaves is asked for by the name of the unprotected namespace, of which a second fieldgate knows
    no more: it must not be a way to ciphertext."""
    second = stand.start(name="second")
    doctor[database].wards.insert_one({"n": 1})
    desk, elsewhere = (stand.client(gateway.uri("receptionists"))[database] for gateway in (stand.fieldgate, second))

    def open_join(stages):
        return desk.command("aggregate", "wards", pipeline=stages, cursor={"batchSize": 0})["cursor"]["id"]

    for stages in ([{"$unionWith": "patients"}], [{"$lookup": {"from": "patients", "pipeline": [], "as": "all"}}]):
        with refused(UNAUTHORIZED):
            open_join(stages)
    cursor_id = open_join([{"$unionWith": {"coll": "patients", "pipeline": [{"$project": {"n": 1}}]}}])
    batch = elsewhere.command("getMore", bson.Int64(cursor_id), collection="wards")["cursor"]["nextBatch"]
    assert [sorted(document) for document in batch] == [["_id", "n"]] * 31
    assert second.stop() == 0
