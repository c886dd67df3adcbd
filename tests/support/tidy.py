#!/usr/bin/env python3
"""clang-tidy-19 over crypto, config and proxy, several files at once, only those that changed.

A file is left alone if it, the headers of ours it includes (found by following includes), its compile command and
.clang-tidy are those of a run that found nothing: their digest is kept below build/tidy.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT / "build" / "tidy"
FOLDERS = ("crypto/", "config/", "proxy/")


def dependencies(path, seen):
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.M):
        dependencies(ROOT / name, seen)
    return seen


def digest_of(path, command):
    digest = hashlib.sha256(command.encode())
    for file in [ROOT / ".clang-tidy", *sorted(dependencies(path, set()))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def checks_for(relative):
    # The static analyzer takes minutes over Asio's templates and reports what is not there.
    return ["--checks=-clang-analyzer-*"] if relative.startswith("proxy/net/") else []


def tidy(entry):
    path = Path(entry["directory"], entry["file"]).resolve()
    relative = path.relative_to(ROOT).as_posix()
    stamp = STAMPS / digest_of(path, entry["command"])
    if stamp.exists():
        return relative, 0, "", 0.0
    started = time.monotonic()
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", str(entry["build"]), *checks_for(relative),
                           "--extra-arg=-Wno-unknown-warning-option", str(path)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        stamp.touch()
    return relative, done.returncode, done.stdout + (done.stderr if done.returncode and not done.stdout else ""), time.monotonic() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", help="only these, as paths from the root")
    options = parser.parse_args()
    STAMPS.mkdir(parents=True, exist_ok=True)
    entries = []
    for entry in json.loads((options.build / "compile_commands.json").read_text()):
        relative = Path(entry["directory"], entry["file"]).resolve().relative_to(ROOT).as_posix()
        if relative.startswith(FOLDERS) and (not options.files or relative in options.files):
            entries.append({**entry, "build": options.build})
    if not entries:
        print("error: nothing to check")
        return 1
    failures, checked = 0, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for relative, code, output, seconds in pool.map(tidy, entries):
            checked += seconds > 0
            if code:
                failures += 1
                print(f"{relative}:\n{output.strip()}")
    print(f"clang-tidy: {len(entries)} files, {checked} of them changed, {failures} with problems")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
