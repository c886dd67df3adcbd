"""Whatever fieldgate accepts has the answer that an unencrypted copy of the collections has, and leaves what it would.

    FIELDGATE_EQUIVALENCE_CASES=10000      accepted commands to compare (2000)
    FIELDGATE_PROPERTY_SEED=7              other commands than those of every day
"""

import collections
import copy
import os
import random
import re

import bson
import pytest
from bson.binary import Binary
from bson.int64 import Int64
from equivalence_commands import KINDS, READING, WRITING, Generator
from equivalence_data import COLLECTIONS, DOCUMENTS, document, schema, storage_problems
from equivalence_parts import Case
from processes import TIME_FACTOR
from pymongo.errors import OperationFailure

SEED = int(os.environ.get("FIELDGATE_PROPERTY_SEED", "20261125"))
CASES = int(os.environ.get("FIELDGATE_EQUIVALENCE_CASES", "2000"))
PROTECTED, TWIN = "equivalence", "equivalence_twin"
# A round: fresh documents, readings, writings, and the whole collections compared.
READINGS, WRITINGS = 60, 20
SHARE_OF_THE_UNEXPECTED = 0.15  # commands of kinds that are not expected to be accepted
ACCEPTED_SHARE_MIN = 0.5
PROBLEMS_SHOWN_MAX = 5
# What fieldgate answers with when it cannot open a reply: no refusal of a command.
UNREADABLE_REPLY = {22, 96, 10334}


class Refused(Exception):
    def __init__(self, rule):
        self.rule = rule


class Results:
    def __init__(self):
        self.made = collections.Counter()
        self.accepted = collections.Counter()
        self.failed_alike = collections.Counter()
        self.rules = collections.Counter()
        self.problems = []

    def expected_share(self):
        kinds = [kind for kind, works in KINDS.items() if works]
        return sum(self.accepted[k] + self.failed_alike[k] for k in kinds) / sum(self.made[k] for k in kinds)

    def table(self):
        lines = [f"{'kind':28} {'made':>6} {'accepted':>9} {'both failed':>12}"]
        for kind, works in KINDS.items():
            lines.append(f"{kind:28} {self.made[kind]:6} {self.accepted[kind]:9} {self.failed_alike[kind]:12}{'' if works else '   not expected'}")
        lines += [f"{count:6} x {rule}" for rule, count in self.rules.most_common(20)]
        return "\n".join(lines)


def run(client, database, case, through_fieldgate):
    command = copy.deepcopy(case.command)
    if "nsInfo" in command:
        command["nsInfo"] = [{"ns": f"{database}.{entry['ns']}"} for entry in command["nsInfo"]]
    try:
        return client[case.database or database].command(command)
    except OperationFailure as error:
        details = error.details or {}
        # The server stamps its errors with its cluster time.
        if through_fieldgate and "$clusterTime" not in details and error.code not in UNREADABLE_REPLY:
            raise Refused(f"{error.code}: " + re.sub(r"'[^']*'", "'...'", details.get("errmsg", ""))[:150]) from None
        return error


def encoded(value):
    return bson.encode({"v": value})


def settle(value):
    """The order inside `set` is nobody's."""
    if isinstance(value, dict):
        return {k: sorted(v, key=encoded) if k == "set" else settle(v) for k, v in value.items()}
    return [settle(v) for v in value] if isinstance(value, list) else value


def answer(reply, case):
    """What of a reply must be the same: the order and types of fields always, that of documents if it was asked for."""
    if "cursor" in reply:
        documents = [encoded(settle(d)) for d in reply["cursor"]["firstBatch"]]
        assert reply["cursor"]["id"] == 0
        return documents if case.ordered else sorted(documents)
    if "values" in reply:
        return sorted(map(encoded, reply["values"]))
    kept = {name: reply.get(name) for name in ("n", "value", "upserted", "nErrors", "nInserted", "nMatched", "nDeleted")}
    if case.counts_modified:
        kept["nModified"] = reply.get("nModified")
    kept["writeErrors"] = [(e["index"], e["code"]) for e in reply.get("writeErrors", [])]
    kept["lastErrorObject"] = {k: v for k, v in (reply.get("lastErrorObject") or {}).items() if k in ("n", "updatedExisting")}
    return kept


def shown(outcome, case):
    if isinstance(outcome, OperationFailure):
        return f"error {outcome.code}: {outcome.details}"
    found = answer(outcome, case)
    return [bson.decode(d)["v"] for d in found] if isinstance(found, list) else found


