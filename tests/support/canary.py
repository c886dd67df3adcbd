"""Reads what fieldgate sent to the server and lists everything that should not have been there."""

import re

import wire
from clinic import PROTECTED, sealing_problem

PROTECTED_NAMESPACE = re.compile(r"^(medicalRecords|clinic_[^.]*)\.patients$")
_PARENTS = {path.split(".")[0] for path in PROTECTED if "." in path}
_LOGICAL = {"$and", "$or", "$nor"}


class Findings:
    def __init__(self):
        self.problems = []
        self.messages = 0
        self.sealed_in_documents = 0
        self.sealed_in_predicates = 0

    def report(self, where, text):
        if text:
            self.problems.append(f"{where}: {text}")


def scan(paths, secrets):
    """Searches the recorded bytes for every protected plaintext, and parses every message in them."""
    findings = Findings()
    for path in paths:
        data = path.read_bytes()
        for at, plaintext in secrets.found_in(data):
            findings.report(path.name, f"protected plaintext {plaintext!r} at byte {at}")
        for raw in wire.split(data):
            findings.messages += 1
            _check_message(findings, path.name, wire.parse(raw))
    return findings


def _check_message(findings, where, message):
    if message.opcode not in (wire.OP_MSG, wire.OP_QUERY):
        findings.report(where, f"opcode {message.opcode} was sent upstream")
        return
    command = message.command()
    if not command:
        return
    name = next(iter(command))
    collection, database = command[name], command.get("$db")
    if name == "bulkWrite":
        _check_operations(findings, f"{where} {name}", command)
    if not isinstance(collection, str):
        return
    where = f"{where} {name}"
    protected = is_protected(database, collection)
    check_pipeline(findings, where, command.get("pipeline", []), database, protected)
    if not protected:
        return
    for document in command.get("documents", []):
        check_document(findings, where, document)
    for update in command.get("updates", []):
        check_filter(findings, where, update["q"])
        check_update(findings, where, update["u"])
    for delete in command.get("deletes", []):
        check_filter(findings, where, delete["q"])
    if isinstance(command.get("update"), (dict, list)):
        check_update(findings, where, command["update"])
    for key in ("filter", "query"):
        check_filter(findings, where, command.get(key) or {})


def is_protected(database, collection):
    return bool(PROTECTED_NAMESPACE.match(f"{database}.{collection}"))


def _check_operations(findings, where, command):
    """bulkWrite: each operation names its namespace by its position in nsInfo."""
    for operation in command["ops"]:
        database, collection = command["nsInfo"][next(iter(operation.values()))]["ns"].split(".", 1)
        if not is_protected(database, collection):
            continue
        check_document(findings, where, operation.get("document", {}))
        check_filter(findings, where, operation.get("filter", {}))
        if "updateMods" in operation:
            check_update(findings, where, operation["updateMods"])


def check_pipeline(findings, where, stages, database, protected):
    """The filters of a pipeline on documents as they are stored, and of the pipelines in it. Stages that reshape documents
    end the search: what their names stand for is not known here."""
    prefix = ""
    for stage in stages:
        if not isinstance(stage, dict) or len(stage) != 1:
            return  # the server refuses it
        (name, spec), = stage.items()
        if name == "$changeStream":
            prefix = "fullDocument."
        elif name == "$match" and protected:
            check_filter(findings, where, spec, prefix)
        elif name == "$facet":
            for facet in spec.values():
                check_pipeline(findings, where, facet, database, protected and not prefix)
        elif name in ("$lookup", "$unionWith", "$graphLookup"):
            _check_join(findings, where, spec, database)
        if name not in ("$changeStream", "$match", "$sort", "$skip", "$limit", "$sample"):
            protected = False


def _check_join(findings, where, spec, database):
    spec = {"coll": spec} if isinstance(spec, str) else spec
    source = spec.get("from", spec.get("coll"))
    protected = isinstance(source, str) and is_protected(database, source)
    check_pipeline(findings, where, spec.get("pipeline", []), database, protected)
    if protected:
        check_filter(findings, where, spec.get("restrictSearchWithMatch", {}))


