"""10,000 clinic documents read by PyMongo: plain, through fieldgate, and with PyMongo's own CSFLE decryption.

The same documents three times over on the embedded server: as they are, and sealed once, which fieldgate opens on one
way and the driver on the other. The rounds alternate, and the client's time is what counts: that is what an
application sees. The embedded server answers from one process, so its own share is the "plain" row.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import clinic  # noqa: E402
import pymongo  # noqa: E402
from processes import EmbeddedServer, Fieldgate, run_fieldgate, write_config  # noqa: E402
from pymongo.encryption_options import AutoEncryptionOpts  # noqa: E402

NAMESPACE = ("medicalRecords", "patients")


def patients(count):
    secrets = clinic.Secrets()
    numbers = random.Random(1)
    for _ in range(count):
        patient = secrets.patient()
        patient["notes"] = "n" * numbers.randrange(50, 150)
        yield patient


def read_all(collection, count):
    start = time.perf_counter()
    documents = list(collection.find({}, batch_size=1000))
    elapsed = time.perf_counter() - start
    assert len(documents) == count, f"{len(documents)} documents instead of {count}"
    assert all(isinstance(d["ssn"], int) and isinstance(d["email"], str) for d in documents), "not opened"
    return elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    count = arguments.documents
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = EmbeddedServer(directory / "server")
        gate = None
        try:
            key_file = directory / "master-key.bin"
            master_key = os.urandom(96)
            key_file.write_bytes(master_key)
            key_file.chmod(0o600)
            config = clinic.config(server.uri, key_file)
            code, out, err = run_fieldgate("keys", "create", "-c", write_config(config, directory / "keys.yaml"),
                                           "--provider", "local", "--alt-name", "clinic")
            assert code == 0, f"keys create ended with {code}: {out}{err}"
            gate = Fieldgate(config, directory / "gate")

            direct = pymongo.MongoClient(server.uri)
            through = pymongo.MongoClient(gate.uri("doctors"))
            driver = pymongo.MongoClient(server.uri, auto_encryption_opts=AutoEncryptionOpts(
                {"local": {"key": master_key}}, clinic.KEY_VAULT, bypass_auto_encryption=True))
            documents = list(patients(count))
            database, collection = NAMESPACE
            for at in range(0, count, 1000):
                through[database][collection].insert_many([dict(d) for d in documents[at:at + 1000]])
                direct.plain.patients.insert_many([dict(d) for d in documents[at:at + 1000]])

            ways = {"plain": direct.plain.patients, "through fieldgate": through[database][collection],
                    "driver-side CSFLE": driver[database][collection]}
            seconds = {way: [] for way in ways}
            for way, source in ways.items():
                read_all(source, count)  # fetches keys, warms caches
            for _ in range(arguments.rounds):
                for way, source in ways.items():
                    seconds[way].append(read_all(source, count))
        finally:
            if gate:
                gate.kill()
            server.kill()

    print(f"{count:,} documents of the clinic with {len(clinic.PROTECTED)} protected fields each, {arguments.rounds} rounds:")
    for way, times in seconds.items():
        median = statistics.median(times)
        print(f"  {way:18} {count / median:>9,.0f} documents/s   {median:.2f} s")
    ratios = [csfle / fieldgate for csfle, fieldgate in zip(seconds["driver-side CSFLE"], seconds["through fieldgate"])]
    ratio = statistics.median(ratios)
    print(f"  fieldgate / driver-side CSFLE: {ratio:.2f} times as fast ({min(ratios):.2f}..{max(ratios):.2f}, aim 2)")
    to_plain = statistics.median(f / p for f, p in zip(seconds["through fieldgate"], seconds["plain"]))
    print(f"  fieldgate / plain: {to_plain:.2f} times the time")


if __name__ == "__main__":
    main()
