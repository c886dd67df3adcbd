"""Drivers' own automatic encryption with fieldgate in the place of mongocryptd: a driver straight at the server, whose
commands are analysed by a listener of fieldgate, and clients of the proxy beside it, on one key vault."""

import base64
import json
import select
import socket
import struct

import clinic
import pytest
from bson import json_util
from conftest import client_of, without_id
from pymongo.encryption_options import AutoEncryptionOpts
from pymongo.errors import AutoReconnect, EncryptionError, OperationFailure, WriteError
from test_drivers import check_doctors_view, check_the_desk, check_what_is_stored, given_for, parameters_of, play, view_of


@pytest.fixture(scope="module")
def gateway(stand):
    """A fieldgate that serves doctors, receptionists and the query analysis of drivers."""
    analysis = {"name": "analysis", "address": "127.0.0.1:0", "serves": "query-analysis"}
    gateway = stand.start(name="query-analysis", listeners=[*stand.config["listeners"], analysis])
    yield gateway
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def schema(stand):
    """The clinic's schema as drivers know it: keys by UUID."""
    return {**clinic.SCHEMA, "encryptMetadata": {"keyId": [stand.key_id]}}


@pytest.fixture(scope="module")
def straight(stand):
    """Past every fieldgate, but through the recorder, whose recording the canary test searches for plaintext."""
    host, port = stand.recorder.address
    return f"mongodb://{host}:{port}/?directConnection=true"


@pytest.fixture
def encrypting(stand, gateway, straight, schema, database):
    """PyMongo with automatic encryption; its analyser is fieldgate."""
    return stand.client(straight, auto_encryption_opts=options_of(stand, gateway, {f"{database}.patients": schema}))


def options_of(stand, gateway, schema_map, analyser=None, **options):
    return AutoEncryptionOpts(
        {"local": {"key": stand.key_file.read_bytes()}}, clinic.KEY_VAULT, schema_map=schema_map,
        mongocryptd_uri=analyser or gateway.uri("analysis"), mongocryptd_bypass_spawn=True, **options)


@pytest.mark.parametrize("name", ["pymongo-4", "java", "php"])
def test_the_clinic_by_drivers_own_encryption(name, stand, gateway, straight, schema, stored, database, secrets, patient, tmp_path):
    """Goal: driver and proxy are interchangeable. Method: the day of test_drivers.py, whose doctor encrypts by itself and
    whose receptionist comes through fieldgate; a doctor reads it through fieldgate; and the driver finds and reads, by an
    encrypted field, what a doctor wrote through fieldgate."""
    doctor = stand.client(gateway.uri("doctors"))
    other = patient()
    doctor[f"{database}_w"].patients.insert_one(other)
    schemas = {f"{database}.patients": schema, f"{database}_w.patients": schema}
    given = given_for(database, secrets)
    given["csfle"] = {
        "analyser": gateway.uri("analysis"), "keyVault": clinic.KEY_VAULT,
        "masterKey": base64.b64encode(stand.key_file.read_bytes()).decode(),
        "schemaMap": json.loads(json_util.dumps(schemas)),
        "written": {"database": f"{database}_w", "ssn": other["ssn"]}}
    result = play(name, straight, gateway.uri("receptionists"), given, tmp_path)
    check_doctors_view(result, given)
    check_the_desk(result, given)
    check_what_is_stored(stored, secrets)
    assert result["written"] == view_of(parameters_of(other))
    # A random field cannot be asked for: the analyser's own code comes through the driver.
    assert result["refused"] == {"code": 51092}
    first = {**given["first"], "email": given["newEmail"], "bloodType": given["newBlood"]}
    for expected in [first, *given["others"][:-1]]:
        assert view_of(parameters_of(doctor[database].patients.find_one({"ssn": expected["ssn"]}))) == view_of(expected)


def test_what_cannot_be_asked_is_refused_before_the_server_sees_it(encrypting, database, stored, patient):
    document = patient()
    collection = encrypting[database].patients
    collection.insert_one(document)
    for refused in [
        lambda: collection.find_one({"email": document["email"]}),
        lambda: collection.find_one({"ssn": {"$gt": 5}}),
        lambda: collection.update_one({}, {"$inc": {"ssn": 1}}),
        lambda: collection.insert_one({"ssn": "not a number"}),
        lambda: list(collection.aggregate([{"$group": {"_id": None, "sum": {"$sum": "$ssn"}}}])),
    ]:
        with pytest.raises(EncryptionError):
            refused()
    assert stored.count_documents({}) == 1
    assert collection.find_one({"ssn": document["ssn"]}) == document


def test_bulk_writes_and_batches(encrypting, patients, database, patient):
    documents = [patient(n=number) for number in range(300)]
    collection = encrypting[database].patients
    collection.insert_many(documents)
    assert list(patients.find().sort("n", 1)) == documents
    ssns = [document["ssn"] for document in documents]
    assert collection.count_documents({"ssn": {"$in": ssns[:100]}}) == 100
    assert collection.update_many({"ssn": {"$in": ssns[:50]}}, {"$set": {"email": "new"}}).modified_count == 50
    assert collection.delete_many({"ssn": {"$nin": ssns[:10]}}).deleted_count == 290
    assert {document["email"] for document in patients.find()} == {"new"}


def test_a_transaction_keeps_its_session(encrypting, database, stored, patient):
    collection = encrypting[database].patients
    stored.insert_one({"name": "so that it exists"})
    with encrypting.start_session() as session, session.start_transaction():
        collection.insert_one(patient(), session=session)
        assert stored.count_documents({}) == 1
    assert stored.count_documents({"ssn": {"$exists": True}}) == 1


