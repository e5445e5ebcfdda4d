#!/usr/bin/env python3
"""Checks that the repository speaks of the product only: no package hosts, no paths of one machine, no large or half-merged files.

    check_repo.py [ROOT]        prints one line a fault, each with its cure; exit 1 when there is one
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT, repository_files  # noqa: E402

# Written so that this file does not match itself.
RULES = [
    (r"registry\.npm" r"js|py" r"pi\.org|files\.python" r"hosted|deb\.deb" r"ian\.org|crates" r"\.io/|proxy\.go" r"lang|repo1\.ma" r"ven", "a package host", "say the package's name; the user's own settings say where it comes from"),
    (r"(?<![\w.~-])/(wo" r"rk|ro" r"ot|ho" r"me/\w+|Us" r"ers/\w+)/", "a path of one machine", "a path relative to the repository, or a variable"),
    (r"(?i)\bsub-?age" r"nts?\b|\bhelper age" r"nts?\b|\bAI ass" r"istant|\blanguage mo" r"del\b|\bthis coding ses" r"sion\b", "words about the making", "speak of the product"),
    (r"(?m)^(<{7}|>{7}|\|{7}) ", "a merge left half done", "resolve it"),
]
BYTES_MAX = 1_000_000
TEXT = {".md", ".cc", ".h", ".py", ".sh", ".txt", ".yaml", ".yml", ".json", ".cmake", ".sql", ".html", ".css", ".js", ".ts", ".csv", ".lock", ""}


def check(root):
    faults = []
    for path in repository_files(root):
        full = root / path
        size = full.stat().st_size
        if size > BYTES_MAX:
            faults.append(f"{path}: {size} bytes. Cure: make it at build time, or keep it below {BYTES_MAX}")
            continue
        if path.suffix not in TEXT or path.name == "python.lock":
            continue
        text = full.read_text(errors="replace")
        for pattern, what, cure in RULES:
            for match in re.finditer(pattern, text):
                faults.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0).strip()!r} is {what}. Cure: {cure}")
    return faults


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) or "repository: speaks of the product only")
    sys.exit(1 if found else 0)
