"""The stand-ins for Azure, proven with the driver (libmongocrypt)."""

import http.client
import json
import ssl
import time
from urllib.parse import urlencode

import pytest
from kms import jwt
from kms.azure_identity import ASSERTION_TYPE
from kms.oracle import Oracle, on_demand
from pymongo.errors import EncryptionError


@pytest.fixture
def oracle(azure_stand, azure_login_stand, oracle_client, certificates):
    login = azure_login_stand
    credentials = {"tenantId": login.tenant_id, "clientId": login.client_id, "clientSecret": login.client_secret,
                   "identityPlatformEndpoint": login.address}
    return Oracle(oracle_client, {"azure": credentials}, {"azure": {"tlsCAFile": str(certificates.ca_file)}})


def master_key(stand, **parts):
    return {"keyVaultEndpoint": stand.address, "keyName": stand.key_name, **parts}


def ask(stand, certificates, path, body=None, headers=None, method=None):
    make = http.client.HTTPSConnection if certificates else http.client.HTTPConnection
    options = {"context": ssl.create_default_context(cafile=str(certificates.ca_file))} if certificates else {}
    connection = make("127.0.0.1", stand.port, timeout=10, **options)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_driver_makes_uses_and_rewraps_a_key(azure_stand, azure_login_stand, oracle):
    key = oracle.create("azure", master_key(azure_stand))
    assert len(oracle.document(key)["keyMaterial"]) == 256
    secret = oracle.round_trip(key)
    version = list(azure_stand.versions)[-1]
    assert oracle.rewrap(key, "azure", master_key(azure_stand, keyVersion=version))["masterKey"]["keyVersion"] == version
    assert oracle.decrypt(secret) == "canary-oracle"
    assert azure_stand.counts() == {"wrapkey": 2, "unwrapkey": 4}
    assert azure_login_stand.count("token", "ok") == azure_login_stand.count() > 0


def test_versions(azure_stand, oracle):
    """Without a version the newest one is meant, also to unwrap: a rotated key wants the version in the key document."""
    old = list(azure_stand.versions)[-1]
    pinned, newest = (oracle.create("azure", master_key(azure_stand, **parts)) for parts in ({"keyVersion": old}, {}))
    azure_stand.new_version()
    oracle.round_trip(pinned)
    with pytest.raises(EncryptionError, match="The parameter is incorrect"):
        oracle.round_trip(newest)
    azure_stand.disabled.add(old)
    try:
        with pytest.raises(EncryptionError, match="KeyDisabled"):
            oracle.round_trip(pinned)
    finally:
        azure_stand.disabled.clear()


def test_a_key_that_is_not_there(azure_stand, oracle):
    for parts in ({"keyName": "unknown"}, {"keyVersion": "0" * 32}):
        with pytest.raises(EncryptionError, match="KeyNotFound"):
            oracle.create("azure", master_key(azure_stand, **parts))


def test_wrong_credentials_are_refused(azure_stand, oracle, monkeypatch):
    good = oracle.providers["azure"]
    for part, value, code in (("clientSecret", "wrong", 7000215), ("clientId", "wrong", 700016), ("tenantId", "wrong", 90002)):
        oracle.providers = {"azure": {**good, part: value}}
        with pytest.raises(EncryptionError, match=f"AADSTS{code}"):
            oracle.create("azure", master_key(azure_stand))
    oracle.providers = on_demand(monkeypatch, "azure", "eyJ0eXAi.wrong")
    with pytest.raises(EncryptionError, match="AKV10032"):
        oracle.create("azure", master_key(azure_stand))


def test_tokens_expire_and_have_an_audience(azure_stand, oracle, monkeypatch):
    for resource, seconds, error in (("https://vault.azure.net", -1, "TokenExpired"), ("https://graph.microsoft.com", 60, "AKV10022")):
        oracle.providers = on_demand(monkeypatch, "azure", azure_stand.tokens.issue(resource, seconds))
        with pytest.raises(EncryptionError, match=error):
            oracle.create("azure", master_key(azure_stand))
    token = azure_stand.tokens.issue("https://vault.azure.net", 60)
    oracle.providers = on_demand(monkeypatch, "azure", token)
    key = oracle.create("azure", master_key(azure_stand))
    azure_stand.tokens.expire()
    with pytest.raises(EncryptionError, match="TokenExpired"):
        oracle.round_trip(key)


def log_in(stand, certificates, **changed):
    form = {"grant_type": "client_credentials", "client_id": stand.client_id, "scope": "https://vault.azure.net/.default",
            "client_assertion_type": ASSERTION_TYPE, "client_assertion": stand.federated_token(), **changed}
    form = {name: value for name, value in form.items() if value is not None}
    return ask(stand, certificates, f"/{stand.tenant_id}/oauth2/v2.0/token", urlencode(form),
               {"Content-Type": "application/x-www-form-urlencoded"})


