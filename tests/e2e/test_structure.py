"""Whole objects, explained commands, validators, partial indexes: where values of documents stand in other shapes."""

import pytest
from clinic import DETERMINISTIC, RANDOM, assert_sealed
from pymongo.errors import WriteError
from refusal import UNAUTHORIZED, refused


def test_equality_with_a_whole_object(patients, three):
    insurance = three[1]["insurance"]
    for predicate in (insurance, {"$eq": insurance}, {"$in": [None, insurance]}):
        assert [d["ward"] for d in patients.find({"insurance": predicate})] == [1]
    assert {d["ward"] for d in patients.find({"insurance": {"$ne": insurance}})} == {0, 2}
    assert patients.count_documents({"insurance": {**insurance, "provider": "Other"}}) == 0
    with refused(words="insurance.policyNumber"):
        patients.find_one({"insurance": {"provider": insurance["provider"]}})


@pytest.mark.parametrize("command", [
    {"find": "patients", "filter": {"ssn": None}},
    {"count": "patients", "query": {"ssn": None}},
    {"distinct": "patients", "key": "ssn", "query": {"ssn": None}},
    {"aggregate": "patients", "pipeline": [{"$match": {"ssn": None}}], "cursor": {}},
    {"update": "patients", "updates": [{"q": {"ssn": None}, "u": {"$set": {"email": "other"}}}]},
    {"delete": "patients", "deletes": [{"q": {"ssn": None}, "limit": 1}]},
    {"findAndModify": "patients", "query": {"ssn": None}, "remove": True},
], ids=lambda c: next(iter(c)))
def test_explain_runs_on_ciphertext(patients, desk, three, secrets, command):
    def with_ssn(value):
        if isinstance(value, dict):
            return {k: three[1]["ssn"] if k == "ssn" and v is None else with_ssn(v) for k, v in value.items()}
        return [with_ssn(v) for v in value] if isinstance(value, list) else value

    plan = patients.database.command({"explain": with_ssn(command), "verbosity": "executionStats"})
    assert plan["ok"] == 1
    assert_sealed(plan, secrets.needles)
    with refused(UNAUTHORIZED):
        desk.database.command({"explain": with_ssn(command)})
    assert patients.count_documents({}) == 3


def test_an_explained_aggregate(patients, desk, three, secrets):
    command = {"aggregate": "patients", "pipeline": [{"$match": {"ssn": three[1]["ssn"]}}], "explain": True}
    plan = patients.database.command(command)
    assert plan["ok"] == 1 and "cursor" not in plan
    assert_sealed(plan, secrets.needles)
    with refused(UNAUTHORIZED):
        desk.database.command({"aggregate": "patients", "pipeline": [], "explain": True})


def server_schema(stand, **more):
    """The clinic's schema as a server takes it: keys by UUID, and rules of its own beside."""
    key = [stand.key_document()["_id"]]

    def encrypt(bson_type, algorithm):
        return {"encrypt": {"bsonType": bson_type, "algorithm": algorithm, "keyId": key}}

    insurance = {"bsonType": "object", "properties": {"policyNumber": encrypt("int", DETERMINISTIC)}}
    return {"bsonType": "object", **more, "properties": {
        "name": {"bsonType": "string"},
        "ssn": encrypt("int", DETERMINISTIC), "insurance": insurance, "bloodType": encrypt("string", RANDOM),
        "medicalRecords": encrypt("array", RANDOM), "dateOfBirth": encrypt("date", RANDOM), "email": encrypt("string", RANDOM)}}


def test_the_schema_as_the_collections_own_validator(stand, patients, desk, stored, patient, secrets):
    database = patients.database
    database.create_collection("patients", validator={"$jsonSchema": server_schema(stand, required=["name"])})
    document = patient(ward=1)
    patients.insert_one(document)
    assert_sealed(stored.find_one({"ward": 1}), secrets.needles)
    assert patients.find_one({"ssn": document["ssn"]})["email"] == document["email"]
    with pytest.raises(WriteError) as caught:  # a writer that walks around fieldgate
        stored.insert_one({"name": "x", "ssn": 5})
    assert caught.value.code == 121

    changed = {"collMod": "patients", "validator": {"$jsonSchema": server_schema(stand), "ward": {"$gte": 0}}}
    with refused(UNAUTHORIZED):
        desk.database.command(changed)
    assert database.command(changed)["ok"] == 1
    lacking = server_schema(stand)
    del lacking["properties"]["ssn"]
    with refused(words="must equal the schema of the namespace"):
        database.command({"collMod": "patients", "validator": {"$jsonSchema": lacking}})
    assert database.command({"collMod": "patients", "validator": {}})["ok"] == 1


def test_partial_indexes_over_plain_values_and_existence(patients, desk, three):
    patients.create_index("name", name="a", partialFilterExpression={"ward": {"$gt": 0}})
    patients.create_index("ward", name="b", partialFilterExpression={"ssn": {"$exists": True}})
    with refused(UNAUTHORIZED):
        desk.create_index("ward", name="c", partialFilterExpression={"ssn": {"$exists": True}})
    with refused(words="Comparison to encrypted fields not supported"):
        patients.create_index("ward", name="d", partialFilterExpression={"ssn": 5})
    assert patients.find_one({"ssn": three[1]["ssn"], "ward": 1})["ward"] == 1
    assert patients.database.command({"collMod": "patients", "index": {"keyPattern": {"name": 1}, "hidden": True}})["ok"] == 1
