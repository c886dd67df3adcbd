"""What ciphertext cannot answer is refused by name, with a code, on a connection that stays usable."""

import bson
import pytest
from bson.code import Code
from bson.regex import Regex
from clinic import PROTECTED
from refusal import refused

DETERMINISTIC = "ssn"


@pytest.fixture
def lone(stand, database):
    """A client with one connection: whatever follows a refusal goes through the same one."""
    return stand.client(stand.fieldgate.uri("doctors", maxPoolSize=1, retryWrites="false"))[database]


def still_usable(lone):
    assert lone.client.admin.command("ping")["ok"] == 1
    assert lone.patients.find_one({"ssn": 5}) is None


@pytest.mark.parametrize("predicate", [
    {"$gt": 1}, {"$gte": 1}, {"$lt": 1}, {"$lte": 1}, {"$mod": [2, 0]}, {"$regex": "x"}, {"$size": 1}, {"$type": "int"},
    {"$bitsAllSet": 1}, {"$bitsAnySet": 1}, {"$bitsAllClear": 1}, {"$bitsAnyClear": 1}, {"$all": [1]},
    {"$elemMatch": {"$eq": 1}}, {"$near": [0, 0]}, {"$geoWithin": {"$center": [[0, 0], 1]}}, {"$noSuchOperator": 1},
    None, {"$eq": None}, {"$in": [1, None]}, {"$in": [Regex("x")]}, {"$in": 5}, Regex("x"), {"$not": Regex("x")}, 1.5, True, [1], {"a": 1},
    {"$not": {"$gt": 1}}, {"$eq": 1, "$gt": 0},
], ids=str)
def test_a_predicate_on_a_deterministic_field(lone, predicate):
    with refused(words="ssn"):
        lone.patients.find_one({"ssn": predicate})
    with refused(words="ssn"):
        lone.patients.delete_many({"$or": [{"name": "x"}, {"ssn": predicate}]})
    still_usable(lone)


@pytest.mark.parametrize("path, value", [
    ("bloodType", "AB+"), ("email", {"$in": ["a"]}), ("medicalRecords", {"$ne": []}), ("dateOfBirth", {"$eq": 5}),
    ("medicalRecords.weight", 180), ("medicalRecords.0.weight", 180), ("ssn.below", 1),
])
def test_a_predicate_on_or_below_a_random_field(lone, path, value):
    with refused(words=path.split(".")[0]):
        lone.patients.find_one({path: value})
    still_usable(lone)


@pytest.mark.parametrize("query", [
    {"$where": "this.ssn == 145014000"}, {"$where": Code("true")}, {"$expr": {"$gt": ["$ssn", 145014000]}},
    {"$text": {"$search": "canary"}}, {"$jsonSchema": {"properties": {"ssn": {"minimum": 1}}}},
    {"$noSuchTopLevelOperator": 1}, {"$and": [{"$expr": {"$lt": ["$ssn", 1]}}]}, {"$expr": {"$eq": ["$email", "x"]}},
    {"$expr": {"$eq": ["$insurance", {"policyNumber": 5}]}}, {"$expr": {"$eq": [{"$add": ["$ssn", 1]}, 145014001]}},
    {"$expr": {"$in": [5, "$ssn"]}}, {"$expr": {"$eq": ["$ssn", "145014000"]}}, {"$expr": {"$eq": ["$ssn.below", 5]}},
], ids=str)
def test_a_query_operator_that_could_reach_protected_fields(lone, query):
    with refused():
        lone.patients.find_one(query)
    with refused():
        lone.patients.update_many(query, {"$set": {"seen": 1}})
    still_usable(lone)


@pytest.mark.parametrize("path", [p for p in PROTECTED])
def test_sorting_by_a_protected_field(lone, path):
    with refused(words=path.split(".")[-1]):
        list(lone.patients.find().sort(path, 1))
    with refused():
        lone.patients.find_one_and_update({"name": "x"}, {"$set": {"y": 1}}, sort=[(path, 1)])
    still_usable(lone)