def test_a_workload_identity_becomes_a_token(azure_stand, azure_login_stand, oracle, certificates, monkeypatch):
    status, answer = log_in(azure_login_stand, certificates)
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3599), answer
    oracle.providers = on_demand(monkeypatch, "azure", answer["access_token"])
    oracle.round_trip(oracle.create("azure", master_key(azure_stand)))


def test_every_field_of_a_login_is_checked(azure_login_stand, certificates):
    login = azure_login_stand
    past = int(time.time()) - 7200
    for changed, code in (({"grant_type": "password"}, 70003), ({"client_id": "wrong"}, 700016), ({"scope": "https://vault.azure.net"}, 1002012),
                          ({"scope": "https://vault.azure.net/.default openid"}, 1002012), ({"scope": "https://graph.microsoft.com/.default"}, 1002012),
                          ({"client_assertion_type": "jwt"}, 50027), ({"client_assertion": None}, 7000216),
                          ({"client_secret": login.client_secret}, 7000216), ({"other": "1"}, 7000216),
                          ({"client_assertion": login.federated_token(key=jwt.new_key())}, 700027),
                          ({"client_assertion": login.federated_token(iat=past, exp=past + 60)}, 700024),
                          ({"client_assertion": login.federated_token(aud="elsewhere")}, 700212),
                          ({"client_assertion": login.federated_token(sub="another")}, 700213),
                          ({"client_assertion": login.federated_token(iss="another")}, 700213)):
        status, answer = log_in(login, certificates, **changed)
        assert status in (400, 401) and answer["error_codes"] == [code], answer


def test_a_managed_identity(azure_stand, azure_metadata_stand, oracle, monkeypatch):
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net%2F"
    status, answer = ask(azure_metadata_stand, None, path, headers={"Metadata": "true"})
    assert status == 200 and answer["expires_in"] == "86399"  # a string, as in life
    oracle.providers = on_demand(monkeypatch, "azure", answer["access_token"])
    oracle.round_trip(oracle.create("azure", master_key(azure_stand)))
    for changed, headers in ((path, {}), (path, {"Metadata": "true", "X-Forwarded-For": "192.0.2.1"}),
                             (path.replace("2018-02-01", "2010-01-01"), {"Metadata": "true"}),
                             (path.replace("vault.azure.net", "elsewhere.example"), {"Metadata": "true"}),
                             (path + "&client_id=another", {"Metadata": "true"}), (path + "&resource=x", {"Metadata": "true"})):
        status, answer = ask(azure_metadata_stand, None, changed, headers=headers)
        assert status == 400 and answer["error"] == "invalid_request", changed


def test_shapes_of_key_operations(azure_stand, certificates):
    headers = {"Authorization": f"Bearer {azure_stand.tokens.issue('https://vault.azure.net', 60)}", "Content-Type": "application/json"}
    path = "/keys/clinic//wrapkey?api-version=7.4"
    good = {"alg": "RSA-OAEP-256", "value": jwt.base64url(b"k" * 96)}
    assert ask(azure_stand, certificates, path, json.dumps(good), headers)[0] == 200
    for changed_path, body, changed_headers, status in (
            (path, good, {}, 401), (path, good, {**headers, "Authorization": "Basic x"}, 401),
            (path, good, {**headers, "Content-Type": "text/plain"}, 400), (path.partition("?")[0], good, headers, 400),
            (path.replace("7.4", "1.0"), good, headers, 400), ("/keys/clinic/wrapkey?api-version=7.4", good, headers, 404),
            (path, {"alg": "RSA1_5", "value": good["value"]}, headers, 400), (path, {**good, "other": 1}, headers, 400),
            (path, {**good, "value": "a+b/"}, headers, 400), (path, {**good, "value": "YR=="}, headers, 400),
            (path, {**good, "value": jwt.base64url(b"k" * 191)}, headers, 400), (path, {**good, "value": 7}, headers, 400),
            ("/keys/../clinic/wrapkey?api-version=7.4", good, headers, 400)):
        assert ask(azure_stand, certificates, changed_path, json.dumps(body), changed_headers)[0] == status, (changed_path, body)


def test_a_driver_sees_the_faults(azure_stand, azure_login_stand, oracle):
    key = oracle.create("azure", master_key(azure_stand))
    for fault, message in (("throttle", "Throttled"), ("500", "InternalServerError"), ("503", "503"), ("expired_token", "TokenExpired"),
                           ("wrong_credentials", "Forbidden"), ("wrong_name", "match|verify"), ("wrong_length", "incorrect length"),
                           ("wrong_type", "."), ("not_parsable", "."), ("truncated", ".")):
        with azure_stand.faulty(fault), pytest.raises(EncryptionError, match=message):
            oracle.round_trip(key)
    for fault, message in (("throttle", "429"), ("500", "500"), ("wrong_credentials", "AADSTS7000215"), ("stranger", "verify"), ("wrong_type", ".")):
        with azure_login_stand.faulty(fault), pytest.raises(EncryptionError, match=message):
            oracle.round_trip(key)
    oracle.round_trip(key)