def check_document(findings, where, document, prefix=""):
    """A whole document, the operand of $set (whose names may be dotted), or an object literal in a filter."""
    for name, value in document.items():
        path = prefix + name
        if path in PROTECTED:
            findings.report(where, sealing_problem(path, value))
            findings.sealed_in_documents += 1
        elif path in _PARENTS and isinstance(value, dict):
            check_document(findings, where, value, path + ".")


def check_update(findings, where, update):
    if isinstance(update, list):
        for stage in update:
            for path in _assigned(stage) & set(PROTECTED):
                findings.report(where, f"an update pipeline assigns {path}")
    elif not any(name.startswith("$") for name in update):
        check_document(findings, where, update)
    else:
        for operator, operand in update.items():
            if operator in ("$set", "$setOnInsert"):
                check_document(findings, where, operand)
            elif operator == "$rename":
                for path, target in operand.items():  # names on both sides: from one kind of ciphertext to the same
                    if PROTECTED.get(path) != PROTECTED.get(target):
                        findings.report(where, f"$rename of {path} to {target}")
            elif operator != "$unset":
                for path in set(operand) & set(PROTECTED):
                    findings.report(where, f"{operator} on {path}")


def _assigned(stage):
    """The paths that a stage of an update assigns or removes."""
    found = set()
    for name, spec in stage.items():
        if name in ("$set", "$addFields", "$unset"):
            found |= {spec} if isinstance(spec, str) else set(spec)
    return found


def check_filter(findings, where, query, prefix=""):
    """`prefix` stands before the names of stored documents, in change streams for example."""
    for given, value in query.items():
        name = given.removeprefix(prefix)
        if given in _LOGICAL:
            for part in value:
                check_filter(findings, where, part, prefix)
        elif given == "$expr":
            _check_expression(findings, where, value, prefix)
        elif not given.startswith(prefix):
            continue
        elif name in PROTECTED:
            _check_predicate(findings, where, name, value)
        elif name in _PARENTS and isinstance(value, dict):
            for literal in _literals(value):
                check_document(findings, where, literal, name + ".")


def _check_expression(findings, where, expression, prefix):
    """Constants opposite to a path that is protected."""
    if isinstance(expression, list):
        for each in expression:
            _check_expression(findings, where, each, prefix)
    if not isinstance(expression, dict):
        return
    for name, operands in expression.items():
        _check_expression(findings, where, operands, prefix)
        if name not in ("$eq", "$ne", "$in") or not isinstance(operands, list):
            continue
        paths = [each[1:].removeprefix(prefix) for each in operands if isinstance(each, str) and each.startswith("$")]
        for path in set(paths) & set(PROTECTED):
            for operand in operands:
                for constant in operand if isinstance(operand, list) else [operand]:
                    constant = constant.get("$literal", constant) if isinstance(constant, dict) else constant
                    if isinstance(constant, dict) or isinstance(constant, str) and constant.startswith("$"):
                        continue  # a path, a variable or something computed
                    findings.sealed_in_predicates += 1
                    findings.report(where, sealing_problem(path, constant))


def _literals(value):
    """The objects that a predicate compares a whole object with."""
    if not any(name.startswith("$") for name in value):
        return [value]
    operands = [each for operand in value.values() for each in (operand if isinstance(operand, list) else [operand])]
    return [literal for operand in operands if isinstance(operand, dict) for literal in _literals(operand)]


def _check_predicate(findings, where, path, value):
    if not isinstance(value, dict):
        findings.sealed_in_predicates += 1
        findings.report(where, sealing_problem(path, value))
        return
    for operator, operand in value.items():
        if operator == "$exists":
            continue
        if operator == "$not":
            _check_predicate(findings, where, path, operand)
        elif operator in ("$eq", "$ne"):
            _check_predicate(findings, where, path, operand)
        elif operator in ("$in", "$nin"):
            for element in operand:
                _check_predicate(findings, where, path, element)
        else:
            findings.report(where, f"{operator} on {path}")
