"""What a schema and its entry in the configuration may say beyond the clinic's: nulls, numbers of other types, names by
pattern, keys by JSON pointer; and whole objects and $rename, which depend on the schema."""

import copy

import clinic
import pytest
from bson import json_util
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from clinic import DETERMINISTIC, RANDOM, assert_sealed
from processes import run_fieldgate
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import WriteError
from refusal import UNAUTHORIZED, refused

INT, DOUBLE, STRING, LONG, OBJECT = 0x10, 0x01, 0x02, 0x12, 0x03


def encrypt(bson_type, algorithm=DETERMINISTIC, **more):
    return {"encrypt": {"bsonType": bson_type, "algorithm": algorithm, **more}}


def schema(properties, **more):
    return {"bsonType": "object", "encryptMetadata": {"keyAltName": "clinic"}, "properties": properties, **more}


NUMBERS = schema({"ssn": encrypt("int"), "policy": encrypt("long"), "weight": encrypt("double", RANDOM), "email": encrypt("string")})
PATTERNS = schema(
    {"patternless": encrypt("string", RANDOM), "deep": {"bsonType": "object", "patternProperties": {"_id$": encrypt("int")}}},
    patternProperties={"^note_": encrypt("string", RANDOM), "^number_[0-9]+$": encrypt("int"),
                       "^visit_": {"bsonType": "object", "properties": {"doctor": encrypt("string")}}})
POINTER = schema({"name": {"bsonType": "string"}, "letter": encrypt("string", RANDOM, keyId="/keyName"), "ssn": encrypt("int")})
ALIKE = schema({"first": encrypt("string"), "second": encrypt("string"), "random": encrypt("string", RANDOM), "number": encrypt("int"),
                "other": encrypt("string", DETERMINISTIC, keyAltName="other")})
ENTRIES = {
    "refuse_*.patients": {"schema": clinic.SCHEMA},
    "store_*.patients": {"schema": clinic.SCHEMA, "nulls": "store"},
    "omit_*.patients": {"schema": clinic.SCHEMA, "nulls": "omit"},
    "coerce_*.patients": {"schema": NUMBERS, "coerce_numbers": True},
    "exact_*.patients": {"schema": NUMBERS},
    "patterns_*.patients": {"schema": PATTERNS},
    "pointer_*.patients": {"schema": POINTER},
    "alike_*.patients": {"schema": ALIKE},
}


@pytest.fixture(scope="module")
def gateway(stand):
    for alt_name in ("other", "alice", "bob"):
        stand.create_key(alt_name)
    gateway = stand.start(name="schema-options", schemas=ENTRIES)
    yield gateway
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def open_collection(stand, gateway):
    """The collection of an entry as doctors, as receptionists and as it is stored."""
    doctor, desk = (stand.client(gateway.uri(name)) for name in ("doctors", "receptionists"))

    def opened(kind, database):
        return tuple(client[f"{kind}_{database}"].patients for client in (doctor, desk, stand.direct))
    return opened


def assert_sealed_as(value, bson_type, algorithm=DETERMINISTIC):
    assert isinstance(value, Binary) and value.subtype == 6, value
    assert (value[0], value[17]) == (1 if algorithm == DETERMINISTIC else 2, bson_type)


# nulls

def test_nulls_are_refused(open_collection, database, patient):
    doctor, _, stored = open_collection("refuse", database)
    for document in ({"ssn": None}, {"email": None}, {"insurance": {"policyNumber": None}}):
        with refused(words="null"):
            doctor.insert_one(document)
    with refused(words="null"):
        doctor.update_one({}, {"$set": {"ssn": None}})
    with refused(words="null"):
        doctor.find_one({"ssn": None})
    assert stored.count_documents({}) == 0


