#!/usr/bin/env python3
"""The checks of style and structure that a compiler does not make. Each tests itself first with something planted.

    format      clang-format-19 would change nothing
    arrows      includes go only where the layout's arrows go
    secrets     expose_secret() is called where and as often as this file says
    size        a file above 500 lines is two things in one (told, not an error)
    text        no tabs, no trailing blanks, no conflict markers; shell scripts start with a shebang
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 500

# Adding a call site is a decision for a review: change these numbers in the same commit and say why.
EXPOSE_SECRET_CALLS = {"crypto": 42, "proxy/commands": 1, "proxy/net": 1}

# What each folder may include, apart from itself. Arrows are not transitive: what is not here is not included.
ARROWS = {
    "crypto": set(),
    "config": set(),
    "proxy/bson": {"config"},
    "proxy/wire": {"proxy/bson"},
    "proxy/analysis": {"config", "proxy/bson", "proxy/wire"},
    "proxy/policy": {"config", "proxy/analysis"},
    "proxy/keys": {"crypto", "config", "proxy/bson"},
    "proxy/session": {"crypto", "config", "proxy/analysis", "proxy/bson", "proxy/keys", "proxy/policy", "proxy/wire"},
    "proxy/observe": {"config"},
    "proxy/cluster": {"crypto", "config", "proxy/analysis", "proxy/bson", "proxy/keys", "proxy/observe", "proxy/wire"},
    "proxy/net": {"crypto", "config", "proxy/analysis", "proxy/bson", "proxy/cluster", "proxy/keys", "proxy/observe",
                  "proxy/policy", "proxy/session", "proxy/wire"},
    "proxy/commands": {"crypto", "config", "proxy/analysis", "proxy/bson", "proxy/cluster", "proxy/keys", "proxy/net",
                       "proxy/observe", "proxy/policy", "proxy/session", "proxy/wire"},
}
# Libraries that only these folders may include. (main.cpp, tests and benchmarks may include anything.)
LIBRARIES = {
    r"(mongoc/|mongoc\.h)": {"proxy/cluster"},
    r"(bson/bson\.h|bson\.h)": {"proxy/bson", "proxy/cluster"},
    r"boost/(asio|beast)": {"proxy/net"},
    r"boost/json": {"config", "crypto"},
    r"expat\.h": {"crypto"},
    r"yaml-cpp/": {"config"},
    r"pcre2\.h": {"config"},
    r"openssl/": {"crypto", "proxy/net"},
    r"spdlog/": {"proxy/observe"},
    r"CLI/": {"proxy/commands"},
}


def folder_of(path):
    """The layer a file belongs to: its longest prefix among the arrows' folders; None for main.cpp and tests."""
    text = path.as_posix()
    return max((f for f in ARROWS if text.startswith(f + "/")), key=len, default=None)


def include_problems(path, text):
    folder = folder_of(path)
    if folder is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        name = match.group(2)
        target = folder_of(Path(name))
        if match.group(1) == '"' and target is None:
            yield f"{path}:{number}: include \"{name}\" is not written from the root of the repository"
        elif target is not None and target != folder and target not in ARROWS[folder]:
            yield f"{path}:{number}: {folder} must not include {target} ({name})"
        for library, allowed in LIBRARIES.items():
            if target is None and re.match(library, name) and folder not in allowed:
                yield f"{path}:{number}: only {', '.join(sorted(allowed))} may include {name}"


def secret_calls(sources):
    for path, text in sources.items():
        if path.parts[0] == "tests":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("//")[0]
            if re.search(r"(\.|->)expose_secret\(", code):
                yield path, number


def secret_problems(sources):
    places = {}
    for path, number in secret_calls(sources):
        places.setdefault(folder_of(path) or path.parts[0], []).append(f"{path}:{number}")
    for folder in sorted({*places, *EXPOSE_SECRET_CALLS}):
        found, expected = places.get(folder, []), EXPOSE_SECRET_CALLS.get(folder, 0)
        if len(found) != expected:
            yield f"{folder} calls expose_secret() {len(found)} times, lint.py says {expected}: {', '.join(found)}"


