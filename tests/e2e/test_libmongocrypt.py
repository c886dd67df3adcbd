"""Interoperability with drivers' own field level encryption: libmongocrypt reads what fieldgate wrote, and the reverse."""

import datetime

import pytest
from bson.binary import Binary
from bson.codec_options import CodecOptions
from clinic import DETERMINISTIC, KEY_VAULT, PROTECTED, RANDOM, assert_sealed, value_at
from conftest import without_id
from pymongo.encryption import ClientEncryption
from pymongo.encryption_options import AutoEncryptionOpts


@pytest.fixture(scope="module")
def providers(stand):
    return {"local": {"key": stand.key_file.read_bytes()}}


@pytest.fixture(scope="module")
def explicit(stand, providers):
    with ClientEncryption(providers, KEY_VAULT, stand.direct, CodecOptions()) as encryption:
        yield encryption


@pytest.fixture(scope="module")
def decrypting(stand, providers):
    """A driver with CSFLE, past the proxy: decrypts what it reads, encrypts nothing by itself."""
    options = AutoEncryptionOpts(providers, KEY_VAULT, bypass_auto_encryption=True)
    return stand.client(stand.server.uri, auto_encryption_opts=options)


def sealed_by_libmongocrypt(explicit, document, key_id):
    copy = {**document, "insurance": {**document["insurance"]}}
    for path, (kind, _) in PROTECTED.items():
        parent, name = (copy["insurance"], path.split(".")[1]) if "." in path else (copy, path)
        parent[name] = explicit.encrypt(value_at(document, path), DETERMINISTIC if kind == 1 else RANDOM, key_id=key_id)
    return copy


def test_libmongocrypt_reads_what_fieldgate_wrote(patients, decrypting, database, patient):
    documents = [patient(n=n) for n in range(20)]
    patients.insert_many(documents)
    assert list(decrypting[database].patients.find().sort("n", 1)) == documents


def test_libmongocrypt_opens_each_value_alone(patients, stored, explicit, patient):
    document = patient()
    patients.insert_one(document)
    raw = stored.find_one()
    for path in PROTECTED:
        assert explicit.decrypt(value_at(raw, path)) == value_at(document, path), path


def test_doctors_read_what_libmongocrypt_wrote(patients, desk, stored, explicit, stand, patient):
    document = patient()
    stored.insert_one(sealed_by_libmongocrypt(explicit, document, stand.key_id))
    assert without_id(patients.find_one({"ssn": document["ssn"]})) == document
    assert without_id(patients.find_one({"insurance.policyNumber": document["insurance"]["policyNumber"]})) == document
    assert without_id(desk.find_one()) == {"name": document["name"], "insurance": {"provider": "MaestCare"}}


def test_deterministic_ciphertexts_are_the_same_bytes(patients, stored, explicit, stand, patient):
    document = patient()
    patients.insert_one(document)
    raw = stored.find_one()
    for path in ("ssn", "insurance.policyNumber"):
        assert value_at(raw, path) == explicit.encrypt(value_at(document, path), DETERMINISTIC, key_id=stand.key_id)


def test_a_driver_with_csfle_matches_what_fieldgate_wrote(patients, decrypting, explicit, stand, database, patient):
    document = patient()
    patients.insert_one(document)
    number = explicit.encrypt(document["ssn"], DETERMINISTIC, key_id=stand.key_id)
    assert decrypting[database].patients.find_one({"ssn": number}) == document


def test_a_key_made_by_the_driver_is_used(stand, explicit, database, patient):
    """Goal: key documents are interchangeable. Method: a second gateway whose schema names a key that PyMongo made."""
    import clinic
    name = f"made-by-the-driver-{database}"
    key_id = explicit.create_data_key("local", key_alt_names=[name])
    schema = {**clinic.SCHEMA, "encryptMetadata": {"keyAltName": name}}
    gateway = stand.start(name=f"driver-key-{database}", schemas={"clinic_*.patients": {"schema": schema}})
    document = patient()
    collection = stand.client(gateway.uri("doctors"))[database].patients
    collection.insert_one(document)
    raw = stand.direct[database].patients.find_one()
    assert raw["ssn"][1:17] == bytes(key_id)
    assert explicit.decrypt(raw["ssn"]) == document["ssn"]
    assert collection.find_one({"ssn": document["ssn"]}) == document
    assert gateway.stop() == 0


def test_a_schema_may_name_a_key_by_its_uuid(stand, database, patient):
    import clinic
    import base64
    encoded = {"$binary": {"base64": base64.b64encode(bytes(stand.key_id)).decode(), "subType": "04"}}
    schema = {**clinic.SCHEMA, "encryptMetadata": {"keyId": [encoded]}}
    gateway = stand.start(name=f"uuid-key-{database}", schemas={"clinic_*.patients": {"schema": schema}})
    collection = stand.client(gateway.uri("doctors"))[database].patients
    document = patient()
    collection.insert_one(document)
    assert collection.find_one({"ssn": document["ssn"]}) == document
    assert stand.direct[database].patients.find_one()["ssn"][1:17] == bytes(stand.key_id)
    assert gateway.stop() == 0


def test_the_key_document_has_the_form_drivers_expect(stand):
    document = stand.key_document()
    assert list(document) == ["_id", "keyAltNames", "keyMaterial", "creationDate", "updateDate", "status", "masterKey"]
    assert isinstance(document["_id"], Binary) and document["_id"].subtype == 4 and len(document["_id"]) == 16
    assert document["_id"][6] >> 4 == 4 and document["_id"][8] >> 6 == 2
    assert isinstance(document["keyMaterial"], bytes) and len(document["keyMaterial"]) == 160
    assert document["creationDate"] == document["updateDate"] and isinstance(document["creationDate"], datetime.datetime)
    assert document["status"] == 0 and document["masterKey"] == {"provider": "local"}


def test_a_validator_with_encrypt_accepts_what_fieldgate_writes(patients, stored, direct, database, patient):
    """The server checks subtype and type byte, as a real one does for `encrypt` in $jsonSchema."""
    from pymongo.errors import WriteError
    direct[database].create_collection("patients", validator={"$jsonSchema": {"bsonType": "object", "properties": {
        "ssn": {"encrypt": {"bsonType": "int"}}, "email": {"encrypt": {"bsonType": "string"}}}}})
    document = patient()
    patients.insert_one(document)
    assert patients.find_one() == document
    with pytest.raises(WriteError):
        stored.insert_one({"ssn": 145014000})