class Twins:
    """The protected collections through fieldgate, and the same documents on the server without it."""

    def __init__(self, doctor, direct, generator, results):
        self.doctor, self.direct, self.generator, self.results = doctor, direct, generator, results

    def refill(self):
        for name in COLLECTIONS:
            documents = [document(self.generator.random, name, number) for number in range(DOCUMENTS)]
            self.direct[PROTECTED].drop_collection(name)
            self.direct[TWIN].drop_collection(name)
            self.doctor[PROTECTED][name].insert_many(documents)
            self.direct[TWIN][name].insert_many(documents)

    def try_one(self, kind):
        case = self.generator.make(kind)
        self.results.made[kind] += 1
        try:
            ours = run(self.doctor, PROTECTED, case, True)
        except Refused as refusal:
            self.results.rules[refusal.rule] += 1
            return
        twin = run(self.direct, TWIN, case, False)
        failed = [isinstance(outcome, OperationFailure) for outcome in (ours, twin)]
        if all(failed) and ours.code not in UNREADABLE_REPLY:
            self.results.failed_alike[kind] += 1
            return
        self.results.accepted[kind] += 1
        if any(failed) or answer(ours, case) != answer(twin, case):
            self.results.problems.append(f"{case}\n  through fieldgate: {shown(ours, case)}\n  unencrypted: {shown(twin, case)}")

    def compare(self, after):
        for name in COLLECTIONS:
            ours, twin = ({d["_id"]: encoded(d) for d in db[name].find()} for db in (self.doctor[PROTECTED], self.direct[TWIN]))
            for number in ours.keys() | twin.keys():
                if ours.get(number) != twin.get(number):
                    self.results.problems.append(f"{name} {number} differs after {after}:\n  through fieldgate: "
                                                 f"{bson.decode(ours[number]) if number in ours else None}\n  unencrypted: "
                                                 f"{bson.decode(twin[number]) if number in twin else None}")
            for raw in self.direct[PROTECTED][name].find():
                self.results.problems += storage_problems(name, raw)


@pytest.fixture(scope="module")
def results(stand):
    fieldgate = stand.start(name="equivalence", schemas={
        f"{PROTECTED}.{name}": {"schema": schema(fields)} for name, fields in COLLECTIONS.items() if fields})
    chance = random.Random(SEED)
    results = Results()
    twins = Twins(stand.client(fieldgate.uri("doctors")), stand.direct, Generator(chance), results)

    def pick(kinds):
        expected = chance.random() >= SHARE_OF_THE_UNEXPECTED
        return chance.choice([kind for kind in kinds if KINDS[kind] == expected] or kinds)

    while sum(results.accepted.values()) < CASES and sum(results.made.values()) < 4 * CASES:
        twins.refill()
        for _ in range(READINGS):
            twins.try_one(pick(READING))
        writings = [pick(WRITING) for _ in range(WRITINGS)]
        for kind in writings:
            twins.try_one(kind)
        twins.compare(writings)
        if len(results.problems) > PROBLEMS_SHOWN_MAX:
            break
    stand.direct.drop_database(PROTECTED)
    stand.direct.drop_database(TWIN)
    fieldgate.stop()
    return results


@pytest.mark.timeout(300 * TIME_FACTOR)
def test_an_accepted_command_does_what_it_does_on_an_unencrypted_copy(results):
    assert not results.problems, f"FIELDGATE_PROPERTY_SEED={SEED}\n" + "\n".join(results.problems[:PROBLEMS_SHOWN_MAX])
    assert sum(results.accepted.values()) >= CASES, results.table()


def test_most_of_what_is_expected_is_accepted(results, capsys):
    with capsys.disabled():
        print(f"\nFIELDGATE_PROPERTY_SEED={SEED}\n{results.table()}")
    assert results.expected_share() >= ACCEPTED_SHARE_MIN
    never = [kind for kind, works in KINDS.items() if works and not results.accepted[kind] + results.failed_alike[kind]]
    assert not never, f"never accepted: {never}"
    assert results.failed_alike["error of the server"]


def test_the_comparison_sees_what_differs():
    def reply(*documents):
        return {"cursor": {"id": 0, "firstBatch": list(documents)}}

    unordered, ordered = Case("", {}), Case("", {}, ordered=True)
    one, other = {"a": 1, "b": 2}, {"a": 3}
    assert answer(reply(one, other), unordered) == answer(reply(other, one), unordered)
    assert answer(reply(one, other), ordered) != answer(reply(other, one), ordered)
    assert answer(reply(one), unordered) != answer(reply({"b": 2, "a": 1}), unordered)
    assert answer(reply(other), unordered) != answer(reply({"a": Int64(3)}), unordered)
    assert answer(reply(other), unordered) != answer(reply(other, other), unordered)
    assert answer(reply({"set": [1, 2]}), unordered) == answer(reply({"set": [2, 1]}), unordered)
    assert answer(reply({"all": [1, 2]}), unordered) != answer(reply({"all": [2, 1]}), unordered)
    assert answer({"n": 1, "nModified": 1}, unordered) != answer({"n": 1, "nModified": 0}, unordered)
    sealed = Binary(b"\x01" + bytes(16) + b"\x10" + bytes(64), 6)
    assert not list(storage_problems("accounts", {"_id": 1, "owner": sealed}))
    assert list(storage_problems("accounts", {"_id": 1, "owner": 5}))
    assert list(storage_problems("accounts", {"_id": 1, "iban": sealed}))
