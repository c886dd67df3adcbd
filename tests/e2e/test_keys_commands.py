"""`fieldgate keys` against a real server, with clients watching through the proxy: rotation of the master key, alternative
names, shredding and restoring a key. Two local providers stand for any two key managers."""

import base64
import itertools
import os
import pty
import select
import signal
import subprocess
import threading
import time
import uuid

import pytest
from bson.binary import Binary
from bson.codec_options import CodecOptions
from clinic import DETERMINISTIC, RANDOM, SCHEMA, assert_sealed
from conftest import without_id
from processes import TIME_FACTOR, fieldgate_binary, run_fieldgate, wait_until, write_config
from pymongo.encryption import ClientEncryption
from pymongo.errors import OperationFailure

USAGE, UNAVAILABLE, INCOMPLETE, CONFIGURATION = 64, 69, 75, 78
OPERATION_FAILED = 96
CACHE_LIFETIME_S = 1
_vaults = itertools.count(1)


class Vault:
    """A key vault of its own in the shared server, two local master keys, and fieldgates over them."""

    def __init__(self, stand, directory):
        self.stand = stand
        self.directory = directory
        self.name = f"vault_{next(_vaults)}"
        self.keys = stand.direct.encryption[self.name]
        self.files = {}
        for name in ("local", "local:new"):
            self.files[name] = directory / f"{name.replace(':', '-')}.bin"
            self.files[name].write_bytes(os.urandom(96))
            self.files[name].chmod(0o600)
        self.file = self.write()

    def config(self, *providers, **sections):
        providers = providers or tuple(self.files)
        return {**self.stand.config,
                "key_vault": {"namespace": f"encryption.{self.name}", "cache_lifetime": f"{CACHE_LIFETIME_S}s"},
                "kms_providers": {name: {"key_file": str(self.files[name])} for name in providers}, **sections}

    def write(self, *providers, name="fieldgate.yaml", **sections):
        return write_config(self.config(*providers, **sections), self.directory / name)

    def run(self, *arguments, code=0, file=None, **options):
        ended, out, err = run_fieldgate("keys", *arguments, "-c", file or self.file, **options)
        assert ended == code, f"{arguments} ended with {ended}: {out}{err}"
        return out, err

    def create(self, *names, provider="local", options=()):
        arguments = itertools.chain.from_iterable(("--alt-name", name) for name in names)
        return self.run("create", "--provider", provider, *arguments, *options)[0].strip()

    def start(self, *providers, **sections):
        config = self.config(*providers, **sections)
        return self.stand.start(name=f"{self.name}-{time.monotonic_ns()}",
                                **{key: config[key] for key in ("key_vault", "kms_providers", *sections)})

    def client(self, gateway):
        return self.stand.client(gateway.uri("doctors"))

    def explicit(self, *providers):
        material = {name: {"key": self.files[name].read_bytes()} for name in providers or self.files}
        return ClientEncryption(material, f"encryption.{self.name}", self.stand.direct, CodecOptions())


@pytest.fixture
def vault(stand, tmp_path):
    return Vault(stand, tmp_path)


class Watcher:
    """A client that writes and reads through the proxy all the time, and remembers whatever went wrong."""

    def __init__(self, collection, make_patient):
        self.errors = []
        self.rounds = 0
        self._ending = threading.Event()
        self._collection = collection
        self._patient = make_patient
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self.rounds > 3 or self.errors, 20, "the watcher")
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def _run(self):
        while not self._ending.is_set():
            try:
                patient = self._patient()
                self._collection.insert_one(dict(patient))
                assert without_id(self._collection.find_one({"ssn": patient["ssn"]})) == patient
                self.rounds += 1
            except Exception as error:  # noqa: BLE001 - all of them are what the client saw
                self.errors.append(error)
                time.sleep(0.05)


