"""One embedded server with a recorder before it and one fieldgate with the clinic, shared by the whole run (with
`--numprocesses`, by what one process runs of it); every test gets a database of its own (`clinic_<n>`, which the schema
pattern protects). At the end the recording is judged: no protected plaintext may have reached the server."""

import itertools
import json
import os
import sys
from pathlib import Path

import pytest
from pymongo import MongoClient
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import canary  # noqa: E402
import certificates as certificates_module  # noqa: E402
import clinic  # noqa: E402
from processes import EmbeddedServer, Fieldgate, TIME_FACTOR, run_fieldgate, write_config  # noqa: E402
from recorder import Recorder  # noqa: E402

pytest_plugins = ["kms.fixtures"]

CLIENT_OPTIONS = {"serverSelectionTimeoutMS": int(10_000 * TIME_FACTOR), "connectTimeoutMS": int(10_000 * TIME_FACTOR)}
_databases = itertools.count(1)


# Half a minute each: they begin first, and each case for itself, so that no process is left alone with them at the end.
LONG_TESTS = ("test_each_fault_names_provider_and_key_and_ends_by_itself", "test_an_outage_shorter_than_the_lifetime")


def is_long(nodeid):
    return nodeid.split("::")[1].startswith(LONG_TESTS)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not is_long(item.nodeid))
    for item in items:
        item.add_marker(pytest.mark.timeout(120 * TIME_FACTOR))


def pytest_xdist_make_scheduler(config, log):
    class Scheduler(LoadScopeScheduling):
        """Hands out whole files, for their fixtures, apart from long tests."""

        def _split_scope(self, nodeid):
            return nodeid if is_long(nodeid) else nodeid.split("::")[0]

    return Scheduler(config, log)


def client_of(uri, **options):
    return MongoClient(uri, **{**CLIENT_OPTIONS, **options})


class Stand:
    """A server, the recorder before it and a fieldgate before that, with a data key named `clinic`."""

    def __init__(self, directory, *server_options, **config_sections):
        self.directory = directory
        self.recorder = Recorder(directory / "recording")
        self.server = self.start_server(*server_options)
        self.recorder.target = ("127.0.0.1", self.server.port)
        host, port = self.recorder.address
        self.upstream_uri = f"mongodb://{host}:{port}/?replicaSet=secantus"
        self.key_file = directory / "master-key.bin"
        self.key_file.write_bytes(os.urandom(96))
        self.key_file.chmod(0o600)
        self.config = clinic.config(self.upstream_uri, self.key_file, **config_sections)
        self.config_file = write_config(self.config, directory / "keys.yaml")
        self._clients = []
        self._gateways = []
        self.direct = self.client(self.server.uri)

    def start_server(self, *options):
        return EmbeddedServer(self.directory / "server", *options, advertise=self.recorder.address)

    def create_key(self, alt_name="clinic"):
        code, out, err = run_fieldgate("keys", "create", "-c", self.config_file, "--provider", "local", "--alt-name", alt_name)
        assert code == 0, f"keys create ended with {code}: {out}{err}"
        return self.key_document(alt_name)["_id"]

    def key_document(self, alt_name="clinic"):
        return self.direct.encryption["__keyVault"].find_one({"keyAltNames": alt_name})

    def start(self, *options, name="fieldgate", env=None, preexec=None, **config_sections):
        gateway = Fieldgate({**self.config, **config_sections}, self.directory / name, *options, env=env, preexec=preexec, name=name)
        self._gateways.append(gateway)
        return gateway

    def client(self, uri, **options):
        client = client_of(uri, **options)
        self._clients.append(client)  # or its sockets would close when the test forgets it
        return client

    def close(self):
        """Clients of fieldgates that are gone are not closed: the driver would look for a server to end sessions on."""
        for gateway in self._gateways:
            if gateway.running():
                gateway.stop()
        self.direct.close()
        self.recorder.close()
        self.server.stop()


@pytest.fixture(scope="session")
def secrets():
    return clinic.Secrets()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return certificates_module.Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def stand(tmp_path_factory, secrets):
    stand = Stand(tmp_path_factory.mktemp("stand"))
    stand.key_id = stand.create_key()
    stand.fieldgate = stand.start()
    _shared.append(stand)
    yield stand
    _shared.clear()
    stand.close()
    assert canary.scan(stand.recorder.files_to_server(), secrets).problems == []


_shared = []


@pytest.fixture(autouse=True)
def fieldgate_survives(request):
    """A fieldgate that died would make every test that follows wait for it: the run ends with its last words."""
    yield
    for stand in _shared:
        if not stand.fieldgate.running():
            request.session.shouldfail = "fieldgate died"
            pytest.fail(f"fieldgate died:\n{stand.fieldgate.log()[-6000:]}")


@pytest.fixture(scope="session")
def doctor(stand):
    return stand.client(stand.fieldgate.uri("doctors"))


@pytest.fixture(scope="session")
def receptionist(stand):
    return stand.client(stand.fieldgate.uri("receptionists"))


@pytest.fixture(scope="session")
def direct(stand):
    """Past the proxy: what is stored."""
    return stand.direct


@pytest.fixture
def database():
    return f"clinic_{next(_databases)}"


@pytest.fixture
def patients(doctor, database):
    """The protected collection as doctors see it."""
    return doctor[database].patients


@pytest.fixture
def desk(receptionist, database):
    """The same collection as receptionists see it."""
    return receptionist[database].patients


@pytest.fixture
def stored(direct, database):
    """The same collection as it is stored."""
    return direct[database].patients


@pytest.fixture
def patient(secrets):
    """Makes a patient with protected values of its own: patient(name="x")."""
    return secrets.patient


@pytest.fixture
def three(patients, patient):
    """Three stored patients, as the doctor wrote them."""
    documents = [patient(name=f"Patient {letter}", ward=number) for number, letter in enumerate("ABC")]
    patients.insert_many(documents)
    return documents


def without_id(document):
    return {name: value for name, value in document.items() if name != "_id"}


def pytest_report_header(config):
    return f"fieldgate: {os.environ.get('FIELDGATE_BINARY', 'build/release/fieldgate')}, time factor {TIME_FACTOR}"


def dump(value):
    return json.dumps(value, default=str)