def test_nulls_are_stored(open_collection, database, patient, secrets):
    doctor, desk, stored = open_collection("store", database)
    full = {"_id": 2, **patient()}
    empty = {"_id": 1, "ssn": None, "email": None, "insurance": {"policyNumber": None, "provider": "x"}}
    doctor.insert_many([empty, full])
    assert stored.find_one({"_id": 1}) == doctor.find_one({"_id": 1}) == empty
    assert desk.find_one({"_id": 1}) == {"_id": 1, "insurance": {"provider": "x"}}
    assert doctor.find_one({"ssn": None})["_id"] == 1
    assert doctor.find_one({"ssn": {"$ne": None}}) == full
    assert [d["_id"] for d in doctor.find({"ssn": {"$in": [None, full["ssn"]]}}).sort("_id", 1)] == [1, 2]
    assert doctor.find_one({"email": None})["_id"] == 1  # nulls are in clear, so that they can be asked for on random fields too
    with refused():
        doctor.find_one({"email": {"$in": [None, full["email"]]}})
    with refused(UNAUTHORIZED):
        desk.find_one({"ssn": None})
    doctor.update_one({"_id": 2}, {"$set": {"ssn": None, "insurance.policyNumber": None}})
    assert stored.find_one({"_id": 2})["ssn"] is None and stored.find_one({"_id": 2})["insurance"]["policyNumber"] is None
    doctor.replace_one({"_id": 2}, {"bloodType": None})
    assert stored.find_one({"_id": 2}) == {"_id": 2, "bloodType": None}


def test_nulls_are_omitted(open_collection, database, patient, secrets):
    doctor, _, stored = open_collection("omit", database)
    full = {"_id": 2, **patient()}
    doctor.insert_many([{"_id": 1, "ssn": None, "name": None, "insurance": {"policyNumber": None, "provider": "x"}}, full])
    assert stored.find_one({"_id": 1}) == doctor.find_one({"_id": 1}) == {"_id": 1, "name": None, "insurance": {"provider": "x"}}
    assert doctor.find_one({"ssn": None})["_id"] == 1
    assert doctor.find_one({"ssn": {"$ne": None}}) == full
    with refused(words="$unset"):
        doctor.update_one({"_id": 2}, {"$set": {"ssn": None}})
    doctor.replace_one({"_id": 2}, {"ssn": None, "email": full["email"]})
    raw = stored.find_one({"_id": 2})
    assert set(raw) == {"_id", "email"}
    assert_sealed(raw, secrets.needles)
    doctor.update_one({"_id": 2}, {"$set": {"insurance": {"policyNumber": None, "provider": "y"}}})
    assert stored.find_one({"_id": 2})["insurance"] == {"provider": "y"}
    doctor.bulk_write([UpdateOne({"_id": 3}, {"$setOnInsert": {"ssn": None, "x": 1}}, upsert=True), ReplaceOne({"_id": 1}, {"email": None, "y": 1})])
    assert list(stored.find({"_id": {"$in": [1, 3]}}).sort("_id", 1)) == [{"_id": 1, "y": 1}, {"_id": 3, "x": 1}]


# Numbers: PyMongo sends an int as the smallest type that holds it, JavaScript every number as a double.

@pytest.mark.parametrize("number", [lambda n: n, float, Int64], ids=["int", "double", "long"])
def test_numbers_become_the_type_of_their_field(open_collection, database, secrets, number):
    doctor, _, stored = open_collection("coerce", database)
    ssn, policy = secrets.number(), secrets.number()
    doctor.insert_one({"_id": 1, "ssn": number(ssn), "policy": number(policy), "weight": number(81), "ward": number(3)})
    raw = stored.find_one()
    assert_sealed_as(raw["ssn"], INT)
    assert_sealed_as(raw["policy"], LONG)
    assert_sealed_as(raw["weight"], DOUBLE, RANDOM)
    assert type(raw["ward"]) is type(number(3)), "a plain field keeps its type"
    found = doctor.find_one()
    assert (found["ssn"], found["policy"], found["weight"]) == (ssn, policy, 81.0)
    assert [type(found[name]) for name in ("ssn", "policy", "weight")] == [int, Int64, float]
    for ask in (int, float, Int64):
        for query in ({"ssn": ask(ssn)}, {"policy": {"$in": [ask(5), ask(policy)]}}, {"$expr": {"$eq": ["$ssn", ask(ssn)]}},
                      {"ssn": {"$not": {"$ne": ask(ssn)}}}):
            assert doctor.find_one(query) == found, query
    doctor.update_one({"policy": number(policy)}, {"$set": {"ssn": number(7)}})
    assert doctor.find_one({"ssn": 7})["_id"] == 1
    assert_sealed_as(stored.find_one()["ssn"], INT)


