"""Sessions, transactions and retryable writes pass through, with their protected values sealed."""

import pytest
from clinic import assert_sealed
from pymongo.errors import OperationFailure


def test_a_transaction_commits_sealed_documents(doctor, patients, stored, database, patient, secrets):
    patients.insert_one({"name": "first"})  # the collection exists before the transaction
    first, second = patient(), patient()
    with doctor.start_session() as session, session.start_transaction():
        patients.insert_one(first, session=session)
        patients.insert_one(second, session=session)
        assert patients.find_one({"ssn": first["ssn"]}, session=session) == first
        assert patients.count_documents({}) == 1, "seen outside before the commit"
    assert patients.find_one({"ssn": second["ssn"]}) == second
    for raw in stored.find():
        assert_sealed(raw, secrets.needles)


def test_an_aborted_transaction_leaves_nothing(doctor, patients, stored, patient):
    patients.insert_one({"name": "first"})
    with doctor.start_session() as session:
        session.start_transaction()
        patients.insert_one(patient(), session=session)
        session.abort_transaction()
    assert stored.count_documents({}) == 1


def test_a_refusal_inside_a_transaction_keeps_the_connection(doctor, patients, stored, patient):
    patients.insert_one({"name": "first"})
    with doctor.start_session() as session:
        with pytest.raises(OperationFailure), session.start_transaction():
            patients.insert_one(patient(), session=session)
            patients.find_one({"ssn": {"$gt": 1}}, session=session)
    assert stored.count_documents({}) == 1
    assert patients.find_one({"name": "first"}) is not None


def test_with_transaction(doctor, patients, patient):
    patients.insert_one({"name": "first"})
    document = patient()
    with doctor.start_session() as session:
        session.with_transaction(lambda s: patients.insert_one(document, session=s))
    assert patients.find_one({"ssn": document["ssn"]}) == document


def test_writes_are_retryable(stand, database, patient):
    """Goal: the driver sends txnNumber through fieldgate. Method: look at what it says it sent."""
    from pymongo import monitoring

    class Listener(monitoring.CommandListener):
        def __init__(self):
            self.commands = []

        def started(self, event):
            self.commands.append(dict(event.command))

        def succeeded(self, event):
            pass

        failed = succeeded

    listener = Listener()
    client = stand.client(stand.fieldgate.uri("doctors"), event_listeners=[listener])
    client[database].patients.insert_one(patient())
    assert any("txnNumber" in c for c in listener.commands if "insert" in c)


def test_a_retryable_write_survives_a_cut_connection(stand, doctor, patients, stored, patient):
    patients.insert_one(patient(n=0))
    stand.recorder.cut_connections()
    document = patient(n=1)
    patients.insert_one(document)
    assert stored.count_documents({"n": 1}) == 1
    assert patients.find_one({"ssn": document["ssn"]}) == document
