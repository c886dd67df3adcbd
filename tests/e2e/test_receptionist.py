"""The receptionists' port: names and providers, never a protected value, in any shape of any reply."""

import bson
import pytest
from clinic import PROTECTED, assert_withheld
from pymongo import ReturnDocument
from refusal import UNAUTHORIZED, refused


@pytest.fixture
def needles(three):
    return [d[name].encode() for d in three for name in ("email", "bloodType")] + [
        bson.encode({"": d["ssn"]})[6:10] for d in three]


def expected(document):
    return {"_id": document["_id"], "name": document["name"], "insurance": {"provider": "MaestCare"}, "ward": document["ward"]}


def test_find_omits_every_protected_field(desk, three, needles):
    found = list(desk.find().sort("ward", 1))
    assert found == [expected(d) for d in three]
    for document in found:
        assert_withheld(document, needles)


@pytest.mark.parametrize("path", list(PROTECTED))
def test_projecting_a_protected_field_yields_nothing(desk, three, needles, path):
    for found in desk.find({}, {path: 1}):
        assert_withheld(found, needles)


@pytest.mark.parametrize("projection", [
    {"copy": "$ssn"}, {"copy": {"$concat": ["$email", ""]}}, {"medicalRecords": {"$slice": 1}},
    {"medicalRecords": {"$elemMatch": {"weight": 180}}}, {"all": "$$ROOT"}, {"insurance": "$insurance"},
], ids=str)
def test_projection_expressions_reveal_nothing(desk, three, needles, projection):
    from pymongo.errors import OperationFailure
    try:
        found = list(desk.find({}, projection))
    except OperationFailure as error:
        assert error.code is not None and not any(n in str(error).encode() for n in needles)
    else:
        for document in found:
            assert_withheld(document, needles)
    assert desk.find_one({"ward": 0}) == expected(three[0])


@pytest.mark.parametrize("path", list(PROTECTED))
def test_distinct_on_a_protected_field_reveals_nothing(desk, three, needles, path):
    from pymongo.errors import OperationFailure
    try:
        values = desk.distinct(path)
    except OperationFailure as error:
        assert "$clusterTime" not in error.details, "the server refused it, not fieldgate"
    else:
        assert values == [], values


def test_distinct_on_parents_and_plain_fields(desk, three, needles):
    assert sorted(desk.distinct("name")) == ["Patient A", "Patient B", "Patient C"]
    from pymongo.errors import OperationFailure
    try:
        values = desk.distinct("insurance")
    except OperationFailure:
        return
    for value in values:
        assert_withheld({"insurance": value}, needles)


@pytest.mark.parametrize("when", [ReturnDocument.BEFORE, ReturnDocument.AFTER])
def test_find_one_and_update_omits_protected_fields(desk, three, needles, when):
    found = desk.find_one_and_update({"ward": 1}, {"$set": {"name": "Renamed"}}, return_document=when)
    assert_withheld(found, needles)
    assert found["name"] == ("Renamed" if when is ReturnDocument.AFTER else "Patient B")


def test_find_one_and_delete_omits_protected_fields(desk, three, needles):
    found = desk.find_one_and_delete({"ward": 2})
    assert_withheld(found, needles)
    assert found["name"] == "Patient C"


@pytest.mark.parametrize("pipeline", [
    [], [{"$match": {"ward": {"$gte": 0}}}], [{"$sort": {"ward": 1}}, {"$limit": 2}], [{"$project": {"ssn": 1, "email": 1}}],
    [{"$project": {"insurance": 1}}], [{"$project": {"insurance.policyNumber": 1, "name": 1}}],
], ids=str)
def test_aggregate_omits_protected_fields(desk, three, needles, pipeline):
    found = list(desk.aggregate(pipeline))
    assert found
    for document in found:
        assert_withheld(document, needles)


@pytest.mark.parametrize("stage", [
    {"$project": {"copy": "$ssn"}}, {"$addFields": {"copy": "$ssn"}}, {"$group": {"_id": "$ssn"}},
    {"$group": {"_id": 1, "all": {"$push": "$$ROOT"}}}, {"$replaceRoot": {"newRoot": "$insurance"}},
    {"$project": {"all": {"$objectToArray": "$$ROOT"}}}, {"$unwind": "$medicalRecords"}, {"$sortByCount": "$ssn"},
    {"$facet": {"x": []}}, {"$lookup": {"from": "patients", "pipeline": [], "as": "x"}}, {"$unionWith": "patients"},
], ids=str)
def test_aggregations_that_move_fields_reveal_nothing(desk, three, needles, stage):
    from pymongo.errors import OperationFailure
    try:
        found = list(desk.aggregate([stage]))
    except OperationFailure as error:
        assert not any(n in str(error.details).encode() for n in needles)
    else:
        for document in found:
            assert_withheld(document, needles)


