#!/usr/bin/env python3
"""Writes tests/vectors/key-documents.json: key documents as libmongocrypt makes them for a driver's createDataKey, one or
more for each provider. The key managers are played: their answers are made up, only the document counts."""

import base64
import json
import struct
import uuid
from pathlib import Path

import bson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pymongocrypt.binding import libmongocrypt_version
from pymongocrypt.mongocrypt import MongoCryptOptions
from pymongocrypt.synchronous.explicit_encrypter import ExplicitEncrypter
from pymongocrypt.synchronous.state_machine import MongoCryptCallback

OUT = Path(__file__).resolve().parents[1] / "vectors/key-documents.json"
AWS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
CASES = [
    ("local", {}, []),
    ("local", {}, ["clinic", "Zürich"]),
    ("local:old", {}, []),
    ("aws", {"region": "eu-west-1", "key": AWS_KEY}, ["a"]),
    ("aws:eu", {"region": "eu-west-1", "key": "alias/x", "endpoint": "kms.eu-west-1.amazonaws.com"}, []),
    ("aws", {"region": "eu-west-1", "key": "alias/x", "endpoint": "kms.example.com:8443"}, []),
    ("azure", {"keyVaultEndpoint": "example.vault.azure.net", "keyName": "clinic"}, []),
    ("azure", {"keyVaultEndpoint": "example.vault.azure.net:443", "keyName": "clinic", "keyVersion": "0a1b"}, []),
    ("gcp", {"projectId": "p-1", "location": "global", "keyRing": "r", "keyName": "k"}, []),
    ("gcp", {"projectId": "p-1", "location": "global", "keyRing": "r", "keyName": "k", "keyVersion": "2",
             "endpoint": "cloudkms.googleapis.com"}, []),
    ("kmip", {"keyId": "12"}, []),
    ("kmip", {"keyId": "12", "endpoint": "localhost:5698"}, []),
    ("kmip", {}, []),
    ("kmip", {"keyId": "13", "delegated": True}, []),
    ("kmip", {"keyId": "12", "delegated": False}, []),
]


def http(body):
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text


def ttlv(tag, kind, value):
    return struct.pack(">I", tag)[1:] + bytes([kind]) + struct.pack(">I", len(value)) + value + b"\0" * (-len(value) % 8)


def structure(tag, *parts):
    return ttlv(tag, 1, b"".join(parts))


def number(tag, kind, value):
    return ttlv(tag, kind, struct.pack(">i", value))


def kmip_answer(request):
    at = request.index(bytes.fromhex("42005c05"))  # Operation
    operation = struct.unpack(">I", request[at + 8:at + 12])[0]
    payload = [ttlv(0x420094, 7, b"13")]
    if operation == 0x0A:  # Get: secret data
        material = structure(0x420045, ttlv(0x420043, 8, b"K" * 96))
        block = structure(0x420040, number(0x420042, 5, 2), material)
        payload = [number(0x420057, 5, 7), *payload, structure(0x420085, number(0x420086, 5, 2), block)]
    elif operation == 0x1F:  # Encrypt
        payload += [ttlv(0x4200C2, 8, b"c" * 112), ttlv(0x42003D, 8, b"i" * 16)]
    version = structure(0x420069, number(0x42006A, 2, 1), number(0x42006B, 2, 0))
    header = structure(0x42007A, version, ttlv(0x420092, 9, struct.pack(">q", 0)), number(0x42000D, 2, 1))
    item = structure(0x42000F, number(0x42005C, 5, operation), number(0x42007F, 5, 0), structure(0x42007C, *payload))
    return structure(0x42007B, header, item)


def answer(request):
    if b"TrentService" in request:
        return http({"CiphertextBlob": base64.b64encode(b"w" * 200).decode(), "KeyId": "k"})
    if b"/token HTTP" in request:
        return http({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
    if b"wrapkey" in request:
        return http({"value": base64.urlsafe_b64encode(b"z" * 256).decode().rstrip("="), "kid": "x"})
    if b":encrypt" in request:
        return http({"ciphertext": base64.b64encode(b"g" * 178).decode()})
    return kmip_answer(request)


class Played(MongoCryptCallback):
    inserted = None

    def insert_data_key(self, data_key):
        self.inserted = bytes(data_key)
        return uuid.uuid4()

    def bson_encode(self, doc):
        return bson.encode(doc)

    def kms_request(self, kms_context):
        rest = answer(bytes(kms_context.message))
        while kms_context.bytes_needed > 0:
            part, rest = rest[:kms_context.bytes_needed], rest[kms_context.bytes_needed:]
            kms_context.feed(part)

    def fetch_keys(self, filter):
        raise NotImplementedError

    def collection_info(self, *arguments):
        raise NotImplementedError

    def mark_command(self, *arguments):
        raise NotImplementedError

    def close(self):
        pass


def main():
    account = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    aws = {"accessKeyId": "a", "secretAccessKey": "s"}
    providers = {"local": {"key": b"k" * 96}, "local:old": {"key": b"o" * 96}, "aws": aws, "aws:eu": aws,
                 "azure": {"tenantId": "t", "clientId": "c", "clientSecret": "s"},
                 "gcp": {"email": "e", "privateKey": base64.b64encode(account).decode()},
                 "kmip": {"endpoint": "localhost:5698"}}
    documents = []
    for provider, master_key, names in CASES:
        callback = Played()
        ExplicitEncrypter(callback, MongoCryptOptions(providers)).create_data_key(provider, master_key or None,
                                                                                  names or None)
        documents.append({"provider": provider, "masterKey": master_key, "keyAltNames": names,
                          "document": callback.inserted.hex()})
    OUT.write_text(json.dumps({"writer": f"libmongocrypt {libmongocrypt_version()}", "documents": documents},
                              indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
