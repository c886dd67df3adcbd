"""Starting and stopping the programs under test: by pid, bounded in time, with their output kept."""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

SOURCE_DIR = Path(__file__).resolve().parents[2]
BUILD_DIR = SOURCE_DIR / "build"
SUPPORT_DIR = SOURCE_DIR / "tests" / "support"
# Sanitizers are several times slower; every wait is multiplied by this.
TIME_FACTOR = float(os.environ.get("FIELDGATE_TIME_FACTOR", "1"))
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|assertion failed:|assertion [`'].*failed", re.I)


def fieldgate_binary():
    path = Path(os.environ.get("FIELDGATE_BINARY", BUILD_DIR / "release" / "fieldgate"))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: build it, or set FIELDGATE_BINARY")
    return path


def free_port():
    """A port nothing listens on now. Only for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, timeout=10.0, what="condition"):
    deadline = time.monotonic() + timeout * TIME_FACTOR
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout * TIME_FACTOR:.0f} s")
        time.sleep(0.02)


def listening(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


_started = []


@atexit.register
def _leave_nothing_behind():
    for process in _started:
        if process.poll() is None:
            process.kill()


class Process:
    def __init__(self, arguments, log_path, env=None, preexec=None):
        self.log_path = Path(log_path)
        self._log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})}, preexec_fn=preexec)
        _started.append(self.process)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def stop(self, timeout=10.0, number=signal.SIGTERM):
        """Asks it to end and returns its exit code; kills it (and says so) if it does not."""
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout * TIME_FACTOR)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TimeoutError(f"pid {self.pid} ignored signal {number} for {timeout} s; its log ends:\n{self.log()[-2000:]}")
        finally:
            self._log.close()

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self._log.close()


class EmbeddedServer(Process):
    """SecantusDB from the virtual environment this runs in, on a free port."""

    def __init__(self, directory, *options, advertise=None, port=None):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.directory = directory
        arguments = [sys.executable, SUPPORT_DIR / "secantus" / "embedded_server.py"]
        if advertise is not None:
            arguments += ["--advertise", f"{advertise[0]}:{advertise[1]}"]
        arguments += ["--host", "127.0.0.1", "--port", self.port, "--storage-path", directory / "data",
                      "--log-level", "WARNING", *options]
        super().__init__(arguments, directory / "server.log")
        try:
            wait_until(self._up, 30, "the embedded server")
        except TimeoutError:
            self.kill()
            raise

    def _up(self):
        if not self.running():
            raise RuntimeError(f"the embedded server ended at once:\n{self.log()}")
        return listening(self.port)

    def stop(self, timeout=3.0, number=signal.SIGTERM):
        """It ends at once unless a client still watches it, which it waits for without end: then it is killed."""
        try:
            return super().stop(timeout, number)
        except TimeoutError:
            return None

    @property
    def uri(self):
        """Straight to the server, whatever address it advertises."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"


class Fieldgate(Process):
    """`fieldgate run` with a configuration whose listeners have port 0; `addresses` maps listener names to (host, port),
    or to (path, None) for a Unix socket."""

    def __init__(self, config, directory, *options, env=None, preexec=None, name="fieldgate"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file = write_config(config, self.directory / f"{name}.yaml")
        self.addresses = {}
        super().__init__([fieldgate_binary(), "run", "-c", self.config_file, *options],
                         self.directory / f"{name}.log", env=env, preexec=preexec)
        names = {listener["name"] for listener in config["listeners"]}
        try:
            wait_until(lambda: self._listening() >= names, 20, "fieldgate's listeners")
        except TimeoutError as error:
            self.kill()
            raise TimeoutError(f"{error}; its log:\n{self.log()}") from None

    def _listening(self):
        if not self.running():
            raise RuntimeError(f"fieldgate ended with {self.process.returncode}:\n{self.log()}")
        for entry in self.entries():
            if entry.get("msg") == "listening":
                self.addresses[entry["listener"]] = self._parse_address(entry["address"])
        return self.addresses.keys()

    @staticmethod
    def _parse_address(text):
        if text.startswith("unix:"):
            return (text.removeprefix("unix:"), None)
        host, port = text.rsplit(":", 1)
        return (host.strip("[]"), int(port))

    def entries(self):
        """The log's JSON lines."""
        entries = []
        for line in self.log().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                entries.append(entry)
        return entries

    def uri(self, listener, **options):
        host, port = self.addresses[listener]
        authority = f"{host}:{port}" if port else quote(host, safe="")
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"mongodb://{authority}/" + (f"?{query}" if query else "")

    def sanitizer_reports(self):
        return [line for line in self.log().splitlines() if SANITIZER_REPORT.search(line)]

    def stop(self, timeout=40.0, number=signal.SIGTERM):
        code = super().stop(timeout, number)
        reports = self.sanitizer_reports()
        assert not reports, f"{reports}\n{self.log()[-6000:]}"
        return code


def write_config(config, path):
    """The configuration as a file: JSON is YAML, and quotes whatever needs it."""
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2) + "\n")
    return path


def run_fieldgate(*arguments, timeout=30.0, input=None, env=None, preexec=None):
    """A command of the executable that ends by itself: (exit code, stdout, stderr)."""
    done = subprocess.run([str(fieldgate_binary()), *map(str, arguments)], capture_output=True, text=True, input=input,
                          timeout=timeout * TIME_FACTOR, env={**os.environ, **(env or {})}, preexec_fn=preexec)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done.returncode, done.stdout, done.stderr


def in_threads(count, function):
    """Runs function(0..count-1) at the same time; returns the exceptions, none if all went well."""
    errors = []

    def run(number):
        try:
            function(number)
        except Exception as error:  # noqa: BLE001 - the caller judges them
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