@pytest.mark.parametrize("query", [
    {"ssn": 145014000}, {"ssn": {"$in": [1, 2]}}, {"ssn": {"$ne": 5}}, {"$or": [{"name": "x"}, {"ssn": 5}]},
    {"$nor": [{"insurance.policyNumber": 5}]}, {"ssn": {"$exists": True}}, {"email": {"$exists": False}},
    {"$and": [{"$and": [{"ssn": 5}]}]}, {"insurance.policyNumber": {"$not": {"$eq": 1}}},
], ids=str)
def test_matching_a_protected_field_is_denied(desk, three, query):
    for ask in (lambda: desk.find_one(query), lambda: desk.count_documents(query),
                lambda: desk.database.command("count", "patients", query=query), lambda: desk.distinct("name", query),
                lambda: desk.update_one(query, {"$set": {"seen": 1}}), lambda: desk.delete_one(query),
                lambda: desk.find_one_and_update(query, {"$set": {"seen": 1}})):
        with refused(UNAUTHORIZED):
            ask()
    assert desk.find_one({"ward": 0}) == expected(three[0])


@pytest.mark.parametrize("update", [
    {"$set": {"ssn": 5}}, {"$unset": {"ssn": ""}}, {"$set": {"insurance": {"provider": "x"}}}, {"$unset": {"insurance": ""}},
    {"$set": {"insurance.policyNumber": 5}}, {"$unset": {"medicalRecords": ""}}, {"$setOnInsert": {"email": "x"}},
], ids=str)
def test_writing_a_protected_field_is_denied(desk, stored, three, update):
    before = list(stored.find().sort("ward", 1))
    for write in (lambda: desk.update_one({"ward": 1}, update), lambda: desk.update_many({}, update),
                  lambda: desk.find_one_and_update({"ward": 1}, update)):
        with refused(UNAUTHORIZED):
            write()
    assert list(stored.find().sort("ward", 1)) == before


@pytest.mark.parametrize("query, update", [
    ({"ward": 1}, {"$rename": {"ssn": "x"}}), ({"ward": 1}, {"$rename": {"x": "ssn"}}), ({"ward": 1}, {"$rename": {"insurance": "x"}}),
    ({"ward": 1}, {"$set": {"email.below": 1}}), ({"ward": 1}, {"$inc": {"ssn": 1}}), ({"ward": 1}, {"$push": {"medicalRecords": 1}}),
    ({"ssn": {"$gt": 1}}, {"$set": {"seen": 1}}), ({"medicalRecords.weight": 180}, {"$set": {"seen": 1}}),
    ({"insurance": {"provider": "MaestCare", "policyNumber": 5}}, {"$set": {"seen": 1}}),
], ids=str)
def test_what_nobody_may_do_is_refused_to_receptionists_too(desk, stored, three, query, update):
    before = list(stored.find().sort("ward", 1))
    with refused():
        desk.update_many(query, update)
    with refused():
        desk.find_one_and_update(query, update)
    assert list(stored.find().sort("ward", 1)) == before


def test_replacing_a_document_would_lose_protected_fields_and_is_denied(desk, stored, three):
    before = list(stored.find().sort("ward", 1))
    with refused(UNAUTHORIZED):
        desk.replace_one({"ward": 1}, {"name": "Replaced"})
    with refused(UNAUTHORIZED):
        desk.find_one_and_replace({"ward": 1}, {"name": "Replaced"})
    assert list(stored.find().sort("ward", 1)) == before


def test_inserting_protected_fields_is_denied_and_plain_ones_pass(desk, stored, patient):
    with refused(UNAUTHORIZED):
        desk.insert_one(patient())
    assert stored.count_documents({}) == 0
    desk.insert_one({"name": "Walk-in", "insurance": {"provider": "None"}})
    assert stored.find_one()["name"] == "Walk-in"


def test_plain_fields_are_served(desk, three):
    desk.update_one({"name": "Patient B"}, {"$set": {"insurance.provider": "Better"}})
    assert desk.find_one({"insurance.provider": "Better"})["name"] == "Patient B"
    assert desk.count_documents({"name": {"$regex": "^Patient"}}) == 3


@pytest.mark.parametrize("sort", [[("ssn", 1)], [("email", -1)], [("insurance.policyNumber", 1)], [("insurance", 1)]], ids=str)
def test_sorting_by_a_protected_field_is_refused(desk, three, sort):
    with refused():
        list(desk.find().sort(sort))
