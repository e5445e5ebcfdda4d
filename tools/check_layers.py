#!/usr/bin/env python3
"""Checks the rooms: who includes whom, where third-party headers may be, and that the world enters by its doors only.

    check_layers.py [ROOT]      prints one line a fault, each with its cure; exit 1 when there is one

A line that must break a door rule says why on the same line:  // house: allow(<rule>) <reason>
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT, bare_code  # noqa: E402

# Third-party headers: pattern, rooms that may include them, whether a public header may (those in detail/ may).
LIBRARIES = [
    (r"rocksdb/", {"kv"}, False),
    (r"simdjson", {"base"}, False),
    (r"yaml-cpp/", {"base"}, False),
    (r"boost/", {"http"}, False),
    (r"curl/", {"http"}, False),
    (r"pugixml", {"s3"}, False),
    (r"CLI/", {"cli", "server"}, False),
    (r"prometheus/", {"base"}, False),
    (r"isa-l", {"s3", "base"}, False),
    (r"sodium", {"base", "auth"}, False),
    (r"openssl/", {"base", "http", "auth", "s3"}, True),
    (r"(zstd|lz4)", {"base", "tree"}, False),
    (r"xxhash", {"base", "tree"}, True),
    (r"(nlohmann|rapidcheck)", set(), False),
]
ONLY_IN_TESTS = re.compile(r"nlohmann|rapidcheck")

# Side entrances: rule, pattern, cure. base/ and http/ hold the doors themselves.
DOORS = [
    ("lock", r"std::(recursive_|shared_|timed_)*mutex\b|std::(lock_guard|unique_lock|scoped_lock|shared_lock)\b|\bpthread_mutex", "use base::Mutex and its lock"),
    ("condition", r"std::condition_variable", "use base::Condition"),
    ("thread", r"std::j?thread\b(?!::)|std::async\b|\bpthread_create\b", "use base::Thread or base::Executor"),
    ("sleep", r"std::this_thread::sleep|\b(u|nano)sleep\s*\(", "wait on base::Condition or base::Clock"),
    ("random", r"std::random_device|std::mt19937|(?<![\w:.>])s?rand\s*\(", "use base::Random"),
    ("file", r"(?<![\w>.:])::(open|openat|creat|rename|renameat|unlink|unlinkat|fsync|fdatasync|mkdir|mkdirat)\s*\(|std::[io]?fstream\b|(?<![\w>.:])(std::)?fopen\s*\(", "use base::Disk"),
    ("time", r"(?<![\w>.:])(::|std::)?time\s*\(\s*(nullptr|NULL|0|&)|(?<![\w>.:])::time\s*\(|\b(gettimeofday|clock_gettime)\s*\(|_clock::now\s*\(", "use base::Clock"),
]
EVERYWHERE = [("coroutine", r"\bco_(await|yield|return)\b", "write blocking code: the compiler of Debian 12 miscompiles coroutines")]
ALLOW = re.compile(r"//\s*house:\s*allow\((\w+)\)\s*\S+")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">]', re.MULTILINE)


def read_layers(path):
    """Room name → rooms below it, in file order; faults of the file itself."""
    rooms, faults = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r"^([a-z0-9_]+):(.*)$", line)
        if not match:
            continue
        room, below = match.group(1), match.group(2).split()
        for other in below:
            if other not in rooms:
                faults.append(f"{path.name}:{number}: {room} names {other}, which is not a room above this line. Cure: order the lines from the ground up; two rooms that need each other are one room")
        rooms[room] = below
    return rooms, faults


def is_test(path):
    return path.name.endswith("_test.cc") or "testing" in path.parts


def check_file(root, path, rooms):
    room, text = path.parts[1], (root / path).read_text(errors="replace")
    code, lines = bare_code(text), text.splitlines()

    def line_of(offset):
        return code.count("\n", 0, offset) + 1

    for match in INCLUDE.finditer(code):
        quote, target = match.groups()
        where = f"{path}:{line_of(match.start())}"
        if quote == '"':
            first, _, rest = target.partition("/")
            if not rest or first not in rooms:
                yield f'{where}: includes "{target}". Cure: write it from src/, as "room/file.h"'
            elif first != room:
                if first not in rooms[room]:
                    yield f"{where}: {room} may not know {first} ({target}). Cure: turn it round with a small interface in {room}, plugged in server/; src/layers.txt is the law"
                elif "detail" in pathlib.PurePath(rest).parts[:-1]:
                    yield f"{where}: {target} is private to {first}. Cure: use a header at the top of src/{first}/"
        for pattern, allowed, in_headers in LIBRARIES:
            if not re.match(pattern, target) or (quote == '"' and target.split("/")[0] in rooms):
                continue
            if ONLY_IN_TESTS.match(target):
                if not is_test(path):
                    yield f"{where}: <{target}> is for tests. Cure: use base's own JSON"
            elif room not in allowed and not is_test(path):
                yield f"{where}: <{target}> belongs to {', '.join(sorted(allowed))}. Cure: ask that room through its header"
            elif path.suffix == ".h" and not in_headers and "detail" not in path.parts:
                yield f"{where}: <{target}> in a public header is compiled by everybody. Cure: move it into a .cc or detail/, behind a plain interface"
    rules = list(EVERYWHERE)
    if room not in ("base", "http") and not is_test(path):
        rules += DOORS
    for rule, pattern, cure in rules:
        for match in re.finditer(pattern, code):
            number = line_of(match.start())
            allowed = ALLOW.search(lines[number - 1])
            if not (allowed and allowed.group(1) == rule):
                yield f"{path}:{number}: {match.group(0).strip()} is a side entrance. Cure: {cure}, or say on the line: // house: allow({rule}) <reason>"


def include_cycles(root, files):
    """Cycles among the headers themselves, each told once."""
    graph = {}
    for path in files:
        targets = [pathlib.Path("src") / target for quote, target in INCLUDE.findall(bare_code((root / path).read_text(errors="replace"))) if quote == '"']
        graph[path] = [target for target in targets if target in files]
    done, faults = set(), []

    def visit(path, trail):
        if path in trail:
            faults.append("include cycle: " + " → ".join(str(step) for step in trail[trail.index(path):] + [path]) + ". Cure: a forward declaration, or one header")
        elif path not in done:
            for target in graph[path]:
                visit(target, trail + [path])
            done.add(path)

    for path in sorted(graph):
        visit(path, [])
    return faults


def check(root):
    rooms, faults = read_layers(root / "src" / "layers.txt")
    files = {path.relative_to(root) for path in (root / "src").rglob("*") if path.suffix in (".h", ".cc")}
    for path in sorted(files):
        if len(path.parts) < 3 or path.parts[1] not in rooms:
            faults.append(f"{path}: src/{path.parts[1]} is not a room. Cure: add it to src/layers.txt, with what it may know")
        else:
            faults += check_file(root, path, rooms)
    return faults + include_cycles(root, files)


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) or "layers: as in src/layers.txt")
    sys.exit(1 if found else 0)
