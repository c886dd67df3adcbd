"""What servers keep of other namespaces: the oplog, the profiler's collections, running operations. Administration of them works; no
protected value reaches the server in a filter on them."""

import pytest
from bson.timestamp import Timestamp
from pymongo import CursorType
from refusal import refused


@pytest.fixture
def ssn(three):
    return three[1]["ssn"]


def test_the_oplog_is_tailed_and_shows_ciphertext(doctor, patients, patient, secrets):
    oplog = doctor.local["oplog.rs"]
    last = next(iter(oplog.find({}).sort("$natural", -1).limit(1)))["ts"]
    assert isinstance(last, Timestamp)
    document = {"_id": 1, **patient()}
    patients.insert_one(dict(document))
    asked = {"ts": {"$gt": last}, "ns": patients.full_name, "op": "i"}
    entry = next(iter(oplog.find(asked, cursor_type=CursorType.TAILABLE_AWAIT, oplog_replay=True)))
    assert entry["o"]["_id"] == 1 and entry["o"]["ssn"].subtype == 6
    assert [e["o"]["_id"] for e in oplog.aggregate([{"$match": asked}, {"$project": {"o._id": 1}}])] == [1]
    assert oplog.count_documents(asked) == 1


@pytest.mark.parametrize("path", ["o.ssn", "o2.ssn", "preImage.ssn", "o.insurance.policyNumber"])
def test_a_filter_on_the_oplog_holds_no_protected_value(doctor, ssn, path):
    oplog = doctor.local["oplog.rs"]
    for ask in (lambda: oplog.find_one({path: ssn}), lambda: oplog.find_one({"op": "i", "$or": [{path: {"$in": [ssn]}}]}),
                lambda: oplog.count_documents({path: ssn}), lambda: oplog.distinct("ns", {path: ssn}),
                lambda: list(oplog.aggregate([{"$match": {"$expr": {"$eq": [f"${path}", ssn]}}}])),
                lambda: list(oplog.aggregate([{"$replaceRoot": {"newRoot": "$o"}}, {"$match": {"ssn": ssn}}]))):
        with refused(words="the paths that fieldgate's README lists"):
            ask()


def test_nobody_writes_into_the_oplog(doctor, ssn):
    entry = {"ts": Timestamp(1, 1), "op": "i", "ns": "medicalRecords.patients", "o": {"_id": 1, "ssn": ssn}}
    with refused(words="the server alone writes it"):
        doctor.local["oplog.rs"].insert_one(entry)
    with refused(words="the server alone writes it"):
        doctor.local["oplog.rs"].delete_many({"op": "i"})


def test_the_profile(doctor, direct, database, ssn):
    profile = doctor[database]["system.profile"]
    assert list(profile.find({"millis": {"$gt": 1_000_000}, "op": "query"}).sort("ts", -1).limit(5)) == []
    for path in ("command.filter.ssn", "command.q.ssn", "execStats.filter.ssn", "query.ssn"):
        for ask in (lambda: profile.find_one({path: ssn}), lambda: profile.count_documents({path: ssn}),
                    lambda: list(doctor[database].wards.aggregate([{"$unionWith": {"coll": "system.profile",
                                                                                   "pipeline": [{"$match": {path: ssn}}]}}]))):
            with refused():
                ask()


def test_the_filter_of_the_profiler(doctor, database, ssn):
    for filter in ({"command.filter.ssn": ssn}, {"$or": [{"op": "query"}, {"command.q": {"ssn": ssn}}]}, {"$expr": {"$eq": ["$command.q.ssn", ssn]}}):
        with refused(words="the paths that fieldgate's README lists"):
            doctor[database].command("profile", 0, filter=filter)


def test_running_operations(doctor, ssn):
    operations = [{"$currentOp": {"allUsers": True}}, {"$match": {"active": True, "secs_running": {"$gte": 0}, "$or": [
        {"command.createIndexes": {"$exists": True}}, {"op": {"$exists": True}}]}}]
    assert isinstance(list(doctor.admin.aggregate(operations)), list)
    for path in ("command.filter.ssn", "cursor.originatingCommand.filter.ssn", "originatingCommand.ssn"):
        with refused():
            list(doctor.admin.aggregate([{"$currentOp": {}}, {"$match": {path: ssn}}]))
        with refused():
            doctor.admin.command({"currentOp": 1, "active": True, path: ssn})
