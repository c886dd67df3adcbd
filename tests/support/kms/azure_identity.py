"""Where Azure's tokens come from: Microsoft's identity platform (client secret, or a federated token for workload
identity) and the metadata service of machines (managed identity), which is plain HTTP."""

import datetime
import secrets
import time

from . import jwt
from .http1 import json_response
from .http_stand import HttpStand, Refused

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"


class AzureLoginStand(HttpStand):
    """`address` is the identity platform's endpoint; `tenant_id`, `client_id` and `client_secret` are good, and so are
    the tokens of `federated_token()`."""

    kinds = {"token", "other"}
    outcomes_of_meaning = {"wrong_length": set()}
    ISSUER, SUBJECT = "https://oidc.clinic.example/", "system:serviceaccount:clinic:fieldgate"

    def __init__(self, certificates, vault, lifetime_s=3599):
        super().__init__(certificates)
        self.vault, self.lifetime_s = vault, lifetime_s
        self.tenant_id, self.client_id = "9a1c5c9e-5f3a-4e0e-8d49-4a27a0c1b001", "2f1f6a55-7d2e-4c55-9f43-0f5e6f9f0002"
        self.client_secret = "~" + secrets.token_urlsafe(30)
        self.federation = jwt.new_key()

    def federated_token(self, key=None, **claims):
        now = int(time.time())
        return jwt.sign(key or self.federation, {"iss": self.ISSUER, "sub": self.SUBJECT, "aud": FEDERATED_AUDIENCE,
                                                 "iat": now, "nbf": now, "exp": now + 3600, **claims})

    def kind_of(self, request):
        return "token" if request.path.endswith("/oauth2/v2.0/token") else "other"

    def error(self, status, why, name="invalid_request", code=900144):
        now = datetime.datetime.now(datetime.timezone.utc)
        return json_response(status, {
            "error": name, "error_description": f"AADSTS{code}: {why}", "error_codes": [code], "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": secrets.token_hex(16), "correlation_id": secrets.token_hex(16)},
            [("Retry-After", "1")] if status == 429 else [])

    def refuse_as(self, status, name, code, why):
        raise Refused(self.error(status, why, name, code), f"{name}: AADSTS{code}: {why}")

    def handle(self, request):
        segments = request.segments()
        self.require(segments[1:] == ["oauth2", "v2.0", "token"] and not request.query, "no such resource", 404)
        self.require(request.method == "POST", "only POST", 405)
        if segments[0] != self.tenant_id:
            self.refuse_as(400, "invalid_request", 90002, f"Tenant '{segments[0]}' not found.")
        form = request.form()
        if form.get("grant_type") != "client_credentials":
            self.refuse_as(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        common = {"grant_type", "client_id", "scope"}
        if form.keys() not in (common | {"client_secret"}, common | {"client_assertion_type", "client_assertion"}):
            self.refuse_as(401, "invalid_client", 7000216, f"'client_assertion' or 'client_secret' is required, and nothing else: {sorted(form)}")
        if form["client_id"] != self.client_id:
            self.refuse_as(400, "unauthorized_client", 700016, f"Application with identifier '{form['client_id']}' was not found.")
        resource, default, rest = form["scope"].partition("/.default")
        if not default or rest or resource not in self.vault.resources:
            self.refuse_as(400, "invalid_scope", 1002012, f"The provided value for scope {form['scope']} is not valid.")
        if "client_secret" in form and form["client_secret"] != self.client_secret:
            self.refuse_as(401, "invalid_client", 7000215, "Invalid client secret provided.")
        if "client_assertion" in form:
            self._check_assertion(form)
        return json_response(200, {"token_type": "Bearer", "expires_in": self.lifetime_s, "ext_expires_in": self.lifetime_s,
                                   "access_token": self.vault.tokens.issue(resource, self.lifetime_s)})

    def _check_assertion(self, form):
        if form["client_assertion_type"] != ASSERTION_TYPE:
            self.refuse_as(400, "invalid_request", 50027, "client_assertion_type is not that of a JWT.")
        try:
            claims = jwt.verify(form["client_assertion"], self.federation.public_key())
        except jwt.BadToken as error:
            self.refuse_as(401, "invalid_client", 700027, f"The client assertion failed signature validation: {error}")
        try:
            jwt.check_times(claims, longest_s=86400)
        except jwt.BadToken as error:
            self.refuse_as(401, "invalid_client", 700024, f"Client assertion is not within its valid time range: {error}")
        if claims.get("aud") not in (FEDERATED_AUDIENCE, [FEDERATED_AUDIENCE]):
            self.refuse_as(401, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience.")
        if (claims.get("iss"), claims.get("sub")) != (self.ISSUER, self.SUBJECT):
            self.refuse_as(401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject.")

    def refusal(self, fault, request):
        if fault == "wrong_credentials":
            return self.error(401, "Invalid client secret provided.", "invalid_client", 7000215)
        if fault == "expired_token":
            return self.error(401, "The provided client secret keys are expired.", "invalid_client", 7000222)
        if fault == "throttle":
            return self.error(429, "Request is throttled.", "temporarily_unavailable", 50196)
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        return {**value, "access_token": 7}


class AzureMetadataStand(HttpStand):
    """`url` stands for http://169.254.169.254; `client_id` is the identity that was assigned to the machine."""

    kinds = {"token", "other"}
    outcomes_of_meaning = {"wrong_length": set()}

    def __init__(self, vault, lifetime_s=86399):
        super().__init__()
        self.vault, self.lifetime_s = vault, lifetime_s
        self.client_id = "7b9f6a55-7d2e-4c55-9f43-0f5e6f9f0003"

    def kind_of(self, request):
        return "token" if request.path == "/metadata/identity/oauth2/token" else "other"

    def error(self, status, why, name="invalid_request"):
        return json_response(status, {"error": name, "error_description": why})

    def handle(self, request):
        self.require(self.kind_of(request) == "token", "Not found", 404)
        self.require(request.method == "GET" and not request.body, "only GET without a body", 405)
        self.require((request.header("metadata") or "").lower() == "true", "Required metadata header not specified")
        self.require(request.header("x-forwarded-for") is None, "Required metadata header not specified or not correct")
        query = request.query
        self.require({"api-version", "resource"} <= query.keys() <= {"api-version", "resource", "client_id"}, f"parameters are {sorted(query)}")
        self.require(query["api-version"] in ("2018-02-01", "2019-08-01", "2021-02-01"), "unsupported api-version")
        resource = query["resource"].rstrip("/")
        self.require(resource in self.vault.resources, f"AADSTS500011: The resource principal named {resource} was not found")
        self.require(query.get("client_id", self.client_id) == self.client_id, "Identity not found")
        now = int(time.time())
        return json_response(200, {
            "access_token": self.vault.tokens.issue(resource, self.lifetime_s), "client_id": self.client_id,
            "expires_in": str(self.lifetime_s), "expires_on": str(now + self.lifetime_s), "ext_expires_in": str(self.lifetime_s),
            "not_before": str(now - 300), "resource": query["resource"], "token_type": "Bearer"})

    def refusal(self, fault, request):
        if fault == "wrong_credentials":
            return self.error(400, "Identity not found")
        if fault == "expired_token":
            return self.error(401, "unauthorized", "unauthorized_client")
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        return {**value, "access_token": 7}