def test_rotation_of_the_master_key_under_a_watching_client(vault, database, patient, stored):
    """Goal: the keys go from one master key to another while clients work, and none of them notices. Afterwards a
    fieldgate without the old master key serves the same data."""
    vault.create("clinic")
    vault.create("spare")
    gateway = vault.start()
    before = patient()
    with Watcher(vault.client(gateway)[database].patients, patient) as watcher:
        vault.client(gateway)[database].patients.insert_one(dict(before))
        out, _ = vault.run("rewrap", "--filter", "provider=local", "--provider", "local:new", "--dry-run")
        assert "would rewrap 2 of 2 keys" in out
        assert {key["masterKey"]["provider"] for key in vault.keys.find()} == {"local"}
        out, _ = vault.run("rewrap", "--filter", "provider=local", "--provider", "local:new")
        assert "rewrapped 2 of 2 keys" in out
        rounds = watcher.rounds
        time.sleep(2.5 * CACHE_LIFETIME_S)  # the cache has forgotten the keys, and fetched them under the new one
        wait_until(lambda: watcher.rounds > rounds + 3 or watcher.errors, 20, "the watcher")
    assert not watcher.errors, watcher.errors

    for key in vault.keys.find():
        assert key["masterKey"] == {"provider": "local:new"}
        assert key["updateDate"] > key["creationDate"]
    out, err = vault.run("rewrap", "--filter", "all", "--provider", "local:new")
    assert "rewrapped 0 of 2 keys, 2 there already" in out
    gateway.stop()
    later = vault.start("local:new")
    assert without_id(vault.client(later)[database].patients.find_one({"ssn": before["ssn"]})) == before
    assert_sealed(stored.find_one({"name": before["name"]}))


def test_drivers_use_keys_that_fieldgate_rewrapped_and_the_reverse(vault, database, patient):
    """Goal: one key vault for both. libmongocrypt unwraps what fieldgate wrapped under another provider, rewraps it back,
    and fieldgate goes on."""
    key_id = vault.create("clinic")
    document = patient()
    gateway = vault.start()
    patients = vault.client(gateway)[database].patients
    patients.insert_one(dict(document))
    vault.run("rewrap", "--filter", "name=clinic", "--provider", "local:new")
    raw = vault.stand.direct[database].patients.find_one()
    with vault.explicit("local:new") as driver:
        assert driver.decrypt(raw["ssn"]) == document["ssn"]
        assert driver.encrypt(document["ssn"], DETERMINISTIC, key_alt_name="clinic") == raw["ssn"]
    with vault.explicit() as driver:
        result = driver.rewrap_many_data_key({"keyAltNames": "clinic"}, provider="local")
        assert result.bulk_write_result.modified_count == 1
        driver.add_key_alt_name(Binary.from_uuid(uuid.UUID(key_id)), "by the driver")
    out, _ = vault.run("list", "--json")
    assert '"altNames" : [ "clinic", "by the driver" ]' in out and '"provider" : "local"' in out
    time.sleep(2 * CACHE_LIFETIME_S)
    assert without_id(patients.find_one({"ssn": document["ssn"]})) == document


def test_alternative_names_come_and_go(vault):
    key_id = vault.create("first")
    vault.run("alias", "add", key_id, "second")
    vault.run("alias", "add", "second", "$dollar")
    assert vault.keys.find_one()["keyAltNames"] == ["first", "second", "$dollar"]
    out, _ = vault.run("alias", "add", "first", "second")
    assert out.startswith("had it already")
    other = vault.create("other")
    _, err = vault.run("alias", "add", other, "first", code=CONFIGURATION)
    assert "has the name `first` already" in err
    for name, rest in (("first", ["second", "$dollar"]), ("$dollar", ["second"])):
        vault.run("alias", "remove", name, name)
        assert vault.keys.find_one({"keyAltNames": "second"})["keyAltNames"] == rest
    _, err = vault.run("alias", "remove", key_id, "first", code=CONFIGURATION)
    assert "has no name `first`" in err
    vault.run("alias", "remove", key_id, "second")
    # Without the field, not with an empty list: the unique index is over documents that have it.
    assert "keyAltNames" not in vault.keys.find_one({"keyAltNames": {"$ne": "other"}})
    index = vault.keys.index_information()["keyAltNames_1"]
    assert index["unique"] and index["partialFilterExpression"] == {"keyAltNames": {"$exists": True}}


NOTES = {"bsonType": "object", "properties": {
    "text": {"encrypt": {"bsonType": "string", "algorithm": RANDOM, "keyId": "/owner"}}}}


