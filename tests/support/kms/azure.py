"""Azure's Key Vault: RSA keys with versions, `wrapkey` and `unwrapkey` as documented for api-version 7.x, and bearer
tokens of the stand-ins in azure_identity.py."""

import re
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from . import jwt
from .bearer import BearerTokens
from .http1 import Response, json_response
from .http_stand import HttpStand, Refused

RESOURCE = "https://vault.azure.net"
API_VERSIONS = {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"}
OAEP = {"RSA-OAEP-256": hashes.SHA256, "RSA-OAEP": hashes.SHA1}


class AzureVaultStand(HttpStand):
    """`address` is the key vault's endpoint; `key_name` has one version, `new_version()` adds one."""

    kinds = {"wrapkey", "unwrapkey", "other"}
    outcomes_of_meaning = {"wrong_length": {"unwrapkey"}, "wrong_type": {"wrapkey", "unwrapkey"}}
    key_name = "clinic"

    def __init__(self, certificates, directory=None):
        super().__init__(certificates)
        self.tokens = BearerTokens("eyJ0eXAi.")
        # libmongocrypt makes the scope from what follows the first label of the endpoint's host, here an address.
        self.resources = {RESOURCE, f"https://{self.host.partition('.')[2]}"}
        self.versions = {}  # version -> private key, in order
        self.disabled = set()  # versions
        self.new_version()

    def new_version(self):
        version = secrets.token_hex(16)
        self.versions[version] = jwt.new_key()
        return version

    def kind_of(self, request):
        operation = request.path.rpartition("/")[2]
        return operation if operation in self.kinds else "other"

    def error(self, status, why, code=None):
        codes = {400: "BadParameter", 401: "Unauthorized", 403: "Forbidden", 404: "KeyNotFound", 405: "MethodNotAllowed",
                 429: "Throttled", 500: "InternalServerError", 503: "ServiceUnavailable"}
        headers = [("Retry-After", "1")] if status == 429 else []
        if status == 401:
            headers.append(("WWW-Authenticate", f'Bearer authorization="https://login.microsoftonline.com/clinic", resource="{RESOURCE}"'))
        return json_response(status, {"error": {"code": code or codes.get(status, "BadParameter"), "message": why}}, headers)

    def handle(self, request):
        self._authenticate(request)
        self.require(request.method == "POST", "only POST", 405)
        self.require(request.query.keys() == {"api-version"} and request.query["api-version"] in API_VERSIONS,
                     f"the parameters are not one supported api-version: {request.query}")
        segments = request.segments()
        self.require(len(segments) == 4 and segments[0] == "keys" and segments[3] in ("wrapkey", "unwrapkey"), "no such resource", 404)
        key = self._key(segments[1], segments[2])
        body = request.json()
        self.require(body.keys() == {"alg", "value"}, f"members are {sorted(body)}")
        self.require(body["alg"] in OAEP, f"unsupported algorithm {body['alg']}")
        try:
            value = jwt.from_base64url(jwt.without_padding(body["value"]))
        except jwt.BadToken as error:
            self.refuse(400, f"value: {error}")
        digest = OAEP[body["alg"]]
        scheme = padding.OAEP(padding.MGF1(digest()), digest(), None)
        version = segments[2] or list(self.versions)[-1]
        try:
            result = key.public_key().encrypt(value, scheme) if segments[3] == "wrapkey" else key.decrypt(value, scheme)
        except ValueError:
            self.refuse(400, "The parameter is incorrect.\r\n")
        return json_response(200, {"kid": f"{self.url}/keys/{segments[1]}/{version}", "value": jwt.base64url(result)})

    def _authenticate(self, request):
        verdict = self.tokens.judge(request.header("authorization"), self.resources)
        said = {"missing": "AKV10000: Request is missing a Bearer or PoP token.",
                "unknown": "AKV10032: Invalid issuer.",
                "audience": "AKV10022: Invalid audience.",
                "expired": "[TokenExpired] Error validating token: 'S2S12086'."}
        if verdict:
            self.refuse(401, said[verdict])

    def _key(self, name, version):
        self.require(re.fullmatch(r"[0-9A-Za-z-]{1,127}", name) and re.fullmatch(r"[0-9a-f]{32}|", version), "key name or version is malformed")
        version = version or list(self.versions)[-1]
        self.require(name == self.key_name and version in self.versions,
                     f"A key with (name/id) {name}/{version} was not found in this key vault.", 404)
        if version in self.disabled:
            why = "Operation is not allowed on a disabled key."
            raise Refused(json_response(403, {"error": {"code": "Forbidden", "message": why, "innererror": {"code": "KeyDisabled"}}}), why)
        return self.versions[version]

    def refusal(self, fault, request):
        if fault == "expired_token":
            return self.error(401, "[TokenExpired] Error validating token: 'S2S12086'.")
        if fault == "wrong_credentials":
            return self.error(403, "The user, group or application does not have keys unwrap key permission on key vault.")
        if fault == "503":
            return Response(503, b"Service Unavailable", content_type="text/plain")  # gateways do not speak JSON
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        if fault == "wrong_type":
            return {**value, "value": 7}
        return {**value, "value": jwt.base64url(jwt.from_base64url(value["value"])[:-1])}
