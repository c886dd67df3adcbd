"""The clinic of every test: its schema, its configuration, and patients whose protected values can be recognised."""

import datetime
import itertools
import re
import secrets

DETERMINISTIC = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"
RANDOM = "AEAD_AES_256_CBC_HMAC_SHA_512-Random"

# path -> (first byte of the ciphertext, BSON type byte at offset 17)
PROTECTED = {
    "ssn": (1, 0x10),
    "insurance.policyNumber": (1, 0x10),
    "bloodType": (2, 0x02),
    "medicalRecords": (2, 0x04),
    "dateOfBirth": (2, 0x09),
    "email": (2, 0x02),
}
KEY_VAULT = "encryption.__keyVault"


def _encrypt(bson_type, algorithm):
    return {"encrypt": {"bsonType": bson_type, "algorithm": algorithm}}


SCHEMA = {
    "bsonType": "object",
    "encryptMetadata": {"keyAltName": "clinic"},
    "properties": {
        "ssn": _encrypt("int", DETERMINISTIC),
        "insurance": {"bsonType": "object", "properties": {"policyNumber": _encrypt("int", DETERMINISTIC)}},
        "bloodType": _encrypt("string", RANDOM),
        "medicalRecords": _encrypt("array", RANDOM),
        "dateOfBirth": _encrypt("date", RANDOM),
        "email": _encrypt("string", RANDOM),
    },
}

ROLES = {
    "doctor": {"encrypted_fields": {"read": "reveal", "match": "allow", "write": "allow"}},
    "receptionist": {"encrypted_fields": {"read": "omit", "match": "deny", "write": "deny"}},
}


def config(upstream_uri, key_file, **sections):
    """A gateway for medicalRecords.patients and, one per test, clinic_*.patients."""
    return {
        "upstream": {"uri": upstream_uri},
        "key_vault": {"namespace": KEY_VAULT},
        "kms_providers": {"local": {"key_file": str(key_file)}},
        "schemas": {
            "medicalRecords.patients": {"schema": SCHEMA},
            "clinic_*.patients": {"schema": SCHEMA},
        },
        "unlisted_namespaces": "pass",
        "roles": ROLES,
        "listeners": [
            {"name": "doctors", "address": "127.0.0.1:0", "role": "doctor"},
            {"name": "receptionists", "address": "127.0.0.1:0", "role": "receptionist"},
        ],
        "log": {"format": "json"},
        **sections,
    }


class Secrets:
    """Protected plaintexts of eight bytes or more that a test uses: none may reach the server."""

    MARKER = b"canary-"  # every protected text begins with it, and nothing else contains it
    # An int32 of four bytes would be found by chance: with a name before it, whatever it is, it is an element of BSON.
    _NUMBERS = re.compile(rb"\x10([\w.$]{1,64})\0(.{4})", re.S)
    # Dates of the 20th century end in three zero bytes after one that is none.
    _DATE_ENDS = re.compile(rb"(?<=[^\0])\0\0\0")

    def __init__(self):
        self.texts = set()
        self.numbers = set()
        self.dates = set()
        self._patients = itertools.count(1)

    @property
    def needles(self):
        """What no stored document may contain."""
        return self.texts | self.dates

    def found_in(self, data):
        """The protected plaintexts in these bytes, with their positions."""
        at = -1
        while (at := data.find(self.MARKER, at + 1)) >= 0:
            yield at, bytes(data[at:at + 32])
        for match in self._NUMBERS.finditer(data):
            if match.group(2) in self.numbers:
                yield match.start(), match.group()
        for match in self._DATE_ENDS.finditer(data):
            if data[match.start() - 5:match.end()] in self.dates:
                yield match.start() - 5, data[match.start() - 5:match.end()]

    def text(self, hint="text"):
        value = f"{self.MARKER.decode()}{hint}-{secrets.token_hex(6)}"
        self.texts.add(value.encode())
        return value

    def date(self):
        # A random millisecond of the 20th century: eight bytes that occur nowhere by chance.
        milliseconds = 100_000_000_000 + secrets.randbelow(800_000_000_000)
        self.dates.add(milliseconds.to_bytes(8, "little"))
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)

    def number(self):
        value = 100_000_000 + secrets.randbelow(899_999_999)
        self.numbers.add(value.to_bytes(4, "little"))
        return value

    def patient(self, **fields):
        number = next(self._patients)
        return {
            "name": f"Patient {number}",
            "ssn": self.number(),
            "bloodType": self.text("blood"),
            "medicalRecords": [{"weight": 180, "bloodPressure": "120/80", "note": self.text("note")}],
            "insurance": {"provider": "MaestCare", "policyNumber": self.number()},
            "dateOfBirth": self.date(),
            "email": self.text("email") + "@clinic.example",
            **fields,
        }


def value_at(document, path):
    """The value at a dotted path through plain documents; None if there is none."""
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document


def sealing_problem(path, value):
    """Why `value` is not the ciphertext that belongs at `path`; None if it is."""
    kind, bson_type = PROTECTED[path]
    if getattr(value, "subtype", None) != 6:
        return f"{path}: {type(value).__name__}, not binary of subtype 6"
    if value[0] != kind:
        return f"{path}: kind {value[0]}, not {kind}"
    if value[17] != bson_type:
        return f"{path}: type byte {value[17]}, not {bson_type}"
    if len(value) < 18 + 64:
        return f"{path}: only {len(value)} bytes"
    return None


def assert_sealed(raw_document, needles=()):
    """A document as stored: ciphertext at every protected path, and no plaintext anywhere in its bytes."""
    import bson
    for path in PROTECTED:
        value = value_at(raw_document, path)
        assert value is None or sealing_problem(path, value) is None, sealing_problem(path, value)
    data = bson.encode(raw_document)
    for needle in needles:
        assert needle not in data, f"plaintext {needle!r} is stored"


def assert_withheld(document, needles=()):
    """A document as a receptionist may see it."""
    import bson
    for path in PROTECTED:
        assert value_at(document, path) is None, f"{path} reached a role that may not see it"
    data = bson.encode(document)
    assert b"\x06" not in _binary_subtypes(document), "ciphertext reached a role whose fields are omitted"
    for needle in needles:
        assert needle not in data, f"plaintext {needle!r} reached a role that may not see it"


def as_receptionists_see(patient):
    """What is left of a patient where every protected field is omitted; names keep their order."""
    left = {name: value for name, value in patient.items() if name not in PROTECTED}
    if "insurance" in left:
        left["insurance"] = {name: value for name, value in left["insurance"].items() if f"insurance.{name}" not in PROTECTED}
    return left


def assert_nothing_protected(found, secrets):
    """Neither plaintext nor ciphertext, at whatever path it might stand."""
    import bson
    data = bson.encode({"found": found})
    assert 6 not in _binary_subtypes(found), "ciphertext reached a role whose fields are omitted"
    assert not list(secrets.found_in(data)), "plaintext reached a role that may not see it"


def _binary_subtypes(value):
    if isinstance(value, dict):
        return b"".join(_binary_subtypes(v) for v in value.values())
    if isinstance(value, list):
        return b"".join(_binary_subtypes(v) for v in value)
    return bytes([value.subtype]) if hasattr(value, "subtype") else b""
