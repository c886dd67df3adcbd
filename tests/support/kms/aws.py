"""AWS's KMS: moto behind a front that checks what moto does not, signatures and credentials above all."""

import base64
import http.client
import json
import re
import secrets
import string
import time

from . import programs, sigv4
from .http1 import Response
from .http_stand import HttpStand, Refused, forward

REGION = "eu-west-1"
CONTENT_TYPE = "application/x-amz-json-1.1"
# Operation -> (required members, optional ones); every member that holds bytes is base64.
OPERATIONS = {
    "Encrypt": ({"KeyId", "Plaintext"}, {"EncryptionContext", "EncryptionAlgorithm", "GrantTokens", "DryRun"}),
    "Decrypt": ({"CiphertextBlob"}, {"KeyId", "EncryptionContext", "EncryptionAlgorithm", "GrantTokens", "DryRun"}),
    "GenerateDataKey": ({"KeyId"}, {"KeySpec", "NumberOfBytes", "EncryptionContext", "GrantTokens", "DryRun"}),
}
PLAINTEXT_BYTES_MAX, CIPHERTEXT_BYTES_MAX = 4096, 6144


def random_id(prefix):
    return prefix + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))


class Credentials(dict):
    """Static credentials and sessions that the KMS knows; shared with the stand-ins that hand out sessions."""

    def add(self, seconds=None):
        """What is new: (accessKeyId, secretAccessKey, sessionToken or None)."""
        token = None if seconds is None else base64.b64encode(secrets.token_bytes(300)).decode()
        key_id = random_id("AKIA" if token is None else "ASIA")
        secret = base64.b64encode(secrets.token_bytes(30)).decode()
        self[key_id] = (secret, token, None if seconds is None else time.time() + seconds)
        return key_id, secret, token

    def expire(self, key_id):
        secret, token, _ = self[key_id]
        self[key_id] = (secret, token, time.time() - 1)


class AwsStand(HttpStand):
    """`access_key_id` and `secret_access_key` are good without a session; `key` and `other_key` are ARNs."""

    kinds = {"encrypt", "decrypt", "generatedatakey", "other"}
    outcomes_of_meaning = {"wrong_length": {"decrypt", "generatedatakey"}, "wrong_type": {"encrypt", "decrypt", "generatedatakey"}}

    def __init__(self, certificates, directory):
        super().__init__(certificates)
        self.region = REGION
        self.credentials = Credentials()
        self.access_key_id, self.secret_access_key, _ = self.credentials.add()
        self.disabled = set()  # ARNs
        self.denied = set()
        self._backend = programs.free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.server = programs.start([programs.python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._backend)],
                                     directory / "moto.log", self._backend)
        self.key, self.other_key = (self.admin("CreateKey", {})["KeyMetadata"]["Arn"] for _ in range(2))

    def stop(self):
        super().stop()
        self.server.stop()

    def admin(self, operation, body):
        """Asks moto past the front, which takes the region from the signature and nothing else."""
        connection = http.client.HTTPConnection("127.0.0.1", self._backend, timeout=10)
        try:
            connection.request("POST", "/", json.dumps(body), {
                "Content-Type": CONTENT_TYPE, "X-Amz-Target": f"TrentService.{operation}",
                "Authorization": f"AWS4-HMAC-SHA256 Credential=A/20200101/{self.region}/kms/aws4_request, SignedHeaders=host, Signature=0"})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise RuntimeError(f"moto, {operation}: {answer.status} {text}")
            return json.loads(text)
        finally:
            connection.close()

    def session(self, seconds=3600):
        return self.credentials.add(seconds)

    def kind_of(self, request):
        operation = (request.header("x-amz-target") or "").rpartition(".")[2]
        return operation.lower() if operation in OPERATIONS else "other"

    def error(self, status, why, name="ValidationException"):
        return Response(status, json.dumps({"__type": name, "message": why}).encode(), content_type=CONTENT_TYPE)

    def refuse_as(self, name, why, status=400):
        raise Refused(self.error(status, why, name), f"{name}: {why}")

    def handle(self, request):
        if request.method != "POST" or request.target != "/":
            self.refuse_as("UnknownOperationException", f"{request.method} {request.path}", 404)
        self._authenticate(request)
        if (request.header("content-type") or "") != CONTENT_TYPE:
            self.refuse_as("UnknownOperationException", f"Content-Type is not {CONTENT_TYPE}", 404)
        matched = re.fullmatch(r"TrentService\.([A-Za-z]+)", request.header("x-amz-target") or "")
        if not matched or matched[1] not in OPERATIONS:
            self.refuse_as("UnknownOperationException", "no such operation here")
        self._check_members(matched[1], request.json_of_any_type())
        answer = forward(request, self._backend)
        if answer.status == 200 and matched[1] == "Decrypt":
            self._check_state(json.loads(answer.body)["KeyId"])
        return Response(answer.status, answer.body, content_type=CONTENT_TYPE)

    def _authenticate(self, request):
        try:
            signed = sigv4.parse(request)
            if (signed.region, signed.service) != (self.region, "kms"):
                self.refuse_as("InvalidSignatureException", "Credential should be scoped to a valid region and to service 'kms'.")
            known = self.credentials.get(signed.id)
            if known is None or request.header("x-amz-security-token") != known[1]:
                self.refuse_as("UnrecognizedClientException", "The security token included in the request is invalid.")
            sigv4.check(request, signed, known[0])
            if known[2] is not None and known[2] < time.time():
                self.refuse_as("ExpiredTokenException", "The security token included in the request is expired")
        except sigv4.BadSignature as error:
            self.refuse_as(error.name, str(error))

    def _check_members(self, operation, body):
        required, optional = OPERATIONS[operation]
        if not required <= body.keys() <= required | optional:
            self.refuse_as("SerializationException", f"members are {sorted(body)}")
        for name, limit in (("Plaintext", PLAINTEXT_BYTES_MAX), ("CiphertextBlob", CIPHERTEXT_BYTES_MAX)):
            if name in body:
                try:
                    size = len(base64.b64decode(body[name], validate=True))
                except (TypeError, ValueError):
                    self.refuse_as("SerializationException", f"{name} is not base64")
                if not 1 <= size <= limit:
                    self.refuse_as("ValidationException", f"{name} has {size} bytes, not 1 to {limit}")
        if "KeyId" in body:
            self._check_state(body["KeyId"])

    def _check_state(self, key):
        if key in self.denied:
            self.refuse_as("AccessDeniedException", f"User is not authorized to use the resource {key}")
        if key in self.disabled:
            self.refuse_as("DisabledException", f"{key} is disabled.")

    def refusal(self, fault, request):
        named = {"throttle": (400, "ThrottlingException", "Rate exceeded"),
                 "500": (500, "KMSInternalException", "internal failure"),
                 "503": (503, "DependencyTimeoutException", "timed out"),
                 "expired_token": (400, "ExpiredTokenException", "The security token included in the request is expired"),
                 "wrong_credentials": (400, "UnrecognizedClientException", "The security token included in the request is invalid.")}
        if fault in named:
            status, name, why = named[fault]
            return self.error(status, why, name)
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        if fault == "wrong_type":
            return {name: 7 for name in value}
        return {**value, "Plaintext": base64.b64encode(base64.b64decode(value["Plaintext"])[:-1]).decode()}
