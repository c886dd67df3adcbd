"""Unmodified drivers play the clinic through both ports; see clients/README.md."""

import json
import os
import subprocess
from pathlib import Path

import clinic
import pytest
from processes import BUILD_DIR, TIME_FACTOR

CLIENTS = Path(__file__).parent / "clients"
EPOCH_FIELDS = ("name", "ssn", "bloodType", "medicalRecords", "insurance", "email")


def node():
    own = sorted((BUILD_DIR / "node" / "node_modules").glob("node-linux-*/bin/node"))
    return str(own[0]) if own else "node"


def program(name, doctors, receptionists, parameters):
    """The command line and the additional environment of one client."""
    modules = BUILD_DIR / "node" / "node_modules"
    arguments = [doctors, receptionists, str(parameters)]
    if name == "pymongo-4":
        return [str(BUILD_DIR / "venv" / "bin" / "python"), str(CLIENTS / "clinic_pymongo.py"), *arguments], {}
    if name == "pymongo-3":
        return [str(BUILD_DIR / "venv-pymongo3" / "bin" / "python"), str(CLIENTS / "clinic_pymongo.py"), *arguments], {}
    if name == "node":
        return [node(), str(CLIENTS / "clinic_node.js"), *arguments], {"FIELDGATE_NODE_MODULES": str(modules)}
    if name == "mongosh":
        return ([node(), str(modules / "mongosh" / "bin" / "mongosh.js"), "--quiet", "--norc", doctors,
                 "--file", str(CLIENTS / "clinic_mongosh.js")],
                {"CLINIC_PARAMETERS": str(parameters),
                 "CLINIC_RECEPTIONISTS": receptionists, "HOME": str(parameters.parent)})
    if name == "java":
        return ["java", f"-Djna.library.path={BUILD_DIR}/java/native", "-cp",
                f"{BUILD_DIR}/java/classes:{BUILD_DIR}/java/lib/*", "Clinic", *arguments], {}
    if name == "php":
        return ["php", str(CLIENTS / "clinic_php.php"), *arguments], {}
    return [str(BUILD_DIR / "go" / "clinic"), *arguments], {}


def view_of(patient):
    """What every program shows of one patient, from its parameters."""
    return {
        "name": patient["name"], "ssn": patient["ssn"], "bloodType": patient["bloodType"], "email": patient["email"],
        "policyNumber": patient["insurance"]["policyNumber"], "note": patient["medicalRecords"][0]["note"],
        "dateOfBirthMs": patient["dateOfBirthMs"]}


def play(name, doctors, receptionists, given, directory):
    parameters = directory / "parameters.json"
    parameters.write_text(json.dumps(given))
    arguments, environment = program(name, doctors, receptionists, parameters)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60 * TIME_FACTOR,
                          env={**os.environ, **environment})
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert done.returncode == 0 and lines, f"{name} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(lines[-1].removeprefix("RESULT "))


def parameters_of(patient):
    import datetime
    milliseconds = (patient["dateOfBirth"] - datetime.datetime(1970, 1, 1)) // datetime.timedelta(milliseconds=1)
    return {**{name: patient[name] for name in EPOCH_FIELDS}, "dateOfBirthMs": milliseconds}


def given_for(database, secrets):
    patients = [parameters_of(secrets.patient(name=f"Patient {letter}")) for letter in "ABCDE"]
    return {"database": database, "first": patients[0], "others": patients[1:], "newEmail": secrets.text("email"),
            "newBlood": secrets.text("blood")}


def check_doctors_view(result, given):
    first, others = given["first"], given["others"]
    assert result["by_ssn"] == view_of(first)
    assert result["by_policy"] == others[0]["name"]
    assert result["changed"] == [given["newEmail"], given["newBlood"]]
    assert result["emails"] == [given["newEmail"], *(p["email"] for p in others)]
    assert result["distinct"] == sorted(p["ssn"] for p in [first, *others])
    assert result["count"] == len(others)
    assert result["aggregate"] == [{"ssn": first["ssn"]}]
    assert result["deleted"] == 1


def check_the_desk(result, given):
    assert [d["name"] for d in result["desk"]] == [p["name"] for p in [given["first"], *given["others"][:-1]]]
    for document in [*result["desk"], result["desk_modified"]]:
        assert set(document) <= {"_id", "name", "insurance", "seen"} and document["insurance"] == {"provider": "MaestCare"}
    protected = [given["newEmail"], given["newBlood"], *(str(p["ssn"]) for p in given["others"])]
    assert not [value for value in protected if value in json.dumps([result["desk"], result["desk_modified"]])]
    assert result["desk_distinct"] in ({"values": []}, {"code": 13})
    assert result["desk_match"] == {"code": 13} and result["desk_write"] == {"code": 13}


def check_what_is_stored(stored, secrets):
    raw = list(stored.find())
    assert len(raw) == 4
    for document in raw:
        for path in clinic.PROTECTED:
            assert clinic.sealing_problem(path, clinic.value_at(document, path)) is None
        clinic.assert_sealed(document, secrets.needles)


@pytest.mark.parametrize("name", ["pymongo-4", "pymongo-3", "node", "mongosh", "java", "go", "php"])
def test_the_clinic_with(name, stand, stored, database, secrets, tmp_path):
    given = given_for(database, secrets)
    fieldgate = stand.fieldgate
    result = play(name, fieldgate.uri("doctors"), fieldgate.uri("receptionists"), given, tmp_path)
    check_doctors_view(result, given)
    check_the_desk(result, given)
    check_what_is_stored(stored, secrets)


@pytest.mark.parametrize("name", ["pymongo-4", "pymongo-3", "node", "mongosh", "java", "go", "php"])
def test_the_client_itself_works_straight_to_the_server(name, direct, stand, secrets, tmp_path):
    """Goal: a failure above is fieldgate's. Method: the same program without fieldgate, in an unprotected database."""
    given = given_for(f"plain_{name}".replace("-", "_"), clinic.Secrets())
    direct.drop_database(given["database"])
    result = play(name, stand.server.uri, stand.server.uri, given, tmp_path)
    check_doctors_view(result, given)
    assert result["desk_match"].get("code") is None and result["desk_write"].get("code") is None
