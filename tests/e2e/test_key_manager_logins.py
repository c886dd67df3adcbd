"""Every way to log in to a key manager (logins/), through the executable: a key made, used and proved with it, its
refusals, and clients that work while what they depend on runs out."""

import copy
import os
import re
import time
import uuid

import clinic
import pytest
from bson import Binary
from conftest import client_of
from logins import WAYS, Bench, Kit
from logins.renewal import LIFETIME_S, Clients, Lifetimes, round_trip
from processes import EmbeddedServer, Fieldgate, run_fieldgate, wait_until, write_config
from pymongo.errors import OperationFailure

UNAVAILABLE, CONFIGURATION = 69, 78
FOREIGN = re.compile(r"(AWS|AZURE|GOOGLE|GCE)_")  # what whoever runs the tests has must not help


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = EmbeddedServer(tmp_path_factory.mktemp("logins") / "server")
    yield server
    server.stop(timeout=0.5)  # fieldgate watched it, which it waits for


@pytest.fixture
def kit(request, tmp_path, monkeypatch):
    for name in filter(FOREIGN.match, list(os.environ)):
        monkeypatch.delenv(name)
    return Kit(request, tmp_path)


@pytest.fixture
def bench(server, tmp_path):
    bench = Bench(server, tmp_path)
    yield bench
    bench.close()


def assert_refused(bench, patients, way, wrong):
    """The client is told whose credentials are refused and with what code, the operator also why."""
    with pytest.raises(OperationFailure) as caught:
        round_trip(patients)
    told = str(caught.value)
    bench.said.append(told)
    key_id = str(bench.keys.find_one({"keyAltNames": way.alias})["_id"].as_uuid())
    assert f"KMS provider `{way.name}` " in told and key_id in told and re.search(rf"\((?:.*[ _])?{wrong.told}", told), f"{wrong}: {told}"
    details = [entry["detail"] for entry in bench.entries() if entry["msg"] == "a data key cannot be had" and key_id in entry["error"]]
    assert details and all(f"KMS provider `{way.name}`: " in detail and re.search(wrong.said, detail) for detail in details), f"{wrong}: {details}"


@pytest.mark.parametrize("name", WAYS)
def test_a_way_to_log_in(bench, kit, name):
    """Goal: a key is made and used with it, and what logs in came from where it should; whatever is wrong, clients and
    operators learn the cause, and no secret."""
    way = kit.way(name)
    bench.create(way)
    document = bench.keys.find_one()
    # One fieldgate for all that is wrong in settings: each mistake has a provider and a copy of the key's document.
    bad = [(way.but(wrong, f"{name}_{number}"), wrong) for number, wrong in enumerate(way.wrong)]
    for made, _ in bad:
        bench.keys.insert_one({**document, "_id": Binary.from_uuid(uuid.uuid4()), "keyAltNames": [made.alias],
                               "masterKey": {**document["masterKey"], "provider": made.name}})
    settled = [(made, wrong) for made, wrong in bad if wrong.settings]
    patients, *refused = bench.start(way, *(made for made, _ in settled))
    stored = bench.direct[bench.name][way.alias].find_one({"_id": round_trip(patients)})
    assert isinstance(stored["email"], Binary) and stored["email"].subtype == 6
    # Each of the two processes logged in once; what is fixed needs no login.
    assert not way.login or (way.logins("ok"), way.logins()) == (2, 2), way.login[0].counts()

    for patients, (made, wrong) in zip(refused, settled):
        assert_refused(bench, patients, made, wrong)
    for made, wrong in bad:
        if not wrong.settings:
            bench.end_gates()
            if wrong.act:
                wrong.act()
            [patients] = bench.start(made)
            assert_refused(bench, patients, made, wrong)
    before = list(bench.keys.find())
    made, wrong = bad[-1]
    if wrong.told != "PermissionDenied":  # another client's key, but one may make one's own
        text = bench.create(made, "another", UNAVAILABLE)
        assert f"KMS provider `{made.name}`: " in text and re.search(wrong.said, text), f"{wrong}: {text}"
        assert list(bench.keys.find()) == before
    bench.assert_silent(way)


