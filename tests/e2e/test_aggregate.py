"""Aggregations that ciphertext can serve, and the refusal of the others by name."""

import pytest
from refusal import refused


def test_match_on_a_protected_field_then_count(patients, three):
    pipeline = [{"$match": {"ssn": {"$in": [three[0]["ssn"], three[1]["ssn"]]}}}, {"$count": "patients"}]
    assert list(patients.aggregate(pipeline)) == [{"patients": 2}]


def test_match_sort_skip_limit(patients, three):
    pipeline = [{"$match": {"ssn": {"$ne": three[1]["ssn"]}}}, {"$sort": {"ward": -1}}, {"$skip": 1}, {"$limit": 1}]
    assert list(patients.aggregate(pipeline)) == [three[0]]


def test_inclusion_project_keeps_clear_values(patients, three):
    pipeline = [{"$match": {"insurance.policyNumber": three[2]["insurance"]["policyNumber"]}},
                {"$project": {"_id": 0, "name": 1, "ssn": 1, "insurance.policyNumber": 1}}]
    assert list(patients.aggregate(pipeline)) == [
        {"name": "Patient C", "ssn": three[2]["ssn"], "insurance": {"policyNumber": three[2]["insurance"]["policyNumber"]}}]


def test_an_empty_pipeline_reads_everything(patients, three):
    assert sorted(patients.aggregate([]), key=lambda d: d["ward"]) == three


def test_aggregate_in_batches(patients, patient):
    documents = [patient(n=n) for n in range(20)]
    patients.insert_many(documents)
    assert list(patients.aggregate([{"$sort": {"n": 1}}], batchSize=3)) == documents


@pytest.mark.parametrize("stage", [
    {"$match": {"ssn": {"$gt": 1}}},
    {"$match": {"bloodType": "AB+"}},
    {"$match": {"$expr": {"$gt": ["$ssn", 1]}}},
    {"$match": {"$expr": {"$eq": ["$bloodType", "AB+"]}}},
    {"$match": {"$expr": {"$eq": ["$ssn", {"$add": ["$ward", 1]}]}}},
    {"$sort": {"ssn": 1}},
    {"$sort": {"email": -1}},
    {"$group": {"_id": "$email", "n": {"$sum": 1}}},
    {"$group": {"_id": None, "total": {"$sum": "$ssn"}}},
    {"$group": {"_id": None, "all": {"$addToSet": "$email"}}},
    {"$project": {"copy": {"$toString": "$ssn"}}},
    {"$addFields": {"ssn": 145014000}},
    {"$replaceRoot": {"newRoot": "$ssn"}},
    {"$unwind": "$medicalRecords"},
    {"$out": "elsewhere"},
    {"$merge": {"into": "elsewhere"}},
    {"$merge": {"into": "patients", "whenMatched": [{"$set": {"ssn": 5}}]}},
    {"$lookup": {"from": "other", "localField": "ssn", "foreignField": "ssn", "as": "x"}},
    {"$graphLookup": {"from": "other", "startWith": "$ssn", "connectFromField": "ssn", "connectToField": "ssn", "as": "x"}},
    {"$unionWith": {"coll": "other", "pipeline": [{"$match": {"x": 1}}], "noSuchOption": 1}},
    {"$facet": {"x": [{"$match": {"ssn": {"$gt": 1}}}]}},
    {"$facet": {"x": [{"$out": "elsewhere"}]}},
    {"$setWindowFields": {"partitionBy": "$ssn", "sortBy": {"ward": 1}, "output": {"n": {"$sum": 1}}}},
    {"$fill": {"output": {"ssn": {"method": "locf"}}}},
    {"$search": {"text": {"query": "x", "path": "email"}}},
    {"$sample": {"size": 1}, "$limit": 1},
    {"$noSuchStage": {}},
], ids=str)
def test_a_stage_that_ciphertext_cannot_serve_is_refused(patients, three, direct, database, stage):
    with refused():
        list(patients.aggregate([stage]))
    assert "elsewhere" not in direct[database].list_collection_names()
    assert patients.find_one({"ssn": three[0]["ssn"]}) == three[0]
