"""AWS Signature Version 4, the receiving side: recomputes the signature of a request from what arrived."""

import datetime
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

AGE_S_MAX = 300
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9-]+(?:;[a-z0-9-]+)*), ?Signature=(?P<signature>[0-9a-f]{64})")


class BadSignature(Exception):
    """`name` is the __type of AWS's error."""

    def __init__(self, name, message):
        super().__init__(message)
        self.name = name


@dataclass
class Signed:
    """The parts of an Authorization header."""

    id: str
    date: str
    region: str
    service: str
    headers: list
    signature: str


def parse(request):
    text = request.header("authorization")
    if text is None:
        raise BadSignature("MissingAuthenticationTokenException", "Missing Authentication Token")
    matched = AUTHORIZATION.fullmatch(text)
    if not matched:
        raise BadSignature("IncompleteSignatureException", "Authorization header is malformed.")
    parts = matched.groupdict()
    signed = parts["headers"].split(";")
    if signed != sorted(set(signed)):
        raise BadSignature("IncompleteSignatureException", "SignedHeaders are not sorted, or not unique.")
    for name in ["host"] + sorted({name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")}):
        if name not in signed:
            raise BadSignature("InvalidSignatureException", f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    return Signed(parts["id"], parts["date"], parts["region"], parts["service"], signed, parts["signature"])


def canonical_request(request, signed_headers):
    url = urlsplit(request.target)
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(url.query, keep_blank_values=True))
    headers = []
    for name in signed_headers:
        value = request.header(name)
        if value is None:
            raise BadSignature("InvalidSignatureException", f"signed header {name} is not there")
        headers.append(f"{name}:{' '.join(value.split())}\n")
    return "\n".join([request.method, quote(url.path, safe="/-_.~"), "&".join(f"{name}={value}" for name, value in pairs),
                      "".join(headers), ";".join(signed_headers), hashlib.sha256(request.body).hexdigest()])


def signature(request, signed, secret, time_text):
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", time_text, scope,
                      hashlib.sha256(canonical_request(request, signed.headers).encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (signed.date, signed.region, signed.service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def check(request, signed, secret, now=None):
    time_text = request.header("x-amz-date") or ""
    if not re.fullmatch(r"\d{8}T\d{6}Z", time_text) or not time_text.startswith(signed.date):
        raise BadSignature("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.")
    if not hmac.compare_digest(signature(request, signed, secret, time_text), signed.signature):
        raise BadSignature("InvalidSignatureException",
                           "The request signature we calculated does not match the signature you provided. "
                           "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
    now = now or datetime.datetime.now(datetime.timezone.utc)
    sent = datetime.datetime.strptime(time_text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs((now - sent).total_seconds()) > AGE_S_MAX:
        order = "expired: {} is now earlier than" if sent < now else "not yet current: {} is still later than"
        raise BadSignature("InvalidSignatureException", f"Signature {order.format(time_text)} {now:%Y%m%dT%H%M%SZ} (5 min.)")
