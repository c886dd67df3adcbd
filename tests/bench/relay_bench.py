"""One more hop, measured: fieldgate against HAProxy in tcp mode, idle sessions, and small requests beside a large one.

Ratios are of runs that alternate within one session, so that a busy machine hurts both alike. CPU is user and system
time of the proxy's process, from /proc/PID/stat.
"""

import argparse
import contextlib
import json
import os
import resource
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import bson  # noqa: E402  (PyMongo's)
import clinic  # noqa: E402
from certificates import Certificates  # noqa: E402
from processes import BUILD_DIR, Fieldgate, Process, free_port, listening, run_fieldgate, wait_until, write_config  # noqa: E402

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


class Bench:
    def __init__(self, directory, tool):
        self.directory = directory
        self.tool = tool
        self.stack = contextlib.ExitStack()
        self.stub_port = free_port()
        self.stub = self._start([tool, "stub", self.stub_port], "stub.log")
        wait_until(lambda: listening(self.stub_port), what="the stub server")
        self.key_file = directory / "master-key.bin"
        self.key_file.write_bytes(os.urandom(96))
        self.key_file.chmod(0o600)

    def _start(self, arguments, log):
        process = Process(arguments, self.directory / log)
        self.stack.callback(process.kill)
        return process

    def haproxy(self, name, bind="", server=""):
        port = free_port()
        file = self.directory / f"{name}.cfg"
        file.write_text(f"""global
    maxconn 5000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind 127.0.0.1:{port} {bind}
    server upstream 127.0.0.1:{server or self.stub_port}
""")
        process = self._start(["haproxy", "-db", "-f", file], f"{name}.log")
        wait_until(lambda: listening(port), what="HAProxy")
        return process, port

    def fieldgate(self, name, upstream=None, tls=None):
        config = clinic.config(upstream or f"mongodb://127.0.0.1:{self.stub_port}/", self.key_file)
        config["log"] = {"format": "json", "level": "info"}
        config["listeners"] = config["listeners"][:1]
        if tls:
            config["listeners"][0]["tls"] = tls
        process = Fieldgate(config, self.directory / name)
        self.stack.callback(process.kill)
        return process, process.addresses["doctors"][1]

    def create_key(self):
        file = write_config(clinic.config(f"mongodb://127.0.0.1:{self.stub_port}/", self.key_file), self.directory / "keys.yaml")
        code, out, err = run_fieldgate("keys", "create", "-c", file, "--provider", "local", "--alt-name", "clinic")
        if code != 0:
            raise RuntimeError(f"keys create ended with {code}: {out}{err}")

    def load(self, port, collection, connections, seconds):
        done = subprocess.run([self.tool, "load", str(port), collection, str(connections), str(seconds)],
                              capture_output=True, text=True, timeout=seconds + 60, check=True)
        return json.loads(done.stdout)

    def measure(self, port, pid, collection, connections, seconds):
        before = cpu_seconds(pid) if pid else 0
        result = self.load(port, collection, connections, seconds)
        result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / result["requests"] if pid else 0
        result["rate"] = result["requests"] / result["seconds"]
        result["mb_s"] = result["bytes"] / result["seconds"] / 1e6
        return result


def compare_relays(bench, rounds, seconds):
    haproxy, haproxy_port = bench.haproxy("haproxy")
    fieldgate, fieldgate_port = bench.fieldgate("relay")
    ways = [("no proxy", bench.stub_port, None), ("HAProxy tcp", haproxy_port, haproxy.pid),
            ("fieldgate", fieldgate_port, fieldgate.pid)]
    rows = []
    for what, collection, connections, aim in (("200 B replies, 16 connections", "r200", 16, 1.15),
                                               ("100 KB replies, 16 connections", "r100000", 16, 0.70),
                                               ("200 B replies, 1 connection", "r200", 1, None)):
        runs = {name: [] for name, _, _ in ways}
        for _ in range(rounds):
            for name, port, pid in ways:
                runs[name].append(bench.measure(port, pid, collection, connections, seconds))
        print(f"\n{what} ({rounds} rounds of {seconds} s, medians)")
        print(f"  {'':12} {'CPU/request':>12} {'requests/s':>11} {'MB/s':>7} {'p50':>8} {'p99':>8}")
        median = {}
        for name, _, pid in ways:
            median[name] = {key: statistics.median(run[key] for run in runs[name]) for key in runs[name][0]}
            m = median[name]
            cpu = f"{m['cpu_us']:.1f} us" if pid else "-"
            print(f"  {name:12} {cpu:>12} {m['rate']:>11,.0f} {m['mb_s']:>7,.0f} {m['p50_us']:>5.0f} us {m['p99_us']:>5.0f} us")
        ratios = [f["cpu_us"] / h["cpu_us"] for f, h in zip(runs["fieldgate"], runs["HAProxy tcp"])]
        ratio = statistics.median(ratios)
        rate = median["fieldgate"]["rate"] / median["HAProxy tcp"]["rate"]
        print(f"  fieldgate / HAProxy: CPU {ratio:.2f} ({min(ratios):.2f}..{max(ratios):.2f}"
              + (f", aim {aim}" if aim else "") + f"), throughput {rate:.2f}")
        rows.append((f"CPU/request against HAProxy, {what}", f"{ratio:.2f}", f"<= {aim}" if aim else ""))
        rows.append((f"throughput against HAProxy, {what}", f"{rate:.2f}", ""))
    return rows


