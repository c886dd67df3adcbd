"""Pipelines that move, group and join protected fields: doctors read them wherever they went, receptionists nowhere."""

import pytest
from clinic import as_receptionists_see, assert_nothing_protected, assert_sealed
from refusal import UNAUTHORIZED, refused


@pytest.fixture
def twins(patients, patient):
    """Four patients in two wards; two of them are one person, with one ssn and one policy."""
    first = patient(name="Patient A", ward=0)
    same = {**patient(name="Patient B", ward=1), "ssn": first["ssn"], "insurance": dict(first["insurance"])}
    documents = [first, same, patient(name="Patient C", ward=0), patient(name="Patient D", ward=1)]
    patients.insert_many(documents)
    return documents


def without(document, *names):
    return {name: value for name, value in document.items() if name not in names}


# A pipeline, and what it makes of the three patients for those who may read everything. Receptionists get the same
# without the names in `lost`, which are those that the values of protected fields moved to.
RESHAPING = [
    ([{"$project": {"_id": 0, "name": 1, "copy": "$ssn"}}], lambda d: {"name": d["name"], "copy": d["ssn"]}, ["copy"]),
    ([{"$addFields": {"copy": "$email"}}], lambda d: {**d, "copy": d["email"]}, ["copy"]),
    ([{"$set": {"copy": "$insurance"}}, {"$unset": ["insurance", "email"]}],
     lambda d: {**without(d, "insurance", "email"), "copy": d["insurance"]}, ["copy.policyNumber"]),
    ([{"$replaceRoot": {"newRoot": "$insurance"}}], lambda d: d["insurance"], ["policyNumber"]),
    ([{"$replaceWith": {"of": "$name", "all": "$$ROOT"}}], lambda d: {"of": d["name"], "all": d},
     ["all." + path for path in ("ssn", "insurance.policyNumber", "bloodType", "medicalRecords", "dateOfBirth", "email")]),
    ([{"$project": {"_id": 0, "contact": {"mail": "$email", "name": "$name"}}}], lambda d: {"contact": {"mail": d["email"], "name": d["name"]}},
     ["contact.mail"]),
    ([{"$project": {"_id": 0, "x": {"$let": {"vars": {"v": "$bloodType"}, "in": "$$v"}}, "ward": 1}}],
     lambda d: {"ward": d["ward"], "x": d["bloodType"]}, ["x"]),
    ([{"$project": {"_id": 0, "x": {"$cond": [{"$gt": ["$ward", 0]}, "$email", "$bloodType"]}}}],
     lambda d: {"x": d["email"] if d["ward"] else d["bloodType"]}, ["x"]),
    ([{"$group": {"_id": "$ward", "first": {"$first": "$dateOfBirth"}}}], lambda d: {"_id": d["ward"], "first": d["dateOfBirth"]}, ["first"]),
    ([{"$group": {"_id": "$ward", "all": {"$push": "$email"}}}, {"$unwind": "$all"}], lambda d: {"_id": d["ward"], "all": d["email"]}, None),
]


def lose(document, path):
    name, _, below = path.partition(".")
    if below:
        return {**document, name: lose(document[name], below)}
    return without(document, name)


def in_any_order(documents):
    return sorted(documents, key=repr)


@pytest.mark.parametrize("pipeline, made, lost", RESHAPING, ids=[str(each[0]) for each in RESHAPING])
def test_fields_that_a_pipeline_moves(patients, desk, three, secrets, pipeline, made, lost):
    expected = [made(document) for document in three]
    assert in_any_order(patients.aggregate(pipeline)) == in_any_order(expected)
    seen = list(desk.aggregate(pipeline))
    assert_nothing_protected(seen, secrets)
    if lost is None:
        return  # how many elements are left of an array of nothing is not the question
    for path in lost:
        expected = [lose(document, path) for document in expected]
    assert in_any_order(seen) == in_any_order([as_receptionists_see(document) for document in expected])


def test_a_filter_after_a_stage_that_moved_the_field(patients, desk, three):
    for pipeline in ([{"$project": {"name": 1, "copy": "$ssn"}}, {"$match": {"copy": three[1]["ssn"]}}],
                     [{"$replaceWith": {"name": "$name", "deep": "$insurance"}},
                      {"$match": {"deep.policyNumber": {"$in": [three[1]["insurance"]["policyNumber"]]}}}],
                     [{"$unset": "email"}, {"$match": {"$expr": {"$eq": [three[1]["ssn"], "$ssn"]}}}]):
        assert [d["name"] for d in patients.aggregate(pipeline)] == ["Patient B"], pipeline
        with refused(UNAUTHORIZED):
            list(desk.aggregate(pipeline))
    with refused():
        list(patients.aggregate([{"$project": {"copy": "$ssn"}}, {"$match": {"copy": {"$gt": 1}}}]))
    with refused():
        list(patients.aggregate([{"$project": {"copy": "$email"}}, {"$match": {"copy": three[1]["email"]}}]))
    with refused(words="not known until runtime"):
        list(patients.aggregate([{"$project": {"copy": {"$cond": ["$ward", "$ssn", "$ward"]}}}, {"$match": {"copy": 1}}]))


