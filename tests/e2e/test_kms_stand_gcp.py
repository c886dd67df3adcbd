"""The stand-ins for Google, proven with the driver (libmongocrypt)."""

import base64
import http.client
import json
import ssl
import time
from urllib.parse import urlencode

import pytest
from kms import jwt
from kms.gcp import crc32c
from kms.gcp_identity import ACCESS_TOKEN_TYPE, CLOUD_PLATFORM, EXCHANGE_GRANT, IAM, JWT_GRANT
from kms.oracle import Oracle, on_demand
from pymongo.errors import EncryptionError

CLOUD_KMS = "https://www.googleapis.com/auth/cloudkms"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def oracle(gcp_stand, gcp_token_stand, oracle_client, certificates):
    credentials = {"email": gcp_token_stand.email, "privateKey": jwt.pkcs8_der(gcp_token_stand.private_key), "endpoint": gcp_token_stand.address}
    return Oracle(oracle_client, {"gcp": credentials}, {"gcp": {"tlsCAFile": str(certificates.ca_file)}})


def master_key(stand, **parts):
    return {**stand.key_parts, "endpoint": stand.address, **parts}


def ask(stand, certificates, path, body=None, headers=None):
    make = http.client.HTTPSConnection if certificates else http.client.HTTPConnection
    options = {"context": ssl.create_default_context(cafile=str(certificates.ca_file))} if certificates else {}
    connection = make("127.0.0.1", stand.port, timeout=10, **options)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.getheader("content-type") == "application/json" else text
    finally:
        connection.close()


def test_a_driver_makes_uses_and_rewraps_a_key(gcp_stand, gcp_token_stand, oracle):
    key = oracle.create("gcp", master_key(gcp_stand))
    secret = oracle.round_trip(key)
    number = gcp_stand.new_version()
    oracle.round_trip(key)  # the ciphertext says which version it is of
    assert oracle.rewrap(key, "gcp", master_key(gcp_stand, keyVersion=str(number)))["masterKey"]["keyVersion"] == str(number)
    gcp_stand.disabled.update(range(1, number))
    try:
        assert oracle.decrypt(secret) == "canary-oracle"
        with pytest.raises(EncryptionError, match="FAILED_PRECONDITION"):
            oracle.create("gcp", master_key(gcp_stand, keyVersion="1"))
    finally:
        gcp_stand.disabled.clear()
    assert gcp_token_stand.count("token", "ok") == gcp_token_stand.count() > 0


def test_a_key_that_is_not_there(gcp_stand, oracle):
    for part in ("projectId", "location", "keyRing", "keyName"):
        with pytest.raises(EncryptionError, match="PERMISSION_DENIED"):
            oracle.create("gcp", master_key(gcp_stand, **{part: "unknown"}))
    with pytest.raises(EncryptionError, match="NOT_FOUND"):
        oracle.create("gcp", master_key(gcp_stand, keyVersion="999"))


def test_wrong_credentials_are_refused(gcp_stand, oracle, monkeypatch):
    good = oracle.providers["gcp"]
    for part, value, error in (("privateKey", jwt.pkcs8_der(jwt.new_key()), "Invalid JWT Signature"), ("email", "other@clinic.example", "account not found")):
        oracle.providers = {"gcp": {**good, part: value}}
        with pytest.raises(EncryptionError, match=error):
            oracle.create("gcp", master_key(gcp_stand))
    for token, error in (("ya29.wrong", "UNAUTHENTICATED"), (gcp_stand.tokens.issue(CLOUD_KMS, -1), "UNAUTHENTICATED"),
                         (gcp_stand.tokens.issue("https://www.googleapis.com/auth/drive", 60), "PERMISSION_DENIED")):
        oracle.providers = on_demand(monkeypatch, "gcp", token)
        with pytest.raises(EncryptionError, match=error):
            oracle.create("gcp", master_key(gcp_stand))


def assertion(stand, key=None, without=None, **claims):
    now = int(time.time())
    claims = {"iss": stand.email, "aud": f"{stand.url}/token", "scope": CLOUD_KMS, "iat": now, "exp": now + 300, **claims}
    return jwt.sign(key or stand.private_key, {name: value for name, value in claims.items() if name != without})


