#!/usr/bin/env python3
"""clang-tidy-19 over crypto, config and proxy, several files at once, only those that changed.

Most of what clang-tidy does it does to headers, for every file anew: so files of a folder are checked together, one after
the other in one translation unit. Where that finds anything, they are checked in smaller parts, at last alone.

A file is left alone if it, the headers of ours it includes (found by following includes), its compile command and
.clang-tidy are those of a run that found nothing: their digest is kept below build/tidy.
"""

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT / "build" / "tidy"
FOLDERS = ("crypto/", "config/", "proxy/")
# More would let the two last batches of a run last longer than everything else.
BATCH_FILES_MAX = 8
# The static analyzer's default of 225,000 takes four times as long.
ANALYZER_NODES = 50_000


class Source:
    """One file of the compile commands."""

    def __init__(self, entry):
        self.path = Path(entry["directory"], entry["file"]).resolve()
        self.name = self.path.relative_to(ROOT).as_posix()
        words = shlex.split(entry["command"])
        # What follows the compiler, without what to compile and where to.
        self.flags = words[next(i for i, word in enumerate(words) if re.search(r"(\+\+|cc)$", word)) + 1:]
        for flag in ("-o", "-c"):
            at = self.flags.index(flag)
            del self.flags[at:at + 2]
        digest = hashlib.sha256(entry["command"].encode())
        for file in [Path(__file__), ROOT / ".clang-tidy", *sorted(dependencies(self.path, set()))]:
            digest.update(file.read_bytes())
        self.stamp = STAMPS / digest.hexdigest()


def is_ours(entry, files):
    name = Path(entry["directory"], entry["file"]).resolve().relative_to(ROOT).as_posix()
    return name.startswith(FOLDERS) and (not files or name in files)


def dependencies(path, seen):
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.M):
        dependencies(ROOT / name, seen)
    return seen


def batches_of(sources):
    """Neighbours with the same flags."""
    batches = []
    for source in sorted(sources, key=lambda source: source.name):
        last = batches[-1] if batches else None
        if last and len(last) < BATCH_FILES_MAX and last[0].path.parent == source.path.parent and last[0].flags == source.flags:
            last.append(source)
        else:
            batches.append([source])
    return batches


def checks_for(name):
    # The static analyzer takes minutes over Asio's templates and reports what is not there.
    return ["--checks=-clang-analyzer-*"] if name.startswith("proxy/net/") else []


def clang_tidy(file, sources):
    analyzer = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={ANALYZER_NODES}")]
    return subprocess.run(["clang-tidy-19", "--quiet", *checks_for(sources[0].name), *analyzer, "--extra-arg=-Wno-unknown-warning-option", str(file),
                           "--", "-x", "c++", *sources[0].flags],
                          cwd=ROOT, capture_output=True, text=True)


def tidy(batch):
    """Problems, as pairs of a file's name and what clang-tidy says of it."""
    if len(batch) == 1:
        done = clang_tidy(batch[0].path, batch)
    else:
        joined = STAMPS / f"{batch[0].stamp.name}.cpp"
        joined.write_text("".join(f'#line 1 "{source.path}"\n{source.path.read_text()}\n' for source in batch))
        try:
            done = clang_tidy(joined, batch)
        finally:
            joined.unlink()
    if done.returncode == 0:
        for source in batch:
            source.stamp.touch()
        return []
    if len(batch) == 1:
        return [(batch[0].name, (done.stdout or done.stderr).strip())]
    # A problem is told of the file that has it by itself; what is wrong only because files stand together goes away.
    half = len(batch) // 2
    return tidy(batch[:half]) + tidy(batch[half:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", help="only these, as paths from the root")
    options = parser.parse_args()
    STAMPS.mkdir(parents=True, exist_ok=True)
    sources = [Source(entry) for entry in json.loads((options.build / "compile_commands.json").read_text())
               if is_ours(entry, options.files)]
    if not sources:
        print("error: nothing to check")
        return 1
    changed = [source for source in sources if not source.stamp.exists()]
    started = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        problems = [problem for found in pool.map(tidy, batches_of(changed)) for problem in found]
    for name, said in problems:
        print(f"{name}:\n{said}")
    print(f"clang-tidy: {len(sources)} files, {len(changed)} of them changed, {len(problems)} with problems, "
          f"{time.monotonic() - started:.0f} s")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
