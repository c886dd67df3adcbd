"""Updates of protected fields in every form that is allowed, and the refusal of the rest by name."""

import pytest
from clinic import PROTECTED, as_receptionists_see, assert_sealed, sealing_problem, value_at
from conftest import without_id
from pymongo import ReturnDocument
from refusal import UNAUTHORIZED, refused


def new_value(path, patient):
    return value_at(patient(), path)


@pytest.mark.parametrize("path", list(PROTECTED))
def test_set_seals_each_protected_field(patients, stored, three, patient, path):
    value = new_value(path, patient)
    assert patients.update_one({"ward": 1}, {"$set": {path: value, "plain": "x"}}).modified_count == 1
    raw = stored.find_one({"ward": 1})
    assert sealing_problem(path, value_at(raw, path)) is None and raw["plain"] == "x"
    assert value_at(patients.find_one({"ward": 1}), path) == value


def test_set_of_a_parent_object_seals_what_is_inside(patients, stored, three, secrets):
    value = {"provider": "Other", "policyNumber": secrets.number()}
    patients.update_one({"ward": 1}, {"$set": {"insurance": value}})
    assert_sealed(stored.find_one({"ward": 1}), secrets.needles)
    assert patients.find_one({"ward": 1})["insurance"] == value
    assert patients.find_one({"insurance.policyNumber": value["policyNumber"]})["ward"] == 1


@pytest.mark.parametrize("path", list(PROTECTED))
def test_unset_removes_a_protected_field(patients, stored, three, path):
    patients.update_one({"ssn": three[1]["ssn"]}, {"$unset": {path: ""}})
    assert value_at(stored.find_one({"ward": 1}), path) is None


def test_replacement_seals_the_whole_document(patients, stored, three, patient, secrets):
    replacement = patient(ward=1)
    assert patients.replace_one({"ssn": three[1]["ssn"]}, replacement).modified_count == 1
    assert_sealed(stored.find_one({"ward": 1}), secrets.needles)
    assert without_id(patients.find_one({"ssn": replacement["ssn"]})) == without_id(replacement)


def test_multi_update_by_a_protected_predicate(patients, stored, three, secrets):
    email = secrets.text("email")
    result = patients.update_many({"ssn": {"$ne": three[0]["ssn"]}}, {"$set": {"email": email}})
    assert result.modified_count == 2
    assert [d["email"] for d in patients.find().sort("ward", 1)] == [three[0]["email"], email, email]
    for raw in stored.find():
        assert_sealed(raw, secrets.needles)


def test_upsert_stores_the_predicate_sealed(patients, stored, secrets):
    number, email = secrets.number(), secrets.text("email")
    result = patients.update_one({"ssn": number}, {"$set": {"email": email, "name": "New"}}, upsert=True)
    assert result.upserted_id is not None
    raw = stored.find_one()
    assert sealing_problem("ssn", raw["ssn"]) is None and sealing_problem("email", raw["email"]) is None
    assert without_id(patients.find_one({"ssn": number})) == {"ssn": number, "email": email, "name": "New"}


def test_upsert_by_replacement(patients, stored, patient, secrets):
    document = patient()
    patients.replace_one({"ssn": document["ssn"]}, document, upsert=True)
    assert_sealed(stored.find_one(), secrets.needles)
    assert without_id(patients.find_one()) == without_id(document)


def test_several_updates_in_one_command(patients, stored, three, secrets):
    from pymongo import UpdateOne
    emails = [secrets.text("email") for _ in three]
    patients.bulk_write([UpdateOne({"ssn": d["ssn"]}, {"$set": {"email": e}}) for d, e in zip(three, emails)], ordered=False)
    assert [d["email"] for d in patients.find().sort("ward", 1)] == emails
    for raw in stored.find():
        assert_sealed(raw, secrets.needles)


@pytest.mark.parametrize("update", [
    {"$inc": {"ssn": 1}}, {"$mul": {"ssn": 2}}, {"$min": {"ssn": 1}}, {"$max": {"ssn": 1}},
    {"$push": {"medicalRecords": {"weight": 1}}}, {"$pull": {"medicalRecords": {"weight": 180}}},
    {"$addToSet": {"medicalRecords": {"weight": 1}}}, {"$pop": {"medicalRecords": 1}},
    {"$pullAll": {"medicalRecords": [1]}}, {"$currentDate": {"dateOfBirth": True}}, {"$bit": {"ssn": {"or": 1}}},
    {"$rename": {"ssn": "plain"}}, {"$rename": {"name": "email"}}, {"$rename": {"insurance": "cover"}},
    {"$set": {"medicalRecords.0.weight": 1}}, {"$set": {"medicalRecords.$[].weight": 1}},
    {"$set": {"ssn.below": 1}}, {"$set": {"ssn": None}}, {"$set": {"insurance": {"policyNumber": "text"}}},
    {"$set": {"email": 5}},
], ids=str)
def test_an_update_that_ciphertext_cannot_serve_is_refused(patients, stored, three, update):
    before = list(stored.find().sort("ward", 1))
    with refused():
        patients.update_one({"ward": 1}, update)
    assert list(stored.find().sort("ward", 1)) == before
    assert patients.find_one({"ssn": three[1]["ssn"]}) == three[1]


