"""OpenBao in development mode behind the fault front, with transit, AppRole and Kubernetes logins set up.

The server is the real one: tokens, policies, leases, namespaces and the transit engine are OpenBao's own. Only the
Kubernetes API that its Kubernetes method asks is a stand-in (TokenReview)."""

import base64
import http.client
import json
import re
import secrets
import time

from . import jwt, programs
from .http1 import Response, json_response
from .http_stand import HttpStand, forward

NAMESPACE = "clinic"
KEY = "clinic"
POLICY = """
path "transit/encrypt/+" { capabilities = ["update"] }
path "transit/decrypt/+" { capabilities = ["update"] }
path "transit/rewrap/+" { capabilities = ["update"] }
path "transit/datakey/+/+" { capabilities = ["update"] }
"""
AUDIENCE = "vault"


class TokenReview(HttpStand):
    """The one call of a Kubernetes API server that the Kubernetes login needs; plain HTTP, asked by OpenBao only."""

    kinds = {"review"}

    def __init__(self):
        super().__init__()
        self.key = jwt.new_key()
        self.reviewer = jwt.sign(self.key, {"sub": "system:serviceaccount:vault:reviewer"})

    def service_account_token(self, namespace="clinic", name="fieldgate", key=None, **claims):
        now = int(time.time())
        identity = {"namespace": namespace, "serviceaccount": {"name": name, "uid": f"uid-of-{name}"}}
        return jwt.sign(key or self.key, {"iss": "https://kubernetes.default.svc", "aud": [AUDIENCE], "iat": now, "nbf": now,
                                          "exp": now + 3600, "sub": f"system:serviceaccount:{namespace}:{name}",
                                          "kubernetes.io": identity, **claims})

    def kind_of(self, request):
        return "review"

    def error(self, status, why):
        return json_response(status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": why, "code": status})

    def handle(self, request):
        self.require(request.path == "/apis/authentication.k8s.io/v1/tokenreviews", "no such resource", 404)
        self.require(request.header("authorization") == f"Bearer {self.reviewer}", "not the reviewer", 401)
        review = request.json()
        try:
            claims = jwt.verify(review["spec"]["token"], self.key.public_key())
            jwt.check_times(claims)
        except jwt.BadToken as error:
            return json_response(201, {**review, "status": {"authenticated": False, "error": str(error)}})
        identity = claims["kubernetes.io"]
        user = {"username": claims["sub"], "uid": identity["serviceaccount"]["uid"],
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{identity['namespace']}"]}
        return json_response(201, {**review, "status": {"authenticated": True, "user": user, "audiences": claims["aud"]}})


class VaultStand(HttpStand):
    """`token`, `role_id` and `secret_id`, `service_account_token()` log in; `key` names the transit key. With
    `namespace=True` all of it lives in the namespace `clinic`."""

    kinds = {"login", "lookup", "renew", "encrypt", "decrypt", "rewrap", "datakey", "other"}
    outcomes_of_meaning = {"wrong_length": {"decrypt", "datakey"},
                           "wrong_type": {"encrypt", "decrypt", "rewrap", "datakey", "login"},
                           "expired_token": {"lookup", "renew", "encrypt", "decrypt", "rewrap", "datakey"},
                           "wrong_credentials": {"login", "lookup", "renew", "encrypt", "decrypt", "rewrap", "datakey"}}

    def __init__(self, certificates, directory, namespace=False, token_ttl="1h"):
        super().__init__(certificates)
        self.root = secrets.token_hex(16)
        self.review = TokenReview()
        self.key = KEY
        self.namespace = NAMESPACE if namespace else None
        self._backend = programs.free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.server = programs.start(
            [programs.openbao(), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{self._backend}"],
            directory / "openbao.log", self._backend, self._unsealed, env={"BAO_DEV_ROOT_TOKEN_ID": self.root})
        self._set_up(certificates, token_ttl)

    def stop(self):
        super().stop()
        self.review.stop()
        self.server.kill()  # it keeps nothing, and takes seconds to end in order

    def _unsealed(self):
        try:
            self.admin("GET", "sys/mounts", namespace=None)
            return True
        except (OSError, http.client.HTTPException, RuntimeError):
            return False

    def admin(self, method, path, body=None, namespace="own"):
        """Asks OpenBao as root, past the front."""
        connection = http.client.HTTPConnection("127.0.0.1", self._backend, timeout=10)
        try:
            headers = {"X-Vault-Token": self.root}
            if namespace == "own" and self.namespace:
                headers["X-Vault-Namespace"] = self.namespace
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in (200, 204):
                raise RuntimeError(f"OpenBao, {method} {path}: {answer.status} {text.decode()}")
            return json.loads(text) if text else {}
        finally:
            connection.close()

    def _set_up(self, certificates, token_ttl):
        if self.namespace:
            self.admin("POST", f"sys/namespaces/{self.namespace}", {}, namespace=None)
        self.admin("POST", "sys/mounts/transit", {"type": "transit"})
        self.admin("POST", f"transit/keys/{KEY}", {})
        self.admin("PUT", "sys/policies/acl/fieldgate", {"policy": POLICY})
        self.admin("POST", "sys/auth/approle", {"type": "approle"})
        role = {"token_policies": "fieldgate", "token_ttl": token_ttl, "token_max_ttl": "4h"}
        self.admin("POST", "auth/approle/role/fieldgate", role)
        self.role_id = self.admin("GET", "auth/approle/role/fieldgate/role-id")["data"]["role_id"]
        self.secret_id = self.admin("POST", "auth/approle/role/fieldgate/secret-id", {})["data"]["secret_id"]
        self.admin("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        self.admin("POST", "auth/kubernetes/config", {
            "kubernetes_host": self.review.url, "token_reviewer_jwt": self.review.reviewer, "disable_local_ca_jwt": True,
            "kubernetes_ca_cert": certificates.ca_file.read_text()})
        self.admin("POST", "auth/kubernetes/role/fieldgate", {
            **role, "bound_service_account_names": "fieldgate", "bound_service_account_namespaces": "clinic", "audience": AUDIENCE})
        self.token = self.new_token(token_ttl)

    def new_token(self, ttl="1h", renewable=True, policies=("fieldgate",)):
        body = {"ttl": ttl, "renewable": renewable, "policies": list(policies), "no_default_policy": False, "no_parent": True}
        return self.admin("POST", "auth/token/create", body)["auth"]["client_token"]

    def revoke(self, token):
        self.admin("POST", "auth/token/revoke", {"token": token})

    def service_account_token(self, **options):
        return self.review.service_account_token(**options)

    def rotate_key(self):
        self.admin("POST", f"transit/keys/{KEY}/rotate", {})

    def minimum_version(self, version):
        """Ciphertexts of older versions cannot be decrypted from now on."""
        self.admin("POST", f"transit/keys/{KEY}/config", {"min_decryption_version": version})

    def kind_of(self, request):
        path = request.path
        if re.search(r"/auth/.+/login(/|$)", path):
            return "login"
        for part, kind in (("/lookup-self", "lookup"), ("/renew-self", "renew"), ("/encrypt/", "encrypt"), ("/decrypt/", "decrypt"),
                           ("/rewrap/", "rewrap"), ("/datakey/", "datakey")):
            if part in path:
                return kind
        return "other"

    def error(self, status, why):
        return json_response(status, {"errors": [why]})

    def handle(self, request):
        return forward(request, self._backend)

    def refusal(self, fault, request):
        if fault == "throttle":
            return Response(429, json.dumps({"errors": ["request path: rate limit quota exceeded"]}).encode(), [("Retry-After", "1")])
        if fault == "503":
            return self.error(503, "Vault is sealed")
        if fault == "expired_token":  # HashiCorp's words; OpenBao only says "permission denied"
            return json_response(403, {"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})
        if fault == "wrong_credentials":
            return self.error(400, "invalid role or secret ID") if request.kind == "login" else self.error(403, "permission denied")
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        kind = self.kind_of(request)
        if fault == "wrong_type":
            if kind == "login":
                value["auth"] = {**value["auth"], "client_token": 7}
            else:
                value["data"] = {name: 7 for name in value["data"]}
        elif "plaintext" in value.get("data", {}):
            value["data"]["plaintext"] = base64.b64encode(base64.b64decode(value["data"]["plaintext"])[:-1]).decode()
        return value
