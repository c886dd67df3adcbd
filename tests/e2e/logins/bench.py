"""A key vault and a database of a test's own, commands and fieldgates over them, and what those printed."""

import json
import re
import signal
import uuid

import clinic
from conftest import client_of
from processes import TIME_FACTOR, Fieldgate, run_fieldgate, write_config

VAULT_TOKEN = re.compile(r"\b(s|hvs|b|hvb)\.[A-Za-z0-9]{20,}")


class Bench:
    """For each way to log in there is a provider, a key and a collection."""

    def __init__(self, server, directory):
        self.directory, self.name = directory, f"logins_{uuid.uuid4().hex[:8]}"
        self.direct = client_of(server.uri)
        self.uri = server.uri.split("?")[0] + "?replicaSet=secantus"
        self.keys = self.direct[self.name].keys
        self.said = []
        self._gates, self._ending, self._clients = [], [], []

    def config(self, ways, lifetime="60s"):
        schemas = {f"{self.name}.{way.alias}": {"schema": {**clinic.SCHEMA, "encryptMetadata": {"keyAltName": way.alias}}} for way in ways}
        return clinic.config(self.uri, "unused", schemas=schemas, kms_providers={way.name: way.settings for way in ways},
                             key_vault={"namespace": self.keys.full_name, "cache_lifetime": lifetime}, log={"format": "json", "level": "trace"})

    def run(self, way, *arguments, code=0):
        file = write_config(self.config([way]), self.directory / "command.yaml")
        ended, out, err = run_fieldgate(*arguments, "-c", file, env=way.env)
        self.said.append(out + err)
        assert ended == code, f"{arguments} with {way.name} ended with {ended}: {out}{err}"
        return out + err

    def create(self, way, alias=None, code=0):
        return self.run(way, "keys", "create", "--alt-name", alias or way.alias, "--provider", way.name,
                        "--master-key", json.dumps(way.master_key), code=code)

    def start(self, *ways, **options):
        """Returns each way's collection through a new fieldgate."""
        env = {name: value for way in ways for name, value in way.env.items()}
        gate = Fieldgate(self.config(ways, **options), self.directory / f"gate-{len(self._ending)}-{len(self.said)}", env=env)
        self._gates.append(gate)
        client = client_of(gate.uri("doctors"))
        self._clients.append(client)
        return [client[self.name][way.alias] for way in ways]

    def entries(self):
        return [entry for gate in self._gates for entry in gate.entries()]

    def end_gates(self):
        for client in self._clients:  # first: the driver would look for a server to end sessions on
            client.close()
        for gate in self._gates:
            gate.process.send_signal(signal.SIGTERM)  # none waits for it but collect()
        self._ending += self._gates
        self._gates, self._clients = [], []

    def collect(self):
        """Waits for the end of all fieldgates, and keeps their logs."""
        self.end_gates()
        for gate in self._ending:
            assert gate.process.wait(40 * TIME_FACTOR) == 0
            gate.stop()  # judges the log
            self.said.append(gate.log())
        self._ending = []

    def close(self):
        self.collect()
        self.direct.close()

    def assert_silent(self, way):
        """No secret of the way, and none that the stand-ins handed out, was printed."""
        self.collect()
        secrets = [*way.secrets, "canary-wrong"]
        if hasattr(way.stand, "tokens"):
            secrets += way.stand.tokens.issued()
        if hasattr(way.stand, "credentials"):
            secrets += [value for secret, token, _ in way.stand.credentials.values() for value in (secret, token) if value]
        for text in self.said:
            assert not VAULT_TOKEN.search(text), VAULT_TOKEN.search(text)
            for secret in secrets:
                assert secret not in text, f"{way.name}: a secret was printed: {secret[:12]}..."
