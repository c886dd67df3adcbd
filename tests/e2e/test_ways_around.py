"""Every way around the analysis: second namespaces, views, renames, UUIDs, the key vault, sections in another order."""

import pytest
import wire
from bson.binary import Binary
from refusal import refused


@pytest.fixture(params=["doctors", "receptionists"])
def port(request):
    return request.param


@pytest.fixture
def anyone(stand, port, database):
    """A database as either role sees it, with one unprotected document in `wards`."""
    db = stand.client(stand.fieldgate.uri(port))[database]
    stand.direct[database].wards.insert_one({"_id": 1, "ward": 1})
    return db


@pytest.mark.parametrize("stage", [
    {"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "x"}},
    {"$lookup": {"from": "patients", "pipeline": [], "as": "x"}},
    {"$unionWith": "patients"},
    {"$unionWith": {"coll": "patients", "pipeline": []}},
    {"$facet": {"x": [{"$unionWith": "patients"}]}},
    {"$graphLookup": {"from": "patients", "startWith": "$ward", "connectFromField": "ward", "connectToField": "ward", "as": "x"}},
    {"$lookup": {"from": "wards", "pipeline": [{"$lookup": {"from": "patients", "pipeline": [], "as": "y"}}], "as": "x"}},
    {"$out": "patients"}, {"$out": {"db": "medicalRecords", "coll": "patients"}},
    {"$merge": "patients"}, {"$merge": {"into": {"db": "medicalRecords", "coll": "patients"}}},
    {"$merge": {"into": "patients", "on": "_id"}},
], ids=str)
def test_a_pipeline_elsewhere_that_names_the_protected_collection(anyone, stage, three, stored):
    before = stored.count_documents({})
    with refused():
        list(anyone.wards.aggregate([stage]))
    assert stored.count_documents({}) == before
    assert list(anyone.wards.find()) == [{"_id": 1, "ward": 1}]


def test_a_pipeline_behind_other_fields_is_found(stand, database, three, port):
    """Goal: the pipeline is walked wherever it stands in the message."""
    with wire.Connection(stand.fieldgate.addresses[port]) as connection:
        reply = connection.ask({"aggregate": "wards", "cursor": {}, "$db": database, "comment": "x",
                                "pipeline": [{"$unionWith": "patients"}]})
        assert reply["ok"] == 0 and reply["codeName"], reply


@pytest.mark.parametrize("command", [
    {"create": "window", "viewOn": "patients", "pipeline": []},
    {"create": "window", "viewOn": "wards", "pipeline": [{"$unionWith": "patients"}]},
    {"collMod": "wards", "viewOn": "patients", "pipeline": []},
], ids=str)
def test_creating_a_view_over_the_protected_collection(anyone, command, direct, database):
    with refused():
        anyone.command(command)
    assert "window" not in direct[database].list_collection_names()


def test_reading_a_view_over_the_protected_collection(anyone, direct, database, three):
    direct[database].command({"create": "window", "viewOn": "patients", "pipeline": []})
    for ask in (lambda: list(anyone.window.find()), lambda: list(anyone.window.aggregate([])),
                lambda: anyone.window.count_documents({}), lambda: anyone.window.distinct("ssn")):
        with refused():
            ask()


@pytest.mark.parametrize("source, target", [("patients", "stolen"), ("wards", "patients")])
def test_renaming_to_or_from_a_protected_name(stand, anyone, direct, database, three, source, target):
    with refused():
        anyone.client.admin.command({"renameCollection": f"{database}.{source}", "to": f"{database}.{target}", "dropTarget": True})
    assert set(direct[database].list_collection_names()) >= {"patients", "wards"}


@pytest.mark.parametrize("command", [
    {"cloneCollectionAsCapped": "patients", "toCollection": "copy", "size": 100000},
    {"convertToCapped": "patients", "size": 100000},
], ids=str)
def test_cloning_the_protected_collection(anyone, command, three, direct, database):
    with refused():
        anyone.command(command)
    assert "copy" not in direct[database].list_collection_names()


def test_apply_ops_on_the_protected_collection(anyone, database, stored):
    with refused():
        anyone.client.admin.command({"applyOps": [{"op": "i", "ns": f"{database}.patients", "o": {"_id": 1, "ssn": 5}}]})
    assert stored.count_documents({}) == 0


def test_a_collection_by_uuid(anyone, direct, database, three):
    info = next(i for i in direct[database].list_collections() if i["name"] == "patients")
    uuid = Binary.from_uuid(info["info"]["uuid"]) if not isinstance(info["info"]["uuid"], Binary) else info["info"]["uuid"]
    for command in ({"find": uuid, "filter": {}}, {"count": uuid}, {"aggregate": uuid, "pipeline": [], "cursor": {}}):
        with refused():
            anyone.command(command)


@pytest.mark.parametrize("command", [
    {"find": "__keyVault"}, {"aggregate": "__keyVault", "pipeline": [], "cursor": {}}, {"count": "__keyVault"},
    {"delete": "__keyVault", "deletes": [{"q": {}, "limit": 0}]}, {"drop": "__keyVault"},
    {"update": "__keyVault", "updates": [{"q": {}, "u": {"$set": {"status": 1}}}]},
], ids=lambda c: next(iter(c)))
def test_the_key_vault_is_closed(stand, receptionist, direct, command):
    before = list(direct.encryption["__keyVault"].find())
    with refused():
        receptionist.encryption.command(command)
    assert list(direct.encryption["__keyVault"].find()) == before and before


@pytest.mark.parametrize("namespace", ["local.oplog.rs", "config.transactions"])
def test_system_databases_are_closed_to_restricted_roles(receptionist, namespace):
    db, collection = namespace.split(".", 1)
    with refused():
        receptionist[db][collection].find_one()


def test_the_profile_collection_is_closed_to_restricted_roles(receptionist, database):
    with refused():
        receptionist[database]["system.profile"].find_one()


def test_a_sequence_before_the_body_is_still_analysed(stand, database, stored, patient, secrets):
    from clinic import assert_sealed
    document = patient()
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask(wire.sequence_section("documents", [document]),
                               wire.body_section({"insert": "patients", "$db": database}))
        if reply["ok"] == 1:
            assert reply["n"] == 1
            assert_sealed(stored.find_one(), secrets.needles)
        else:
            assert reply["codeName"] and stored.count_documents({}) == 0
        assert connection.ask({"ping": 1, "$db": "admin"})["ok"] == 1


@pytest.mark.parametrize("sections", [
    [wire.sequence_section("documents", [{"ssn": 1}]), wire.sequence_section("documents", [{"ssn": 2}])],
    [wire.sequence_section("surprise", [{"ssn": 1}])],
    [wire.sequence_section("updates", [{"q": {}, "u": {"ssn": 1}}])],
], ids=["documents twice", "an unknown sequence", "the sequence of another command"])
def test_a_sequence_that_the_command_does_not_have(stand, database, stored, sections):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        connection.send(wire.op_msg({"insert": "patients", "$db": database}, *sections))
        try:
            reply = connection.receive().body
        except ConnectionError:
            return  # closed: as good
        assert reply["ok"] == 0 and reply["codeName"], reply
    assert stored.count_documents({}) == 0


@pytest.mark.parametrize("body", [
    {"insert": "patients", "documents": [{"ssn": 1}]},
    {"insert": 5, "documents": [{"ssn": 1}], "$db": "medicalRecords"},
    {"insert": "patients", "documents": [{"ssn": 1}], "$db": 5},
    {"insert": "patients", "documents": [{"ssn": 1}], "$db": ""},
    {"insert": "pati\0ents", "documents": [{"ssn": 1}], "$db": "medicalRecords"},
    {},
], ids=str)
def test_a_command_without_a_clear_namespace(stand, body, direct):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        connection.send(wire.op_msg(body))
        try:
            reply = connection.receive().body
        except ConnectionError:
            return
        assert reply["ok"] == 0 and reply["codeName"], reply


def test_a_body_field_and_a_sequence_of_one_name(stand, database, stored):
    with wire.Connection(stand.fieldgate.addresses["doctors"]) as connection:
        reply = connection.ask({"insert": "patients", "$db": database, "documents": [{"ssn": 1}]},
                               wire.sequence_section("documents", [{"ssn": 2}]))
        assert reply["ok"] == 0 and reply["codeName"], reply
    assert stored.count_documents({}) == 0


def test_bson_in_the_wrong_case_is_another_command(doctor, database, stored):
    with refused():
        doctor[database].command({"Insert": "patients", "documents": [{"ssn": 1}]})
    assert stored.count_documents({}) == 0


def test_list_collections_passes(doctor, database, three):
    assert doctor[database].list_collection_names() == ["patients"]
