"""SCRAM is relayed verbatim: clients log in to the server, through fieldgate, as they do without it."""

import time

import pytest
import wire
from clinic import assert_sealed
from conftest import Stand, client_of
from processes import EmbeddedServer, write_config
from pymongo.errors import OperationFailure

USERS = {"house": ("vicodin", ["SCRAM-SHA-256"]), "cuddy": ("dean", ["SCRAM-SHA-1"])}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that wants a login. Users are made before it does; one of them is fieldgate's own."""
    directory = tmp_path_factory.mktemp("guarded")
    server = EmbeddedServer(directory / "server")
    with client_of(server.uri) as admin:
        for name, (password, mechanisms) in USERS.items():
            admin.admin.command("createUser", name, pwd=password, roles=["root"], mechanisms=mechanisms)
        admin.admin.command("createUser", "fieldgate", pwd="keeper", roles=["root"])
    server.stop()
    stand = GuardedStand(directory)
    stand.create_key()
    stand.fieldgate = stand.start()
    yield stand
    stand.close()


class GuardedStand(Stand):
    def __init__(self, directory):
        super().__init__(directory, "--auth")
        host, port = self.recorder.address
        self.config["upstream"]["uri"] = f"mongodb://fieldgate:keeper@{host}:{port}/?replicaSet=secantus&authSource=admin"
        write_config(self.config, self.config_file)
        self.direct = self.client(self.server.uri, username="house", password="vicodin", authSource="admin")


# Without a mechanism the driver negotiates; the embedded server fails that for users of SCRAM-SHA-1 alone.
@pytest.mark.parametrize("name, mechanism", [("house", None), ("house", "SCRAM-SHA-256"), ("cuddy", "SCRAM-SHA-1")])
def test_a_client_logs_in_and_works(guarded, database, patient, secrets, name, mechanism):
    options = {"authMechanism": mechanism} if mechanism else {}
    client = guarded.client(guarded.fieldgate.uri("doctors"), username=name, password=USERS[name][0], authSource="admin", **options)
    document = patient()
    client[database].patients.insert_one(document)
    assert client[database].patients.find_one({"ssn": document["ssn"]}) == document
    users = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    assert users == [{"user": name, "db": "admin"}]
    for raw in guarded.direct[database].patients.find():
        assert_sealed(raw, secrets.needles)


def test_a_wrong_password_is_refused_by_the_server(guarded):
    client = guarded.client(guarded.fieldgate.uri("doctors"), username="house", password="wrong", authSource="admin")
    with pytest.raises(OperationFailure) as caught:
        client.admin.command("ping")
    assert caught.value.code == 18


def test_without_a_login_nothing_is_served(guarded, database):
    client = guarded.client(guarded.fieldgate.uri("doctors"))
    with pytest.raises(OperationFailure) as caught:
        client[database].patients.find_one({"ssn": 5})
    assert caught.value.code == 13
    with pytest.raises(OperationFailure):
        client[database].patients.insert_one({"ssn": 5})


def test_speculative_authentication_saves_a_round_trip(guarded):
    """The first message of SCRAM inside hello gets the server's answer, and no addresses with it."""
    with wire.Connection(guarded.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"hello": 1, "$db": "admin", "speculativeAuthenticate": {
            "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=house,r=abcdefghijklmnop", "db": "admin"}})
        assert reply["msg"] == "isdbgrid" and "hosts" not in reply and "setName" not in reply and "me" not in reply, reply
        assert b"r=abcdefghijklmnop" in reply["speculativeAuthenticate"]["payload"]


def test_supported_mechanisms_are_the_servers(guarded):
    with wire.Connection(guarded.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"hello": 1, "$db": "admin", "saslSupportedMechs": "admin.cuddy"})
        assert "SCRAM-SHA-1" in reply["saslSupportedMechs"], reply
        assert "MONGODB-X509" not in reply["saslSupportedMechs"]


def test_many_logins_at_once(guarded, database):
    from processes import in_threads

    def work(number):
        with client_of(guarded.fieldgate.uri("doctors"), username="house", password="vicodin", authSource="admin") as client:
            client[database].wards.insert_one({"n": number})

    started = time.monotonic()
    assert in_threads(12, work) == []
    assert guarded.direct[database].wards.count_documents({}) == 12
    assert time.monotonic() - started < 60
