"""Writes the clinic's patients through the doctors' port and shows one of them three ways. Called by quickstart.

Ends with 1, and says why, if anything is not as promised: the doctor reads other than what was written, the
receptionist sees a protected value, or the store holds one.
"""

import datetime
import sys

from bson import encode
from bson.binary import Binary
from pymongo import MongoClient
from pymongo.errors import OperationFailure

PATIENTS = [
    {
        "name": "Jon Doe", "ssn": 145014000, "bloodType": "AB+",
        "medicalRecords": [{"weight": 180, "bloodPressure": "120/80"}],
        "insurance": {"provider": "MaestCare", "policyNumber": 123142},
        "dateOfBirth": datetime.datetime(1984, 5, 17), "email": "jon.doe@mail.example",
    },
    {
        "name": "Ada Pine", "ssn": 231046999, "bloodType": "0-", "medicalRecords": [{"weight": 128, "bloodPressure": "110/70"}],
        "insurance": {"provider": "Union Health", "policyNumber": 773321},
        "dateOfBirth": datetime.datetime(1971, 11, 2), "email": "ada.pine@mail.example",
    },
    {
        "name": "Luis Ortega", "ssn": 310477120, "bloodType": "B+", "medicalRecords": [],
        "insurance": {"provider": "MaestCare", "policyNumber": 551907},
        "dateOfBirth": datetime.datetime(1999, 1, 30), "email": "luis.ortega@mail.example",
    },
]
PLAIN = {"_id", "name", "insurance"}


def shown(value):
    if isinstance(value, Binary):
        return f"BinData(subtype {value.subtype}, {len(value)} bytes: {bytes(value[:6]).hex()}...{bytes(value[-4:]).hex()})"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    return repr(value) if not isinstance(value, dict) else "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"


def show(title, document):
    print(f"\n  {title}")
    for name, value in document.items():
        if name == "insurance":
            for inner, inner_value in value.items():
                print(f"    {'insurance.' + inner:24} {shown(inner_value)}")
        elif name != "_id":
            print(f"    {name:24} {shown(value)}")


def leaks(document):
    """Names of the patient's protected values whose plaintext is somewhere in these bytes."""
    data, found = encode(document), []
    patient = PATIENTS[0]
    for name, value in (("ssn", patient["ssn"]), ("policyNumber", patient["insurance"]["policyNumber"]),
                        ("bloodType", patient["bloodType"]), ("email", patient["email"]), ("bloodPressure", "120/80")):
        plain = value.to_bytes(4, "little") if isinstance(value, int) else value.encode() + b"\0"
        if plain in data:
            found.append(name)
    return found


def main(doctors_uri, receptionists_uri, server_uri):
    problems = []
    doctors = MongoClient(doctors_uri, serverSelectionTimeoutMS=15000).medicalRecords.patients
    receptionists = MongoClient(receptionists_uri, serverSelectionTimeoutMS=15000).medicalRecords.patients
    stored = MongoClient(server_uri, serverSelectionTimeoutMS=15000).medicalRecords.patients

    doctors.insert_many([dict(patient) for patient in PATIENTS])
    print(f"  {len(PATIENTS)} patients in medicalRecords.patients")

    found = doctors.find_one({"ssn": 145014000})
    show("A doctor finds a patient by ssn: find({ ssn: 145014000 })", found or {})
    if found is None or {name: value for name, value in found.items() if name != "_id"} != PATIENTS[0]:
        problems.append("the doctor did not read what was written")

    found = receptionists.find_one({"name": "Jon Doe"})
    show('A receptionist finds the same patient by name: find({ name: "Jon Doe" })', found or {})
    if found is None or set(found) != PLAIN or set(found["insurance"]) != {"provider"}:
        problems.append("the receptionist did not see exactly the name and the provider")
    elif leaks(found):
        problems.append(f"the receptionist saw {leaks(found)}")

    try:
        receptionists.find_one({"ssn": 145014000})
        problems.append("the receptionist could search by ssn")
    except OperationFailure as error:
        print(f"\n  A receptionist who searches by ssn is refused: {error.details['errmsg']} (code {error.code})")
        if error.code != 13:
            problems.append(f"refused with code {error.code}, not 13")

    raw = stored.find_one({"name": "Jon Doe"})
    show("What the database holds of that patient, past the proxy", raw or {})
    sealed = [raw and raw.get(name) for name in ("ssn", "bloodType", "medicalRecords", "dateOfBirth", "email")]
    sealed.append(raw and raw["insurance"]["policyNumber"])
    if not all(isinstance(value, Binary) and value.subtype == 6 for value in sealed):
        problems.append("a protected field is not stored as ciphertext")
    elif leaks(raw):
        problems.append(f"the store holds the plaintext of {leaks(raw)}")

    print()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print("  As promised: the doctor reads it, the receptionist does not, and the database never had it.")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
