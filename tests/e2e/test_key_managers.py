"""fieldgate with every key manager: a data key that somebody else made is used through the proxy, and what becomes of
clients when the key manager does not answer, refuses or answers nonsense."""

import re
import threading
import time
import uuid

import clinic
import pytest
from bson import Binary
from conftest import client_of
from key_managers import PROVIDERS, Setup
from kms.oracle import Oracle
from processes import EmbeddedServer, Fieldgate, TIME_FACTOR, wait_until
from pymongo.errors import OperationFailure


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = EmbeddedServer(tmp_path_factory.mktemp("key-managers") / "server")
    yield server
    server.stop()


class Gate:
    def __init__(self, setup, server, directory, lifetime):
        self.setup, self.database = setup, f"clinic_{uuid.uuid4().hex[:8]}"
        self.namespace = f"{self.database}_vault.keys"
        self.direct = client_of(server.uri)
        self.key_id = setup.make_key(self.direct, self.namespace)
        setup.stand.forget()
        config = clinic.config(server.uri.split("?")[0] + "?replicaSet=secantus", directory / "unused", kms_providers={setup.name: setup.settings},
                               key_vault={"namespace": self.namespace, "cache_lifetime": f"{lifetime}s"}, log={"format": "json", "level": "debug"})
        self.fieldgate = Fieldgate(config, directory)
        self.client = client_of(self.fieldgate.uri("doctors"))
        self.patients = self.client[self.database].patients

    def works(self):
        try:
            self.patients.insert_one({"email": "canary-works"})
            return True
        except OperationFailure:
            return False

    def error(self):
        with pytest.raises(OperationFailure) as caught:
            self.patients.insert_one({"email": "canary-refused"})
        return str(caught.value)

    def close(self):
        self.client.close()
        self.direct.close()
        if self.fieldgate.running():
            assert self.fieldgate.stop() == 0


@pytest.fixture
def gate_of(request, server, tmp_path):
    gates = []

    def make(provider, lifetime=60):
        gates.append(Gate(Setup(request, provider), server, tmp_path / f"gate-{len(gates)}", lifetime))
        return gates[-1]

    yield make
    for gate in gates:
        gate.close()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_that_a_driver_made_is_used_through_the_proxy(gate_of, provider):
    gate = gate_of(provider)
    gate.patients.insert_one({"_id": 1, "ssn": 123456789, "email": "canary-house"})
    assert gate.patients.find_one({"ssn": 123456789}) == {"_id": 1, "ssn": 123456789, "email": "canary-house"}
    stored = gate.direct[gate.database].patients.find_one({"_id": 1})
    assert isinstance(stored["email"], Binary) and stored["email"].subtype == 6
    if gate.setup.name != "vault":  # the reverse: a driver reads what fieldgate wrote
        oracle = Oracle(gate.direct, {gate.setup.name: gate.setup.credentials}, {gate.setup.name: gate.setup.driver_tls})
        oracle.vault = gate.direct.get_database(gate.namespace.split(".")[0])["keys"]
        assert oracle.decrypt(stored["email"]) == "canary-house"


# Fault -> what the client is told besides provider and key. Nothing that the stand-in said.
FAULTS = {
    "throttle": r"is asked too often|is not available|refuses", "500": r"is not available|refuses", "closed": r"is not available \(closed",
    "reset": r"is not available \(closed", "truncated": r"is not available \(truncated", "half_close": r"is not available",
    "oversized": r"cannot be used \(reply_too_large", "not_parsable": r"cannot be used", "wrong_length": r"decrypted key is incorrect length|cannot be used|refuses",
    "wrong_type": r"cannot be used", "wrong_name": r"is not available \(certificate_name", "stranger": r"is not available \(certificate_untrusted",
    "plain": r"is not available \(tls_failed", "wrong_credentials": r"does not take fieldgate's credentials|refuses",
}


@pytest.mark.parametrize("provider", ["aws", "azure", "gcp", "kmip", "vault"])
def test_each_fault_names_provider_and_key_and_ends_by_itself(gate_of, provider):
    gate = gate_of(provider, lifetime=1)
    for fault, words in FAULTS.items():
        wait_until(gate.works, 15, f"recovery before {fault}")
        gate.setup.stand.misbehave(fault)
        if fault in ("wrong_name", "stranger", "plain"):
            gate.setup.stand.outage()  # connections from now on
            gate.setup.stand.restore()
        wait_until(lambda: not gate.works(), 60, f"the effect of {fault}")
        error = gate.error()
        gate.setup.stand.misbehave(None)
        assert f"KMS provider `{provider}`" in error and str(gate.key_id.as_uuid()) in error, f"{fault}: {error}"
        assert re.search(words, error), f"{fault}: {error}"
        assert gate.setup.stand.address not in error and "arn:" not in error, f"{fault}: {error}"
    wait_until(gate.works, 15, "recovery")


class Load:
    """Inserts without a pause and remembers when that failed."""

    def __init__(self, gate):
        self.gate, self.ended, self.count, self.refused = gate, threading.Event(), 0, []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ended.is_set():
            self.count += 1
            if not self.gate.works():
                self.refused.append(time.monotonic())
            time.sleep(0.01)

    def end(self):
        self.ended.set()
        self.thread.join(60)


@pytest.mark.parametrize("kind", ["gone", "slow"])
def test_an_outage_shorter_than_the_lifetime_is_not_noticed_and_a_longer_one_ends_by_itself(gate_of, kind):
    gate = gate_of("vault", lifetime=12)
    stand = gate.setup.stand

    def begin():
        stand.misbehave("slow") if kind == "slow" else stand.outage()

    def end():
        stand.misbehave(None) if kind == "slow" else stand.restore()

    assert gate.works()
    load = Load(gate)
    try:
        time.sleep(7 * TIME_FACTOR)  # the key was refetched
        begin()
        time.sleep(6)
        end()
        time.sleep(6)
        assert not load.refused and load.count > 100, f"noticed: {len(load.refused)} of {load.count}"
        begin()
        wait_until(lambda: load.refused, 60, "the end of the key")
        end()
        wait_until(gate.works, 30, "recovery")
    finally:
        load.end()
    if kind == "slow":
        return  # the attempt ahead of time ends after the key
    log = gate.fieldgate.entries()
    assert any(entry["msg"].startswith("a data key could not be fetched ahead of time") for entry in log)


def test_revocation_takes_effect_within_the_lifetime(gate_of):
    gate = gate_of("aws", lifetime=8)
    stand = gate.setup.stand
    assert gate.works()
    load = Load(gate)
    try:
        time.sleep(5)
        stand.disabled.add(stand.key)
        started = time.monotonic()
        wait_until(lambda: load.refused, 8 + 3, "the effect")
        assert time.monotonic() - started < 8 + 2
        assert "KMS provider `aws` refuses (DisabledException" in gate.error()
        stand.disabled.discard(stand.key)
        wait_until(gate.works, 10, "recovery")
    finally:
        stand.disabled.discard(stand.key)
        load.end()


def test_many_clients_cost_one_question(gate_of):
    gate = gate_of("aws")
    threads = [threading.Thread(target=gate.works) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert gate.setup.stand.count("decrypt") == 1