def test_shredding_a_patients_key_and_restoring_it(vault, secrets, tmp_path):
    """Goal: each patient has a key; once it is deleted, nobody reads that patient's notes within cache_lifetime, and the
    others' stay readable. Whoever kept the key itself can bring it back."""
    material = tmp_path / "house.key"
    material.write_text(base64.b64encode(os.urandom(96)).decode() + "\n")
    material.chmod(0o600)
    key_id = vault.create("house", options=("--key-material", str(material)))
    vault.create("wilson")
    gateway = vault.start(schemas={f"{vault.name}.notes": {"schema": NOTES}})
    notes = vault.client(gateway)[vault.name].notes
    texts = {owner: secrets.text() for owner in ("house", "wilson")}
    for owner, text in texts.items():
        notes.insert_one({"owner": owner, "text": text})
    assert notes.find_one({"owner": "house"})["text"] == texts["house"]

    with Reader(notes, "wilson", texts["wilson"]) as wilson:
        _, err = vault.run("delete", "house", code=USAGE)
        assert "--yes" in err
        assert vault.keys.count_documents({"keyAltNames": "house"}) == 1
        file = vault.write(name="notes.yaml", schemas={f"{vault.name}.notes": {"schema": NOTES}})
        out, err = vault.run("delete", "house", "--yes", file=file)
        assert f"documents of these namespaces may name it: {vault.name}.notes" in err
        assert out == f"deleted: {key_id}\n"
        deleted = time.monotonic()

        def is_refused():
            try:
                notes.find_one({"owner": "house"})
                return False
            except OperationFailure as error:
                assert error.code == OPERATION_FAILED and key_id in str(error), error
                return True
        wait_until(is_refused, (CACHE_LIFETIME_S + 5) * TIME_FACTOR, "the refusal")
        assert time.monotonic() - deleted < (CACHE_LIFETIME_S + 2) * TIME_FACTOR
        with pytest.raises(OperationFailure):
            notes.insert_one({"owner": "house", "text": secrets.text()})
    assert not wilson.errors, wilson.errors
    assert [note["owner"] for note in notes.find({"owner": "wilson"})] == ["wilson"]

    assert vault.create("house", options=("--key-material", str(material), "--id", key_id)) == key_id

    def is_back():
        try:
            return notes.find_one({"owner": "house"})["text"] == texts["house"]
        except OperationFailure:
            return False
    wait_until(is_back, 10 * TIME_FACTOR, "the restored key")


class Reader:
    """Reads one note all the time."""

    def __init__(self, notes, owner, text):
        self.errors = []
        self._read = lambda: notes.find_one({"owner": owner})["text"] == text
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def _run(self):
        while not self._ending.wait(0.01):
            try:
                assert self._read()
            except Exception as error:  # noqa: BLE001
                self.errors.append(error)


def test_data_is_moved_to_another_key(vault, database, patient, direct):
    """The runbook's way out of a compromised data key: a copy through fieldgate, from one key to another."""
    old, new = vault.create("clinic"), vault.create("clinic-2")
    moved_schema = {**SCHEMA, "encryptMetadata": {"keyAltName": "clinic-2"}}
    schemas = {f"{database}.patients": {"schema": SCHEMA}, f"{vault.name}.moved": {"schema": moved_schema}}
    gateway = vault.start(schemas=schemas)
    client = vault.client(gateway)
    patients, moved = client[database].patients, client[vault.name].moved
    documents = [patient() for _ in range(20)]
    patients.insert_many([dict(document) for document in documents])
    for document in patients.find():
        moved.replace_one({"_id": document["_id"]}, document, upsert=True)
    gateway.stop()

    def keys_of(collection):
        return {str(uuid.UUID(bytes=bytes(document["ssn"])[1:17])) for document in collection.find()}
    assert keys_of(direct[database].patients) == {old}
    assert keys_of(direct[vault.name].moved) == {new}
    direct.admin.command("renameCollection", f"{vault.name}.moved", to=f"{database}.patients", dropTarget=True)
    vault.run("delete", "clinic", "--yes")
    later = vault.client(vault.start(schemas={f"{database}.patients": {"schema": moved_schema}}))[database].patients
    assert [without_id(document) for document in later.find()] == documents
    assert without_id(later.find_one({"ssn": documents[7]["ssn"]})) == documents[7]


def on_a_terminal(arguments, typed):
    """The command with a terminal for its input and errors: (exit code, what it showed)."""
    terminal, other_end = pty.openpty()
    try:
        process = subprocess.Popen([str(fieldgate_binary()), *map(str, arguments)], stdin=other_end, stdout=other_end,
                                   stderr=other_end, close_fds=True)
        os.close(other_end)
        shown = b""
        deadline = time.monotonic() + 30 * TIME_FACTOR
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown += os.read(terminal, 4096)
                except OSError:  # the other end is closed
                    break
            if typed is not None and b"to delete it: " in shown:
                os.write(terminal, typed.encode() + b"\n")
                typed = None
        return process.wait(10 * TIME_FACTOR), shown.decode()
    finally:
        os.close(terminal)


