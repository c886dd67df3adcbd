"""The collections of the equivalence test: their schemas, and documents of few different values, so that queries meet some."""

import datetime

from bson.binary import Binary
from bson.int64 import Int64
from clinic import DETERMINISTIC, RANDOM

TYPE_BYTES = {"int": 0x10, "string": 0x02, "long": 0x12, "array": 0x04, "object": 0x03, "date": 0x09, "double": 0x01, "binData": 0x05}
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove"]
DOCUMENTS = 30


class Field:
    """A protected path and the values it takes."""

    def __init__(self, path, bson_type, values, deterministic=True):
        self.path, self.bson_type, self.values, self.deterministic = path, bson_type, values, deterministic

    def schema(self):
        return {"encrypt": {"bsonType": self.bson_type, "algorithm": DETERMINISTIC if self.deterministic else RANDOM}}


def _numbers(first, count=8):
    return [first + number for number in range(count)]


def _days():
    return [datetime.datetime(1970 + number, 3, 1 + number, 12) for number in range(8)]


def _random(path, bson_type, values):
    return Field(path, bson_type, values, deterministic=False)


# `account.owner` holds values of `people.ssn`, under the same key, algorithm and type: the two can be joined.
COLLECTIONS = {
    "people": [
        Field("ssn", "int", _numbers(100)),
        Field("email", "string", [f"{word}@house.example" for word in WORDS]),
        Field("insurance.policyNumber", "long", [Int64(n) for n in _numbers(7_000_000_000)]),
        Field("contact.home.phone", "string", [f"+49 30 {n}" for n in _numbers(5500)]),
        _random("insurance.plan", "string", ["basic", "plus", "all"]),
        _random("born", "date", _days()),
        _random("records", "array", [[{"weight": n, "note": word}] for n, word in zip(_numbers(60), WORDS)]),
        _random("profile", "object", [{"height": n, "hair": word} for n, word in zip(_numbers(150), WORDS)]),
    ],
    "accounts": [
        Field("owner", "int", _numbers(100)),
        Field("iban", "string", [f"DE{n}" for n in _numbers(4400)]),
        Field("signed", "date", _days()),
        _random("balance", "double", [n + 0.25 for n in _numbers(10)]),
        _random("seal", "binData", [Binary(word.encode(), 0) for word in WORDS]),
    ],
    "wards": [],  # without a schema
}


def schema(fields):
    """The JSON schema of these fields."""
    root = {"bsonType": "object", "encryptMetadata": {"keyAltName": "clinic"}, "properties": {}}
    for field in fields:
        node = root
        *parents, last = field.path.split(".")
        for name in parents:
            node = node["properties"].setdefault(name, {"bsonType": "object", "properties": {}})
        node["properties"][last] = field.schema()
    return root


def put(document, path, value):
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
    document[last] = value


def plain_fields(random):
    """What stands beside the protected fields; some of it is missing now and then."""
    document = {"name": random.choice(WORDS), "ward": random.randrange(6), "n": random.randrange(100)}
    if random.random() < 0.8:
        document["tags"] = random.sample(WORDS, random.randrange(4))
    if random.random() < 0.8:
        document["visits"] = [{"day": random.randrange(7), "cost": random.randrange(5) * 10} for _ in range(random.randrange(3))]
    if random.random() < 0.8:
        document["place"] = {"city": random.choice(WORDS), "ssn": random.randrange(100, 104)}
    if random.random() < 0.5:
        document["status"] = random.choice([None, "open", "closed"])
    return document


def document(random, collection, number):
    made = {"_id": number, **plain_fields(random)}
    for field in COLLECTIONS[collection]:
        if random.random() < 0.85:
            put(made, field.path, random.choice(field.values))
    items = list(made.items())
    random.shuffle(items)
    return dict(items)


def storage_problems(collection, raw):
    """Why a stored document is not sealed as its schema says."""
    for field in COLLECTIONS[collection]:
        value = raw
        for name in field.path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            continue
        if getattr(value, "subtype", None) != 6:
            yield f"{collection}.{field.path} of {raw['_id']}: {type(value).__name__}, not binary of subtype 6"
        elif value[0] != (1 if field.deterministic else 2) or value[17] != TYPE_BYTES[field.bson_type]:
            yield f"{collection}.{field.path} of {raw['_id']}: kind {value[0]}, type byte {value[17]}"
