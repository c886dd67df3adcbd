"""Google's Cloud KMS: `:encrypt` and `:decrypt` of v1 with checksums, AES-256-GCM behind them, and bearer tokens of the
stand-ins in gcp_identity.py."""

import base64
import re
import secrets
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .bearer import BearerTokens
from .http1 import json_response
from .http_stand import HttpStand, Refused

SCOPES = {"https://www.googleapis.com/auth/cloudkms", "https://www.googleapis.com/auth/cloud-platform"}
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED",
            429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
PATH = re.compile(r"/v1/(?P<key>projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:]+)"
                  r"(?:/cryptoKeyVersions/(?P<version>[^/:]+))?:(?P<operation>encrypt|decrypt)")
PLAINTEXT_BYTES_MAX = 65536
MEMBERS = {"encrypt": ("plaintext", {"additionalAuthenticatedData", "plaintextCrc32c", "additionalAuthenticatedDataCrc32c"}),
           "decrypt": ("ciphertext", {"additionalAuthenticatedData", "ciphertextCrc32c", "additionalAuthenticatedDataCrc32c"})}


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


class GcpKmsStand(HttpStand):
    """`address` is masterKey.endpoint; `key_parts` the rest of the master key; `new_version()` rotates its key."""

    kinds = {"encrypt", "decrypt", "other"}
    outcomes_of_meaning = {"wrong_length": {"decrypt"}, "wrong_type": {"encrypt", "decrypt"}}
    key_parts = {"projectId": "clinic", "location": "europe-west1", "keyRing": "records", "keyName": "master"}

    def __init__(self, certificates, directory=None):
        super().__init__(certificates)
        self.tokens = BearerTokens("ya29.")
        # libmongocrypt makes the scope from what follows the first label of the endpoint's host, here an address.
        self.scopes = SCOPES | {f"https://www.{self.host.partition('.')[2]}/auth/cloudkms"}
        parts = self.key_parts
        self.key = (f"projects/{parts['projectId']}/locations/{parts['location']}/keyRings/{parts['keyRing']}"
                    f"/cryptoKeys/{parts['keyName']}")
        self.versions = []  # (id, key)
        self.disabled = set()  # numbers of versions, from 1
        self.new_version()

    def new_version(self):
        self.versions.append((secrets.token_bytes(4), AESGCM(AESGCM.generate_key(256))))
        return len(self.versions)

    def kind_of(self, request):
        operation = request.path.rpartition(":")[2]
        return operation if operation in MEMBERS else "other"

    def error(self, status, why, name=None):
        return json_response(status, {"error": {"code": status, "message": why, "status": name or STATUSES.get(status, "INVALID_ARGUMENT")}})

    def refuse_as(self, status, name, why):
        raise Refused(self.error(status, why, name), f"{name}: {why}")

    def handle(self, request):
        verdict = self.tokens.judge(request.header("authorization"), self.scopes)
        if verdict == "audience":
            self.refuse(403, "Request had insufficient authentication scopes.")
        self.require(verdict is None, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                     "other valid authentication credential.", 401)
        self.require(request.method == "POST", "only POST", 405)
        request.segments()
        matched = PATH.fullmatch(request.target)
        self.require(matched, "no such resource", 404)
        if matched["key"] != self.key:
            self.refuse(403, f"Permission 'cloudkms.cryptoKeyVersions.useTo{matched['operation'].capitalize()}' denied on resource "
                             f"'{matched['key']}' (or it may not exist).")
        name, optional = MEMBERS[matched["operation"]]
        body = request.json()
        self.require({name} <= body.keys() <= {name} | optional, f"Invalid JSON payload received. Members are {sorted(body)}")
        value, additional = self._bytes(body, name), self._bytes(body, "additionalAuthenticatedData")
        if matched["operation"] == "encrypt":
            return self._encrypt(value, additional, matched["version"], "plaintextCrc32c" in body)
        self.require(matched["version"] is None, "decryption takes no version", 404)
        return self._decrypt(value, additional)

    def _bytes(self, body, name):
        text = body.get(name, "")
        try:
            data = base64.b64decode(text, validate=True)
        except (TypeError, ValueError):
            self.refuse(400, f"Invalid value at '{name}' (TYPE_BYTES), Base64 decoding failed")
        self.require(len(data) <= PLAINTEXT_BYTES_MAX + 128, f"{name} is too long")
        if (checksum := body.get(f"{name}Crc32c")) is not None:
            self.require(str(checksum) == str(crc32c(data)), f"The checksum in field {name}_crc32c did not match the data in field {name}.")
        return data

    def _encrypt(self, plaintext, additional, version, checked):
        self.require(version is None or re.fullmatch(r"[1-9]\d{0,5}", version) and int(version) <= len(self.versions), "no such version", 404)
        self.require(1 <= len(plaintext) <= PLAINTEXT_BYTES_MAX, "the plaintext is empty or too long")
        number = int(version or len(self.versions))
        self._check_state(number)
        identifier, key = self.versions[number - 1]
        nonce = secrets.token_bytes(12)
        ciphertext = b"\x0a\x24" + struct.pack("!H", number) + identifier + nonce + key.encrypt(nonce, plaintext, identifier + additional)
        return json_response(200, {"name": f"{self.key}/cryptoKeyVersions/{number}", "ciphertext": base64.b64encode(ciphertext).decode(),
                                   "ciphertextCrc32c": str(crc32c(ciphertext)), "protectionLevel": "SOFTWARE",
                                   **({"verifiedPlaintextCrc32c": True} if checked else {})})

    def _decrypt(self, ciphertext, additional):
        number = struct.unpack("!H", ciphertext[2:4])[0] if len(ciphertext) > 36 else 0
        self.require(1 <= number <= len(self.versions) and ciphertext[4:8] == self.versions[number - 1][0],
                     "Decryption failed: the ciphertext is invalid.")
        self._check_state(number)
        identifier, key = self.versions[number - 1]
        try:
            plaintext = key.decrypt(ciphertext[8:20], ciphertext[20:], identifier + additional)
        except InvalidTag:
            self.refuse(400, "Decryption failed: the ciphertext is invalid.")
        return json_response(200, {"plaintext": base64.b64encode(plaintext).decode(), "plaintextCrc32c": str(crc32c(plaintext)),
                                   "usedPrimary": number == len(self.versions), "protectionLevel": "SOFTWARE"})

    def _check_state(self, number):
        if number in self.disabled:
            self.refuse_as(400, "FAILED_PRECONDITION", f"{self.key}/cryptoKeyVersions/{number} is not enabled, current state is: DISABLED.")

    def refusal(self, fault, request):
        if fault == "expired_token":
            return self.error(401, "Request had invalid authentication credentials. Expected OAuth 2 access token.")
        if fault == "wrong_credentials":
            return self.error(403, f"Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '{self.key}' (or it may not exist).")
        if fault == "throttle":
            return self.error(429, "Quota exceeded for quota metric 'Cryptographic requests'.")
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        if fault == "wrong_type":
            return {**value, **{name: 7 for name in ("plaintext", "ciphertext") if name in value}}
        shorter = base64.b64decode(value["plaintext"])[:-1]
        return {**value, "plaintext": base64.b64encode(shorter).decode(), "plaintextCrc32c": str(crc32c(shorter))}