def test_deletion_asks_for_the_name(vault):
    vault.create("house")
    code, shown = on_a_terminal(("keys", "delete", "-c", vault.file, "house"), "yes")
    assert code == USAGE and "nothing was deleted" in shown, shown
    assert vault.keys.count_documents({}) == 1
    code, shown = on_a_terminal(("keys", "delete", "-c", vault.file, "house"), "house")
    assert code == 0 and "deleted: " in shown, shown
    assert vault.keys.count_documents({}) == 0


def test_a_rewrap_that_is_interrupted_is_repeated(vault):
    """Goal: Ctrl-C in the middle leaves every key under the old master key or the new one, never between, and the same
    command does the rest."""
    vault.create("first")
    template = vault.keys.find_one()
    count = 1500
    vault.keys.insert_many([{**template, "_id": Binary(os.urandom(16), 4), "keyAltNames": [f"key {n}"]}
                            for n in range(count - 1)])
    arguments = ("keys", "rewrap", "-c", vault.file, "--filter", "all", "--provider", "local:new")
    process = subprocess.Popen([str(fieldgate_binary()), *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60 * TIME_FACTOR)
    assert process.returncode == INCOMPLETE, out[-2000:] + err
    assert "interrupted" in err and "not reached" in out.splitlines()[-1], out.splitlines()[-1] + err
    done = vault.keys.count_documents({"masterKey.provider": "local:new"})
    assert 0 < done < count
    out, _ = vault.run("rewrap", "--filter", "all", "--provider", "local:new", timeout=120)
    assert f"rewrapped {count - done} of {count} keys, {done} there already" in out
    with vault.explicit("local:new") as driver:
        for name in ("first", "key 0", f"key {count - 2}"):
            driver.encrypt("x", RANDOM, key_alt_name=name)


def test_a_key_of_another_installation_is_told_from_a_lost_master_key(vault, tmp_path):
    """Goal: whoever runs `init` against a server that has such a key vault already is told the way out."""
    vault.create("clinic")
    vault.files["local"].write_bytes(os.urandom(96))
    _, err = vault.run("create", "--alt-name", "clinic", code=CONFIGURATION)
    assert "exists already" in err and "key_vault.namespace in" in err
    code, out, err = run_fieldgate("check", "--connect", "-c", vault.file)
    assert code == CONFIGURATION, out + err
    assert "HMAC validation failure" in err and "key_vault.namespace in" in err, err
    assert "KMS provider `local`: unwraps what it wraps" in out


def test_check_and_list_with_several_providers(vault):
    vault.create("clinic")
    vault.create("other", provider="local:new")
    code, out, err = run_fieldgate("check", "--connect", "-c", vault.file)
    assert code == 0, out + err
    for line in ("KMS provider `local`: unwraps what it wraps", "KMS provider `local:new`: unwraps what it wraps",
                 "key named `clinic`: is "):
        assert line in out, out
    out, _ = vault.run("list")
    rows = {line.split()[1]: line for line in out.splitlines()[1:]}
    assert "local:new" in rows["other"] and "medicalRecords.patients" in rows["clinic"], out
    assert SCHEMA["encryptMetadata"]["keyAltName"] == "clinic"


def test_usage(vault):
    for arguments, code, text in (
            (("rewrap",), USAGE, "--filter"),
            (("rewrap", "--filter", "everything"), USAGE, "must be all, provider=NAME"),
            (("rewrap", "--filter", "all", "--master-key", "{}"), USAGE, "--provider"),
            (("rewrap", "--filter", "all", "--provider", "aws"), CONFIGURATION, "is not configured"),
            (("create", "--provider", "vault"), CONFIGURATION, "is not configured"),
            (("alias", "add", "x"), USAGE, "name"),
            (("alias",), USAGE, "subcommand"),
            (("delete",), USAGE, "key"),
            (("delete", "nobody", "--yes"), CONFIGURATION, "no key `nobody`")):
        ended, out, err = run_fieldgate("keys", *arguments, *(() if arguments == ("alias",) else ("-c", vault.file)))
        assert ended == code and text in err, f"{arguments}: {ended} {out}{err}"
