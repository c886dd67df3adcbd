"""Where AWS's credentials come from: the container endpoint (ECS, EKS pod identity), instance metadata (IMDSv2), both
plain HTTP as they are in life, and STS, which trades a web identity token for a session. All hand out sessions that
one AwsStand accepts."""

import datetime
import re
import secrets
import time
from xml.sax.saxutils import escape

from . import jwt
from .http1 import Response, json_response
from .http_stand import HttpStand, Refused

ROLE = "fieldgate"
ROLE_ARN = f"arn:aws:iam::123456789012:role/{ROLE}"
CONTAINER_PATH = "/v2/credentials/5c9c1b1e-7a8f-4a6d-9a39-2b0a7d0b3f51"
METADATA = "/latest/meta-data/iam/security-credentials/"


def timestamp(seconds_from_now=0):
    return f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now):%Y-%m-%dT%H:%M:%SZ}"


class AwsMetadataStand(HttpStand):
    """`container_uri` with `container_token` in the Authorization header, and `url` as IMDS's endpoint."""

    kinds = {"container", "token", "role", "credentials", "other"}
    outcomes_of_meaning = {"wrong_length": set(), "expired_token": {"role", "credentials"}, "wrong_type": {"container", "credentials"}}

    def __init__(self, aws, lifetime_s=3600):
        super().__init__()
        self.aws, self.lifetime_s = aws, lifetime_s
        self.container_token = secrets.token_urlsafe(32)
        self.container_uri = self.url + CONTAINER_PATH
        self._tokens = {}

    def kind_of(self, request):
        if request.path == "/latest/api/token":
            return "token"
        if request.path.startswith(METADATA):
            return "role" if request.path == METADATA else "credentials"
        return "container" if request.path == CONTAINER_PATH else "other"

    def error(self, status, why):
        return json_response(status, {"code": str(status), "message": why})

    def handle(self, request):
        kind = self.kind_of(request)
        self.require(kind != "other", "no such resource", 404)
        if kind == "token":
            return self._new_token(request)
        self.require(request.method == "GET" and not request.body, "only GET without a body", 405)
        if kind == "container":
            self.require(request.header("authorization") == self.container_token, "wrong authorization token", 401)
            return json_response(200, {"RoleArn": ROLE_ARN, **self._session()})
        expiry = self._tokens.get(request.header("x-aws-ec2-metadata-token"), 0)
        self.require(expiry > time.time(), "no valid session token", 401)
        if kind == "role":
            return Response(200, ROLE.encode(), content_type="text/plain")
        self.require(request.path == METADATA + ROLE, "no such role", 404)
        return json_response(200, {"Code": "Success", "LastUpdated": timestamp(), "Type": "AWS-HMAC", **self._session()})

    def _new_token(self, request):
        self.require(request.method == "PUT", "only PUT", 405)
        self.require(request.header("x-forwarded-for") is None, "forwarded requests get no token", 403)
        ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds") or ""
        self.require(re.fullmatch(r"\d{1,5}", ttl) and 1 <= int(ttl) <= 21600, "the time to live is not 1 to 21600 s")
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.time() + int(ttl)
        return Response(200, token.encode(), [("X-aws-ec2-metadata-token-ttl-seconds", ttl)], "text/plain")

    def _session(self):
        key_id, secret, token = self.aws.session(self.lifetime_s)
        return {"AccessKeyId": key_id, "SecretAccessKey": secret, "Token": token, "Expiration": timestamp(self.lifetime_s)}

    def refusal(self, fault, request):
        if fault in ("expired_token", "wrong_credentials"):
            return self.error(401, "Unauthorized")
        return super().refusal(fault, request)

    def spoil_value(self, fault, request, value):
        return {name: 7 for name in value}


