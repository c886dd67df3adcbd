"""Presentation `gateway`: a mongos without addresses, whoever asks and however."""

import pytest
import wire

HIDDEN = {"hosts", "passives", "arbiters", "me", "primary", "setName", "setVersion", "electionId", "topologyVersion",
          "serviceId", "lastWrite", "secondary", "tags"}


def check_hello(reply, stand):
    assert reply["ok"] == 1 and reply["msg"] == "isdbgrid", reply
    assert reply.get("isWritablePrimary", reply.get("ismaster")) is True
    assert not HIDDEN & set(reply), HIDDEN & set(reply)
    assert reply["maxBsonObjectSize"] == 16777216 and reply["maxWriteBatchSize"] == 100000
    assert 16777216 < reply["maxMessageSizeBytes"] <= 48000000
    assert reply["minWireVersion"] == 0 and 8 <= reply["maxWireVersion"] <= 27
    assert reply["logicalSessionTimeoutMinutes"] == 30 and "localTime" in reply and "connectionId" in reply
    assert str(stand.recorder.address[1]) not in str(reply) and str(stand.server.port) not in str(reply)
    assert not reply.get("compression")


@pytest.mark.parametrize("name", ["hello", "isMaster", "ismaster"])
@pytest.mark.parametrize("listener", ["doctors", "receptionists"])
def test_hello_in_op_msg(stand, listener, name):
    with wire.Connection(stand.fieldgate.addresses[listener]) as connection:
        check_hello(connection.ask({name: 1, "$db": "admin"}), stand)
        check_hello(connection.ask({name: 1, "$db": "admin", "client": {"driver": {"name": "x", "version": "1"}},
                                    "compression": ["zlib", "snappy"], "helloOk": True}), stand)


@pytest.mark.parametrize("name", ["isMaster", "ismaster", "hello"])
def test_hello_in_op_query(stand, name):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        connection.send(wire.op_query("admin.$cmd", {name: 1, "helloOk": True}, request_id=77))
        reply = connection.receive()
        assert reply.opcode == wire.OP_REPLY and reply.response_to == 77
        assert reply.flags & 8, "AwaitCapable"
        check_hello(reply.body, stand)
        assert name == "hello" or (reply.body["ismaster"] is True and reply.body["helloOk"] is True)


def test_hello_inside_a_query_wrapper(stand):
    """Old drivers talking to a mongos wrap commands."""
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        connection.send(wire.op_query("admin.$cmd", {"$query": {"isMaster": 1}, "$readPreference": {"mode": "secondaryPreferred"}}))
        check_hello(connection.receive().body, stand)


def test_an_awaitable_hello_is_not_left_hanging(stand):
    from bson import Int64, ObjectId
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"hello": 1, "$db": "admin", "maxAwaitTimeMS": 200,
                                "topologyVersion": {"processId": ObjectId(), "counter": Int64(1)}}, flags=wire.EXHAUST_ALLOWED)
        assert reply.get("msg") == "isdbgrid" or reply["ok"] == 0, reply
        assert connection.ask({"ping": 1, "$db": "admin"})["ok"] == 1


def test_load_balanced_mode_is_refused_by_name(stand):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"hello": 1, "loadBalanced": True, "$db": "admin"})
        assert reply["ok"] == 0 and "loadBalanced" in reply["errmsg"], reply


def test_a_driver_learns_no_upstream_address(stand, doctor):
    doctor.admin.command("ping")
    description = doctor.topology_description
    assert {(s.server_type_name) for s in description.server_descriptions().values()} == {"Mongos"}
    assert set(description.server_descriptions()) == {stand.fieldgate.addresses["doctors"]}


def test_hello_costs_no_upstream_connection(stand):
    """Goal: monitors cost nothing upstream. Method: a gateway whose recorder is counted while hellos are asked."""
    before = len(stand.recorder.files_to_server())
    connections = [wire.Connection(stand.fieldgate.addresses["doctors"]) for _ in range(40)]
    for connection in connections:
        check_hello(connection.ask({"hello": 1, "$db": "admin"}), stand)
    # fieldgate's own monitoring may open one; forty would be one for each.
    assert len(stand.recorder.files_to_server()) - before < 10
    for connection in connections:
        connection.socket.close()


def test_a_client_that_insists_on_a_replica_set_never_gets_past_the_proxy(stand):
    from pymongo.errors import ServerSelectionTimeoutError
    client = stand.client(stand.fieldgate.uri("doctors", replicaSet="secantus"), serverSelectionTimeoutMS=1500)
    with pytest.raises(ServerSelectionTimeoutError):
        client.admin.command("ping")


def test_a_unix_socket_serves_the_clinic(stand, tmp_path_factory, database, patient):
    path = tmp_path_factory.mktemp("unix") / "doctors.sock"
    gateway = stand.start(name="unix", listeners=[{"name": "doctors", "address": f"unix:{path}", "role": "doctor"}])
    patients = stand.client(gateway.uri("doctors"))[database].patients
    document = patient()
    patients.insert_one(document)
    assert patients.find_one({"ssn": document["ssn"]}) == document
    assert gateway.stop() == 0
    assert not path.exists(), "the socket's file is left behind"
