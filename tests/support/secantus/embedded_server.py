#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# This file imports SecantusDB, which is GPL-2.0, and is therefore under the same licence: kept apart, run as a
# process of its own, linked with nothing of fieldgate.
"""The embedded server with two things a test needs that its own command line lacks.

--advertise HOST:PORT   the address its hello replies name. A recorder in front of it stays in the path then, where
                        a client that follows `hosts` would walk around it.
The `encrypt` and `encryptMetadata` keywords in $jsonSchema validators, enforced as the MongoDB manual describes:
the field is absent, or binary subtype 6 with the declared BSON type in its type byte.

All other arguments are secantusd-py's.
"""

import sys

from bson.binary import Binary
from secantus import cli, query, server

BSON_TYPES = {
    "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "objectId": 7, "bool": 8, "date": 9, "regex": 11,
    "javascript": 13, "symbol": 14, "javascriptWithScope": 15, "int": 16, "timestamp": 17, "long": 18, "decimal": 19,
}


def is_sealed_as(value, rule):
    if not isinstance(value, Binary) or value.subtype != 6 or len(value) < 18:
        return False
    names = rule.get("bsonType", [])
    allowed = [BSON_TYPES[name] for name in ([names] if isinstance(names, str) else names)]
    return not allowed or value[17] in allowed


def teach_encrypt_keyword():
    query._JSON_SCHEMA_KEYWORDS |= {"encrypt", "encryptMetadata"}
    validate = query._validate_json_schema

    def validate_with_encrypt(value, schema):
        if isinstance(schema, dict) and "encrypt" in schema:
            return is_sealed_as(value, schema["encrypt"])
        return validate(value, schema)

    query._validate_json_schema = validate_with_encrypt


def main(arguments):
    if arguments[:1] == ["--advertise"]:
        host, port = arguments[1].rsplit(":", 1)
        server.SecantusDBServer.address = property(lambda _: (host, int(port)))
        arguments = arguments[2:]
    teach_encrypt_keyword()
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