class AwsStsStand(HttpStand):
    """`web_identity_token()` makes what a cluster would put into the token's file; `role_arn` is what it is good for."""

    kinds = {"assume"}
    outcomes_of_meaning = {"wrong_length": set(), "wrong_type": set()}
    role_arn = ROLE_ARN
    SUBJECT = "system:serviceaccount:clinic:fieldgate"

    def __init__(self, certificates, aws, lifetime_s=3600):
        super().__init__(certificates)
        self.aws, self.lifetime_s = aws, lifetime_s
        self.issuer = jwt.new_key()

    def web_identity_token(self, key=None, **claims):
        now = int(time.time())
        return jwt.sign(key or self.issuer, {"iss": "https://oidc.clinic.example", "sub": self.SUBJECT, "aud": ["sts.amazonaws.com"],
                                             "iat": now, "exp": now + 3600, **claims})

    def kind_of(self, request):
        return "assume"

    def error(self, status, why, code="ValidationError"):
        party = "Sender" if status < 500 else "Receiver"
        return self._xml(status, f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>{party}</Type><Code>{code}'
                                 f"</Code><Message>{escape(why)}</Message></Error><RequestId>{secrets.token_hex(8)}</RequestId></ErrorResponse>")

    def _xml(self, status, text):
        return Response(status, text.encode(), content_type="text/xml")

    def refuse_as(self, code, why, status=400):
        raise Refused(self.error(status, why, code), f"{code}: {why}")

    def handle(self, request):
        self.require(request.path == "/" and request.method in ("GET", "POST"), "no such resource", 404)
        values = request.query if request.method == "GET" else request.form()
        expected = {"Action", "Version", "RoleArn", "RoleSessionName", "WebIdentityToken"}
        if values.get("Action") != "AssumeRoleWithWebIdentity" or values.get("Version") != "2011-06-15":
            self.refuse_as("InvalidAction", "Could not find operation for this action and version")
        if not expected <= values.keys() <= expected | {"DurationSeconds"}:
            self.refuse_as("ValidationError", f"parameters are {sorted(values)}")
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", values["RoleSessionName"], re.A):
            self.refuse_as("ValidationError", "RoleSessionName does not satisfy its pattern")
        duration = values.get("DurationSeconds", str(self.lifetime_s))
        if not re.fullmatch(r"\d+", duration) or not 1 <= int(duration) <= 43200:
            self.refuse_as("ValidationError", "DurationSeconds")
        try:
            claims = jwt.verify(values["WebIdentityToken"], self.issuer.public_key())
            if isinstance(claims.get("exp"), int) and claims["exp"] < time.time():
                self.refuse_as("ExpiredTokenException", "Token expired")
            jwt.check_times(claims, longest_s=86400)
        except jwt.BadToken as error:
            self.refuse_as("InvalidIdentityToken", str(error))
        if "sts.amazonaws.com" not in claims["aud"]:
            self.refuse_as("InvalidIdentityToken", "Incorrect token audience")
        if values["RoleArn"] != self.role_arn or claims["sub"] != self.SUBJECT:
            self.refuse_as("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        return self._xml(200, self._answer(claims, values["RoleSessionName"], min(int(duration), self.lifetime_s)))

    def _answer(self, claims, session, seconds):
        key_id, secret, token = self.aws.session(seconds)
        return (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>'
            f"<SubjectFromWebIdentityToken>{claims['sub']}</SubjectFromWebIdentityToken><Audience>sts.amazonaws.com</Audience>"
            f"<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/{ROLE}/{escape(session)}</Arn>"
            f"<AssumedRoleId>AROACLQUMEXAMPLE:{escape(session)}</AssumedRoleId></AssumedRoleUser><Credentials>"
            f"<SessionToken>{token}</SessionToken><SecretAccessKey>{escape(secret)}</SecretAccessKey><Expiration>{timestamp(seconds)}"
            f"</Expiration><AccessKeyId>{key_id}</AccessKeyId></Credentials><Provider>arn:aws:iam::123456789012:oidc-provider/"
            "oidc.clinic.example</Provider></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>"
            f"{secrets.token_hex(8)}</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>\n")

    def refusal(self, fault, request):
        named = {"throttle": (400, "Throttling", "Rate exceeded"), "500": (500, "InternalFailure", "internal failure"),
                 "503": (503, "ServiceUnavailable", "unavailable"), "expired_token": (400, "ExpiredTokenException", "Token expired"),
                 "wrong_credentials": (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")}
        if fault in named:
            status, code, why = named[fault]
            return self.error(status, why, code)
        return super().refusal(fault, request)