def test_rename_between_fields_that_are_encrypted_alike(patients, desk, stored, three, secrets):
    with refused(UNAUTHORIZED):
        desk.update_one({"ward": 1}, {"$rename": {"bloodType": "email"}})
    patients.update_one({"ward": 1}, {"$rename": {"bloodType": "email"}})
    assert_sealed(stored.find_one({"ward": 1}), secrets.needles)
    found = patients.find_one({"ward": 1})
    assert found["email"] == three[1]["bloodType"] and "bloodType" not in found


@pytest.mark.parametrize("pipeline, expected", [
    ([{"$set": {"visits": {"$add": ["$ward", 1]}, "insurance.provider": "Other"}}], {"visits": 2, "insurance.provider": "Other"}),
    ([{"$addFields": {"label": {"$concat": ["$name", "!"]}}}, {"$unset": "name"}], {"label": "Patient B!", "name": None}),
    ([{"$project": {"name": 0}}], {"name": None}),
    ([{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"room": 7}]}}], {"room": 7}),
], ids=str)
def test_an_update_pipeline_that_leaves_protected_fields_alone(patients, desk, stored, three, secrets, pipeline, expected):
    before = stored.find_one({"ward": 1})
    assert patients.update_one({"ssn": three[1]["ssn"]}, pipeline).modified_count == 1
    assert {path: value_at(stored.find_one({"ward": 1}), path) for path in expected} == expected
    stored.replace_one({"ward": 1}, before)
    found = patients.find_one_and_update({"ward": 1}, pipeline, return_document=ReturnDocument.AFTER)
    for path in PROTECTED:
        assert value_at(found, path) == value_at(three[1], path)
        assert value_at(stored.find_one({"ward": 1}), path) == value_at(before, path), "the ciphertext changed"
    stored.replace_one({"ward": 1}, before)
    seen = desk.find_one_and_update({"ward": 1}, pipeline, return_document=ReturnDocument.AFTER)
    assert seen == as_receptionists_see(found)


def test_an_update_pipeline_that_compares_a_protected_field(patients, desk, stored, three):
    pipeline = [{"$set": {"vip": {"$eq": ["$ssn", three[1]["ssn"]]}, "tier": {"$cond": [{"$in": ["$ssn", [three[0]["ssn"]]]}, "a", "b"]}}}]
    patients.update_many({}, pipeline)
    assert [(d["vip"], d["tier"]) for d in stored.find().sort("ward", 1)] == [(False, "a"), (True, "b"), (False, "b")]
    with refused(UNAUTHORIZED):
        desk.update_many({}, pipeline)


@pytest.mark.parametrize("pipeline", [
    [{"$set": {"copy": "$ssn"}}], [{"$set": {"ssn": 5}}], [{"$set": {"ssn": "$insurance.policyNumber"}}], [{"$set": {"copy": "$$ROOT"}}],
    [{"$unset": "ssn"}], [{"$unset": "insurance"}], [{"$project": {"name": 1}}], [{"$set": {"insurance": None}}],
    [{"$replaceWith": {"name": "x"}}], [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"email": "x"}]}}],
    [{"$set": {"x": {"$add": ["$ssn", 1]}}}], [{"$set": {"x": {"$ifNull": ["$email", "none"]}}}],
    [{"$lookup": {"from": "wards", "pipeline": [], "as": "x"}}],
], ids=str)
def test_an_update_pipeline_that_could_change_a_protected_field_is_refused(patients, desk, stored, three, pipeline):
    before = list(stored.find().sort("ward", 1))
    for collection in (patients, desk):
        with refused():
            collection.update_one({"ward": 1}, pipeline)
        with refused():
            collection.find_one_and_update({"ward": 1}, pipeline)
    assert list(stored.find().sort("ward", 1)) == before


def test_updates_of_plain_fields_keep_their_operators(patients, three):
    patients.update_one({"ssn": three[1]["ssn"]}, {"$inc": {"visits": 3}, "$push": {"notes": "n"}, "$rename": {"ward": "room"}})
    found = patients.find_one({"ssn": three[1]["ssn"]})
    assert (found["visits"], found["notes"], found["room"]) == (3, ["n"], 1)
