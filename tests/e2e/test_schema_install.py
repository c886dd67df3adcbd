"""`fieldgate schema install`: afterwards the server itself stops a writer who walks around fieldgate. And `schema show`
and `explain` with the cluster behind them."""

import json

import bson
import pytest
from bson import json_util
from pymongo.errors import WriteError

from processes import run_fieldgate

DOCUMENT_VALIDATION_FAILURE = 121


@pytest.fixture
def install(stand, database):
    def run(*options, name=None):
        return run_fieldgate("schema", "install", "-c", stand.config_file, name or f"{database}.patients", *options)
    return run


@pytest.fixture
def options_of(direct, database):
    """What the server says of the collection."""
    def read():
        entries = list(direct[database].list_collections(filter={"name": "patients"}))
        return entries[0]["options"] if entries else None
    return read


def assert_stopped(write):
    with pytest.raises(WriteError) as stopped:
        write()
    assert stopped.value.code == DOCUMENT_VALIDATION_FAILURE


def test_a_writer_who_walks_around_is_stopped_by_the_server(install, patients, stored, patient, stand):
    code, out, err = install()
    assert code == 0, err
    assert "installed (create, validationLevel strict, validationAction error)" in out

    document = patient(name="through the proxy")
    assert_stopped(lambda: stored.insert_one({"name": "past the proxy", "ssn": 5}))
    assert_stopped(lambda: stored.insert_one({"name": "x", "insurance": {"policyNumber": 1}}))
    # Ciphertext of another type than the field's is no way in either, nor is a binary that only looks like it.
    assert_stopped(lambda: stored.insert_one({"ssn": bson.Binary(b"\x01" + bytes(16) + b"\x02" + bytes(80), 6)}))
    assert_stopped(lambda: stored.insert_one({"ssn": bson.Binary(bytes(98), 0)}))
    assert stored.count_documents({}) == 0

    patients.insert_one(dict(document))
    assert stored.count_documents({}) == 1
    assert_stopped(lambda: stored.update_one({}, {"$set": {"ssn": 5}}))
    assert patients.find_one({"ssn": document["ssn"]})["email"] == document["email"]
    # What has nothing to do with encrypted fields is still everybody's.
    stored.insert_one({"name": "plain"})


def test_the_names_of_keys_become_uuids(install, options_of, stand):
    assert install()[0] == 0
    schema = options_of()["validator"]["$jsonSchema"]
    assert schema["bsonType"] == "object"
    assert schema["properties"]["insurance"]["bsonType"] == "object"
    encrypt = schema["properties"]["insurance"]["properties"]["policyNumber"]["encrypt"]
    assert [bytes(key) for key in encrypt["keyId"]] == [bytes(stand.key_id)]
    assert encrypt["keyId"][0].subtype == 4
    assert encrypt["bsonType"] == "int"


def test_other_rules_stay(install, options_of, direct, database, patients, stored, patient):
    direct[database].create_collection(
        "patients", validationLevel="moderate",
        validator={"name": {"$exists": True},
                   "$jsonSchema": {"required": ["ward"], "properties": {"ward": {"bsonType": "int"}}}})
    code, out, err = install()
    assert code == 0, err
    assert "collMod" in out
    assert "validationLevel was moderate, becomes strict" in err
    validator = options_of()["validator"]
    assert validator["name"] == {"$exists": True}
    assert validator["$jsonSchema"]["required"] == ["ward"]
    assert validator["$jsonSchema"]["properties"]["ward"] == {"bsonType": "int"}
    assert options_of().get("validationLevel", "strict") == "strict"

    patients.insert_one(patient(ward=3))
    for missing in ("name", "ward"):
        document = patient(ward=3)
        del document[missing]
        with pytest.raises(WriteError) as refused:
            patients.insert_one(document)
        assert refused.value.code == DOCUMENT_VALIDATION_FAILURE
    assert_stopped(lambda: stored.insert_one({"name": "x", "ward": 1, "ssn": 5}))


def test_a_dry_run_changes_nothing(install, options_of):
    code, out, err = install("--dry-run")
    assert code == 0, err
    assert options_of() is None
    command = json_util.loads(out)
    assert command["create"] == "patients"
    assert command["validator"]["$jsonSchema"]["properties"]["ssn"]["encrypt"]["bsonType"] == "int"


