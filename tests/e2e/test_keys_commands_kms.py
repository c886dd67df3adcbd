"""`fieldgate keys` and `check --connect` with every key manager: keys that drivers use, rewrapped from one to another."""

import json
import uuid

import pytest
from bson import Binary
from key_managers import PROVIDERS, Setup
from kms.oracle import Oracle
from processes import run_fieldgate, write_config

UNAVAILABLE, INCOMPLETE = 69, 75


class Bench:
    """One provider beside a local one, over a key vault of its own in the shared server."""

    def __init__(self, request, provider, stand, directory):
        self.setup = Setup(request, provider)
        self.provider = self.setup.name
        if self.provider == "vault":
            self.setup.master_key = {"keyName": self.setup.stand.key}
        name = f"kms_{uuid.uuid4().hex[:8]}"
        self.keys = stand.direct.encryption[name]
        self.client = stand.direct
        self.local = {"local": {"key": stand.key_file.read_bytes()}}
        config = {**stand.config, "key_vault": {"namespace": f"encryption.{name}"},
                  "kms_providers": {"local": {"key_file": str(stand.key_file)}, self.provider: self.setup.settings}}
        self.file = write_config(config, directory / "kms.yaml")

    def run(self, *arguments, code=0):
        ended, out, err = run_fieldgate(*arguments, "-c", self.file, timeout=100)
        assert ended == code, f"{arguments} ended with {ended}: {out}{err}"
        return out, err

    def target(self):
        return ("--provider", self.provider, "--master-key", json.dumps(self.setup.master_key))

    def create(self, name, *options):
        return Binary.from_uuid(uuid.UUID(self.run("keys", "create", "--alt-name", name, *options)[0].strip()))

    def assert_usable(self, key_id):
        """By a driver with libmongocrypt, which has no Vault."""
        if self.keys.find_one({"_id": key_id})["masterKey"]["provider"] == "vault":
            return
        providers, tls = dict(self.local), {}
        if self.provider != "vault":
            providers[self.provider], tls[self.provider] = self.setup.credentials, self.setup.driver_tls
        oracle = Oracle(self.client, providers, tls)
        oracle.vault = self.keys
        oracle.round_trip(key_id)

    def providers(self):
        return {key["keyAltNames"][0]: key["masterKey"]["provider"] for key in self.keys.find()}


@pytest.fixture(params=PROVIDERS)
def bench(request, stand, tmp_path):
    return Bench(request, request.param, stand, tmp_path)


def test_keys_of_every_key_manager(bench):
    """Goal: a key that fieldgate made, or rewrapped, is a driver's as well; and a rotation goes both ways."""
    made = bench.create("clinic", *bench.target())
    document = bench.keys.find_one({"_id": made})
    assert {**document["masterKey"], **bench.setup.master_key} == document["masterKey"]
    assert document["masterKey"]["provider"] == bench.provider
    bench.assert_usable(made)

    moved = bench.create("moved")
    before = bench.keys.find_one({"_id": moved})
    out, _ = bench.run("keys", "rewrap", "--filter", "name=moved", *bench.target())
    assert "rewrapped 1 of 1 keys" in out
    after = bench.keys.find_one({"_id": moved})
    assert after["masterKey"]["provider"] == bench.provider
    assert {name: before[name] for name in ("keyAltNames", "creationDate", "status")} == \
        {name: after[name] for name in ("keyAltNames", "creationDate", "status")}
    bench.assert_usable(moved)

    out, err = bench.run("check", "--connect")
    assert f"KMS provider `{bench.provider}`: unwraps what it wraps under " in out, out + err
    out, _ = bench.run("keys", "list")
    assert out.count(bench.provider) >= 2 and bench.provider in out

    out, _ = bench.run("keys", "rewrap", "--filter", f"provider={bench.provider}", "--provider", "local")
    assert "rewrapped 2 of 2 keys" in out
    assert bench.providers() == {"clinic": "local", "moved": "local"}
    bench.assert_usable(made)
    bench.assert_usable(moved)


def test_a_key_manager_that_is_away_changes_nothing(bench):
    bench.create("clinic", *bench.target())
    bench.create("other")
    before = list(bench.keys.find())
    bench.setup.stand.outage()
    for arguments, code in ((("keys", "create", *bench.target()), UNAVAILABLE),
                            (("keys", "rewrap", "--filter", "all", *bench.target()), UNAVAILABLE),
                            (("keys", "rewrap", "--filter", "name=clinic", "--provider", "local"), INCOMPLETE),
                            (("check", "--connect"), UNAVAILABLE)):
        _, err = bench.run(*arguments, code=code)
        assert f"KMS provider `{bench.provider}`" in err, err
    assert list(bench.keys.find()) == before
    bench.setup.stand.restore()
    bench.run("keys", "rewrap", "--filter", "all", "--provider", "local")
    assert bench.providers() == {"clinic": "local", "other": "local"}


def test_check_says_what_it_could_prove_without_a_key(bench):
    bench.create("clinic")  # the schemas' key, under the local master key
    out, err = bench.run("check", "--connect")
    proof = "there was nothing to try it with" if bench.provider in ("aws", "kmip") else "its credentials were proved by login only"
    assert f"KMS provider `{bench.provider}`: no key in the key vault uses it yet; {proof}" in out, out + err