def find_message(collection, database="test"):
    body = bson.encode({"find": collection, "$db": database})
    return struct.pack("<iiiiI", 21 + len(body), 1, 0, 2013, 0) + b"\0" + body


def receive_message(connection):
    def exactly(count):
        data = bytearray()
        while len(data) < count:
            chunk = connection.recv(min(count - len(data), 1 << 20))
            if not chunk:
                raise ConnectionError("the connection ended")
            data += chunk
        return bytes(data)

    header = exactly(16)
    return header + exactly(struct.unpack("<i", header[:4])[0] - 16)


def idle_sessions(bench, count):
    """Sessions with an upstream connection each, that asked one small find and now wait."""
    certificates = Certificates(bench.directory / "certificates")
    haproxy, tls_port = bench.haproxy("haproxy-tls", bind=f"ssl crt {certificates.server}")
    tls_upstream = f"mongodb://localhost:{tls_port}/?tls=true&tlsCAFile={certificates.ca_file}"
    tls_listener = {"certificate_key_file": str(certificates.server)}
    context = ssl.create_default_context(cafile=str(certificates.ca_file))
    rows = []
    for what, process_port, wrap, aim_kb in (
            ("plain", bench.fieldgate("idle-plain"), None, 20),
            ("TLS on both sides", bench.fieldgate("idle-tls", upstream=tls_upstream, tls=tls_listener), context, 150)):
        process, port = process_port

        def open_session(wrap=wrap, port=port):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            if wrap:
                connection = wrap.wrap_socket(connection, server_hostname="localhost")
            connection.sendall(find_message("r200"))
            receive_message(connection)
            return connection

        warm = [open_session() for _ in range(50)]  # what is allocated once does not count
        time.sleep(1)
        before = resident_bytes(process.pid)
        sessions = [open_session() for _ in range(count)]
        time.sleep(1)
        per_session = (resident_bytes(process.pid) - before) / count / 1024
        print(f"\nidle session, {what}: {per_session:.1f} KB resident ({count} sessions, aim {aim_kb} KB)")
        rows.append((f"resident memory of an idle session, {what}", f"{per_session:.1f} KB", f"<= {aim_kb} KB"))
        for connection in warm + sessions:
            connection.close()
        process.kill()
    haproxy.kill()
    return rows


def insert_of_48_mb():
    """A batch that comes close to the limit after one of its fields was sealed."""
    documents = bytearray()
    number = 0
    while len(documents) < 44_000_000:
        documents += bson.encode({"_id": number, "name": f"Patient {number}", "ssn": number, "notes": "n" * 1000})
        number += 1
    sequence = struct.pack("<i", 4 + len(b"documents\0") + len(documents)) + b"documents\0" + documents
    body = bson.encode({"insert": "patients", "ordered": True, "$db": "medicalRecords"})
    message = struct.pack("<iiiiI", 0, 1, 0, 2013, 0) + b"\0" + body + b"\1" + sequence
    return struct.pack("<i", len(message)) + message[4:], number


def small_beside_large(bench, seconds):
    """p99 of small finds while another client of the same, only worker inserts batches of 48 MB."""
    bench.create_key()
    # One processor is one worker.
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        process, port = bench.fieldgate("beside")
    finally:
        os.sched_setaffinity(0, allowed)
    alone = bench.load(port, "r200", 1, seconds)
    message, documents = insert_of_48_mb()
    stop = threading.Event()
    inserts = []

    def insert():
        connection = socket.create_connection(("127.0.0.1", port), timeout=120)
        while not stop.is_set():
            start = time.monotonic()
            connection.sendall(message)
            reply = bson.decode(receive_message(connection)[21:])
            if reply.get("ok") != 1:
                raise RuntimeError(f"the insert was refused: {reply}")
            inserts.append(time.monotonic() - start)

    thread = threading.Thread(target=insert)
    thread.start()
    beside = bench.load(port, "r200", 1, seconds)
    stop.set()
    thread.join()
    if not inserts:
        raise RuntimeError("no insert came through")
    print(f"\nsmall finds on one worker, alone: p50 {alone['p50_us']} us, p99 {alone['p99_us']} us")
    print(f"while another client inserts batches of {len(message) / 1e6:.0f} MB ({documents:,} sealed values, "
          f"{statistics.median(inserts):.2f} s each): p50 {beside['p50_us']} us, p99 {beside['p99_us']} us, max {beside['max_us']} us")
    return [("p99 of small finds, alone", f"{alone['p99_us'] / 1000:.2f} ms", ""),
            ("p99 of small finds beside 48 MB inserts", f"{beside['p99_us'] / 1000:.2f} ms", "")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", default=BUILD_DIR / "release" / "relay_bench")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--only", choices=["relay", "idle", "beside"])
    arguments = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), str(arguments.tool))
        with bench.stack:
            if arguments.only in (None, "relay"):
                rows += compare_relays(bench, arguments.rounds, arguments.seconds)
            if arguments.only in (None, "idle"):
                rows += idle_sessions(bench, arguments.sessions)
            if arguments.only in (None, "beside"):
                rows += small_beside_large(bench, 5)
    print()
    for what, figure, aim in rows:
        print(f"{what:64} {figure:>10}  {aim}")


if __name__ == "__main__":
    main()
