"""`master_keys`: somebody who writes the key vault plants a key document under a master key of his own, which fieldgate's
credentials may use as well. Without the list new values are encrypted with a data key that he knows; with it nothing is."""

import base64
import datetime
import json
import os
import uuid

import clinic
import pytest
from bson import Binary
from conftest import client_of
from key_managers import Setup
from kms.oracle import Oracle
from processes import EmbeddedServer, Fieldgate, run_fieldgate
from refusal import refused

CONFIGURATION = 78
OPERATION_FAILED = 96


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = EmbeddedServer(tmp_path_factory.mktemp("master-keys") / "server")
    yield server
    server.stop()


class Bench:
    """A key vault of its own, whose `clinic` key may be planted, and any number of fieldgates over it."""

    def __init__(self, request, provider, server, directory):
        self.setup, self.directory = Setup(request, provider), directory
        self.provider, self.stand = self.setup.name, self.setup.stand
        self.database = f"clinic_{uuid.uuid4().hex[:8]}"
        self.namespace = f"{self.database}_vault.keys"
        self.server, self.direct = server, client_of(server.uri)
        self.vault = self.direct[f"{self.database}_vault"]["keys"]
        self.ends = [self.direct.close]

    def config(self, master_keys=None):
        listed = {} if master_keys is None else {"master_keys": master_keys}
        return clinic.config(self.server.uri.split("?")[0] + "?replicaSet=secantus", self.directory / "unused",
                             kms_providers={self.provider: {**self.setup.settings, **listed}},
                             key_vault={"namespace": self.namespace, "cache_lifetime": "60s"}, log={"format": "json", "level": "debug"})

    def gate(self, master_keys=None):
        fieldgate = Fieldgate(self.config(master_keys), self.directory / f"gate-{len(self.ends)}")
        client = client_of(fieldgate.uri("doctors"))
        self.ends += [lambda: self.end(fieldgate), client.close]
        return fieldgate, client[self.database].patients

    @staticmethod
    def end(fieldgate):
        assert fieldgate.stop() == 0

    def plant(self, master_key, material):
        """As the thief would write it: every key document goes, this one comes."""
        self.vault.delete_many({})
        now = datetime.datetime.now(datetime.timezone.utc)
        self.vault.insert_one({"_id": Binary.from_uuid(uuid.uuid4()), "keyAltNames": ["clinic"], "keyMaterial": material, "creationDate": now,
                               "updateDate": now, "status": 0, "masterKey": {"provider": self.provider, **master_key}})

    def close(self):
        for end in reversed(self.ends):
            end()


@pytest.fixture
def bench_of(request, server, tmp_path):
    benches = []

    def make(provider):
        benches.append(Bench(request, provider, server, tmp_path))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


def transit_key(stand, name):
    """Another transit key that the same token may use."""
    stand.admin("POST", f"transit/keys/{name}", {})
    return name


def wrapped_in_vault(stand, name, key):
    answer = stand.admin("POST", f"transit/encrypt/{name}", {"plaintext": base64.b64encode(key).decode()})
    return answer["data"]["ciphertext"].encode()


def opened_with(key, value, direct):
    """What whoever knows the data key reads in a stored value, with a driver."""
    thief = Oracle(direct, {"local": {"key": os.urandom(96)}})
    with thief.encryption() as encryption:
        encryption.create_data_key("local", key_material=key, key_alt_names=["clinic"])
    return value_with_key_of(thief, value)


def value_with_key_of(thief, value):
    # A ciphertext names its key: bytes 1 to 16.
    document = thief.vault.find_one()
    thief.vault.delete_one({"_id": document["_id"]})
    thief.vault.insert_one({**document, "_id": Binary(bytes(value)[1:17], 4)})
    return thief.decrypt(value)


def refusal_in(fieldgate):
    told = [entry for entry in fieldgate.entries() if "master_keys" in json.dumps(entry)]
    assert told, fieldgate.log()[-3000:]
    return json.dumps(told)


def test_a_planted_key_of_another_transit_key_is_refused(bench_of):
    bench = bench_of("vault")
    stand = bench.stand
    thiefs = transit_key(stand, f"thief-{uuid.uuid4().hex[:8]}")
    data_key = os.urandom(96)
    listed = [{"keyName": stand.key}]

    bench.plant({"keyName": thiefs}, wrapped_in_vault(stand, thiefs, data_key))
    _, patients = bench.gate()
    patients.insert_one({"_id": 1, "email": "canary-without-a-list"})
    stored = bench.direct[bench.database].patients.find_one({"_id": 1})["email"]
    assert opened_with(data_key, stored, bench.direct) == "canary-without-a-list", "this is what the list is for"

    stand.forget()
    fieldgate, patients = bench.gate(listed)
    with refused(OPERATION_FAILED, words=["KMS provider `vault` refuses (master_key_not_listed)"], values=[thiefs, stand.key, stand.address]):
        patients.insert_one({"_id": 2, "email": "canary-refused"})
    with refused(OPERATION_FAILED, words="master_key_not_listed"):
        patients.find_one({"_id": 1})
    assert bench.direct[bench.database].patients.count_documents({}) == 1
    assert stand.count("decrypt") == 0, "nothing is asked"
    log = refusal_in(fieldgate)
    assert f"the master key 'transit/{thiefs}' is not one of kms_providers.vault.master_keys; its keyName is another" in log
    assert "Add it there if fieldgate may use it" in log

    bench.plant({"keyName": stand.key, "mount": "transit"}, wrapped_in_vault(stand, stand.key, os.urandom(96)))
    _, patients = bench.gate(listed)
    patients.insert_one({"_id": 3, "email": "canary-listed"})
    assert patients.find_one({"_id": 3})["email"] == "canary-listed"


