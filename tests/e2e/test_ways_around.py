"""Every way around the analysis: second namespaces, views, renames, UUIDs, the key vault, sections in another order."""

import pytest
import wire
from bson.binary import Binary
from clinic import as_receptionists_see, assert_nothing_protected
from refusal import UNAUTHORIZED, refused

WARD = {"_id": 1, "ward": 1}


@pytest.fixture(params=["doctors", "receptionists"])
def port(request):
    return request.param


@pytest.fixture
def anyone(stand, port, database):
    """A database as either role sees it, with one unprotected document in `wards`."""
    db = stand.client(stand.fieldgate.uri(port))[database]
    stand.direct[database].wards.insert_one(dict(WARD))
    return db


@pytest.fixture
def shown(port, three):
    """The three patients as the role of this port may see them."""
    return three if port == "doctors" else [as_receptionists_see(patient) for patient in three]


# A stage on `wards`, which is not protected, and the documents that it makes of the three patients.
@pytest.mark.parametrize("stage, expected", [
    ({"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "x"}}, lambda a, b, c: [{**WARD, "x": [b]}]),
    ({"$lookup": {"from": "patients", "pipeline": [], "as": "x"}}, lambda *all: [{**WARD, "x": [*all]}]),
    ({"$lookup": {"from": "patients", "let": {"w": "$ward"}, "pipeline": [{"$match": {"$expr": {"$gt": ["$ward", "$$w"]}}}], "as": "x"}},
     lambda a, b, c: [{**WARD, "x": [c]}]),
    ({"$unionWith": "patients"}, lambda *all: [WARD, *all]),
    ({"$unionWith": {"coll": "patients", "pipeline": []}}, lambda *all: [WARD, *all]),
    ({"$facet": {"x": [{"$unionWith": "patients"}], "y": []}}, lambda *all: [{"x": [WARD, *all], "y": [WARD]}]),
    ({"$graphLookup": {"from": "patients", "startWith": "$ward", "connectFromField": "ward", "connectToField": "ward", "as": "x"}},
     lambda a, b, c: [{**WARD, "x": [b]}]),
    ({"$lookup": {"from": "wards", "pipeline": [{"$lookup": {"from": "patients", "pipeline": [], "as": "y"}}], "as": "x"}},
     lambda *all: [{**WARD, "x": [{**WARD, "y": [*all]}]}]),
], ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_pipeline_elsewhere_that_reads_the_protected_collection(anyone, stage, expected, shown, three, stored, secrets, port):
    """Doctors see of patients what they see of them in their own collection, wherever a join puts them. The cursor bears the name of a
    collection without a schema, so nobody could tell later batches from others: restricted roles join from the other side, or without
    encrypted fields."""
    if port == "doctors":
        assert list(anyone.wards.aggregate([stage])) == expected(*shown)
    else:
        with refused(UNAUTHORIZED):
            list(anyone.wards.aggregate([stage]))
    assert list(anyone.wards.find()) == [WARD]


def test_a_join_elsewhere_of_plain_fields_is_for_everybody(anyone, three, shown, secrets):
    names = {"$lookup": {"from": "patients", "pipeline": [{"$project": {"_id": 0, "name": 1}}], "as": "x"}}
    found = list(anyone.wards.aggregate([names]))
    assert found == [{**WARD, "x": [{"name": patient["name"]} for patient in three]}]
    assert_nothing_protected(found, secrets)
    # From the side of the patients their own schema goes with the cursor.
    found = list(anyone.patients.aggregate([{"$lookup": {"from": "wards", "pipeline": [], "as": "x"}}]))
    assert found == [{**patient, "x": [WARD]} for patient in shown]


@pytest.mark.parametrize("stage", [
    {"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ssn", "as": "x"}},
    {"$lookup": {"from": "patients", "pipeline": [{"$match": {"email": "x"}}], "as": "x"}},
    {"$lookup": {"from": "patients", "pipeline": [{"$sort": {"ssn": 1}}], "as": "x"}},
    {"$lookup": {"from": "patients", "let": {"w": "$ward"}, "pipeline": [{"$match": {"$expr": {"$eq": ["$ssn", "$$w"]}}}], "as": "x"}},
    {"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"ssn": {"$gt": 1}}}]}},
    {"$facet": {"x": [{"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"medicalRecords.weight": 180}}]}}]}},
    {"$graphLookup": {"from": "patients", "startWith": "$ward", "connectFromField": "ward", "connectToField": "ssn", "as": "x"}},
    {"$out": "patients"}, {"$out": {"db": "medicalRecords", "coll": "patients"}},
    {"$merge": "patients"}, {"$merge": {"into": {"db": "medicalRecords", "coll": "patients"}}},
    {"$merge": {"into": "patients", "on": "_id"}},
], ids=str)
def test_a_pipeline_elsewhere_that_ciphertext_cannot_serve(anyone, stage, three, stored):
    before = list(stored.find())
    with refused():
        list(anyone.wards.aggregate([stage]))
    assert list(stored.find()) == before
    assert list(anyone.wards.find()) == [WARD]


def test_patients_joined_elsewhere_do_not_leave_for_an_unprotected_collection(anyone, three, direct, database):
    join = {"$lookup": {"from": "patients", "pipeline": [], "as": "x"}}
    for store in ({"$out": "loot"}, {"$merge": "loot"}, {"$merge": {"into": {"db": "elsewhere", "coll": "loot"}}}):
        for first in (join, {"$unionWith": "patients"}):
            with refused():
                list(anyone.wards.aggregate([first, store]))
    assert "loot" not in direct[database].list_collection_names() and "elsewhere" not in direct.list_database_names()


def test_a_pipeline_elsewhere_that_asks_for_protected_values(anyone, three, port):
    """Goal: a role that may not query by a field may not do so from another collection either."""
    ssn = three[1]["ssn"]
    asked = [
        {"$lookup": {"from": "patients", "pipeline": [{"$match": {"ssn": ssn}}], "as": "x"}},
        {"$lookup": {"from": "patients", "pipeline": [{"$match": {"$expr": {"$eq": ["$ssn", ssn]}}}], "as": "x"}},
        {"$lookup": {"from": "patients", "pipeline": [{"$match": {"$or": [{"ssn": {"$in": [ssn]}}]}}], "as": "x"}},
        {"$graphLookup": {"from": "patients", "startWith": ssn, "connectFromField": "ssn", "connectToField": "ssn", "as": "x"}},
        {"$graphLookup": {"from": "patients", "startWith": "$ward", "connectFromField": "ward", "connectToField": "ward", "as": "x",
                          "restrictSearchWithMatch": {"ssn": ssn}}}]
    for stage in asked:
        if port == "doctors":
            assert list(anyone.wards.aggregate([stage])) == [{**WARD, "x": [three[1]]}], stage
        else:
            with refused(UNAUTHORIZED):
                list(anyone.wards.aggregate([stage]))


def test_a_pipeline_of_no_collection(anyone, three, shown, secrets, port):
    """Documents that the client makes up, joined with the protected collection."""
    made_up = {"$documents": [{"ward": 1, "x": three[1]["ward"]}]}
    join = {"aggregate": 1, "cursor": {}, "pipeline": [
        made_up, {"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "there"}}]}
    if port == "doctors":
        assert anyone.command(join)["cursor"]["firstBatch"] == [{"ward": 1, "x": 1, "there": [shown[1]]}]
    else:
        with refused(UNAUTHORIZED):
            anyone.command(join)
    for stages in ([{"$documents": [{"x": 145014000}]}, {"$lookup": {"from": "patients", "localField": "x", "foreignField": "ssn", "as": "there"}}],
                   [{"$documents": [{"ssn": 145014000}]}, {"$unionWith": "patients"}, {"$match": {"ssn": 145014000}}],
                   [{"$documents": [{"ssn": 145014000}]}, {"$out": "patients"}], [{"$documents": [{"ssn": 145014000}]}, {"$merge": "patients"}]):
        with refused():
            anyone.command({"aggregate": 1, "cursor": {}, "pipeline": stages})


def test_a_pipeline_behind_other_fields_is_found(stand, database, three, port, anyone, shown):
    """Goal: the pipeline is walked wherever it stands in the message."""
    with wire.Connection(stand.fieldgate.addresses[port]) as connection:
        reply = connection.ask({"aggregate": "wards", "cursor": {}, "$db": database, "comment": "x",
                                "pipeline": [{"$unionWith": "patients"}]})
        if port == "doctors":
            assert reply["ok"] == 1 and reply["cursor"]["firstBatch"] == [WARD, *shown], reply
        else:
            assert reply["ok"] == 0 and reply["code"] == UNAUTHORIZED, reply
        reply = connection.ask({"aggregate": "wards", "cursor": {}, "$db": database, "comment": "x",
                                "pipeline": [{"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"ssn": {"$gt": 1}}}]}}]})
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