@pytest.mark.parametrize("document", [
    {"ssn": 1.5}, {"ssn": 2.0 ** 31}, {"ssn": Int64(2 ** 31)}, {"ssn": float("nan")}, {"ssn": -0.0}, {"policy": 0.5}, {"policy": 2.0 ** 63},
    {"weight": Int64(2 ** 53 + 1)}, {"ssn": Decimal128("5")}, {"ssn": "5"}, {"ssn": True}, {"email": 5},
], ids=str)
def test_numbers_that_the_type_does_not_hold_exactly_are_refused(open_collection, database, document):
    doctor, _, stored = open_collection("coerce", database)
    with refused():
        doctor.insert_one(document)
    with refused():
        doctor.update_one({}, {"$set": document})
    with refused():
        doctor.find_one(document)
    assert stored.count_documents({}) == 0


@pytest.mark.parametrize("document", [{"ssn": 5.0}, {"ssn": Int64(5)}, {"policy": 5}, {"weight": 5}], ids=str)
def test_numbers_of_other_types_are_refused_unless_the_namespace_takes_them(open_collection, database, document):
    doctor, _, _ = open_collection("exact", database)
    with refused(words="because schema requires"):
        doctor.insert_one(document)


# Names by pattern

def test_patterns_protect_every_name_that_they_match(open_collection, database, secrets):
    doctor, desk, stored = open_collection("patterns", database)
    document = {"_id": 1, "note_x": secrets.text(), "note_": secrets.text(), "number_17": secrets.number(), "number_x": "plain", "notes": "plain",
                "patternless": secrets.text(), "visit_1": {"doctor": secrets.text(), "day": 3}, "visit_2": {"doctor": secrets.text()},
                "deep": {"tax_id": secrets.number(), "name": "plain"}}
    doctor.insert_one(dict(document))
    raw = stored.find_one()
    for name, bson_type, algorithm in (("note_x", STRING, RANDOM), ("note_", STRING, RANDOM), ("number_17", INT, DETERMINISTIC),
                                       ("patternless", STRING, RANDOM)):
        assert_sealed_as(raw[name], bson_type, algorithm)
    assert_sealed_as(raw["visit_1"]["doctor"], STRING)
    assert_sealed_as(raw["visit_2"]["doctor"], STRING)
    assert_sealed_as(raw["deep"]["tax_id"], INT)
    assert not any(needle in raw_bytes(raw) for needle in secrets.needles)
    assert doctor.find_one() == document
    plain = {"_id": 1, "number_x": "plain", "notes": "plain", "visit_1": {"day": 3}, "visit_2": {}, "deep": {"name": "plain"}}
    assert desk.find_one() == plain
    for query in ({"number_17": document["number_17"]}, {"visit_2.doctor": document["visit_2"]["doctor"]},
                  {"deep.tax_id": {"$in": [document["deep"]["tax_id"]]}}, {"number_x": "plain"}):
        assert doctor.find_one(query) == document, query
        if "number_x" not in query:
            with refused(UNAUTHORIZED):
                desk.find_one(query)
    assert desk.find_one({"number_x": "plain"}) == plain
    for query in ({"note_anything": "x"}, {"number_5": {"$gt": 5}}, {"visit_9": {"$elemMatch": {"doctor": "x"}}}):
        with refused():
            doctor.find_one(query)


def raw_bytes(document):
    import bson
    return bson.encode(document)


