"""Throw-away certificates, made with openssl: a CA, servers of right and wrong names, clients, and a stranger's CA."""

import subprocess
from pathlib import Path


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    def __init__(self, directory, name):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.key = self.directory / f"{name}.key"
        self.file = self.directory / f"{name}.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-keyout", self.key, "-out", self.file, "-subj", f"/O=clinic.example/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, alt_names=""):
        """A certificate; returns (certificate, key, both in one PEM file)."""
        certificate, key, both = (self.directory / f"{name}.{suffix}" for suffix in ("crt", "key", "both.pem"))
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\n" + (f"subjectAltName={alt_names}\n" if alt_names else ""))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                 "-out", request, "-subj", f"/O=clinic.example/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                 "-out", certificate, "-extfile", extensions)
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        return certificate, key, both


class Certificates:
    def __init__(self, directory):
        self.authority = Authority(directory, "clinic-ca")
        self.ca_file = self.authority.file
        self.server_certificate, self.server_key, self.server = self.authority.issue(
            "server", "DNS:localhost,IP:127.0.0.1")
        self.wrong_certificate, self.wrong_key, self.wrong_name = self.authority.issue("elsewhere", "DNS:elsewhere.example")
        _, _, self.client = self.authority.issue("reception-desk")
        self.stranger = Authority(directory, "stranger-ca")
        _, _, self.stranger_client = self.stranger.issue("stranger")
