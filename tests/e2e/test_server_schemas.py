"""Collections that fieldgate's configuration does not name: their own validator says what is encrypted."""

import pytest
from bson.binary import Binary
from refusal import refused

ALGORITHM = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"


@pytest.fixture(scope="module")
def gateway(stand):
    return stand.start(name="server-schemas", unlisted_namespaces="server")


def client(stand, gateway, listener):
    return stand.client(gateway.uri(listener))


def validator(stand, *names):
    encrypt = {"encrypt": {"bsonType": "int", "algorithm": ALGORITHM, "keyId": [stand.key_id]}}
    return {"$jsonSchema": {"bsonType": "object", "properties": {name: encrypt for name in names}}}


def test_the_validator_of_a_collection_protects_it(stand, gateway, direct, database):
    direct[database].create_collection("staff", validator=validator(stand, "pin"))
    staff = client(stand, gateway, "doctors")[database].staff
    staff.insert_one({"_id": 1, "pin": 4711, "name": "x"})
    raw = direct[database].staff.find_one()
    assert isinstance(raw["pin"], Binary) and raw["pin"].subtype == 6
    assert staff.find_one({"pin": 4711}) == {"_id": 1, "pin": 4711, "name": "x"}
    with refused(words="pin"):
        staff.find_one({"pin": {"$gt": 1}})
    assert client(stand, gateway, "receptionists")[database].staff.find_one({"_id": 1}).get("pin") != 4711


def test_a_validator_that_cannot_be_applied_closes_its_collection(stand, gateway, direct, database):
    direct[database].create_collection("staff", validator={"$and": [validator(stand, "pin")]})
    with refused(words="elsewhere than in the validator's own"):
        client(stand, gateway, "doctors")[database].staff.insert_one({"pin": 4711})
    assert direct[database].staff.count_documents({}) == 0