def test_a_validator_with_patterns_through_the_proxy(stand, gateway, open_collection, database, secrets):
    """A client creates the collection with what `schema show` prints; then the server stops who walks around."""
    doctor, _, stored = open_collection("patterns", database)
    name = doctor.full_name
    code, out, err = run_fieldgate("schema", "show", "-c", gateway.config_file, name, "--json", "--connect")
    assert code == 0, err
    shown = json_util.loads(out)
    assert "^note_" in shown["patternProperties"]
    another = copy.deepcopy(shown)
    another["patternProperties"]["^other_"] = another["patternProperties"]["^note_"]
    missing = copy.deepcopy(shown)
    del missing["patternProperties"]["^visit_"]
    for validator in (another, missing, {**shown, "additionalProperties": {"minimum": 5}}):
        with refused():
            doctor.database.create_collection("patients", validator={"$jsonSchema": validator})
    assert stored.name not in stored.database.list_collection_names()

    doctor.database.create_collection("patients", validator={"ward": {"$type": "int"}, "$jsonSchema": shown})
    document = {"_id": 1, "ward": 3, "note_x": secrets.text(), "visit_1": {"doctor": secrets.text()}, "deep": {"tax_id": secrets.number()}}
    doctor.insert_one(dict(document))
    assert doctor.find_one({"deep.tax_id": document["deep"]["tax_id"]}) == document
    for plaintext in ({"note_y": "in clear"}, {"number_5": 5}, {"visit_2": {"doctor": "in clear"}}, {"deep": {"x_id": 5}}, {"patternless": "x"}):
        with pytest.raises(WriteError) as stopped:
            stored.insert_one({"ward": 3, **plaintext})
        assert stopped.value.code == 121, plaintext
        with pytest.raises(WriteError) as stopped:
            stored.update_one({"_id": 1}, {"$set": plaintext})
        assert stopped.value.code == 121, plaintext
    stored.insert_one({"_id": 2, "ward": 3, "notes": "plain"})
    assert stored.count_documents({}) == 2

    # What `schema install` wrote is taken back, with another rule beside it.
    code, out, err = run_fieldgate("schema", "install", "-c", gateway.config_file, name)
    assert code == 0, err
    installed = next(iter(stored.database.list_collections(filter={"name": "patients"})))["options"]["validator"]
    doctor.database.command("collMod", "patients", validator={**installed, "room": {"$exists": False}})
    with refused():
        doctor.database.command("collMod", "patients", validator={"$jsonSchema": another})
    with pytest.raises(WriteError) as stopped:
        doctor.insert_one({"_id": 3, "ward": 3, "room": 5})
    assert stopped.value.code == 121


def test_updates_of_names_that_a_pattern_matches(open_collection, database, secrets):
    doctor, desk, stored = open_collection("patterns", database)
    doctor.insert_one({"_id": 1, "name": "x"})
    note, number = secrets.text(), secrets.number()
    doctor.update_one({"_id": 1}, {"$set": {"note_new": note, "visit_3": {"doctor": note}, "deep.other_id": number, "notes": 1}})
    raw = stored.find_one()
    assert_sealed_as(raw["note_new"], STRING, RANDOM)
    assert_sealed_as(raw["visit_3"]["doctor"], STRING)
    assert_sealed_as(raw["deep"]["other_id"], INT)
    assert doctor.find_one({"deep.other_id": number}) == {
        "_id": 1, "name": "x", "note_new": note, "visit_3": {"doctor": note}, "deep": {"other_id": number}, "notes": 1}
    for update in ({"$set": {"note_y": "x"}}, {"$unset": {"note_new": ""}}, {"$set": {"deep": {"x_id": 5}}}, {"$unset": {"visit_3": ""}}):
        with refused(UNAUTHORIZED):
            desk.update_one({"_id": 1}, update)
    with refused():
        doctor.update_one({"_id": 1}, {"$inc": {"number_7": 1}})
    assert list(doctor.aggregate([{"$project": {"_id": 0, "copy": "$note_new"}}])) == [{"copy": note}]
    assert list(desk.aggregate([{"$project": {"_id": 0, "copy": "$note_new"}}])) == [{}]


@pytest.mark.parametrize("document", [
    {"deep": {"tax_id.x": 5}}, {"deep.tax_id": 5},
    {"visit_1.doctor": {"note": "x"}},
], ids=str)
def test_a_dotted_name_is_not_a_way_past_a_pattern(open_collection, database, document):
    doctor, _, stored = open_collection("patterns", database)
    with refused():
        doctor.insert_one(document)
    assert stored.count_documents({}) == 0


# Keys by JSON pointer: the document itself names its key, when it is inserted.

def key_of(stand, alt_name):
    return bytes(stand.key_document(alt_name)["_id"])


def test_a_document_names_its_key(stand, open_collection, database, secrets):
    doctor, desk, stored = open_collection("pointer", database)
    documents = [{"_id": 1, "keyName": "alice", "letter": secrets.text()}, {"_id": 2, "letter": secrets.text(), "keyName": "bob"},
                 {"_id": 3, "name": "no letter"}]
    doctor.insert_many(documents)
    raw = list(stored.find().sort("_id", 1))
    for number, alt_name in ((0, "alice"), (1, "bob")):
        assert_sealed_as(raw[number]["letter"], STRING, RANDOM)
        assert raw[number]["letter"][1:17] == key_of(stand, alt_name)
    assert list(doctor.find().sort("_id", 1)) == documents
    assert list(desk.find({}, {"letter": 1}).sort("_id", 1)) == [{"_id": 1}, {"_id": 2}, {"_id": 3}]


