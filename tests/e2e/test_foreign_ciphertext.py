"""Ciphertext as data: sent by clients, copied into plain fields, moved between fields, tampered with."""

import pytest
from bson.binary import Binary
from clinic import assert_withheld
from refusal import refused


@pytest.fixture
def blob(stored, three):
    """A genuine ciphertext of the collection: Patient A's ssn."""
    return stored.find_one({"ward": 0})["ssn"]


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("path", ["notes", "ssn", "nested.deep"])
def test_made_up_ciphertext_is_refused(patients, stored, stand, kind, path):
    made_up = Binary(bytes([kind]) + bytes(stand.key_id) + b"\x10" + b"\x55" * 64, 6)
    with refused():
        patients.update_one({"name": "x"}, {"$set": {path: made_up}}, upsert=True)
    with refused():
        patients.insert_one({"name": "x", "a": [{"b": made_up}]})
    assert stored.count_documents({}) == 0


def test_genuine_ciphertext_in_a_plain_field_is_refused(patients, desk, stored, blob):
    for collection in (patients, desk):
        with refused():
            collection.insert_one({"name": "Thief", "notes": blob})
        with refused():
            collection.update_one({"ward": 1}, {"$set": {"notes": blob}})
        with refused():
            collection.replace_one({"ward": 9}, {"name": blob}, upsert=True)
    assert stored.count_documents({}) == 3


def test_genuine_ciphertext_at_its_own_path_passes_for_doctors_only(patients, desk, stored, three, blob):
    patients.update_one({"ward": 1}, {"$set": {"ssn": blob}})
    assert patients.find_one({"ward": 1})["ssn"] == three[0]["ssn"]
    with refused():
        desk.update_one({"ward": 2}, {"$set": {"ssn": blob}})
    assert patients.find_one({"ward": 2})["ssn"] == three[2]["ssn"]


def test_ciphertext_of_another_algorithm_or_type_is_refused_at_a_protected_path(patients, stored, three):
    raw = stored.find_one({"ward": 0})
    for path, foreign in (("ssn", raw["email"]), ("email", raw["ssn"]), ("email", raw["dateOfBirth"])):
        with refused():
            patients.update_one({"ward": 1}, {"$set": {path: foreign}})


def test_ciphertext_moved_into_a_plain_field_behind_the_proxy_is_not_opened(patients, desk, stored, three, blob):
    stored.update_one({"ward": 1}, {"$set": {"name": blob, "insurance.provider": blob, "list": [blob]}})
    found = patients.find_one({"ward": 1})
    assert found["name"] == found["insurance"]["provider"] == found["list"][0] == blob
    withheld = desk.find_one({"ward": 1})
    assert str(three[0]["ssn"]) not in str(withheld)


def test_ciphertext_that_does_not_fit_its_field_is_returned_as_stored(patients, desk, stored, three, stand):
    """Another field's type or algorithm, another key: opening it would let whoever moved it there read it elsewhere."""
    raw = stored.find_one({"ward": 0})
    stranger = Binary(b"\x02" + b"\x07" * 16 + bytes(raw["email"][17:]), 6)
    for path, moved in (("dateOfBirth", raw["email"]), ("ssn", raw["email"]), ("email", raw["ssn"]), ("email", stranger)):
        stored.update_one({"ward": 1}, {"$set": {path: moved}})
        assert patients.find_one({"ward": 1})[path] == moved
        assert_withheld(desk.find_one({"ward": 1}))
    assert patients.find_one({"ward": 0}) == three[0]


@pytest.mark.parametrize("position", [18, 33, 34, 60, -33, -1])
def test_a_flipped_bit_is_an_error_without_the_value(patients, stored, three, position):
    raw = bytearray(stored.find_one({"ward": 1})["email"])
    raw[position] ^= 1
    stored.update_one({"ward": 1}, {"$set": {"email": Binary(bytes(raw), 6)}})
    with refused(values=[three[1]["email"]]):
        patients.find_one({"ward": 1})
    with refused():
        patients.find_one_and_update({"ward": 1}, {"$set": {"seen": 1}})
    assert patients.find_one({"ward": 0}) == three[0]


def test_receptionists_read_tampered_documents_without_noticing(desk, stored, three):
    stored.update_one({"ward": 1}, {"$set": {"email": Binary(b"\x02" * 90, 6)}})
    assert_withheld(desk.find_one({"ward": 1}))


def test_plaintext_stored_behind_the_proxy_is_withheld_too(desk, stored, three, secrets):
    email = "plain-" + "text@clinic.example"
    stored.insert_one({"ward": 7, "email": email, "insurance": {"policyNumber": 5}, "medicalRecords": {"a": [1]}})
    assert_withheld(desk.find_one({"ward": 7}), [email.encode()])


def test_a_bad_document_in_a_later_batch_ends_only_its_cursor(patients, stored, patient):
    documents = [patient(n=n) for n in range(12)]
    patients.insert_many(documents)
    broken = bytearray(stored.find_one({"n": 8})["email"])
    broken[-1] ^= 1
    stored.update_one({"n": 8}, {"$set": {"email": Binary(bytes(broken), 6)}})
    cursor = patients.find({}, batch_size=3).sort("n", 1)
    read = []
    with refused():
        for document in cursor:
            read.append(document)
    assert read == documents[:6]
    assert patients.find_one({"n": 9}) == documents[9]
