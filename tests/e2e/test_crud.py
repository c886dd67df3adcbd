"""The clinic's daily work through the doctors' port: written in clear, stored as ciphertext, read in clear."""

import bson
import pytest
from bson.binary import Binary
from clinic import PROTECTED, assert_sealed, value_at
from conftest import without_id
from pymongo import ReturnDocument
from pymongo.errors import OperationFailure
from refusal import refused


def test_insert_one_is_stored_sealed_and_read_in_clear(patients, stored, patient, secrets):
    document = patient()
    patients.insert_one(document)
    raw = stored.find_one()
    for path in PROTECTED:
        assert value_at(raw, path) is not None, f"{path} is not stored at all"
    assert_sealed(raw, secrets.needles)
    assert raw["name"] == document["name"] and raw["insurance"]["provider"] == "MaestCare"
    assert patients.find_one() == document


def test_field_order_survives_both_ways(patients, stored, patient):
    document = patient()
    patients.insert_one(document)
    assert list(patients.find_one()) == list(stored.find_one()) == ["_id", *without_id(document)]


def test_insert_many_seals_every_document(patients, stored, patient, secrets):
    documents = [patient(n=n) for n in range(250)]
    patients.insert_many(documents)
    for raw in stored.find():
        assert_sealed(raw, [d["email"].encode() for d in documents[:20]])
    assert list(patients.find().sort("n", 1)) == documents


def test_random_fields_differ_and_deterministic_ones_agree_between_equal_patients(patients, stored, patient):
    document = patient()
    patients.insert_many([{**document}, {**document}])
    first, second = stored.find()
    for path, (kind, _) in PROTECTED.items():
        assert (value_at(first, path) == value_at(second, path)) == (kind == 1), path


def test_documents_may_lack_protected_fields(patients, stored):
    patients.insert_one({"name": "Nobody", "insurance": {"provider": "None"}})
    assert without_id(stored.find_one()) == {"name": "Nobody", "insurance": {"provider": "None"}}
    assert patients.find_one()["name"] == "Nobody"


@pytest.mark.parametrize("path", ["ssn", "insurance.policyNumber"])
def test_find_by_a_deterministic_field(patients, three, path):
    wanted = three[1]
    value = value_at(wanted, path)
    assert list(patients.find({path: value})) == [wanted]
    assert list(patients.find({path: {"$eq": value}})) == [wanted]
    assert list(patients.find({path: {"$in": [value, value_at(three[2], path)]}}).sort("ward", 1)) == three[1:]
    assert list(patients.find({path: {"$nin": [value]}}).sort("ward", 1)) == [three[0], three[2]]
    assert list(patients.find({path: {"$ne": value}}).sort("ward", 1)) == [three[0], three[2]]
    assert list(patients.find({path: {"$not": {"$eq": value}}}).sort("ward", 1)) == [three[0], three[2]]
    assert patients.find_one({path: 7}) is None


def test_logical_operators_around_protected_predicates(patients, three):
    a, b, c = (d["ssn"] for d in three)
    assert list(patients.find({"$and": [{"ssn": a}, {"ward": 0}]})) == [three[0]]
    assert list(patients.find({"$or": [{"ssn": a}, {"insurance.policyNumber": three[2]["insurance"]["policyNumber"]}]})
                .sort("ward", 1)) == [three[0], three[2]]
    assert list(patients.find({"$nor": [{"ssn": a}, {"ssn": b}]})) == [three[2]]
    assert list(patients.find({"$and": [{"$or": [{"ssn": a}, {"ssn": c}]}, {"$nor": [{"ward": 0}]}]})) == [three[2]]


@pytest.mark.parametrize("path", list(PROTECTED))
def test_exists_works_on_every_protected_field(patients, patient, path):
    whole = patient(name="whole")
    patients.insert_many([whole, {"name": "empty"}])
    assert [d["name"] for d in patients.find({path: {"$exists": True}})] == ["whole"]
    assert [d["name"] for d in patients.find({path: {"$exists": False}})] == ["empty"]


def test_projections_keep_the_clear_values(patients, three):
    found = patients.find_one({"ward": 1}, {"ssn": 1, "insurance.policyNumber": 1, "_id": 0})
    assert found == {"ssn": three[1]["ssn"], "insurance": {"policyNumber": three[1]["insurance"]["policyNumber"]}}
    assert "email" not in patients.find_one({"ward": 1}, {"email": 0})


def test_count_and_distinct(patients, three):
    assert patients.count_documents({"ssn": three[0]["ssn"]}) == 1
    assert patients.count_documents({"ssn": {"$ne": three[0]["ssn"]}}) == 2
    assert patients.estimated_document_count() == 3
    assert patients.database.command("count", "patients", query={"ssn": three[0]["ssn"]})["n"] == 1
    assert sorted(patients.distinct("ssn")) == sorted(d["ssn"] for d in three)
    assert patients.distinct("insurance.policyNumber", {"ssn": three[2]["ssn"]}) == [three[2]["insurance"]["policyNumber"]]
    assert sorted(patients.distinct("name")) == ["Patient A", "Patient B", "Patient C"]


def test_delete_by_a_protected_field(patients, stored, three):
    assert patients.delete_one({"ssn": three[0]["ssn"]}).deleted_count == 1
    assert patients.delete_many({"insurance.policyNumber": {"$in": [d["insurance"]["policyNumber"] for d in three]}}).deleted_count == 2
    assert stored.count_documents({}) == 0


def test_find_one_and_delete_answers_in_clear(patients, three):
    assert patients.find_one_and_delete({"ssn": three[1]["ssn"]}) == three[1]
    assert patients.count_documents({}) == 2


