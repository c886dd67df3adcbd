"""TLS on both sides: host names upstream, client certificates on the listeners."""

import ssl

import pytest
import wire
from conftest import Stand
from processes import EmbeddedServer, TIME_FACTOR, run_fieldgate, write_config
from pymongo.errors import ConnectionFailure, PyMongoError


class TlsStand(Stand):
    """Both sides in TLS. No recorder: it could read nothing."""

    def start_server(self, *options):
        return EmbeddedServer(self.directory / "server", *options)

    def __init__(self, directory, certificates, server_certificate, server_key):
        super().__init__(directory, "--tls-cert-file", server_certificate, "--tls-key-file", server_key)
        self.direct.close()
        self.config["upstream"]["uri"] = (
            f"mongodb://127.0.0.1:{self.server.port}/?replicaSet=secantus&tls=true&tlsCAFile={certificates.ca_file}"
            "&serverSelectionTimeoutMS=4000")
        tls = {"certificate_key_file": str(certificates.server), "ca_file": str(certificates.ca_file)}
        self.config["listeners"] = [
            {"name": "doctors", "address": "127.0.0.1:0", "role": "doctor", "tls": {**tls, "client_certificate": "required"}},
            {"name": "receptionists", "address": "127.0.0.1:0", "role": "receptionist",
             "tls": {"certificate_key_file": str(certificates.server)}},
        ]
        write_config(self.config, self.config_file)
        self.direct = self.client(self.server.uri, tls=True, tlsCAFile=str(certificates.ca_file),
                                  tlsAllowInvalidHostnames=server_certificate == certificates.wrong_certificate)


@pytest.fixture(scope="module")
def sealed_lines(tmp_path_factory, certificates):
    stand = TlsStand(tmp_path_factory.mktemp("tls"), certificates, certificates.server_certificate, certificates.server_key)
    stand.create_key()
    stand.fieldgate = stand.start()
    yield stand
    stand.close()


def client(stand, certificates, listener, **options):
    host, port = stand.fieldgate.addresses[listener]
    return stand.client(f"mongodb://localhost:{port}/", tls=True, tlsCAFile=str(certificates.ca_file),
                        serverSelectionTimeoutMS=int(3000 * TIME_FACTOR), **options)


def test_the_clinic_over_tls(sealed_lines, certificates, database, patient):
    document = patient()
    doctors = client(sealed_lines, certificates, "doctors", tlsCertificateKeyFile=str(certificates.client))
    doctors[database].patients.insert_one(document)
    assert doctors[database].patients.find_one({"ssn": document["ssn"]}) == document
    desk = client(sealed_lines, certificates, "receptionists")
    assert set(desk[database].patients.find_one()) == {"_id", "name", "insurance"}
    assert sealed_lines.direct[database].patients.find_one()["ssn"].subtype == 6


def test_large_replies_over_tls(sealed_lines, certificates, database, secrets):
    note = secrets.text("note") * 50_000
    doctors = client(sealed_lines, certificates, "doctors", tlsCertificateKeyFile=str(certificates.client))
    doctors[database].patients.insert_many([{"n": n, "medicalRecords": [{"note": note}]} for n in range(5)])
    found = list(doctors[database].patients.find(batch_size=2).sort("n", 1))
    assert [d["medicalRecords"][0]["note"] == note for d in found] == [True] * 5


def test_a_client_certificate_is_required(sealed_lines, certificates):
    for options in ({}, {"tlsCertificateKeyFile": str(certificates.stranger_client)}):
        with pytest.raises(ConnectionFailure):
            client(sealed_lines, certificates, "doctors", **options).admin.command("ping")
    good = client(sealed_lines, certificates, "doctors", tlsCertificateKeyFile=str(certificates.client))
    assert good.admin.command("ping")["ok"] == 1


def test_a_client_without_tls_is_closed(sealed_lines):
    with wire.Connection(sealed_lines.fieldgate.addresses["receptionists"]) as connection:
        connection.send(wire.op_msg({"ping": 1, "$db": "admin"}))
        with pytest.raises(ConnectionError):  # an alert and the end, or just the end
            connection.receive()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_below_1_2_is_refused(sealed_lines, certificates, version):
    context = ssl.create_default_context(cafile=str(certificates.ca_file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        wire.Connection(sealed_lines.fieldgate.addresses["receptionists"], tls=context)


def test_the_servers_host_name_is_verified(tmp_path, certificates):
    stand = TlsStand(tmp_path, certificates, certificates.wrong_certificate, certificates.wrong_key)
    try:
        code, out, err = run_fieldgate("keys", "create", "-c", stand.config_file, "--provider", "local", "--alt-name", "x")
        assert code == 69, f"{code}: {out}{err}"
        assert stand.direct.encryption["__keyVault"].count_documents({}) == 0
        serves_nobody(stand, certificates)
    finally:
        stand.close()


def test_a_server_of_a_strange_authority_is_refused(tmp_path, certificates):
    foreign, key, _ = certificates.stranger.issue("impostor", "DNS:localhost,IP:127.0.0.1")
    stand = TlsStand(tmp_path, certificates, foreign, key)
    try:
        serves_nobody(stand, certificates)
    finally:
        stand.close()


def serves_nobody(stand, certificates):
    """Either `run` ends with 69, or it listens and no command gets through."""
    try:
        stand.fieldgate = stand.start(name="distrusting")
    except RuntimeError as error:
        assert "ended with 69" in str(error)
        return
    with pytest.raises(PyMongoError):
        client(stand, certificates, "receptionists").clinic.wards.insert_one({"x": 1})