def test_kmip_without_a_certificate_is_a_problem_of_the_configuration(bench, kit):
    way = kit.way("kmip:certificate")
    way.settings["tls"] = kit.tls
    assert "certificate_key_file" in bench.create(way, code=CONFIGURATION)
    assert kit.kmip_stand.count() == 0


def test_the_order_in_which_credentials_of_aws_are_looked_for(bench, kit):
    """Goal: each source that is there is used instead of those after it."""
    parts = [kit.way(f"aws:{name}") for name in ("environment", "web_identity_variables", "container", "instance_variables")]
    way = copy.copy(parts[0])
    way.settings = {name: value for part in parts for name, value in part.settings.items() if name != "source"}
    way.env = {name: value for part in parts for name, value in part.env.items()}
    used = []
    for part in parts:
        bench.create(way, f"key-{len(used)}")
        used.append([other.logins() for other in parts if other.login])
        way.env = {name: value for name, value in way.env.items() if name not in part.env}
    assert used == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], used


LIFETIMES = 3
RENEWED = ["aws:web_identity", "aws:container", "aws:instance", "azure:client_secret", "azure:workload_identity", "azure:managed_identity",
           "gcp:email", "gcp:federation", "gcp:impersonation", "gcp:metadata", "vault:approle", "vault:kubernetes", "vault:token_file"]


def test_clients_do_not_notice_that_credentials_run_out(bench, kit):
    """Goal: what runs out is renewed before its end, what is revoked ahead of its time is replaced, and no client sees
    either, although every key is asked for each second."""
    ways = [kit.way(name) for name in RENEWED]
    managers = [kit.aws_stand, kit.azure_stand, kit.gcp_stand]
    for way in ways:
        bench.create(way)
    for stand in (*managers, *(way.login[0] for way in ways if way.login)):
        stand.forget()
    with Lifetimes(kit, ways) as lifetimes:
        clients = Clients(bench.start(*ways, lifetime="1s"))
        try:
            time.sleep(LIFETIMES * LIFETIME_S + 1)
            assert not clients.errors, clients.errors[:3]
            assert [stand.count() - stand.count(outcome="ok") for stand in managers] == [0, 0, 0], "used after its end"
            for way in ways:
                assert not way.login or LIFETIMES <= way.logins("ok") == way.logins() <= 40, (way.name, way.login[0].counts())

            lifetimes.set(3600)
            time.sleep(LIFETIME_S)
            count = {way.name: way.logins() for way in ways if way.login}
            used = lifetimes.token
            lifetimes.write_token()
            lifetimes.vault.revoke(used)
            for method in ("approle", "kubernetes"):
                lifetimes.vault.admin("POST", f"sys/leases/revoke-prefix/auth/{method}", {})
            kit.azure_stand.tokens.expire()
            kit.gcp_stand.tokens.expire()
            for key_id, (_, token, _) in list(kit.aws_stand.credentials.items()):
                if token:
                    kit.aws_stand.credentials.expire(key_id)
            wait_until(lambda: all(way.logins() > count[way.name] for way in ways if way.login), 10, "other logins")
            time.sleep(1.5)
            assert not clients.errors, clients.errors[:3]
            rounds = dict(clients.rounds)
            wait_until(lambda: all(clients.rounds[name] > rounds[name] for name in rounds), 10, "every client's next round")
        finally:
            clients.end()
    assert all(stand.count() > stand.count(outcome="ok") for stand in managers)  # the revoked ones were refused
    assert not [entry for entry in bench.entries() if entry["msg"].startswith("a data key")]
    for way in ways:
        bench.assert_silent(way)


