"""Clients that work all the time, and everything that is handed out for a few seconds only."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIFETIME_S = 4


def round_trip(patients):
    patient = {"_id": uuid.uuid4().hex, "ssn": 123456789, "email": "canary-house"}
    patients.insert_one(patient)
    assert patients.find_one({"_id": patient["_id"], "ssn": patient["ssn"]}) == patient
    return patient["_id"]


class Clients:
    """One for each collection, which writes and reads all the time and remembers what went wrong."""

    def __init__(self, collections):
        self.errors, self.rounds = [], dict.fromkeys((patients.name for patients in collections), 0)
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(len(collections))
        for patients in collections:
            self._pool.submit(self._work, patients)

    def _work(self, patients):
        while not self._ended.wait(0.05):
            try:
                round_trip(patients)
                self.rounds[patients.name] += 1
            except Exception as error:  # noqa: BLE001 - all of them are what a client saw
                self.errors.append((patients.name, error))

    def end(self):
        self._ended.set()
        self._pool.shutdown()


class Lifetimes:
    """Of all that is handed out: sessions of AWS, tokens of Azure, Google and Vault, and the file that an agent renews."""

    def __init__(self, kit, ways):
        self.vault, self.file = kit.vault_stand, next(Path(way.file) for way in ways if way.file)
        self.stands = list({id(way.login[0]): way.login[0] for way in ways if way.login and way.login[0] is not self.vault}.values())
        self.before = [stand.lifetime_s for stand in self.stands]
        self.token = ""
        self._seconds = 3600
        self._ended = threading.Event()
        self._agent = threading.Thread(target=self._renew_the_file)

    def __enter__(self):
        self.set(LIFETIME_S)
        self.write_token()
        self._agent.start()
        return self

    def set(self, seconds):
        self._seconds = seconds
        for stand in self.stands:
            stand.lifetime_s = seconds
        self._set_vault(f"{seconds}s")

    def _set_vault(self, ttl):
        for role in ("auth/approle/role/fieldgate", "auth/kubernetes/role/fieldgate"):
            self.vault.admin("POST", role, {"token_ttl": ttl})

    def write_token(self):
        self.token = self.vault.new_token(f"{self._seconds}s")
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.token)
        fresh.replace(self.file)

    def _renew_the_file(self):
        while not self._ended.wait(LIFETIME_S / 3):
            self.write_token()

    def __exit__(self, *_):
        self._ended.set()
        self._agent.join()
        for stand, seconds in zip(self.stands, self.before):
            stand.lifetime_s = seconds
        self._set_vault("1h")