def test_a_collation_with_a_protected_comparison(lone):
    with refused():
        lone.patients.find_one({"ssn": 5}, collation={"locale": "en", "strength": 2})
    still_usable(lone)


@pytest.mark.parametrize("options", [
    {"min": {"ssn": 1}}, {"max": {"ssn": 9}}, {"let": {"x": "$ssn"}}, {"noSuchOption": 1},
], ids=str)
def test_a_find_option_that_carries_or_shows_protected_values(lone, options):
    with refused():
        lone.command({"find": "patients", "filter": {}, **options})
    still_usable(lone)


@pytest.mark.parametrize("path", ["bloodType", "email", "medicalRecords", "dateOfBirth"])
def test_distinct_on_a_random_field(lone, path):
    with refused(words=path):
        lone.patients.distinct(path)
    still_usable(lone)


@pytest.mark.parametrize("command", [
    {"explain": {"find": "patients", "filter": {"ssn": {"$gt": 145014000}}}},
    {"explain": {"update": "patients", "updates": [{"q": {}, "u": {"$inc": {"ssn": 1}}}]}},
    {"mapReduce": "patients", "map": Code("function(){emit(this.ssn,1)}"), "reduce": Code("function(){}"), "out": {"inline": 1}},
    {"geoSearch": "patients", "near": [1, 2]},
    {"createIndexes": "patients", "indexes": [{"key": {"a": 1}, "name": "a", "partialFilterExpression": {"ssn": {"$gt": 5}}}]},
    {"createIndexes": "patients", "indexes": [{"key": {"a": 1}, "name": "a", "partialFilterExpression": {"ssn": 5}}]},
    {"collMod": "patients", "validator": {"ssn": {"$type": "int"}}},
    {"collMod": "patients", "validator": {"ssn": 145014000}},
    {"create": "patients", "validator": {"$jsonSchema": {"properties": {"ssn": {"enum": [145014000]}}}}},
    {"noSuchCommand": "patients"},
    {"validate": "patients", "noSuchOption": {"$gt": 1}},
    {"bulkWrite": 1, "ops": [{"insert": 0, "document": {"ssn": 1}, "noSuchField": 1}], "nsInfo": [{"ns": "medicalRecords.patients"}]},
    {"clone": "patients"}, {"find": "patients", "filter": {}, "$db": "other"},
], ids=lambda c: next(iter(c)))
def test_a_command_that_is_not_understood_on_a_protected_collection(lone, command):
    if next(iter(command)) == "find":  # a second $db: the driver would refuse first, so it is said on a raw socket
        import wire
        body = bson.encode({"find": "patients", "filter": {}, "$db": lone.name})
        doubled = body[:-1] + bson.encode({"$db": "other"})[4:-1] + b"\0"
        doubled = len(doubled).to_bytes(4, "little") + doubled[4:]
        host, port = lone.client.address
        with wire.Connection((host, port)) as connection:
            reply = connection.ask(wire.body_section(doubled))
            assert reply["ok"] == 0, reply
        return
    target = lone.client.admin if "bulkWrite" in command else lone
    with refused():
        target.command(command)
    still_usable(lone)


def test_the_same_protected_path_twice_in_one_document(stand, database, stored):
    import wire
    twice = bson.encode({"ssn": 1})[4:-1] + bson.encode({"ssn": 2})[4:-1]
    document = (len(twice) + 5).to_bytes(4, "little") + twice + b"\0"
    section = b"documents\0" + document
    sequence = b"\1" + (len(section) + 4).to_bytes(4, "little") + section
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"insert": "patients", "$db": database}, sequence)
        assert reply["ok"] == 0 and reply["codeName"], reply
        assert connection.ask({"ping": 1, "$db": "admin"})["ok"] == 1
    assert stored.count_documents({}) == 0


def test_a_dotted_name_inside_a_document_is_not_a_way_past_the_schema(patients, stored):
    from pymongo.errors import OperationFailure
    try:
        patients.insert_one({"name": "x", "insurance.policyNumber": 123142})
    except OperationFailure:
        pass
    raw = stored.find_one()
    assert raw is None or raw["insurance.policyNumber"] != 123142