def text_problems(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line and path.suffix != ".go":
            yield f"{path}:{number}: a tab"
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end"
        if re.match(r"(<{7}|>{7}|={7})( |$)", line):
            yield f"{path}:{number}: a conflict marker"


def self_test():
    """Every rule must find what is planted for it, and must not find what is right."""
    planted = [
        ("crypto/x.cpp", '#include "config/config.hpp"'), ("proxy/wire/x.cpp", '#include "proxy/session/session.hpp"'),
        ("config/x.hpp", "#include <boost/asio/buffer.hpp>"), ("proxy/session/x.cpp", "#include <mongoc/mongoc.h>"),
        ("proxy/analysis/x.cpp", "#include <bson/bson.h>"), ("proxy/net/x.cpp", "#include <yaml-cpp/yaml.h>"),
        ("proxy/analysis/x.cpp", "#include <pcre2.h>"),
        ("proxy/bson/x.cpp", '  #  include "proxy/analysis/analysis.hpp"'), ("proxy/net/x.cpp", '#include "server.hpp"'),
    ]
    right = [
        ("crypto/x.cpp", '#include "crypto/key_id.hpp"'), ("proxy/session/x.cpp", '#include "proxy/analysis/analysis.hpp"'),
        ("proxy/net/x.cpp", "#include <boost/asio/ip/tcp.hpp>"), ("proxy/cluster/x.cpp", "#include <mongoc/mongoc.h>"),
        ("proxy/main.cpp", '#include "proxy/net/server.hpp"'), ("proxy/wire/x.cpp", "#include <vector>"),
    ]
    for path, line in planted:
        if not list(include_problems(Path(path), line)):
            raise SystemExit(f"error: lint did not find the planted {line!r} in {path}")
    for path, line in right:
        if list(include_problems(Path(path), line)):
            raise SystemExit(f"error: lint refuses {line!r} in {path}, which is right")
    calls = {Path("proxy/x.cpp"): "a.expose_secret();  // b.expose_secret()\np->expose_secret();", Path("tests/x.cpp"): "a.expose_secret()"}
    if len(list(secret_calls(calls))) != 2:
        raise SystemExit("error: lint does not count expose_secret() rightly")
    if len(list(text_problems(Path("x.cpp"), "a\tb\nc \n<<<<<<< d\n"))) != 3:
        raise SystemExit("error: lint does not find planted blanks")


def tracked_files():
    """What is in the repository, and what is about to be."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, check=True).stdout.decode()
    return [Path(name) for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def format_problems(paths):
    done = subprocess.run(["clang-format-19", "--dry-run", "--Werror", *map(str, paths)], cwd=ROOT, capture_output=True, text=True)
    names = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", done.stderr, re.M)))
    if done.returncode and not names:
        raise SystemExit(f"error: clang-format-19 failed: {done.stderr[:500]}")
    return [f"{name}: not as clang-format-19 would write it (clang-format-19 -i {name})" for name in names]


def main():
    self_test()
    files = tracked_files()
    code = [path for path in files if path.suffix in (".cpp", ".hpp")]
    sources = {path: (ROOT / path).read_text() for path in code}
    problems = format_problems(code)
    for path, text in sources.items():
        problems += include_problems(path, text)
    problems += secret_problems(sources)
    for path in files:
        if path.suffix in (".cpp", ".hpp", ".py", ".sh", ".js", ".java", ".md", ".yaml", ".yml", ".txt", ".json") or path.suffix == "":
            text = (ROOT / path).read_text(errors="replace")
            if path.name not in ("LICENSE", "package-lock.json"):
                problems += text_problems(path, text)
            if path.suffix in (".cpp", ".hpp") and text.count("\n") > LINES_MAX:
                print(f"warning: {path} has {text.count(chr(10))} lines, more than {LINES_MAX}")
    for problem in problems:
        print(problem)
    print(f"lint: {len(code)} source files, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
