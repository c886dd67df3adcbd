"""PyKMIP behind the fault front, proven with the driver (libmongocrypt)."""

import socket
import ssl
import struct

import pytest
from kms import ttlv
from kms.oracle import Oracle
from pymongo.errors import EncryptionError

UNKNOWN_KEY = {"keyId": "4711"}


def tls_options(certificates, client=None):
    return {"tlsCAFile": str(certificates.ca_file), "tlsCertificateKeyFile": str(client or certificates.client)}


@pytest.fixture
def oracle(kmip_stand, oracle_client, certificates):
    return Oracle(oracle_client, {"kmip": {"endpoint": kmip_stand.address}}, {"kmip": tls_options(certificates)})


@pytest.mark.parametrize("delegated", [False, True])
def test_a_driver_makes_uses_and_rewraps_a_key(kmip_stand, oracle, delegated):
    master_key = {"delegated": True} if delegated else {}
    key = oracle.create("kmip", master_key)
    assert len(oracle.document(key)["keyMaterial"]) == (128 if delegated else 160)
    secret = oracle.round_trip(key)
    before = oracle.document(key)["masterKey"]["keyId"]
    assert oracle.rewrap(key, "kmip", master_key)["masterKey"]["keyId"] != before
    assert oracle.decrypt(secret) == "canary-oracle"
    with_key = oracle.create("kmip", {**master_key, "keyId": before})
    oracle.round_trip(with_key)
    made = {"create": 2, "activate": 2, "encrypt": 3, "decrypt": 6} if delegated else {"register": 2, "activate": 2, "get": 9}
    assert kmip_stand.counts() == made


def test_a_key_that_is_not_there(kmip_stand, oracle):
    with pytest.raises(EncryptionError, match="Item Not Found"):
        oracle.create("kmip", UNKNOWN_KEY)
    assert kmip_stand.count("get", "reason 1") == 1


def test_another_client_does_not_get_the_key(kmip_stand, oracle, certificates):
    key = oracle.create("kmip")
    _, _, another = certificates.authority.issue("another-desk")
    oracle.tls_options = {"kmip": tls_options(certificates, another)}
    with pytest.raises(EncryptionError, match="Permission Denied"):
        oracle.round_trip(key)
    assert kmip_stand.requests[-1]["outcome"] == "reason 12"


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_a_client_needs_a_certificate_of_the_authority(kmip_stand, oracle, certificates, who):
    key = oracle.create("kmip")
    count = kmip_stand.count()
    options = tls_options(certificates, certificates.stranger_client)
    if who == "nobody":
        del options["tlsCertificateKeyFile"]
    oracle.tls_options = {"kmip": options}
    with pytest.raises(EncryptionError):
        oracle.round_trip(key)
    assert kmip_stand.count() == count


@pytest.mark.parametrize("delegated", [False, True])
def test_a_driver_sees_the_faults(kmip_stand, oracle, delegated):
    key = oracle.create("kmip", {"delegated": True} if delegated else {})
    kmip_stand.oversized_bytes = 2 * 1024 * 1024
    for fault in ("throttle", "500", "expired_token", "wrong_credentials", "wrong_length", "wrong_type", "not_parsable",
                  "truncated", "closed", "reset", "half_close", "oversized", "wrong_name", "stranger", "plain"):
        with kmip_stand.faulty(fault), pytest.raises(EncryptionError):
            oracle.round_trip(key)
    oracle.round_trip(key)


def test_an_outage_and_its_end(kmip_stand, oracle):
    key = oracle.create("kmip")
    kmip_stand.outage()
    with pytest.raises(EncryptionError):
        oracle.round_trip(key)
    kmip_stand.restore()
    oracle.round_trip(key)


def exchange(stand, certificates, data):
    context = ssl.create_default_context(cafile=str(certificates.ca_file))
    context.load_cert_chain(certificates.client)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", stand.port), timeout=10), server_hostname="127.0.0.1") as connection:
        connection.sendall(data)
        received = b""
        while len(received) < 8 or len(received) < 8 + struct.unpack("!I", received[4:8])[0]:
            more = connection.recv(4096)
            if not more:
                break
            received += more
        return received


def test_what_is_not_kmip_gets_no_answer(kmip_stand, certificates):
    assert exchange(kmip_stand, certificates, b"GET / HTTP/1.1\r\n\r\n") == b""
    malformed = ttlv.encode(ttlv.REQUEST_MESSAGE, ttlv.STRUCTURE, [])
    item = ttlv.decode(exchange(kmip_stand, certificates, malformed))
    assert ttlv.find(item, ttlv.RESULT_STATUS)[2] == 1 and ttlv.find(item, ttlv.RESULT_REASON)[2] == 4  # invalid message


def test_the_encoding():
    item = (ttlv.REQUEST_MESSAGE, ttlv.STRUCTURE, [(ttlv.DATA, ttlv.BYTES, b"12345"), (ttlv.OPERATION, ttlv.ENUMERATION, 10)])
    data = ttlv.encode(*item)
    assert data.hex() == "4200780100000020" "4200c20800000005" "3132333435000000" "42005c0500000004" "0000000a00000000"
    assert ttlv.decode(data) == item
    for broken in (data[:-1], data + b"\0", data[:-1] + b"\1", data[:16], b""):
        with pytest.raises(ttlv.BadMessage):
            ttlv.decode(broken)
