"""Writes the seeds of seeds.csv as files, one folder per fuzz target, where libFuzzer wants them.

    unpack_seeds.py SEEDS_CSV FOLDER
"""

import csv
import pathlib
import sys


def main() -> None:
    seeds, folder = sys.argv[1:]
    with open(seeds, newline="") as lines:
        for row in csv.DictReader(lines):
            target = pathlib.Path(folder) / row["target"]
            target.mkdir(parents=True, exist_ok=True)
            (target / row["name"]).write_bytes(bytes.fromhex(row["hex"]))


if __name__ == "__main__":
    main()