@pytest.mark.parametrize("when", [ReturnDocument.BEFORE, ReturnDocument.AFTER])
def test_find_one_and_update_answers_in_clear(patients, stored, three, secrets, when):
    email = secrets.text("email")
    found = patients.find_one_and_update({"ssn": three[1]["ssn"]}, {"$set": {"email": email}}, return_document=when)
    assert found == ({**three[1], "email": email} if when is ReturnDocument.AFTER else three[1])
    assert_sealed(stored.find_one({"ward": 1}), [email.encode()])


def test_find_one_and_replace_seals_the_replacement(patients, stored, three, patient):
    replacement = patient(ward=1)
    found = patients.find_one_and_replace({"ssn": three[1]["ssn"]}, replacement, return_document=ReturnDocument.AFTER)
    assert without_id(found) == without_id(replacement)
    assert_sealed(stored.find_one({"ward": 1}), [replacement["email"].encode()])


def test_unacknowledged_writes_arrive_sealed(stand, database, stored, patient):
    from processes import wait_until
    document = patient()
    unacknowledged = stand.client(stand.fieldgate.uri("doctors", w=0))
    unacknowledged[database].patients.insert_one(document)
    raw = wait_until(stored.find_one, 10, "the unacknowledged insert")
    assert_sealed(raw, [document["email"].encode()])
    unacknowledged[database].patients.update_one({"ssn": document["ssn"]}, {"$set": {"bloodType": "AB+"}})
    wait_until(lambda: stored.find_one()["bloodType"] != raw["bloodType"], 10, "the unacknowledged update")
    unacknowledged[database].patients.delete_one({"ssn": document["ssn"]})
    wait_until(lambda: stored.find_one() is None, 10, "the unacknowledged delete")


def test_unprotected_collections_pass_unchanged(doctor, direct, database):
    document = {"_id": 1, "ssn": 145014000, "nested": {"a": [1, {"b": None}]}, "binary": Binary(b"\x01" * 30, 6)}
    doctor[database].wards.insert_one(document)
    assert bson.encode(direct[database].wards.find_one()) == bson.encode(document)
    assert doctor[database].wards.find_one({"ssn": {"$gt": 1}}) == document


@pytest.mark.parametrize("value", [145014000.0, "145014000", True, bson.Int64(145014000), [1], {"a": 1}, None])
def test_a_value_of_another_type_than_the_schema_is_refused(patients, stored, value):
    with refused():
        patients.insert_one({"name": "Wrong", "ssn": value})
    assert stored.count_documents({}) == 0
    patients.insert_one({"name": "Right", "ssn": 145014000})


def test_bulk_write_mixes_operations(patients, stored, three, patient, secrets):
    from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateMany
    new, replacement = patient(ward=9), patient(ward=0)
    result = patients.bulk_write([
        InsertOne(new),
        ReplaceOne({"ssn": three[0]["ssn"]}, replacement),
        UpdateMany({"ward": {"$gt": 0}}, {"$set": {"bloodType": secrets.text("blood")}}),
        DeleteOne({"ssn": three[2]["ssn"]}),
    ])
    assert (result.inserted_count, result.matched_count, result.deleted_count) == (1, 4, 1)
    for raw in stored.find():
        assert_sealed(raw, secrets.needles)


def bulk_write(client, namespaces, *ops):
    """MongoDB 8.0's command, as it is: PyMongo's client.bulk_write refuses it with automatic encryption only."""
    try:
        return client.admin.command({"bulkWrite": 1, "ops": list(ops), "ordered": False,
                                     "nsInfo": [{"ns": name} for name in namespaces]})
    except OperationFailure as error:
        if error.code == 59:  # CommandNotFound
            pytest.skip("the server has no bulkWrite")
        raise


def test_bulk_write_of_several_namespaces(patients, stored, direct, database, three, patient, secrets):
    wards = patients.database.wards
    new = {"_id": 9, **patient(ward=9)}
    stored.create_index("ssn", unique=True)
    reply = bulk_write(
        patients.database.client, [f"{database}.wards", f"{database}.patients"],
        {"insert": 1, "document": new},
        {"insert": 0, "document": {"_id": 1, "ssn": 5}},
        {"update": 1, "filter": {"ssn": three[0]["ssn"]}, "updateMods": {"$set": {"bloodType": secrets.text("blood")}}},
        {"update": 0, "filter": {"ssn": {"$gt": 1}}, "updateMods": {"$inc": {"ssn": 1}}},
        {"delete": 1, "filter": {"ssn": three[2]["ssn"]}},
        {"insert": 1, "document": {"ssn": three[1]["ssn"]}})
    assert (reply["nInserted"], reply["nMatched"], reply["nDeleted"], reply["nErrors"]) == (2, 2, 1, 1)
    failed = reply["cursor"]["firstBatch"][5]
    assert (failed["ok"], failed["idx"], failed["code"]) == (0, 5, 11000)
    assert "duplicate key" in failed["errmsg"] and "keyValue" not in failed and "BinData" not in str(failed)
    for raw in stored.find():
        assert_sealed(raw, secrets.needles)
    assert patients.find_one({"_id": 9}) == new
    assert direct[database].wards.find_one() == wards.find_one() == {"_id": 1, "ssn": 6}


def test_a_duplicate_key_error_names_no_value(patients, stored, three):
    stored.create_index("ssn", unique=True)
    from pymongo.errors import DuplicateKeyError
    with pytest.raises(DuplicateKeyError) as caught:
        patients.insert_one({"name": "Twin", "ssn": three[0]["ssn"]})
    text = str(caught.value.details)
    assert caught.value.code == 11000 and "ssn" in text
    assert str(three[0]["ssn"]) not in text and "\\x01" not in text and "BinData" not in text, text
    assert patients.find_one({"ssn": three[0]["ssn"]}) == three[0]