def test_every_claim_is_checked(gcp_token_stand, certificates):
    stand, now = gcp_token_stand, int(time.time())

    def log_in(text, **form):
        return ask(stand, certificates, "/token", urlencode({"grant_type": JWT_GRANT, "assertion": text, **form}), FORM)

    status, answer = log_in(assertion(stand))
    assert status == 200 and answer["expires_in"] == 3599 and answer["token_type"] == "Bearer"
    unsigned = ".".join([jwt.base64url(b'{"alg":"none","typ":"JWT"}'), assertion(stand).split(".")[1], ""])
    for text, error in ((assertion(stand, key=jwt.new_key()), "invalid_grant"), (unsigned, "invalid_grant"),
                        (assertion(stand, aud="https://elsewhere.example/token"), "invalid_grant"), (assertion(stand, iss="other"), "invalid_grant"),
                        (assertion(stand, scope="https://www.googleapis.com/auth/drive"), "invalid_scope"),
                        (assertion(stand, iat=now - 600, exp=now - 300), "invalid_grant"), (assertion(stand, iat=now, exp=now + 3601), "invalid_grant"), (assertion(stand, iat=now, exp=now), "invalid_grant"),
                        (assertion(stand, iat=now + 600, exp=now + 900), "invalid_grant"), (assertion(stand, exp=str(now + 300)), "invalid_grant"),
                        (assertion(stand, other=1), "invalid_grant"), ("x.y.z", "invalid_grant"), ("x", "invalid_grant")):
        status, answer = log_in(text)
        assert (status, answer["error"]) == (400, error), answer
    for name in ("iss", "aud", "scope", "iat", "exp"):
        assert log_in(assertion(stand, without=name))[0] == 400
    assert log_in(assertion(stand), grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert log_in(assertion(stand), other="1")[1]["error"] == "invalid_request"
    assert ask(stand, certificates, "/token", urlencode({"grant_type": JWT_GRANT, "assertion": assertion(stand)}),
               {"Content-Type": "application/json"})[0] == 400


def test_a_driver_finds_a_token_at_the_metadata_server(gcp_stand, gcp_metadata_stand, oracle, monkeypatch):
    monkeypatch.setenv("GCE_METADATA_HOST", gcp_metadata_stand.address)
    oracle.providers = {"gcp": {}}
    oracle.round_trip(oracle.create("gcp", master_key(gcp_stand)))
    assert gcp_metadata_stand.count("token", "ok") >= 1
    for headers in ({}, {"Metadata-Flavor": "google"}, {"Metadata-Flavor": "Google", "X-Forwarded-For": "192.0.2.1"}):
        assert ask(gcp_metadata_stand, None, gcp_metadata_stand.PATH, headers=headers)[0] == 403


def exchange(stand, certificates, **changed):
    form = {"grant_type": EXCHANGE_GRANT, "audience": stand.AUDIENCE, "scope": CLOUD_PLATFORM, "requested_token_type": ACCESS_TOKEN_TYPE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "subject_token": stand.subject_token(), **changed}
    return ask(stand, certificates, "/v1/token", urlencode({name: value for name, value in form.items() if value is not None}), FORM)


def test_a_workload_identity_becomes_a_token(gcp_stand, gcp_federation_stand, oracle, certificates, monkeypatch):
    status, answer = exchange(gcp_federation_stand, certificates)
    assert status == 200 and answer["issued_token_type"] == ACCESS_TOKEN_TYPE, answer
    oracle.providers = on_demand(monkeypatch, "gcp", answer["access_token"])
    oracle.round_trip(oracle.create("gcp", master_key(gcp_stand)))


@pytest.mark.parametrize("scope, withheld", [(IAM, False), (CLOUD_PLATFORM, True)])
def test_a_workload_identity_impersonates_a_service_account(gcp_stand, gcp_federation_stand, oracle, certificates, monkeypatch, tmp_path,
                                                            scope, withheld):
    configuration = gcp_federation_stand.credential_configuration(tmp_path / "token", impersonate=True)
    path = configuration["service_account_impersonation_url"].removeprefix(gcp_federation_stand.url)
    monkeypatch.setattr(gcp_federation_stand, "needs_impersonation", withheld)
    federated = exchange(gcp_federation_stand, certificates, scope=scope)[1]["access_token"]
    oracle.providers = on_demand(monkeypatch, "gcp", federated)
    with pytest.raises(EncryptionError, match="PERMISSION_DENIED"):
        oracle.create("gcp", master_key(gcp_stand))
    body = json.dumps({"scope": [CLOUD_KMS], "lifetime": "600s"})
    headers = {"Authorization": f"Bearer {federated}", "Content-Type": "application/json"}
    status, answer = ask(gcp_federation_stand, certificates, path, body, headers)
    assert status == 200 and answer["expireTime"].endswith("Z"), answer
    oracle.providers = on_demand(monkeypatch, "gcp", answer["accessToken"])
    oracle.round_trip(oracle.create("gcp", master_key(gcp_stand)))
    assert ask(gcp_federation_stand, certificates, path, body, {**headers, "Authorization": "Bearer wrong"})[0] == 401
    assert ask(gcp_federation_stand, certificates, path.replace("fieldgate@", "other@"), body, headers)[0] == 404


def test_every_field_of_an_exchange_is_checked(gcp_federation_stand, certificates):
    make, past = gcp_federation_stand.subject_token, int(time.time()) - 7200
    for changed, error in (({"grant_type": JWT_GRANT}, "unsupported_grant_type"), ({"audience": "//iam.googleapis.com/elsewhere"}, "invalid_target"),
                           ({"scope": "openid"}, "invalid_scope"), ({"requested_token_type": None}, "invalid_request"),
                           ({"subject_token_type": "jwt"}, "invalid_request"), ({"subject_token": make(key=jwt.new_key())}, "invalid_grant"),
                           ({"subject_token": make(iat=past, exp=past + 60)}, "invalid_grant"), ({"subject_token": make(aud="x")}, "invalid_grant"),
                           ({"subject_token": make(iss="x")}, "invalid_grant"), ({"subject_token": make(sub="x")}, "unauthorized_client")):
        status, answer = exchange(gcp_federation_stand, certificates, **changed)
        assert (status, answer["error"]) == (400, error), answer


def test_shapes_of_key_operations(gcp_stand, certificates):
    headers = {"Authorization": f"Bearer {gcp_stand.tokens.issue(CLOUD_KMS, 60)}", "Content-Type": "application/json"}
    path, value = f"/v1/{gcp_stand.key}:encrypt", base64.b64encode(b"k" * 96).decode()
    status, answer = ask(gcp_stand, certificates, path, json.dumps({"plaintext": value, "plaintextCrc32c": str(crc32c(b"k" * 96))}), headers)
    assert status == 200 and answer["verifiedPlaintextCrc32c"] and int(answer["ciphertextCrc32c"]) == crc32c(base64.b64decode(answer["ciphertext"]))
    wrapped = base64.b64decode(answer["ciphertext"])
    status, answer = ask(gcp_stand, certificates, path.replace("encrypt", "decrypt"), json.dumps({"ciphertext": answer["ciphertext"]}), headers)
    assert status == 200 and answer["plaintext"] == value and answer["plaintextCrc32c"] == str(crc32c(b"k" * 96))
    spoiled = base64.b64encode(wrapped[:-1] + bytes([wrapped[-1] ^ 1])).decode()
    opening = path.replace("encrypt", "decrypt")
    for changed_path, body, changed_headers, status in (
            (path, {"plaintext": value}, {}, 401), (path, {"plaintext": value, "plaintextCrc32c": "1"}, headers, 400), (path, {}, headers, 400),
            (path, {"plaintext": value, "other": 1}, headers, 400), (path, {"plaintext": ""}, headers, 400), (path, {"plaintext": "%"}, headers, 400),
            (path, {"plaintext": 7}, headers, 400), (path, {"plaintext": base64.b64encode(b"k" * 65537).decode()}, headers, 400),
            (path, {"plaintext": value}, {**headers, "Content-Type": "text/plain"}, 400), (path + "?x=1", {"plaintext": value}, headers, 404),
            (path.replace("clinic", ".."), {"plaintext": value}, headers, 400), (opening, {"ciphertext": spoiled}, headers, 400),
            (opening, {"ciphertext": value}, headers, 400),
            (f"/v1/{gcp_stand.key}/cryptoKeyVersions/1:decrypt", {"ciphertext": base64.b64encode(wrapped).decode()}, headers, 404)):
        assert ask(gcp_stand, certificates, changed_path, json.dumps(body), changed_headers)[0] == status, (changed_path, body)


def test_the_checksum():
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(b"") == 0


def test_a_driver_sees_the_faults(gcp_stand, gcp_token_stand, oracle):
    key = oracle.create("gcp", master_key(gcp_stand))
    for fault, message in (("throttle", "RESOURCE_EXHAUSTED"), ("500", "INTERNAL"), ("503", "UNAVAILABLE"), ("expired_token", "UNAUTHENTICATED"),
                           ("wrong_credentials", "PERMISSION_DENIED"), ("wrong_name", "match|verify"), ("wrong_length", "incorrect length"),
                           ("wrong_type", "."), ("not_parsable", "."), ("truncated", ".")):
        with gcp_stand.faulty(fault), pytest.raises(EncryptionError, match=message):
            oracle.round_trip(key)
    for fault, message in (("throttle", "429"), ("500", "500"), ("wrong_credentials", "invalid_grant"), ("stranger", "verify"), ("wrong_type", ".")):
        with gcp_token_stand.faulty(fault), pytest.raises(EncryptionError, match=message):
            oracle.round_trip(key)
    oracle.round_trip(key)
