"""A replica set of two scripted members: the primary steps down or dies under a client with a full pool."""

import threading
import time

import clinic
import pytest
from conftest import client_of
from processes import Fieldgate, TIME_FACTOR, in_threads, wait_until
from pymongo.errors import PyMongoError
from scripted_members import ScriptedMembers

THREADS = 16


@pytest.fixture(params=[True, False], ids=["streaming", "polling"])
def versioned(request):
    return request.param


@pytest.fixture
def members(stand, versioned):
    members = ScriptedMembers([stand.key_document()], election_seconds=1.0, versioned=versioned)
    yield members
    members.close()


@pytest.fixture
def gateway(members, stand, tmp_path):
    gateway = Fieldgate(clinic.config(members.uri, stand.key_file), tmp_path)
    yield gateway
    gateway.stop()


class Writers:
    """Threads that insert patients until told to stop, each insert a retryable write; what was acknowledged is kept."""

    def __init__(self, uri, patient):
        self.client = client_of(uri, maxPoolSize=THREADS, minPoolSize=THREADS, retryWrites=True)
        self.acknowledged = []
        self.errors = []
        self._patient = patient
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _write(self, number):
        count = 0
        while not self._stop.is_set():
            count += 1
            identity = f"{number}-{count}"
            try:
                self.client.medicalRecords.patients.insert_one({"_id": identity, **self._patient})
                self.acknowledged.append(identity)
            except PyMongoError as error:
                self.errors.append(error)
                return
            time.sleep(0.01)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60 * TIME_FACTOR)
        self.client.close()


def check(members, writers):
    assert writers.errors == [], f"{len(writers.errors)} of {THREADS} writers failed, first: {writers.errors[0]!r}"
    stored = [d["_id"] for d in members.stored]
    assert len(stored) == len(set(stored)), "an insert was stored twice"
    assert set(writers.acknowledged) <= set(stored), "an acknowledged insert is lost"
    for document in members.stored:
        clinic.assert_sealed(document)


@pytest.mark.parametrize("event", ["step_down", "kill_primary"])
def test_no_retryable_write_fails_when_the_primary(members, gateway, patient, event):
    writers = Writers(gateway.uri("doctors"), patient())
    try:
        wait_until(lambda: len(writers.acknowledged) >= 5 * THREADS or writers.errors, 20, "the pool at work")
        first = members.primary
        getattr(members, event)()
        wait_until(lambda: members.primary not in (None, first), 10, "the election")
        before = len(writers.acknowledged)
        wait_until(lambda: len(writers.acknowledged) >= before + 5 * THREADS or writers.errors, 30, "the pool at the new primary")
    finally:
        writers.stop()
    check(members, writers)
    assert gateway.running()


def test_two_step_downs_in_a_row(members, gateway, patient):
    writers = Writers(gateway.uri("doctors"), patient())
    try:
        for _ in range(2):
            before = len(writers.acknowledged)
            wait_until(lambda: len(writers.acknowledged) >= before + 5 * THREADS or writers.errors, 30, "the pool at work")
            first = members.primary
            members.step_down()
            wait_until(lambda: members.primary not in (None, first), 10, "the election")
        before = len(writers.acknowledged)
        wait_until(lambda: len(writers.acknowledged) >= before + 5 * THREADS or writers.errors, 30, "the pool at the last primary")
    finally:
        writers.stop()
    check(members, writers)


def test_a_new_client_during_the_election_waits_for_a_primary(members, gateway, patient):
    with client_of(gateway.uri("doctors")) as client:
        client.medicalRecords.patients.insert_one({**patient(), "_id": "before"})
    members.step_down()
    with client_of(gateway.uri("doctors"), retryWrites=True) as client:
        client.medicalRecords.patients.insert_one({**patient(), "_id": "during"})
    assert [d["_id"] for d in members.stored] == ["before", "during"]


def test_reads_go_on_after_a_step_down(members, gateway, patient):
    document = patient()
    with client_of(gateway.uri("doctors")) as client:
        client.medicalRecords.patients.insert_one(document)
        members.step_down()
        assert client.medicalRecords.patients.find_one({"ssn": document["ssn"]}) == document