def test_the_second_time_nothing_is_done(install, options_of):
    assert install()[0] == 0
    before = options_of()
    code, out, err = install()
    assert code == 0
    assert "installed already" in err and out == ""
    assert options_of() == before
    code, out, err = install("--level", "moderate", "--action", "warn")
    assert code == 0, err
    assert options_of()["validationLevel"] == "moderate"
    assert options_of()["validationAction"] == "warn"


def test_wrong_names(install, direct, database, stand):
    assert install(name="patients")[0] == 64
    assert install(name="*.patients")[0] == 64
    assert install("--level", "off")[0] == 64
    code, _, err = install(name=f"{database}.wards")
    assert code == 78 and "not in the configuration's `schemas`" in err
    direct[database].wards.insert_one({})
    direct[database].command("create", "patients", viewOn="wards", pipeline=[])
    code, _, err = install()
    assert code == 78 and "it is a view" in err


def test_a_key_that_is_missing(stand, database, tmp_path, options_of):
    config = json.loads(stand.config_file.read_text())
    schema = config["schemas"]["clinic_*.patients"]["schema"]
    schema["encryptMetadata"]["keyAltName"] = "nobody"
    file = tmp_path / "nobody.yaml"
    file.write_text(json.dumps(config))
    code, _, err = run_fieldgate("schema", "install", "-c", file, f"{database}.patients")
    assert code == 78
    assert "no key named `nobody`" in err and "fieldgate keys create" in err
    assert options_of() is None


def test_show_gives_drivers_the_schema_with_uuids(stand, database):
    name = f"{database}.patients"
    code, out, err = run_fieldgate("schema", "show", "-c", stand.config_file, name, "--json", "--connect")
    assert code == 0, err
    schema = json_util.loads(out)
    assert bytes(schema["properties"]["ssn"]["encrypt"]["keyId"][0]) == bytes(stand.key_id)
    code, out, err = run_fieldgate("schema", "show", "-c", stand.config_file, name)
    assert code == 0, err
    assert "schemas: clinic_*.patients" in out and "deterministic" in out and "'clinic'" in out


def test_a_driver_with_csfle_reads_the_installed_schema(install, stand, database, patients, patient):
    """The remote schema: no schema map in the driver, fieldgate as its analyser."""
    encryption_options = pytest.importorskip("pymongo.encryption_options")
    assert install()[0] == 0
    gateway = stand.start(name="analyser", listeners=[
        {"name": "doctors", "address": "127.0.0.1:0", "role": "doctor"},
        {"name": "analysis", "address": "127.0.0.1:0", "serves": "query-analysis"}])
    options = encryption_options.AutoEncryptionOpts(
        {"local": {"key": stand.key_file.read_bytes()}}, "encryption.__keyVault",
        mongocryptd_uri=gateway.uri("analysis"), mongocryptd_bypass_spawn=True, crypt_shared_lib_required=False)
    driver = stand.client(stand.server.uri, auto_encryption_opts=options)
    document = patient(name="by the driver")
    driver[database].patients.insert_one(dict(document))
    assert patients.find_one({"ssn": document["ssn"]})["email"] == document["email"]
    driver.close()
    gateway.stop()


def test_explain_asks_the_cluster(stand, direct, database):
    direct[database].command("create", "shown", viewOn="patients", pipeline=[])
    command = json.dumps({"find": "shown", "filter": {"ssn": 1}, "$db": database})
    code, out, err = run_fieldgate("explain", "-c", stand.config_file, "--connect", input=command)
    assert code == 0, err
    assert "refused with 115 (CommandNotSupported)" in out
    command = json.dumps({"find": "patients", "filter": {"ssn": 987654321}, "$db": database})
    code, out, err = run_fieldgate("explain", "-c", stand.config_file, "--role", "doctor", "--connect", input=command)
    assert code == 0, err
    assert "<encrypted: ssn, deterministic int, key 'clinic'>" in out
    assert "Role doctor: allowed" in out and "987654321" not in out