@pytest.mark.parametrize("make", [
    lambda ssn: {"$eq": ["$ssn", ssn]}, lambda ssn: {"$eq": [ssn, "$$ROOT.ssn"]}, lambda ssn: {"$in": ["$ssn", [5, ssn]]},
    lambda ssn: {"$eq": ["$ssn", {"$literal": ssn}]}, lambda ssn: {"$cond": [{"$ne": ["$ssn", ssn]}, False, True]},
    lambda ssn: {"$let": {"vars": {"s": "$ssn"}, "in": {"$eq": ["$$s", ssn]}}},
], ids=["$eq", "constant first", "$in", "$literal", "$cond", "$let"])
def test_expressions_that_compare_a_protected_field(patients, desk, stored, three, make):
    expression = make(three[1]["ssn"])
    assert patients.find_one({"$expr": expression}) == three[1]
    assert patients.count_documents({"$expr": expression}) == 1
    assert list(patients.aggregate([{"$match": {"$expr": expression}}])) == [three[1]]
    known = list(patients.aggregate([{"$sort": {"ward": 1}}, {"$project": {"_id": 0, "known": expression}}]))
    assert known == [{"known": False}, {"known": True}, {"known": False}]
    assert patients.update_many({"$expr": expression}, {"$set": {"seen": 1}}).modified_count == 1
    assert [d["ward"] for d in stored.find({"seen": 1})] == [1]
    for ask in (lambda: desk.find_one({"$expr": expression}), lambda: desk.update_one({"$expr": expression}, {"$set": {"seen": 2}}),
                lambda: list(desk.aggregate([{"$project": {"known": expression}}])),
                lambda: list(desk.aggregate([{"$match": {"$expr": expression}}]))):
        with refused(UNAUTHORIZED):
            ask()


def test_groups_by_a_deterministic_field(patients, desk, twins):
    a, b, c, d = twins
    group = {"$group": {"_id": "$ssn", "emails": {"$push": "$email"}, "policies": {"$addToSet": "$insurance.policyNumber"},
                        "n": {"$sum": 1}}}
    found = {g["_id"]: g for g in patients.aggregate([{"$sort": {"_id": 1}}, group])}
    assert found.keys() == {a["ssn"], c["ssn"], d["ssn"]}
    assert found[a["ssn"]] == {"_id": a["ssn"], "emails": [a["email"], b["email"]], "policies": [a["insurance"]["policyNumber"]], "n": 2}
    assert found[c["ssn"]]["emails"] == [c["email"]] and found[d["ssn"]]["n"] == 1
    compound = {"$group": {"_id": {"s": "$ssn", "w": "$ward"}, "names": {"$push": "$name"}}}
    assert in_any_order(patients.aggregate([compound])) == in_any_order(
        [{"_id": {"s": d["ssn"], "w": d["ward"]}, "names": [d["name"]]} for d in twins])
    assert list(patients.aggregate([group, {"$match": {"_id": a["ssn"]}}, {"$project": {"_id": 0, "n": 1}}])) == [{"n": 2}]
    assert [each["count"] for each in patients.aggregate([{"$sortByCount": "$ssn"}, {"$limit": 1}])] == [2]
    for stage in (group, compound, {"$sortByCount": "$ssn"}, {"$group": {"_id": "$ward", "s": {"$addToSet": "$ssn"}}}):
        with refused(UNAUTHORIZED):
            list(desk.aggregate([stage]))
    with refused(words="not known until runtime"):
        list(patients.aggregate([group, {"$match": {"policies": 5}}]))


def test_groups_collect_protected_fields(patients, desk, twins, secrets):
    stage = {"$group": {"_id": "$ward", "emails": {"$push": "$email"}, "whole": {"$push": "$$ROOT"}, "n": {"$sum": 1}}}
    by_ward = {0: [twins[0], twins[2]], 1: [twins[1], twins[3]]}
    sort = [{"$sort": {"name": 1}}]
    assert {g["_id"]: g for g in patients.aggregate([*sort, stage])} == {
        ward: {"_id": ward, "emails": [d["email"] for d in group], "whole": group, "n": 2} for ward, group in by_ward.items()}
    seen = {g["_id"]: g for g in desk.aggregate([*sort, stage])}
    assert_nothing_protected(list(seen.values()), secrets)
    for ward, group in by_ward.items():
        assert seen[ward]["whole"] == [as_receptionists_see(d) for d in group] and seen[ward]["n"] == 2


