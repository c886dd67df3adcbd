"""More connections than descriptors, SIGTERM with work in flight, and clients that vanish."""

import resource
import signal
import socket
import threading
import time

import pytest
import wire
from processes import TIME_FACTOR, wait_until


def answers(connection):
    try:
        return connection.ask({"ping": 1, "$db": "admin"})["ok"] == 1
    except (ConnectionError, TimeoutError, OSError):
        return False


def test_more_connections_than_descriptors(stand):
    """Goal: at the descriptor limit new clients are turned away, the served ones stay, and room is used again."""
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))

    gateway = stand.start(name="few", preexec=few_descriptors)
    address = gateway.addresses["doctors"]
    first = wire.Connection(address, timeout=5 * TIME_FACTOR)
    assert answers(first)
    crowd = []
    for _ in range(300):
        try:
            crowd.append(socket.create_connection(address, timeout=5))
        except OSError:
            break
    time.sleep(0.5)
    assert gateway.running() and answers(first), gateway.log()[-3000:]
    for connection in crowd:
        connection.close()

    def served_again():
        with wire.Connection(address, timeout=5 * TIME_FACTOR) as late:
            return answers(late)

    wait_until(served_again, 10, "a connection after the crowd left")
    assert answers(first)
    assert any("connections" in str(e) or "descriptor" in str(e) for e in gateway.entries()), "nobody was told"
    first.socket.close()
    assert gateway.stop() == 0


def test_a_configured_connection_limit(stand):
    gateway = stand.start(name="limited", limits={"connections": 5})
    address = gateway.addresses["doctors"]
    served = [wire.Connection(address, timeout=5 * TIME_FACTOR) for _ in range(5)]
    assert all(answers(c) for c in served)
    with wire.Connection(address, timeout=5 * TIME_FACTOR) as sixth:
        assert not answers(sixth)
    assert all(answers(c) for c in served)
    served.pop().socket.close()

    def served_again():
        with wire.Connection(address, timeout=5 * TIME_FACTOR) as late:
            return answers(late)

    wait_until(served_again, 5, "a connection after one left")
    for connection in served:
        connection.socket.close()
    assert gateway.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_fieldgate_ends_at_once(stand, number):
    gateway = stand.start(name=f"idle-{number}")
    connection = wire.Connection(gateway.addresses["doctors"])
    assert answers(connection)
    started = time.monotonic()
    assert gateway.stop(number=number) == 0
    assert time.monotonic() - started < 5 * TIME_FACTOR, "idle clients held the drain up"
    connection.socket.close()


def test_a_drain_finishes_what_is_in_flight(stand, database, patient, stored):
    gateway = stand.start(name="draining")
    client = stand.client(gateway.uri("doctors", retryWrites="false"))
    client[database].patients.insert_one(patient(n=0))
    outcome = {}

    def insert():
        try:
            outcome["id"] = client[database].patients.insert_one(patient(n=1)).inserted_id
        except Exception as error:  # noqa: BLE001
            outcome["error"] = error

    worker = threading.Thread(target=insert)
    with stand.recorder.replies_held():
        worker.start()
        wait_until(lambda: stored.count_documents({"n": 1}) == 1, 10, "the insert at the server")
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not connectable(gateway.addresses["doctors"]), 5, "the listener's end")
        assert gateway.running(), "ended with a request in flight"
    worker.join(20 * TIME_FACTOR)
    assert "id" in outcome, outcome
    assert gateway.process.wait(20 * TIME_FACTOR) == 0


def connectable(address):
    try:
        with wire.Connection(address, timeout=2) as connection:
            return answers(connection)
    except OSError:
        return False


def test_a_drain_ends_at_its_limit(stand, database, stored):
    gateway = stand.start(name="impatient", limits={"drain": "1s"})
    connection = wire.Connection(gateway.addresses["doctors"])
    assert connection.ask({"insert": "patients", "documents": [{"name": "x"}], "$db": database})["ok"] == 1
    with stand.recorder.replies_held():
        connection.send(wire.op_msg({"insert": "patients", "documents": [{"name": "y"}], "$db": database}))
        wait_until(lambda: stored.count_documents({"name": "y"}) == 1, 10, "the insert at the server")
        started = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(15 * TIME_FACTOR)
        assert 0.5 < time.monotonic() - started < 10 * TIME_FACTOR
    connection.socket.close()


def test_clients_that_vanish_leave_nothing_behind(stand, database):
    gateway = stand.start(name="vanishing", limits={"connections": 20})
    for number in range(100):
        connection = wire.Connection(gateway.addresses["doctors"], timeout=10 * TIME_FACTOR)
        connection.send(wire.op_msg({"find": "patients", "filter": {"ssn": number}, "$db": database})[:number + 1 if number < 60 else None])
        connection.socket.close()
    wait_until(lambda: connectable(gateway.addresses["doctors"]), 10, "a connection after a hundred vanished")
    assert gateway.stop() == 0


def test_an_upstream_that_is_cut_ends_only_its_sessions(stand, doctor, database, patients, patient):
    patients.insert_one(patient())
    stand.recorder.cut_connections()
    assert wait_until(lambda: patients.find_one({"name": {"$exists": True}}) is not None, 10, "service after the cut")
    assert stand.fieldgate.running()