def test_a_collection_without_schema(encrypting, database):
    collection = encrypting[database].notes
    collection.insert_many([{"text": "a", "ssn": 5}, {"text": "b", "ssn": 6}])
    assert collection.find_one({"ssn": {"$gt": 5}}, {"_id": 0}) == {"text": "b", "ssn": 6}
    assert collection.distinct("text") == ["a", "b"]


def test_a_join_of_collections_without_schema(encrypting, database):
    """The driver asks for the analyser's wire version first, then sends a schema for each collection."""
    beds, wards = encrypting[database].beds, encrypting[database].wards
    beds.insert_one({"_id": 1, "ward": "w"})
    wards.insert_one({"_id": "w", "floor": 3})
    join = [{"$lookup": {"from": "wards", "localField": "ward", "foreignField": "_id", "as": "wards"}}]
    assert list(beds.aggregate(join)) == [{"_id": 1, "ward": "w", "wards": [{"_id": "w", "floor": 3}]}]


def test_collections_and_indexes_are_made(encrypting, database, direct):
    collection = encrypting[database].create_collection("patients")
    assert collection.create_index("ssn", unique=True) == "ssn_1"
    with pytest.raises(EncryptionError):
        collection.create_index("email", unique=True)
    assert sorted(direct[database].patients.index_information()) == ["_id_", "ssn_1"]


def test_the_schema_of_a_validator(stand, gateway, straight, schema, direct, database, patient):
    """The driver asks the server for the collection's validator and sends it along as remote."""
    validator = {"bsonType": "object", "required": ["name"], "encryptMetadata": schema["encryptMetadata"],
                 "properties": {"name": {"bsonType": "string"}, "ssn": schema["properties"]["ssn"]}}
    direct[database].create_collection("patients", validator={"$jsonSchema": validator})
    collection = stand.client(straight, auto_encryption_opts=options_of(stand, gateway, None))[database].patients
    number = patient()["ssn"]
    collection.insert_one({"name": "Jon", "ssn": number})
    assert collection.find_one({"ssn": number}, {"_id": 0}) == {"name": "Jon", "ssn": number}
    assert direct[database].patients.find_one()["ssn"].subtype == 6
    with pytest.raises(WriteError):
        collection.insert_one({"ssn": number})


def test_a_value_that_the_application_encrypted_itself(stand, encrypting, database, patients, patient):
    from bson.codec_options import CodecOptions
    from pymongo.encryption import Algorithm, ClientEncryption
    providers = {"local": {"key": stand.key_file.read_bytes()}}
    document = patient()
    with ClientEncryption(providers, clinic.KEY_VAULT, stand.direct, CodecOptions()) as explicit:
        sealed = explicit.encrypt(document["ssn"], Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic, key_id=stand.key_id)
    encrypting[database].patients.insert_one({**document, "ssn": sealed})
    assert without_id(patients.find_one({"ssn": document["ssn"]})) == document


def test_who_takes_the_analyser_for_a_database_is_told(stand, gateway):
    client = stand.client(gateway.uri("analysis"))
    assert client.admin.command("hello")["iscryptd"] is True
    assert client.server_info()["version"] == "8.1.0"
    with pytest.raises(OperationFailure, match="jsonSchema is required"):
        client.clinic_1.patients.find_one()
    with pytest.raises(OperationFailure, match="no database server"):
        client.clinic_1.command("listCollections")


def test_other_listeners_are_no_analysers(gateway, stand):
    client = stand.client(gateway.uri("doctors"))
    assert "iscryptd" not in client.admin.command("hello")


def test_limits_hold_for_the_analyser(stand):
    analysis = [{"name": "analysis", "address": "127.0.0.1:0", "serves": "query-analysis"}]
    small = stand.start(name="small-analysis", listeners=analysis, limits={"connections": 2, "message_bytes": 100_000})
    peers = [socket.create_connection(small.addresses["analysis"]) for _ in range(3)]
    refused, _, _ = select.select(peers, [], [], 10)  # whichever worker was last
    assert len(refused) == 1 and refused[0].recv(1) == b""
    served = next(peer for peer in peers if peer is not refused[0])
    served.settimeout(10)
    served.sendall(struct.pack("<iiii", 100_001, 1, 0, 2013))
    assert served.recv(1) == b""
    for peer in peers:
        peer.close()
    assert small.stop() == 0


def test_a_document_of_megabytes(encrypting, database, patients, patient):
    document = patient(medicalRecords=[{"scan": "x" * 1_000_000} for _ in range(6)])
    encrypting[database].patients.insert_one(document)
    assert patients.find_one({"ssn": document["ssn"]}) == document


def test_tls_as_on_other_listeners(stand, certificates, schema, straight, database, patient):
    listener = {"name": "analysis", "address": "127.0.0.1:0", "serves": "query-analysis",
                "tls": {"certificate_key_file": str(certificates.server), "ca_file": str(certificates.ca_file),
                        "client_certificate": "required"}}
    secured = stand.start(name="tls-analysis", listeners=[listener])
    uri = secured.uri("analysis", tls="true", tlsCAFile=certificates.ca_file, tlsCertificateKeyFile=certificates.client)
    with client_of(straight, auto_encryption_opts=options_of(
            stand, None, {f"{database}.patients": schema}, analyser=uri)) as client:
        document = patient()
        client[database].patients.insert_one(document)
        assert client[database].patients.find_one({"ssn": document["ssn"]}) == document
    plain = client_of(secured.uri("analysis"), serverSelectionTimeoutMS=1000)
    with plain, pytest.raises(AutoReconnect):
        plain.admin.command("ping")
    assert secured.stop() == 0