def test_facets(patients, desk, three, secrets):
    facets = {"$facet": {"of": [{"$match": {"ssn": three[1]["ssn"]}}], "copies": [{"$sort": {"ward": 1}}, {"$project": {"_id": 0, "c": "$email"}}],
                         "n": [{"$count": "n"}]}}
    assert list(patients.aggregate([facets])) == [{"of": [three[1]], "copies": [{"c": d["email"]} for d in three], "n": [{"n": 3}]}]
    with refused(UNAUTHORIZED):
        list(desk.aggregate([facets]))
    facets["$facet"]["of"] = [{"$match": {"ward": 1}}]
    seen = list(desk.aggregate([facets]))
    assert_nothing_protected(seen, secrets)
    assert seen == [{"of": [as_receptionists_see(three[1])], "copies": [{}, {}, {}], "n": [{"n": 3}]}]


def test_a_collection_joined_with_itself(patients, desk, twins, secrets):
    """Goal: equal ciphertexts of one field meet, by localField, by variables and by graph, under whatever name."""
    names = {a["name"]: [b["name"] for b in twins if b["ssn"] == a["ssn"]] for a in twins}
    by_field = {"from": "patients", "localField": "ssn", "foreignField": "ssn", "as": "same"}
    by_variable = {"from": "patients", "let": {"s": "$ssn", "me": "$name"}, "as": "same", "pipeline": [
        {"$match": {"$expr": {"$and": [{"$eq": ["$ssn", "$$s"]}, {"$lte": ["$ward", 1]}]}}},
        {"$sort": {"name": 1}}, {"$project": {"name": 1, "ssn": 1, "of": "$$me", "theirs": "$$s"}}]}
    graph = {"from": "patients", "startWith": "$ssn", "connectFromField": "ssn", "connectToField": "ssn", "as": "same"}
    for stage in ({"$lookup": by_field}, {"$lookup": by_variable}, {"$graphLookup": graph}):
        found = list(patients.aggregate([{"$sort": {"name": 1}}, stage]))
        assert {d["name"]: sorted(s["name"] for s in d["same"]) for d in found} == names, stage
        assert all(s["ssn"] == d["ssn"] for d in found for s in d["same"])
        with refused(UNAUTHORIZED):
            list(desk.aggregate([stage]))
    found = list(patients.aggregate([{"$lookup": by_variable}, {"$unwind": "$same"}, {"$match": {"same.ssn": twins[0]["ssn"], "same.theirs": twins[0]["ssn"]}}]))
    assert sorted((d["name"], d["same"]["of"]) for d in found) == [("Patient A",) * 2] * 2 + [("Patient B",) * 2] * 2
    with refused(words="not known until runtime"):
        list(patients.aggregate([{"$lookup": by_field}, {"$match": {"same.ssn": twins[0]["ssn"]}}]))


def test_a_join_on_plain_fields_with_a_pipeline(patients, desk, three, secrets):
    stage = {"$lookup": {"from": "patients", "let": {"w": "$ward"}, "as": "next", "pipeline": [
        {"$match": {"$expr": {"$eq": ["$ward", {"$add": ["$$w", 1]}]}}}, {"$project": {"name": 1, "mail": "$email"}}]}}
    nexts = {d["ward"]: [{"_id": n["_id"], "name": n["name"], "mail": n["email"]} for n in three if n["ward"] == d["ward"] + 1] for d in three}
    assert list(patients.aggregate([{"$sort": {"ward": 1}}, stage])) == [{**d, "next": nexts[d["ward"]]} for d in three]
    seen = list(desk.aggregate([{"$sort": {"ward": 1}}, stage]))
    assert_nothing_protected(seen, secrets)
    assert seen == [{**as_receptionists_see(d), "next": [without(n, "mail") for n in nexts[d["ward"]]]} for d in three]


def test_a_union_with_an_unprotected_collection(patients, desk, direct, database, three, secrets):
    direct[database].wards.insert_one({"_id": 1, "ssn": "plain", "name": "Ward"})
    pipeline = [{"$unionWith": "wards"}]
    assert list(patients.aggregate(pipeline)) == [*three, {"_id": 1, "ssn": "plain", "name": "Ward"}]
    seen = list(desk.aggregate(pipeline))
    assert_nothing_protected(seen, secrets)
    assert [d.get("name") for d in seen] == ["Patient A", "Patient B", "Patient C", "Ward"]
    with refused(words="not known until runtime"):
        list(patients.aggregate([*pipeline, {"$match": {"ssn": three[0]["ssn"]}}]))
    assert list(patients.aggregate([*pipeline, {"$match": {"name": "Patient B"}}])) == [three[1]]


