"""PyKMIP's engine and sessions on a loopback port, without TLS: the fault front, which ends TLS, sends the client's
certificate ahead of each connection (length, then DER). Run by the interpreter of the stand-ins' environment:

    kmip_server.py PORT DATABASE"""

import copy
import logging
import socket
import struct
import sys
import threading

from kmip.core import policy
from kmip.services.server.engine import KmipEngine
from kmip.services.server.session import KmipSession


class Connection:
    """What a session asks of its TLS connection, answered from what the front said."""

    def __init__(self, plain, certificate):
        self._plain, self._certificate = plain, certificate

    def do_handshake(self):
        pass

    def getpeercert(self, binary_form=False):
        return self._certificate

    def shared_ciphers(self):
        return None

    def cipher(self):
        return None

    def __getattr__(self, name):
        return getattr(self._plain, name)


def exactly(plain, size):
    data = b""
    while len(data) < size:
        more = plain.recv(size - len(data))
        if not more:
            raise ConnectionError("the front went away")
        data += more
    return data


def serve(engine, plain, address):
    try:
        plain.settimeout(60)
        certificate = exactly(plain, struct.unpack("!I", exactly(plain, 4))[0])
    except OSError:
        plain.close()  # the front's look whether anyone listens
        return
    KmipSession(engine, Connection(plain, certificate), address, enable_tls_client_auth=False).run()


def main(port, database):
    logging.basicConfig(level=logging.WARNING)
    engine = KmipEngine(policies=copy.deepcopy(policy.policies), database_path=database)
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        plain, address = listener.accept()
        threading.Thread(target=serve, args=(engine, plain, address), daemon=True).start()


main(int(sys.argv[1]), sys.argv[2])
