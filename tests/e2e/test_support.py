"""The instruments themselves: each must be able to find what it looks for. Needs no fieldgate."""

import datetime

import bson
import canary
import clinic
import pytest
import wire
from bson.binary import Binary
from conftest import client_of
from processes import EmbeddedServer
from recorder import Recorder

SEALED_SSN = Binary(b"\x01" + b"k" * 16 + b"\x10" + b"c" * 64, 6)
SEALED_EMAIL = Binary(b"\x02" + b"k" * 16 + b"\x02" + b"c" * 64, 6)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    directory = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(directory / "recording")
    server = EmbeddedServer(directory / "server", advertise=recorder.address)
    recorder.target = ("127.0.0.1", server.port)
    yield recorder, server
    recorder.close()
    server.stop()


def test_the_server_advertises_the_recorder(recorded):
    recorder, server = recorded
    with client_of(server.uri) as client:
        assert client.admin.command("hello")["hosts"] == ["%s:%d" % recorder.address]


def test_a_client_that_follows_hosts_stays_on_the_recorder(recorded):
    recorder, _ = recorded
    with client_of("mongodb://%s:%d/?replicaSet=secantus" % recorder.address) as client:
        client.medicalRecords.patients.insert_one({"email": "canary-in-the-mine@clinic.example"})
        assert client.address == recorder.address
    findings = canary.scan(recorder.files_to_server(), clinic.Secrets())
    assert any("canary-in-the-mine" in p for p in findings.problems), "the planted plaintext was not found"
    assert any("email: str, not binary" in p for p in findings.problems), findings.problems


def scan_of(tmp_path, *messages):
    path = tmp_path / "recorded-to-server"
    path.write_bytes(b"".join(messages))
    return canary.scan([path], clinic.Secrets())


