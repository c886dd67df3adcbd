"""A TCP forwarder that keeps every byte: placed between fieldgate and the server, it is what the server saw."""

import itertools
import socket
import threading
from contextlib import contextmanager
from pathlib import Path


class Recorder:
    """Listens on a loopback port of its own. Set `target` before the first connection."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.target = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._numbers = itertools.count()
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = next(self._numbers)
        with self._lock:
            self._open |= {client, server}
        pumps = [
            threading.Thread(target=self._pump, args=(client, server, self.directory / f"{number:05}-to-server")),
            threading.Thread(target=self._pump, args=(server, client, self.directory / f"{number:05}-to-client", self._flowing)),
        ]
        for pump in pumps:
            pump.daemon = True
            pump.start()
        for pump in pumps:
            pump.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    @staticmethod
    def _pump(source, sink, path, gate=None):
        with open(path, "wb", buffering=0) as record:
            try:
                while data := source.recv(1 << 18):
                    record.write(data)  # first, so that nothing reaches the server unrecorded
                    if gate is not None:
                        gate.wait()
                    sink.sendall(data)
            except OSError:
                pass
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR if end is source else socket.SHUT_WR)
                except OSError:
                    pass

    def files_to_server(self):
        return sorted(self.directory.glob("*-to-server"))

    @contextmanager
    def replies_held(self):
        """Within the block the server's replies do not arrive."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def cut_connections(self):
        """Resets every connection, as a network that fails would."""
        with self._lock:
            for end in self._open:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self._listener.close()
        self.cut_connections()
