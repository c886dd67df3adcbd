"""OpenBao behind the fault front: what fieldgate's vault provider is tested against. No driver has this provider, so it
is asked over plain HTTP here."""

import base64
import http.client
import json
import os
import socket
import ssl
import time

import pytest
from kms import jwt

KEY_BYTES = 96


class Asker:
    def __init__(self, stand, certificates, timeout=10):
        self.stand, self.timeout = stand, timeout
        self.context = ssl.create_default_context(cafile=str(certificates.ca_file))

    def __call__(self, path, body=None, token=None, namespace=None):
        headers = {"X-Vault-Token": token} if token else {}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        connection = http.client.HTTPSConnection("127.0.0.1", self.stand.port, context=self.context, timeout=self.timeout)
        try:
            connection.request("GET" if body is None else "POST", f"/v1/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture
def ask(vault_stand, certificates):
    return Asker(vault_stand, certificates)


def wrap(ask, key, token, **options):
    status, answer = ask("transit/encrypt/clinic", {"plaintext": base64.b64encode(key).decode()}, token, **options)
    assert status == 200, answer
    return answer["data"]["ciphertext"]


def unwrap(ask, wrapped, token, **options):
    status, answer = ask("transit/decrypt/clinic", {"ciphertext": wrapped}, token, **options)
    assert status == 200, answer
    return base64.b64decode(answer["data"]["plaintext"])


def test_a_key_is_wrapped_unwrapped_and_rewrapped(vault_stand, ask):
    key = os.urandom(KEY_BYTES)
    wrapped = wrap(ask, key, vault_stand.token)
    assert wrapped.startswith("vault:v1:") and unwrap(ask, wrapped, vault_stand.token) == key
    vault_stand.rotate_key()
    status, answer = ask("transit/rewrap/clinic", {"ciphertext": wrapped}, vault_stand.token)
    assert status == 200 and answer["data"]["ciphertext"].startswith("vault:v2:")
    vault_stand.minimum_version(2)
    try:
        assert unwrap(ask, answer["data"]["ciphertext"], vault_stand.token) == key
        status, answer = ask("transit/decrypt/clinic", {"ciphertext": wrapped}, vault_stand.token)
        assert status == 400 and "too old" in answer["errors"][0]
    finally:
        vault_stand.minimum_version(1)
    assert vault_stand.counts() == {"encrypt": 1, "decrypt": 3, "rewrap": 1}


def test_logins(vault_stand, ask):
    for path, body in (("approle", {"role_id": vault_stand.role_id, "secret_id": vault_stand.secret_id}),
                       ("kubernetes", {"role": "fieldgate", "jwt": vault_stand.service_account_token()})):
        status, answer = ask(f"auth/{path}/login", body)
        assert status == 200 and answer["auth"]["lease_duration"] == 3600 and answer["auth"]["renewable"], answer
        token = answer["auth"]["client_token"]
        assert unwrap(ask, wrap(ask, b"k" * KEY_BYTES, token), token) == b"k" * KEY_BYTES
        assert ask("auth/token/renew-self", {}, token)[0] == 200
        vault_stand.revoke(token)
        assert ask("auth/token/lookup-self", None, token)[0] == 403


def test_wrong_credentials_are_refused(vault_stand, ask):
    wrong = [("approle", {"role_id": vault_stand.role_id, "secret_id": "wrong"}),
             ("approle", {"role_id": "wrong", "secret_id": vault_stand.secret_id}),
             ("kubernetes", {"role": "fieldgate", "jwt": vault_stand.service_account_token(name="other")}),
             ("kubernetes", {"role": "fieldgate", "jwt": vault_stand.service_account_token(aud=["elsewhere"])}),
             ("kubernetes", {"role": "fieldgate", "jwt": vault_stand.service_account_token(exp=int(time.time()) - 600)}),
             ("kubernetes", {"role": "fieldgate", "jwt": vault_stand.service_account_token(key=jwt.new_key())})]
    for path, body in wrong:
        status, answer = ask(f"auth/{path}/login", body)
        assert status in (400, 403) and answer["errors"], (path, answer)
    for token in (None, "s.wrong", vault_stand.new_token(policies=["default"])):
        status, answer = ask("transit/encrypt/clinic", {"plaintext": "AAAA"}, token)
        assert status == 403, answer


def test_a_token_expires(vault_stand, ask):
    token = vault_stand.new_token("2s", renewable=False)
    assert wrap(ask, b"k" * KEY_BYTES, token)
    time.sleep(2.5)
    assert ask("transit/encrypt/clinic", {"plaintext": "AAAA"}, token)[0] == 403


def test_a_namespace_is_needed_where_the_engine_lives_in_one(vault_namespace_stand, certificates):
    ask = Asker(vault_namespace_stand, certificates)
    token = vault_namespace_stand.token
    inside = {"namespace": vault_namespace_stand.namespace}
    assert unwrap(ask, wrap(ask, b"k" * KEY_BYTES, token, **inside), token, **inside) == b"k" * KEY_BYTES
    assert ask("transit/encrypt/clinic", {"plaintext": "AAAA"}, token)[0] in (403, 404)


def test_faults_of_answers(vault_stand, ask):
    token = vault_stand.token
    wrapped = wrap(ask, b"k" * KEY_BYTES, token)

    def attempt():
        return ask("transit/decrypt/clinic", {"ciphertext": wrapped}, token)

    for fault, status in (("throttle", 429), ("500", 500), ("503", 503), ("expired_token", 403), ("wrong_credentials", 403)):
        with vault_stand.faulty(fault):
            assert attempt()[0] == status, fault
    with vault_stand.faulty("wrong_length"):
        assert base64.b64decode(attempt()[1]["data"]["plaintext"]) == b"k" * (KEY_BYTES - 1)
    with vault_stand.faulty("wrong_type"):
        assert attempt()[1]["data"]["plaintext"] == 7
    with vault_stand.faulty("not_parsable"), pytest.raises(json.JSONDecodeError):
        attempt()
    vault_stand.misbehave("500", times=2, only={"decrypt"})
    wrap(ask, b"k" * KEY_BYTES, token)  # not of the kind asked for: it goes through, and does not count
    assert [attempt()[0] for _ in range(3)] == [500, 500, 200]
    with pytest.raises(ValueError):
        vault_stand.misbehave("no such fault")


def test_faults_of_the_transport(vault_stand, certificates):
    ask = Asker(vault_stand, certificates, timeout=1)

    def attempt():
        return ask("auth/token/lookup-self", None, vault_stand.token)

    for fault, error in (("truncated", http.client.IncompleteRead), ("closed", http.client.RemoteDisconnected),
                         ("reset", ConnectionError), ("slow", socket.timeout), ("drip", socket.timeout),
                         ("half_close", (http.client.HTTPException, OSError)), ("wrong_name", ssl.SSLCertVerificationError),
                         ("stranger", ssl.SSLCertVerificationError), ("plain", ssl.SSLError)):
        vault_stand.drip_s = 1.5
        with vault_stand.faulty(fault), pytest.raises(error):
            attempt()
    vault_stand.oversized_bytes = 8 * 1024 * 1024
    with vault_stand.faulty("oversized"):
        assert len(attempt()[1]["filler"]) == 8 * 1024 * 1024
    assert attempt()[0] == 200


def test_an_outage_and_its_end(vault_stand, certificates):
    ask = Asker(vault_stand, certificates)
    standing = http.client.HTTPSConnection("127.0.0.1", vault_stand.port, context=ask.context, timeout=5)
    standing.request("GET", "/v1/auth/token/lookup-self", headers={"X-Vault-Token": vault_stand.token})
    assert standing.getresponse().read()
    vault_stand.outage()
    with pytest.raises((OSError, http.client.HTTPException)):
        standing.request("GET", "/v1/auth/token/lookup-self", headers={"X-Vault-Token": vault_stand.token})
        standing.sock and standing.getresponse()
    with pytest.raises(ConnectionRefusedError):
        ask("auth/token/lookup-self", None, vault_stand.token)
    vault_stand.restore()
    assert ask("auth/token/lookup-self", None, vault_stand.token)[0] == 200
    standing.close()


def test_the_record_holds_no_secret(vault_stand, ask):
    ask("auth/approle/login", {"role_id": vault_stand.role_id, "secret_id": vault_stand.secret_id})
    wrap(ask, b"k" * KEY_BYTES, vault_stand.token)
    record = json.dumps(vault_stand.requests)
    assert "x-vault-token" in record
    for secret in (vault_stand.token, vault_stand.secret_id, base64.b64encode(b"k" * KEY_BYTES).decode()):
        assert secret not in record
