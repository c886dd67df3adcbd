"""Change streams: events hold whole documents and changes by their dotted paths, and later stages ask for both."""

import pytest
from clinic import as_receptionists_see, assert_nothing_protected, assert_sealed, value_at
from refusal import UNAUTHORIZED, refused

WAIT_MS = 500  # how long the server holds a getMore that has no event yet


@pytest.fixture
def watched(patients, patient):
    """The collection exists, and holds somebody whom the streams do not tell of."""
    patients.insert_one(patient(name="before"))
    return patients


def watch(collection, *stages, **options):
    return collection.watch(list(stages), max_await_time_ms=WAIT_MS, **options)


def events_of(stream, count):
    """So many events, and no more."""
    found = [stream.next() for _ in range(count)]
    assert stream.try_next() is None
    return found


def test_every_kind_of_event(watched, desk, patient, secrets):
    first, replacement = {"_id": 1, **patient(name="first")}, {"_id": 1, **patient(name="replaced")}
    policy, email = secrets.number(), secrets.text("email")
    with watch(watched) as doctors, watch(desk) as receptionists:
        watched.insert_one(first)
        watched.update_one({"_id": 1}, {"$set": {"insurance.policyNumber": policy, "insurance.provider": "Other", "email": email, "ward": 3},
                                        "$unset": {"bloodType": ""}})
        watched.replace_one({"_id": 1}, replacement)
        watched.delete_one({"_id": 1})
        told, seen = events_of(doctors, 4), events_of(receptionists, 4)
    for events in (told, seen):
        assert [e["operationType"] for e in events] == ["insert", "update", "replace", "delete"]
        assert all(e["documentKey"] == {"_id": 1} for e in events)
        assert events[1]["updateDescription"]["removedFields"] == ["bloodType"]
    assert told[0]["fullDocument"] == first and told[2]["fullDocument"] == replacement
    assert told[1]["updateDescription"]["updatedFields"] == {
        "insurance.policyNumber": policy, "insurance.provider": "Other", "email": email, "ward": 3}
    assert_nothing_protected([without_ids(e) for e in seen], secrets)
    assert seen[0]["fullDocument"] == as_receptionists_see(first) and seen[2]["fullDocument"] == as_receptionists_see(replacement)
    assert seen[1]["updateDescription"]["updatedFields"] == {"insurance.provider": "Other", "ward": 3}


def without_ids(event):
    """Resume tokens are the server's own, and no BSON that is to be searched."""
    return {name: value for name, value in event.items() if name != "_id"}


def test_the_whole_document_after_an_update(watched, desk, patient, secrets):
    document = {"_id": 1, **patient()}
    watched.insert_one(document)
    with watch(watched, full_document="updateLookup") as doctors, watch(desk, full_document="updateLookup") as receptionists:
        watched.update_one({"_id": 1}, {"$set": {"insurance": {"policyNumber": document["insurance"]["policyNumber"]}, "ward": 2}})
        (told,), (seen,) = events_of(doctors, 1), events_of(receptionists, 1)
    assert told["fullDocument"] == {**document, "insurance": {"policyNumber": document["insurance"]["policyNumber"]}, "ward": 2}
    assert told["updateDescription"]["updatedFields"] == {"insurance": {"policyNumber": document["insurance"]["policyNumber"]}, "ward": 2}
    assert seen["fullDocument"] == {**as_receptionists_see(document), "insurance": {}, "ward": 2}
    assert seen["updateDescription"]["updatedFields"] == {"insurance": {}, "ward": 2}
    assert_nothing_protected(without_ids(seen), secrets)


def test_events_chosen_by_a_plain_field(watched, desk, patient, secrets):
    stage = {"$match": {"fullDocument.name": {"$regex": "^wan"}}}
    wanted, other = patient(name="wanted"), patient(name="other")
    with watch(watched, stage) as doctors, watch(desk, stage) as receptionists:
        watched.insert_many([other, wanted])
        (told,), (seen,) = events_of(doctors, 1), events_of(receptionists, 1)
    assert told["fullDocument"] == wanted
    assert seen["fullDocument"] == as_receptionists_see(wanted)
    assert_nothing_protected(without_ids(seen), secrets)