@pytest.mark.parametrize("document", [
    {"letter": "x"}, {"letter": "x", "keyName": None}, {"letter": "x", "keyName": 5}, {"letter": "x", "keyName": ""},
    {"letter": "x", "keyName": "no such key"}, {"letter": 5, "keyName": "alice"},
    {"letter": "x", "keyName": "clinic"},  # a key that schemas give to other fields: the server could swap the ciphertexts
], ids=str)
def test_a_document_that_names_no_key_is_refused(open_collection, database, document):
    doctor, _, stored = open_collection("pointer", database)
    with refused():
        doctor.insert_one(document)
    assert stored.count_documents({}) == 0


def test_keys_by_pointer_serve_inserts_only(open_collection, database, secrets):
    doctor, _, stored = open_collection("pointer", database)
    doctor.insert_one({"_id": 1, "keyName": "alice", "letter": secrets.text(), "ssn": 5})
    before = stored.find_one()
    for write in (lambda: doctor.update_one({"_id": 1}, {"$set": {"letter": "x"}}),
                  lambda: doctor.replace_one({"_id": 1}, {"keyName": "alice", "letter": "x"}),
                  lambda: doctor.update_one({"_id": 9}, {"$setOnInsert": {"letter": "x", "keyName": "alice"}}, upsert=True),
                  lambda: doctor.find_one({"letter": "x"})):
        with refused():
            write()
    assert list(stored.find()) == [before]
    doctor.update_one({"ssn": 5}, {"$unset": {"letter": ""}, "$set": {"ssn": 6}})
    assert doctor.find_one({"ssn": 6}) == {"_id": 1, "keyName": "alice", "ssn": 6}


# Whole objects above protected fields

def test_equality_with_a_whole_object(patients, desk, three):
    cover = three[1]["insurance"]
    for query in ({"insurance": cover}, {"insurance": {"$eq": cover}}, {"insurance": {"$in": [cover, {"policyNumber": 5}]}},
                  {"$and": [{"insurance": {"$not": {"$ne": cover}}}]}):
        assert patients.find_one(query) == three[1], query
        with refused(UNAUTHORIZED):
            desk.find_one(query)
    assert patients.count_documents({"insurance": {"$ne": cover}}) == 2
    # The server compares objects with the order of their names.
    assert patients.find_one({"insurance": dict(reversed(cover.items()))}) is None
    for query in ({"insurance": {"provider": "MaestCare"}}, {"insurance": {"policyNumber": None}}, {"insurance": {"policyNumber": "text"}},
                  {"insurance": {"$gt": cover}}, {"insurance": {**cover, "a.b": 1}}):
        with refused():
            patients.find_one(query)


# $rename: ciphertext keeps its algorithm, key and type

@pytest.mark.parametrize("source, target", [("random", "first"), ("first", "random"), ("first", "number"), ("first", "other"), ("first", "plain"),
                                            ("plain", "first")])
def test_a_rename_between_fields_that_are_encrypted_otherwise(open_collection, database, secrets, source, target):
    doctor, _, stored = open_collection("alike", database)
    doctor.insert_one({"_id": 1, "first": secrets.text(), "random": secrets.text(), "plain": "x"})
    before = stored.find_one()
    with refused():
        doctor.update_one({"_id": 1}, {"$rename": {source: target}})
    assert stored.find_one() == before


def test_a_rename_between_fields_that_are_encrypted_alike(open_collection, database, secrets):
    doctor, desk, stored = open_collection("alike", database)
    value = secrets.text()
    doctor.insert_one({"_id": 1, "first": value})
    with refused(UNAUTHORIZED):
        desk.update_one({"_id": 1}, {"$rename": {"first": "second"}})
    ciphertext = stored.find_one()["first"]
    doctor.update_one({"first": value}, {"$rename": {"first": "second"}})
    assert stored.find_one() == {"_id": 1, "second": ciphertext}
    assert doctor.find_one({"second": value}) == {"_id": 1, "second": value}
    assert doctor.find_one({"first": value}) is None