def test_the_place_of_logins_is_away_while_a_token_is_still_good(bench, kit):
    """Goal: a renewal that is due and cannot be had stops nobody before the token's end."""
    way, metadata = kit.way("gcp:metadata"), kit.gcp_metadata_stand
    bench.create(way)
    before, metadata.lifetime_s = metadata.lifetime_s, 7  # due after 3 seconds
    try:
        [patients] = bench.start(way, lifetime="1s")
        round_trip(patients)
        clients = Clients([patients])
        metadata.outage()
        time.sleep(5.5)
        clients.end()
        assert not clients.errors and clients.rounds[patients.name] > 10, (clients.errors[:3], clients.rounds)
        assert kit.gcp_stand.count("decrypt") >= 4, "keys were not fetched again"
        assert any(entry["msg"] == "fieldgate cannot log in to a key manager" and "gcp:metadata" in entry["detail"] for entry in bench.entries())
        metadata.restore()
        count = metadata.count("token")
        wait_until(lambda: round_trip(patients) and metadata.count("token") > count, 20, "the renewal")
    finally:
        metadata.lifetime_s = before


@pytest.fixture(scope="module")
def guarded_vault(tmp_path_factory):
    """Another server, which wants a login, with a user for the key vault only."""
    directory = tmp_path_factory.mktemp("guarded-vault")
    server = EmbeddedServer(directory)
    with client_of(server.uri) as admin:
        admin.admin.command("createUser", "keeper", pwd="canary-vault-password", roles=[{"role": "readWrite", "db": "encryption"}])
    server.stop()
    server = EmbeddedServer(directory, "--auth")
    yield server
    server.stop(timeout=0.5)  # fieldgate watched it, which it waits for


def test_a_key_vault_in_another_cluster(server, guarded_vault, tmp_path):
    """Goal: keys live there, with credentials that data's cluster and clients know nothing of."""
    name = f"clinic_{uuid.uuid4().hex[:8]}"
    key_file = tmp_path / "master-key.bin"
    key_file.write_bytes(os.urandom(96))
    key_file.chmod(0o600)
    uri = f"mongodb://keeper:{{}}@127.0.0.1:{guarded_vault.port}/?replicaSet=secantus&authSource=admin"
    good, wrong = uri.format("canary-vault-password"), uri.format("canary-wrong-password")

    def config(vault_uri):
        return clinic.config(server.uri.split("?")[0] + "?replicaSet=secantus", key_file, key_vault={
            "namespace": f"encryption.{name}", "uri": vault_uri, "cache_lifetime": "60s"}, log={"format": "json", "level": "trace"})

    files = {what: write_config(config(what), tmp_path / f"vault-{number}.yaml") for number, what in enumerate((good, wrong))}
    create = ("keys", "create", "--alt-name", "clinic", "-c")
    code, out, err = run_fieldgate(*create, files[wrong])
    assert code == UNAVAILABLE and "key vault" in err and "canary" not in out + err, f"{code}: {out}{err}"
    code, out, err = run_fieldgate(*create, files[good])
    assert code == 0, f"{code}: {out}{err}"
    code, out, err = run_fieldgate("check", "--connect", "-c", files[good])
    assert code == 0 and "canary" not in out + err, f"{code}: {out}{err}"

    gate, locked_out = Fieldgate(config(good), tmp_path / "good"), Fieldgate(config(wrong), tmp_path / "wrong")
    with client_of(server.uri) as direct, client_of(gate.uri("doctors")) as client, client_of(locked_out.uri("doctors")) as other:
        round_trip(client[name].patients)
        assert isinstance(direct[name].patients.find_one()["email"], Binary)
        assert name not in direct.encryption.list_collection_names()
        with pytest.raises(OperationFailure, match="key vault") as caught:
            round_trip(other[name].patients)
        assert "canary" not in str(caught.value)
    with client_of(guarded_vault.uri, username="keeper", password="canary-vault-password", authSource="admin") as keeper:
        assert keeper.encryption[name].count_documents({"keyAltNames": "clinic"}) == 1
    for one in (gate, locked_out):
        assert one.stop() == 0
        assert "canary" not in one.log()