def test_a_listed_alias_does_not_bring_a_blob_of_another_key(bench_of):
    """AWS decrypts with whatever key made the blob. A document may name a listed alias all the same."""
    bench = bench_of("aws")
    stand = bench.stand
    alias = f"alias/clinic-{uuid.uuid4().hex[:8]}"
    stand.admin("CreateAlias", {"AliasName": alias, "TargetKeyId": stand.key})
    master_key = {"region": stand.region, "key": alias, "endpoint": stand.address}

    def blob(key, data_key):
        answer = stand.admin("Encrypt", {"KeyId": key, "Plaintext": base64.b64encode(data_key).decode()})
        return base64.b64decode(answer["CiphertextBlob"])

    data_key = os.urandom(96)
    bench.plant(master_key, blob(stand.other_key, data_key))
    _, patients = bench.gate()
    patients.insert_one({"_id": 1, "email": "canary-without-a-list"})
    stored = bench.direct[bench.database].patients.find_one({"_id": 1})["email"]
    assert opened_with(data_key, stored, bench.direct) == "canary-without-a-list", "this is what the list is for"

    _, patients = bench.gate([master_key])
    with refused(OPERATION_FAILED, words="KMS provider `aws` refuses (AccessDeniedException"):  # moto's; AWS says IncorrectKeyException
        patients.insert_one({"_id": 2, "email": "canary-refused"})

    bench.plant(master_key, blob(stand.key, os.urandom(96)))
    _, patients = bench.gate([{**master_key, "endpoint": stand.address.upper()}])
    patients.insert_one({"_id": 3, "email": "canary-listed"})
    assert patients.find_one({"_id": 3})["email"] == "canary-listed"


@pytest.mark.parametrize("provider", ["aws", "azure", "gcp", "kmip", "kmip delegated"])
def test_a_drivers_key_works_when_its_own_master_key_is_listed(bench_of, provider):
    """What a driver wrote into masterKey is, as it stands, an entry of the list; and with one field changed it is not."""
    bench = bench_of(provider)
    bench.setup.make_key(bench.direct, bench.namespace)
    written = {name: value for name, value in bench.vault.find_one()["masterKey"].items() if name != "provider"}
    _, patients = bench.gate([written])
    patients.insert_one({"_id": 1, "ssn": 123456789})
    assert patients.find_one({"ssn": 123456789}) == {"_id": 1, "ssn": 123456789}

    name = {"aws": "key", "azure": "keyName", "gcp": "keyRing", "kmip": "keyId"}[bench.provider]
    bench.stand.forget()
    fieldgate, patients = bench.gate([{**written, name: written[name] + "x"}])
    with refused(OPERATION_FAILED, words=f"KMS provider `{bench.provider}` refuses (master_key_not_listed)"):
        patients.insert_one({"_id": 2, "ssn": 123456789})
    assert sum(bench.stand.counts().values()) == 0, "nothing is asked"
    assert f"kms_providers.{bench.provider}.master_keys; its {name} is another" in refusal_in(fieldgate)


def test_commands_refuse_it_and_check_names_it(bench_of, tmp_path):
    bench = bench_of("vault")
    stand = bench.stand
    second, thiefs = (transit_key(stand, f"{name}-{uuid.uuid4().hex[:8]}") for name in ("second", "thief"))
    file = tmp_path / "listed.yaml"
    file.write_text(json.dumps(bench.config([{"keyName": stand.key}, {"keyName": second}])))

    def run(*arguments, code=0):
        ended, out, err = run_fieldgate(*arguments, "-c", file, timeout=60)
        assert ended == code, f"{arguments} ended with {ended}: {out}{err}"
        return out, err

    def target(name):
        return ("--provider", "vault", "--master-key", json.dumps({"keyName": name}))

    _, err = run("keys", "create", *target(thiefs), "--alt-name", "clinic", code=CONFIGURATION)
    assert f"the master key 'transit/{thiefs}' is not one of kms_providers.vault.master_keys" in err
    assert bench.vault.count_documents({}) == 0
    run("keys", "create", *target(stand.key), "--alt-name", "clinic")
    before = bench.vault.find_one()
    _, err = run("keys", "rewrap", "--filter", "all", *target(thiefs), code=CONFIGURATION)
    assert "master_keys" in err and bench.vault.find_one() == before
    run("keys", "rewrap", "--filter", "all", *target(second))
    assert bench.vault.find_one()["masterKey"]["keyName"] == second

    out, _ = run("check", "--connect")
    for name in (stand.key, second):
        assert f"KMS provider `vault`: unwraps what it wraps under transit/{name}" in out

    bench.plant({"keyName": thiefs}, wrapped_in_vault(stand, thiefs, os.urandom(96)))
    _, err = run("check", "--connect", code=CONFIGURATION)
    assert err.count(f"the master key 'transit/{thiefs}' is not one of kms_providers.vault.master_keys") == 2, err  # of the vault, of the schema
    out, _ = run("keys", "list")
    assert f"transit/{thiefs} (v1) (not listed)" in out
    _, err = run("keys", "rewrap", "--filter", "all", *target(second), code=75)
    assert "FAILED: KMS provider `vault`: the master key" in err, "it is not laundered"
    assert bench.vault.find_one()["masterKey"]["keyName"] == thiefs