@pytest.mark.parametrize("stage", [
    lambda other: {"$merge": {"into": {"db": other, "coll": "patients"}}}, lambda other: {"$out": {"db": other, "coll": "patients"}},
    lambda other: {"$merge": {"into": {"db": other, "coll": "patients"}, "on": "_id", "whenMatched": "replace", "whenNotMatched": "insert"}},
], ids=["$merge", "$out", "$merge on _id"])
def test_documents_move_into_a_namespace_of_the_same_schema(doctor, patients, desk, direct, database, three, secrets, stage):
    other = f"{database}_copy"
    pipeline = [{"$match": {"ssn": {"$in": [three[0]["ssn"], three[2]["ssn"]]}}}, stage(other)]
    with refused(UNAUTHORIZED):
        list(desk.aggregate([{"$match": {"ward": 1}}, stage(other)]))
    assert list(patients.aggregate(pipeline)) == []
    assert in_any_order(doctor[other].patients.find()) == in_any_order([three[0], three[2]])
    assert doctor[other].patients.find_one({"ssn": three[2]["ssn"]}) == three[2]
    for raw in direct[other].patients.find():
        assert_sealed(raw, secrets.needles)
    for moved in ({"$project": {"ssn": "$insurance.policyNumber"}}, {"$addFields": {"other": "$ssn"}}, {"$set": {"email": "$name"}},
                  {"$group": {"_id": "$ward", "ssn": {"$push": "$ssn"}}}):
        with refused():
            list(patients.aggregate([moved, stage(other)]))
    assert doctor[other].patients.count_documents({}) == 2


def test_a_constant_in_the_place_of_a_missing_value_is_one_of_the_field(patients, desk, patient, secrets):
    """The canary tests see that the constants, which are protected values like others, never reach the server in clear."""
    full, bare = {"_id": 1, **patient()}, {"_id": 2, **without(patient(), "ssn", "email", "insurance")}
    patients.insert_many([full, bare])
    number, mail, policy = secrets.number(), secrets.text(), secrets.number()
    defaults = [{"$project": {"number": {"$ifNull": ["$ssn", number]}, "mail": {"$cond": [{"$gt": ["$_id", 1]}, mail, "$email"]},
                              "insured": {"$ifNull": ["$insurance", {"policyNumber": policy, "provider": "none"}]}}}, {"$sort": {"_id": 1}}]
    expected = [{"_id": 1, "number": full["ssn"], "mail": full["email"], "insured": full["insurance"]},
                {"_id": 2, "number": number, "mail": mail, "insured": {"policyNumber": policy, "provider": "none"}}]
    assert list(patients.aggregate(defaults)) == expected
    assert list(patients.aggregate([*defaults, {"$match": {"number": number}}])) == expected[1:]
    assert list(patients.aggregate([*defaults, {"$match": {"number": full["ssn"]}}])) == expected[:1]
    grouped = patients.aggregate([{"$group": {"_id": {"$ifNull": ["$ssn", full["ssn"]]}, "n": {"$sum": 1}}}])
    assert list(grouped) == [{"_id": full["ssn"], "n": 2}]
    with refused(UNAUTHORIZED):
        list(desk.aggregate(defaults))
    for default in ("none", 5.5, {"$add": [700, 77]}, {"number": 5}):
        with refused():
            list(patients.aggregate([{"$project": {"x": {"$ifNull": ["$ssn", default]}}}]))


def test_constants_do_not_stand_beside_protected_values_in_a_union(patients, doctor, database, three, secrets):
    number = 123123123
    for stages in ([{"$project": {"ssn": {"$literal": number}}}, {"$unionWith": "patients"}], [{"$addFields": {"ssn": number}}, {"$unionWith": "patients"}]):
        with refused(words="$unionWith would put that at 'ssn'"):
            list(doctor[database].wards.aggregate(stages))
    with refused(words="$unionWith would put that at 'ssn'"):
        doctor[database].command({"aggregate": 1, "cursor": {}, "pipeline": [{"$documents": [{"ssn": number}]}, {"$unionWith": "patients"}]})
    kinds = [{"$project": {"_id": 0, "name": 1, "kind": {"$literal": "patient"}}}, {"$limit": 1}]
    assert [d["kind"] for d in patients.aggregate(kinds)] == ["patient"]
