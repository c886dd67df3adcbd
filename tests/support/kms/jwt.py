"""JSON Web Tokens as the stand-ins check and issue them: RS256 only, everything that is required is required."""

import base64
import json
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .http1 import BadRequest, unique

SKEW_S = 60


class BadToken(Exception):
    pass


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text):
    """Strict: no padding, no foreign character, no bits left over."""
    raw = text.encode("ascii") if isinstance(text, str) else b"="
    try:
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadToken(f"not base64url: {error}") from None
    if b"=" in raw or base64url(data).encode() != raw:
        raise BadToken("not base64url without padding")
    return data


def without_padding(text):
    """What libmongocrypt sends has padding, which the providers take although it is against the rules; answers have none."""
    whole = isinstance(text, str) and len(text) % 4 == 0 and not text.endswith("===")
    return text.rstrip("=") if whole else text


def new_key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pkcs8_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def pkcs8_der(key):
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def sign(key, claims, header=None):
    head = {"alg": "RS256", "typ": "JWT", **(header or {})}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
    return text + "." + base64url(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))


def verify(token, public_key, padded=False):
    """The claims of a token whose signature holds; raises BadToken with the reason. `padded`: its parts may be."""
    signed, _, _ = token.rpartition(".")
    parts = [without_padding(part) if padded else part for part in token.split(".")]
    if len(parts) != 3:
        raise BadToken(f"{len(parts)} parts, not three")
    try:
        header, claims = (json.loads(from_base64url(part), object_pairs_hook=unique) for part in parts[:2])
    except (ValueError, BadRequest) as error:
        raise BadToken(f"header or claims are not JSON: {error}") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadToken("header or claims are not objects")
    if header.get("alg") != "RS256" or header.get("typ", "JWT") != "JWT":
        raise BadToken("the header is not that of an RS256 JWT")
    try:
        public_key.verify(from_base64url(parts[2]), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise BadToken("invalid signature") from None
    return claims


def check_times(claims, longest_s=3600):
    now = time.time()
    for name in ("iat", "exp"):
        if not isinstance(claims.get(name), int) or isinstance(claims.get(name), bool):
            raise BadToken(f"{name} is not a whole number")
    if claims["exp"] <= claims["iat"] or claims["exp"] - claims["iat"] > longest_s:
        raise BadToken(f"exp is not within {longest_s} s after iat")
    if claims["iat"] > now + SKEW_S:
        raise BadToken("iat lies in the future")
    if claims["exp"] < now - SKEW_S:
        raise BadToken("expired")