@pytest.mark.parametrize("path", ["ssn", "insurance.policyNumber"])
@pytest.mark.parametrize("make", [
    lambda path, value: {f"fullDocument.{path}": value}, lambda path, value: {f"fullDocument.{path}": {"$in": [5, value]}},
    lambda path, value: {"operationType": "insert", "$expr": {"$eq": [f"$fullDocument.{path}", value]}},
], ids=["equality", "$in", "$expr"])
def test_events_chosen_by_a_protected_field(watched, desk, patient, path, make):
    wanted, other = patient(), patient()
    stage = {"$match": make(path, value_at(wanted, path))}
    with watch(watched, stage) as doctors:
        watched.insert_many([other, wanted])
        (told,) = events_of(doctors, 1)
    assert told["fullDocument"] == wanted
    with refused(UNAUTHORIZED):
        watch(desk, stage)


def test_events_that_are_reshaped(watched, desk, patient, secrets):
    stage = {"$project": {"whole": "$fullDocument", "mail": "$fullDocument.email", "operationType": 1}}
    document = patient()
    with watch(watched, stage) as doctors, watch(desk, stage) as receptionists:
        watched.insert_one(document)
        (told,), (seen,) = events_of(doctors, 1), events_of(receptionists, 1)
    assert told["whole"] == document and told["mail"] == document["email"]
    assert seen["whole"] == as_receptionists_see(document) and "mail" not in seen
    assert_nothing_protected(without_ids(seen), secrets)


def test_a_stream_is_resumed(watched, patient):
    first, second = patient(), patient()
    with watch(watched) as stream:
        watched.insert_many([first, second])
        token = stream.next()["_id"]
    with watch(watched, resume_after=token) as stream:
        assert stream.next()["fullDocument"] == second


@pytest.mark.parametrize("stage", [
    {"$match": {"fullDocument.ssn": {"$gt": 1}}}, {"$match": {"fullDocument.email": "x"}}, {"$match": {"fullDocument.ssn": None}},
    {"$match": {"fullDocument": {"ssn": 5}}}, {"$match": {"updateDescription.updatedFields.bloodType": "AB+"}},
    {"$match": {"fullDocumentBeforeChange.ssn": {"$mod": [2, 0]}}}, {"$addFields": {"x": {"$add": ["$fullDocument.ssn", 1]}}},
    {"$match": {"$expr": {"$eq": ["$updateDescription.updatedFields", {"ssn": 5}]}}},
], ids=str)
def test_what_ciphertext_cannot_answer_is_refused(watched, desk, stage):
    for collection in (watched, desk):
        with refused():
            watch(collection, stage)


@pytest.fixture(params=["database", "deployment"])
def scope(request, database):
    return lambda client: client[database] if request.param == "database" else client


def test_streams_of_a_whole_database_or_deployment_show_what_is_stored(doctor, receptionist, watched, stored, scope, patient, secrets):
    """Their namespaces and schemas are known only event by event: nobody reads plaintext there, restricted roles read nothing."""
    with refused(UNAUTHORIZED):
        watch(scope(receptionist))
    with watch(scope(doctor), {"$match": {"ns.coll": "patients"}}) as stream:
        watched.insert_one({"_id": 1, **patient()})
        told = stream.next()
    assert told["fullDocument"] == stored.find_one({"_id": 1})
    assert_sealed(told["fullDocument"], secrets.needles)


def test_streams_of_a_whole_database_or_deployment_take_no_protected_values(doctor, watched, scope):
    """What is opposite to a field that some namespace may protect would arrive in plaintext, and find nothing."""
    with refused():
        watch(scope(doctor), {"$match": {"fullDocument.ssn": 145014000}})
