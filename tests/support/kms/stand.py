"""What all stand-ins share: a TLS listener on loopback, a record of the requests, outages, and faults on demand.

    stand.fault = "throttle"                       every request from now on; None ends it
    stand.misbehave("500", times=2, only={"decrypt"})   the next two decryptions
    with stand.faulty("slow"): ...
    stand.outage(); stand.restore()                nothing listens, open connections die; then it is back on its port
"""

import socket
import ssl
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress

# Made by the front, whatever stands behind it.
TRANSPORT_FAULTS = {
    "throttle",        # the provider's "too many requests"
    "500", "503",      # the provider's internal error, unavailable
    "slow",            # the answer comes after slow_s seconds
    "drip",            # the answer comes a byte every drip_s seconds
    "half_close",      # half the answer, then an orderly end of our direction while the connection stays up
    "closed",          # an orderly end instead of an answer
    "reset",           # a reset instead of an answer
    "truncated",       # a complete head (TTLV: length) and half the body, then the end
    "oversized",       # an answer of oversized_bytes
    "not_parsable",    # an answer that is not JSON (TTLV: not TTLV)
    "redirect",        # HTTP only: another host is said to have it
}
# Made by the provider's own code, since they depend on what is asked.
MEANING_FAULTS = {
    "wrong_length",       # decryption gives a data key that lacks its last byte
    "wrong_type",         # success, and the value is missing or has another type
    "expired_token",      # credentials that were good are said to have expired
    "wrong_credentials",  # credentials are refused
}
# Made during the handshake; they apply to connections from then on.
TLS_FAULTS = {
    "wrong_name",      # the certificate names elsewhere.example
    "stranger",        # the certificate is from an authority that nobody trusts
    "plain",           # no TLS: the answer to the handshake is HTTP
}
FAULTS = TRANSPORT_FAULTS | MEANING_FAULTS | TLS_FAULTS
IDLE_S = 30.0
_impostor_lock = threading.Lock()


class Closed(Exception):
    """The connection ends here, on purpose."""


