"""Where Google's tokens come from: a service account's signed JWT, the metadata server (plain HTTP), and workload
identity federation (the token exchange, and the service account's impersonation after it)."""

import datetime
import re
import secrets
import time

from . import jwt
from .http1 import Response, json_response
from .http_stand import HttpStand, Refused

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TOKEN_TYPES = {"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
IAM = "https://www.googleapis.com/auth/iam"  # what Google's own library asks for before it impersonates


class _OauthStand(HttpStand):
    def __init__(self, certificates, kms, lifetime_s):
        super().__init__(certificates)
        self.kms, self.lifetime_s = kms, lifetime_s

    def error(self, status, why, name="invalid_request"):
        return json_response(status, {"error": name, "error_description": why})

    def refuse_as(self, name, why, status=400):
        raise Refused(self.error(status, why, name), f"{name}: {why}")

    def spoil_value(self, fault, request, value):
        return {**value, "access_token": 7, "accessToken": 7}


class GcpTokenStand(_OauthStand):
    """oauth2.googleapis.com for the service account `email`, whose key is `private_key`."""

    kinds = {"token", "other"}
    outcomes_of_meaning = {"wrong_length": set()}

    def __init__(self, certificates, kms, lifetime_s=3599):
        super().__init__(certificates, kms, lifetime_s)
        self.email = "fieldgate@clinic.iam.gserviceaccount.com"
        self.private_key = jwt.new_key()
        self.private_key_id = secrets.token_hex(20)
        self.audiences = {"https://oauth2.googleapis.com/token", f"{self.url}/token", f"https://{self.host}/token"}

    def key_file(self):
        """What Google gives for download, with this stand-in as its token_uri."""
        return {"type": "service_account", "project_id": "clinic", "private_key_id": self.private_key_id,
                "private_key": jwt.pkcs8_pem(self.private_key), "client_email": self.email, "client_id": "104711",
                "token_uri": f"{self.url}/token", "universe_domain": "googleapis.com"}

    def kind_of(self, request):
        return "token" if request.path == "/token" else "other"

    def handle(self, request):
        self.require(request.target == "/token", "no such resource", 404)
        self.require(request.method == "POST", "only POST", 405)
        form = request.form()
        if form.get("grant_type") != JWT_GRANT:
            self.refuse_as("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        self.require(form.keys() == {"grant_type", "assertion"}, f"parameters are {sorted(form)}")
        try:
            claims = jwt.verify(form["assertion"], self.private_key.public_key(), padded=True)
        except jwt.BadToken as error:
            self.refuse_as("invalid_grant", f"Invalid JWT Signature. ({error})")
        if not {"iss", "aud", "scope", "iat", "exp"} <= claims.keys() <= {"iss", "aud", "scope", "iat", "exp", "sub"}:
            self.refuse_as("invalid_grant", f"Invalid JWT: claims are {sorted(claims)}")
        if claims["iss"] != self.email or claims.get("sub", self.email) != self.email:
            self.refuse_as("invalid_grant", "Invalid grant: account not found")
        if claims["aud"] not in self.audiences:
            self.refuse_as("invalid_grant", f"Invalid JWT: Failed audience check: {claims['aud']}")
        try:
            jwt.check_times(claims, longest_s=3600)
        except jwt.BadToken as error:
            self.refuse_as("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                                            f"Check your iat and exp values in the JWT claim. ({error})")
        self._check_scope(claims["scope"])
        return json_response(200, {"access_token": self.kms.tokens.issue(claims["scope"], self.lifetime_s), "expires_in": self.lifetime_s,
                                   "token_type": "Bearer"})

    def _check_scope(self, scope):
        if scope not in self.kms.scopes:
            self.refuse_as("invalid_scope", f"Invalid OAuth scope or ID token audience provided: {scope}")

    def refusal(self, fault, request):
        if fault == "wrong_credentials":
            return self.error(400, "Invalid JWT Signature.", "invalid_grant")
        if fault == "expired_token":
            return self.error(400, "Invalid JWT: Token must be a short-lived token (60 minutes).", "invalid_grant")
        if fault == "throttle":
            return self.error(429, "Rate limit exceeded", "rate_limit_exceeded")
        return super().refusal(fault, request)


class GcpMetadataStand(_OauthStand):
    """`address` stands for metadata.google.internal."""

    kinds = {"token", "other"}
    outcomes_of_meaning = {"wrong_length": set()}
    PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
    FLAVOR = [("Metadata-Flavor", "Google")]

    def __init__(self, kms, lifetime_s=3599):
        super().__init__(None, kms, lifetime_s)

    def kind_of(self, request):
        return "token" if request.path == self.PATH else "other"

    def error(self, status, why, name=None):
        return Response(status, f"<!DOCTYPE html><p>{why}</p>".encode(), self.FLAVOR, "text/html; charset=UTF-8")

    def handle(self, request):
        self.require(request.header("metadata-flavor") == "Google" and request.header("x-forwarded-for") is None,
                     "Your client does not have permission to get this URL. Missing Metadata-Flavor:Google header.", 403)
        self.require(request.path == self.PATH and request.query.keys() <= {"scopes"}, "not found", 404)
        self.require(request.method == "GET" and not request.body, "only GET without a body", 405)
        scope = request.query.get("scopes", CLOUD_PLATFORM)
        return json_response(200, {"access_token": self.kms.tokens.issue(scope, self.lifetime_s), "expires_in": self.lifetime_s,
                                   "token_type": "Bearer"}, self.FLAVOR)

    def refusal(self, fault, request):
        if fault in ("wrong_credentials", "expired_token"):
            return self.error(403, "no service account")
        return super().refusal(fault, request)


class GcpFederationStand(_OauthStand):
    """sts.googleapis.com and iamcredentials.googleapis.com. `credential_configuration(file)` is what Google's tool would
    write for the pool; `subject_token()` is what a cluster would put into that file."""

    kinds = {"exchange", "impersonate", "other"}
    outcomes_of_meaning = {"wrong_length": set()}
    AUDIENCE = "//iam.googleapis.com/projects/104711/locations/global/workloadIdentityPools/clinic/providers/kubernetes"
    ISSUER, SUBJECT = "https://oidc.clinic.example", "system:serviceaccount:clinic:fieldgate"
    EMAIL = "fieldgate@clinic.iam.gserviceaccount.com"

    def __init__(self, certificates, kms, lifetime_s=3599):
        super().__init__(certificates, kms, lifetime_s)
        self.federation = jwt.new_key()
        self.needs_impersonation = False  # the federated token itself may not use the key

    def subject_token(self, key=None, **claims):
        now = int(time.time())
        return jwt.sign(key or self.federation, {"iss": self.ISSUER, "sub": self.SUBJECT, "aud": f"https:{self.AUDIENCE}",
                                                 "iat": now, "exp": now + 3600, **claims})

    def credential_configuration(self, file, impersonate=False):
        service_account = {"service_account_impersonation_url": f"{self.url}/v1/projects/-/serviceAccounts/{self.EMAIL}:generateAccessToken"}
        return {"type": "external_account", "audience": self.AUDIENCE, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{self.url}/v1/token", "credential_source": {"file": str(file)}, "universe_domain": "googleapis.com",
                **(service_account if impersonate else {})}

    def kind_of(self, request):
        return "exchange" if request.path == "/v1/token" else "impersonate" if request.path.endswith(":generateAccessToken") else "other"

    def handle(self, request):
        self.require(request.method == "POST" and not request.query, "only POST without parameters", 405)
        if self.kind_of(request) == "exchange":
            return self._exchange_token(request.form())
        self.require(request.path == f"/v1/projects/-/serviceAccounts/{self.EMAIL}:generateAccessToken", "no such resource", 404)
        return self._impersonate(request)

    def _exchange_token(self, form):
        expected = {"grant_type", "audience", "scope", "requested_token_type", "subject_token_type", "subject_token"}
        self.require(form.keys() == expected, f"parameters are {sorted(form)}")
        if form["grant_type"] != EXCHANGE_GRANT:
            self.refuse_as("unsupported_grant_type", "Invalid grant_type")
        if form["audience"] != self.AUDIENCE:
            self.refuse_as("invalid_target", 'The target service indicated by the "audience" parameters is invalid.')
        self.require(form["requested_token_type"] == ACCESS_TOKEN_TYPE and form["subject_token_type"] in SUBJECT_TOKEN_TYPES, "Invalid token type")
        if form["scope"] not in self.kms.scopes | {IAM}:
            self.refuse_as("invalid_scope", f"Invalid scope {form['scope']}")
        try:
            claims = jwt.verify(form["subject_token"], self.federation.public_key())
            jwt.check_times(claims, longest_s=86400)
        except jwt.BadToken as error:
            self.refuse_as("invalid_grant", f"The ID Token or its signature is not valid: {error}")
        if claims.get("iss") != self.ISSUER or claims.get("aud") not in (f"https:{self.AUDIENCE}", [f"https:{self.AUDIENCE}"]):
            self.refuse_as("invalid_grant", "The issuer or the audience in ID Token does not match the expected one.")
        if claims.get("sub") != self.SUBJECT:
            self.refuse_as("unauthorized_client", "The given credential is rejected by the attribute condition.")
        audience = "federated" if self.needs_impersonation else form["scope"]  # IAM's scope opens no key
        return json_response(200, {"access_token": self.kms.tokens.issue(audience, self.lifetime_s), "issued_token_type": ACCESS_TOKEN_TYPE,
                                   "token_type": "Bearer", "expires_in": self.lifetime_s})

    def _impersonate(self, request):
        verdict = self.kms.tokens.judge(request.header("authorization"), {"federated", CLOUD_PLATFORM, IAM})
        if verdict:
            why = "Request had invalid authentication credentials."
            raise Refused(json_response(401, {"error": {"code": 401, "message": why, "status": "UNAUTHENTICATED"}}), f"{why} ({verdict})")
        body = request.json()
        self.require({"scope"} <= body.keys() <= {"scope", "lifetime", "delegates"}, f"members are {sorted(body)}")
        scopes, lifetime = body["scope"], body.get("lifetime", f"{self.lifetime_s}s")
        self.require(isinstance(scopes, list) and scopes and set(scopes) <= self.kms.scopes, "scope is not a list of scopes")
        self.require(isinstance(lifetime, str) and re.fullmatch(r"\d{1,5}s", lifetime) and int(lifetime[:-1]) <= 43200, "lifetime")
        seconds = min(int(lifetime[:-1]), self.lifetime_s)
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return json_response(200, {"accessToken": self.kms.tokens.issue(scopes[0], seconds), "expireTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"})

    def refusal(self, fault, request):
        if fault in ("wrong_credentials", "expired_token"):
            return self.error(400, "The ID Token or its signature is not valid.", "invalid_grant")
        return super().refusal(fault, request)
