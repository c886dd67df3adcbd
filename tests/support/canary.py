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
    if not isinstance(collection, str) or not PROTECTED_NAMESPACE.match(f"{database}.{collection}"):
        return
    where = f"{where} {name}"
    for document in command.get("documents", []):
        check_document(findings, where, document)
    for update in command.get("updates", []):
        check_filter(findings, where, update["q"])
        check_update(findings, where, update["u"])
    for delete in command.get("deletes", []):
        check_filter(findings, where, delete["q"])
    if isinstance(command.get("update"), dict):
        check_update(findings, where, command["update"])
    for key in ("filter", "query"):
        check_filter(findings, where, command.get(key) or {})
    for stage in command.get("pipeline", []):
        check_filter(findings, where, stage.get("$match", {}))


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
        findings.report(where, "an update pipeline on a protected namespace")
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


def check_filter(findings, where, query):
    for name, value in query.items():
        if name in _LOGICAL:
            for part in value:
                check_filter(findings, where, part)
        elif name in PROTECTED:
            _check_predicate(findings, where, name, value)
        elif name in _PARENTS and isinstance(value, dict):
            for literal in _literals(value):
                check_document(findings, where, literal, name + ".")


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