class Stand:
    """One listener. A provider's class says how a message is read, answered, and spoiled:
    `receive(connection)`, `kind_of(message)`, `answer(message)`, `encode(answer)`, `refusal(fault, message)`, `spoil(...)`."""

    kinds = set()  # kinds of requests, for `only`
    outcomes_of_meaning = {}  # meaning fault -> kinds it can apply to; absent: all

    def __init__(self, certificates=None, client_certificates=False):
        self.host = "127.0.0.1"
        self.slow_s, self.drip_s, self.oversized_bytes = 30.0, 0.2, 64 * 1024 * 1024
        self.requests = []  # dicts without secrets: kind, outcome, and what record() adds
        self.connections = 0
        self.failures = []
        self._certificates = certificates
        self._client_certificates = client_certificates
        self._lock = threading.Lock()
        self._fault = self._times = self._only = None
        self._open = set()
        self._listener = None
        self._ended = False
        self.port = self._listen(0)

    # Faults and records

    @property
    def fault(self):
        return self._fault

    @fault.setter
    def fault(self, name):
        self.misbehave(name)

    def misbehave(self, fault, times=None, only=None):
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"no fault is called {fault}; there are {sorted(FAULTS)}")
        if only is not None and not set(only) <= self.kinds:
            raise ValueError(f"{type(self).__name__} has no requests of kind {sorted(set(only) - self.kinds)}: {sorted(self.kinds)}")
        with self._lock:
            self._fault, self._times, self._only = fault, times, None if only is None else set(only)

    @contextmanager
    def faulty(self, fault, times=None, only=None):
        self.misbehave(fault, times, only)
        try:
            yield self
        finally:
            self.misbehave(None)

    def count(self, kind=None, outcome=None):
        with self._lock:
            return sum(1 for entry in self.requests
                       if kind in (None, entry["kind"]) and outcome in (None, entry["outcome"]))

    def counts(self):
        with self._lock:
            return Counter(entry["kind"] for entry in self.requests)

    def forget(self):
        with self._lock:
            self.requests.clear()
            self.connections = 0

    def _take_fault(self, kind):
        with self._lock:
            fault = self._fault
            if fault is None or fault in TLS_FAULTS or (self._only is not None and kind not in self._only):
                return None
            if kind not in self.outcomes_of_meaning.get(fault, {kind}):
                return None
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._fault = self._times = self._only = None
            return fault

    # Life

    def outage(self):
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            listener.close()
        with self._lock:
            opened, self._open = self._open, set()
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def restore(self):
        if self._listener is None and not self._ended:
            self._listen(self.port)

    def stop(self):
        self._ended = True
        self.outage()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _listen(self, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, listener), daemon=True).start()

    def _serve(self, connection, listener):
        with self._lock:
            if listener is not self._listener:  # an outage began meanwhile
                connection.close()
                return
            self._open.add(connection)
            self.connections += 1
        secured = connection
        try:
            connection.settimeout(IDLE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._certificates is not None:
                secured = self._secure(connection)
                with self._lock:
                    self._open.discard(connection)  # wrapping took its descriptor away
                    if listener is not self._listener:
                        return
                    self._open.add(secured)
            while self._exchange(secured):
                pass
        except (Closed, OSError):
            pass
        except Exception:
            self.failures.append(traceback.format_exc())  # the stand-in's own; its fixture says so
        finally:
            with self._lock:
                self._open -= {connection, secured}
            with suppress(OSError):
                secured.close()

    def _secure(self, connection):
        fault = self._fault
        if fault == "plain":
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            raise Closed
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        files = self._certificates
        if fault == "wrong_name":
            context.load_cert_chain(files.wrong_certificate, files.wrong_key)
        elif fault == "stranger":
            with _impostor_lock:
                if not hasattr(files, "impostor"):
                    files.impostor = files.stranger.issue("impostor", "DNS:localhost,IP:127.0.0.1")[:2]
            context.load_cert_chain(*files.impostor)
        else:
            context.load_cert_chain(files.server_certificate, files.server_key)
        if self._client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(files.ca_file)
        return context.wrap_socket(connection, server_side=True)

    # One message and its answer

    def _exchange(self, connection):
        message = self.receive(connection)
        if message is None:
            return False
        kind = self.kind_of(message)
        fault = self._take_fault(kind)
        if fault == "slow":
            self._pause(self.slow_s)
        answer = self.refusal(fault, message) if fault else None
        if answer is None:
            answer = self.answer(message)
            if fault in MEANING_FAULTS:
                answer = self.spoil(fault, message, answer)
        with self._lock:
            self.requests.append({"kind": kind, "outcome": fault or self.outcome_of(answer), **self.record(message)})
        return self._send(connection, fault, message, answer)

    def _send(self, connection, fault, message, answer):
        if fault == "closed":
            return False
        if fault == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        data = self.oversized() if fault == "oversized" else self.encode(answer)
        if fault == "half_close":
            connection.sendall(data[:len(data) // 2])
            if isinstance(connection, ssl.SSLSocket):
                connection.settimeout(5)
                connection = connection.unwrap()  # close_notify; returns when the peer sends its own
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
            return False
        if fault == "truncated":
            connection.sendall(data[:self.body_begins(data) + (len(data) - self.body_begins(data)) // 2])
            return False
        if fault == "drip":
            for byte in data:
                connection.sendall(bytes([byte]))
                self._pause(self.drip_s)
            return True
        connection.sendall(data)
        return fault != "oversized" and self.stays_open(message)

    def _pause(self, seconds):
        """Ends early when the stand-in does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._ended:
                raise Closed
            time.sleep(min(0.05, seconds))

    # For a provider to give

    def record(self, message):
        return {}

    def stays_open(self, message):
        return True
