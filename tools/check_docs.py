#!/usr/bin/env python3
"""Checks the documents: every relative link and anchor resolves, docs/map.md lists the folders that exist, every room has a README.

    check_docs.py [ROOT]        prints one line a fault, each with its cure; exit 1 when there is one
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT, repository_files  # noqa: E402

LINK = re.compile(r"!?\[[^\]\n]*\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
MAP_ROW = re.compile(r"^\|\s*\[?`([\w./-]+)/`")


def without_code(text):
    return re.sub(r"`[^`\n]*`", lambda m: " " * len(m.group(0)), FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text))


def anchors(text):
    """The anchors that a Markdown page has, as the common renderers make them."""
    found, seen = set(), {}
    for line in FENCE.sub("", text).splitlines():
        heading = re.match(r"^#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            name = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
            count = seen.get(name, 0)
            seen[name] = count + 1
            found.add(f"{name}-{count}" if count else name)
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
    return found


def check_links(root, path):
    text = (root / path).read_text()
    plain = without_code(text)
    for match in LINK.finditer(plain):
        target = match.group(1)
        where = f"{path}:{plain.count(chr(10), 0, match.start()) + 1}"
        if re.match(r"^[a-z][a-z0-9+.-]*:", target):
            continue
        file_part, _, anchor = target.partition("#")
        if file_part.startswith("/"):
            yield f"{where}: {target} starts at the root of a machine. Cure: write it relative to this page"
            continue
        full = (root / path.parent / file_part).resolve() if file_part else root / path
        if not full.exists():
            yield f"{where}: {target} leads nowhere. Cure: correct the link or write the page"
        elif anchor and full.suffix == ".md" and anchor not in anchors(full.read_text()):
            yield f"{where}: {target} has no such heading. Cure: correct the anchor"


def check_map(root, files):
    page = root / "docs" / "map.md"
    if not page.exists():
        yield "docs/map.md is missing. Cure: list every top folder and every room in it, one table row each"
        return
    listed = {match.group(1) for line in page.read_text().splitlines() if (match := MAP_ROW.match(line))}
    exist = {path.parts[0] for path in files if len(path.parts) > 1}
    exist |= {"/".join(path.parts[:2]) for path in files if path.parts[0] == "src" and len(path.parts) > 2}
    for folder in sorted(exist - listed):
        yield f"docs/map.md: `{folder}/` is not in the map. Cure: add its row"
    for folder in sorted(listed - exist):
        yield f"docs/map.md: `{folder}/` is in the map and does not exist. Cure: remove its row"


def check_rooms(files):
    rooms = {path.parts[1] for path in files if path.parts[0] == "src" and len(path.parts) > 2}
    for room in sorted(rooms):
        if pathlib.Path("src") / room / "README.md" not in files:
            yield f"src/{room}/README.md is missing. Cure: a page on what the room holds, what it may know, its nouns, the path of one call"


def check(root):
    files = set(repository_files(root))
    faults = []
    for path in sorted(path for path in files if path.suffix == ".md"):
        faults += check_links(root, path)
    return faults + list(check_map(root, files)) + list(check_rooms(files))


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) or "documents: links, map and rooms agree")
    sys.exit(1 if found else 0)
