"""A server that answers fieldgate's own questions with what is no message: an error for clients, never the end of it."""

import struct

import clinic
import pytest
import scripted_members
import wire
from conftest import client_of
from processes import Fieldgate, TIME_FACTOR, wait_until
from pymongo.errors import PyMongoError
from scripted_members import ScriptedMembers

HELLOS = ("hello", "isMaster", "ismaster")


@pytest.fixture
def members(stand):
    members = ScriptedMembers([stand.key_document()])
    yield members
    members.close()


@pytest.fixture
def gateway(members, stand, tmp_path):
    config = clinic.config(members.uri, stand.key_file)
    config["upstream"]["election_wait"] = "2s"
    gateway = Fieldgate(config, tmp_path)
    yield gateway
    gateway.stop()


def no_body(request, _):
    return wire.frame(wire.OP_MSG, b"\0\0\0\0", response_to=request.request_id)


def wrong_opcode(request, sound):
    other = wire.OP_REPLY if request.opcode == wire.OP_MSG else wire.OP_MSG
    return sound[:12] + struct.pack("<i", other) + sound[16:]


def too_long(_, sound):
    return struct.pack("<i", 0x7FFFFFFF) + sound[4:]


def too_short(_, sound):
    return struct.pack("<i", 3) + sound[4:]


def torn_document(_, sound):
    return sound[:-1] + b"\1"


@pytest.mark.parametrize("spoil", [no_body, wrong_opcode, too_long, too_short, torn_document], ids=lambda f: f.__name__)
@pytest.mark.parametrize("commands", [("listCollections",), ("find",), HELLOS], ids=["listCollections", "find", "hello"])
def test_fieldgate_outlives(members, gateway, patient, monkeypatch, commands, spoil):
    sound_frame = scripted_members.Member.frame
    spoiled = []

    def frame(request, reply):
        sound = sound_frame(request, reply)
        if next(iter(request.command())) not in commands:
            return sound
        spoiled.append(commands)
        return spoil(request, sound)

    monkeypatch.setattr(scripted_members.Member, "frame", staticmethod(frame))
    with client_of(gateway.uri("doctors"), retryWrites=False, serverSelectionTimeoutMS=int(3000 * TIME_FACTOR)) as client:
        if commands == HELLOS:
            wait_until(lambda: len(spoiled) >= 4, 10, "several spoiled hellos")
        with pytest.raises(PyMongoError):
            client.medicalRecords.patients.insert_one({"_id": 1, **patient()})
            client.medicalRecords.wards.insert_one({"_id": 1})
        assert spoiled, "it was never asked"
        assert gateway.running()
        monkeypatch.undo()

        def works():
            try:
                return client.medicalRecords.patients.insert_one({"_id": 2, **patient()}).acknowledged
            except PyMongoError:
                return False

        wait_until(works, 20, "service by a server that has come to its senses")
    assert gateway.running()