GOOD = [
    {"insert": "patients", "documents": [{"name": "x", "ssn": SEALED_SSN, "email": SEALED_EMAIL}]},
    {"find": "patients", "filter": {"$or": [{"ssn": {"$in": [SEALED_SSN]}}, {"email": {"$exists": True}}, {"name": 5}]}},
    {"update": "patients", "updates": [{"q": {"ssn": SEALED_SSN}, "u": {"$set": {"email": SEALED_EMAIL}, "$unset": {"ssn": ""}}}]},
    {"findAndModify": "patients", "query": {"ssn": {"$not": {"$eq": SEALED_SSN}}}, "update": {"name": "x"}},
    {"insert": "wards", "documents": [{"ssn": 5}]},
    {"find": "patients", "filter": {"$expr": {"$and": [{"$eq": ["$ssn", {"$literal": SEALED_SSN}]}, {"$ne": ["$ward", 5]}]}}},
    {"update": "patients", "updates": [{"q": {}, "u": [{"$set": {"n": 5, "same": {"$in": ["$ssn", [SEALED_SSN]]}}}, {"$unset": "x"}]}]},
    {"aggregate": "patients", "pipeline": [{"$changeStream": {}}, {"$match": {"fullDocument.ssn": SEALED_SSN, "fullDocument.ward": 5}}]},
    {"aggregate": "patients", "pipeline": [{"$group": {"_id": "$ward", "ssn": {"$sum": 1}}}, {"$match": {"ssn": 5}}]},
    {"aggregate": "wards", "pipeline": [{"$match": {"ssn": 5}}, {"$lookup": {"from": "patients", "as": "x", "pipeline": [
        {"$match": {"ssn": SEALED_SSN, "$expr": {"$eq": ["$ssn", "$$here"]}}}]}}]},
    {"bulkWrite": 1, "ops": [{"insert": 0, "document": {"ssn": 5}}, {"insert": 1, "document": {"ssn": SEALED_SSN}},
                             {"update": 1, "filter": {"ssn": SEALED_SSN}, "updateMods": {"$set": {"email": SEALED_EMAIL}}},
                             {"delete": 1, "filter": {"ward": 5}}],
     "nsInfo": [{"ns": "clinic_1.wards"}, {"ns": "clinic_1.patients"}]},
]
BAD = [
    {"insert": "patients", "documents": [{"ssn": 5}]},
    {"insert": "patients", "documents": [{"ssn": Binary(b"\x00" + SEALED_SSN[1:], 6)}]},
    {"insert": "patients", "documents": [{"email": SEALED_SSN}]},
    {"insert": "patients", "documents": [{"insurance": {"policyNumber": 5}}]},
    {"update": "patients", "updates": [{"q": {"ssn": 5}, "u": {"$set": {"x": 1}}}]},
    {"update": "patients", "updates": [{"q": {}, "u": {"$set": {"insurance.policyNumber": 5}}}]},
    {"update": "patients", "updates": [{"q": {}, "u": {"ssn": 5}}]},
    {"update": "patients", "updates": [{"q": {}, "u": [{"$set": {"ssn": 5}}]}]},
    {"update": "patients", "updates": [{"q": {}, "u": {"$inc": {"ssn": 5}}}]},
    {"delete": "patients", "deletes": [{"q": {"$and": [{"ssn": {"$in": [SEALED_SSN, 5]}}]}, "limit": 0}]},
    {"find": "patients", "filter": {"ssn": {"$gt": SEALED_SSN}}},
    {"count": "patients", "query": {"insurance": {"policyNumber": 5}}},
    {"aggregate": "patients", "pipeline": [{"$match": {"ssn": {"$ne": 5}}}]},
    {"findAndModify": "patients", "query": {"ssn": {"$not": {"$eq": 5}}}, "update": {"$setOnInsert": {"email": "x"}}},
    {"findAndModify": "patients", "query": {}, "update": [{"$unset": ["x", "email"]}]},
    {"find": "patients", "filter": {"$and": [{"$expr": {"$eq": ["$ssn", 5]}}]}},
    {"find": "patients", "filter": {"$expr": {"$cond": [{"$in": ["$insurance.policyNumber", [{"$literal": 5}]]}, 1, 2]}}},
    {"aggregate": "patients", "pipeline": [{"$changeStream": {}}, {"$match": {"fullDocument.ssn": 5}}]},
    {"aggregate": "patients", "pipeline": [{"$facet": {"x": [{"$match": {"ssn": 5}}]}}]},
    {"aggregate": "patients", "pipeline": [{"$count": "n"}, {"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"ssn": 5}}]}}]},
    {"aggregate": "wards", "pipeline": [{"$lookup": {"from": "patients", "as": "x", "pipeline": [{"$match": {"ssn": 5}}]}}]},
    {"aggregate": "wards", "pipeline": [{"$lookup": {"from": "wards", "as": "x", "pipeline": [
        {"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"ssn": 5}}]}}]}}]},
    {"aggregate": "wards", "pipeline": [{"$graphLookup": {"from": "patients", "as": "x", "restrictSearchWithMatch": {"ssn": 5}}}]},
    {"bulkWrite": 1, "ops": [{"insert": 1, "document": {"ssn": 5}}], "nsInfo": [{"ns": "clinic_1.wards"}, {"ns": "clinic_1.patients"}]},
    {"bulkWrite": 1, "ops": [{"update": 0, "filter": {"ssn": 5}, "updateMods": {"$set": {"x": 1}}}], "nsInfo": [{"ns": "clinic_1.patients"}]},
    {"bulkWrite": 1, "ops": [{"update": 0, "filter": {}, "updateMods": [{"$set": {"ssn": 1}}]}], "nsInfo": [{"ns": "clinic_1.patients"}]},
    {"bulkWrite": 1, "ops": [{"delete": 0, "filter": {"ssn": 5}}], "nsInfo": [{"ns": "clinic_1.patients"}]},
]


@pytest.mark.parametrize("command", GOOD, ids=str)
def test_the_canary_accepts_what_is_sealed(tmp_path, command):
    assert scan_of(tmp_path, wire.op_msg({**command, "$db": "medicalRecords"})).problems == []


@pytest.mark.parametrize("command", BAD, ids=str)
def test_the_canary_finds_what_is_not_sealed(tmp_path, command):
    assert scan_of(tmp_path, wire.op_msg({**command, "$db": "clinic_1"})).problems != []


def test_the_canary_reads_sequences(tmp_path):
    message = wire.op_msg({"insert": "patients", "$db": "clinic_1"}, wire.sequence_section("documents", [{"ssn": 5}]))
    assert scan_of(tmp_path, message).problems != []


@pytest.mark.parametrize("make", [
    lambda s: {"x": s.text()}, lambda s: {"x": {"deep": [s.date()]}}, lambda s: {"ssn": s.number()},
    lambda s: {"insurance": {"policyNumber": s.number()}}, lambda s: {"ssn": {"$eq": s.number()}},
    lambda s: {"ssn": {"$in": [1, 2, s.number()]}}, lambda s: {"$literal": s.number()}, lambda s: {"copy_of.it": s.number()},
    lambda s: s.patient(),
], ids=["text", "date", "ssn", "nested", "$eq", "$in", "$literal", "another name", "patient"])
def test_every_kind_of_protected_plaintext_is_found(make):
    secrets = clinic.Secrets()
    data = b"\0\0\0" + bson.encode({"before": 0, "secret": make(secrets), "after": "x"}) + b"\0\0\0\0"
    assert list(secrets.found_in(data)), "the planted plaintext was not found"
    assert not list(clinic.Secrets().found_in(bson.encode({"ssn": 145014000, "since": datetime.datetime(1984, 5, 17)})))


def test_a_checksum_is_that_of_the_protocol():
    assert wire.crc32c(b"123456789") == 0xE3069283


def test_the_server_accepts_our_checksummed_messages(recorded):
    with wire.Connection(("127.0.0.1", recorded[1].port)) as connection:
        assert connection.ask({"ping": 1, "$db": "admin"}, checksum=True)["ok"] == 1
        assert connection.ask(wire.sequence_section("documents", [{"x": 1}]),
                              wire.body_section({"insert": "things", "$db": "db"}))["n"] == 1


def test_withheld_documents_are_judged():
    clinic.assert_withheld({"name": "x", "insurance": {"provider": "y"}})
    for document in ({"ssn": 5}, {"copy": SEALED_SSN}, {"insurance": {"policyNumber": 5}}):
        with pytest.raises(AssertionError):
            clinic.assert_withheld(document)
    with pytest.raises(AssertionError):
        clinic.assert_withheld({"name": "secret"}, [b"secret"])


def test_sealed_documents_are_judged():
    clinic.assert_sealed({"ssn": SEALED_SSN, "name": "x"}, [b"secret"])
    for document in ({"ssn": 5}, {"ssn": SEALED_EMAIL}, {"name": "secret"}):
        with pytest.raises(AssertionError):
            clinic.assert_sealed(document, [b"secret"])
