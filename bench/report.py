"""Writes what the benchmarks measured into docs/performance.md and docs/pictures/, each between its own marks.

    ./run bench report [--engine FILE] [--peer FILE] [--curves FILE] [--conditions TEXT]

The files are those of `./run bench engine --json --curves` and `./run bench peer --json`. Sections without a file stay as they are.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chart  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURES = {"entries": "Cost against the number of entries", "branches": "Cost against the number of branches", "commits": "Cost against the number of commits"}


def figure(value):
    """Three digits that mean something."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else (f"{value:.2f}" if size >= 1 else f"{value:.3g}")


def verdict(passed):
    return "" if passed is None else ("pass" if passed else "**missed**")


def superscript(text):
    return re.sub(r"10\^(\d+)", r"10<sup>\1</sup>", text).replace("*10<sup>", "·10<sup>")


def engine_table(rows):
    lines = ["| measure | value | min – max | bar | | limit of the machine |", "|---|---|---|---|---|---|"]
    for row in rows:
        if not row["measured"]:
            lines.append(f"| {superscript(row['name'])} | not measured | | {row['bar_kind']} {figure(row['bar'])} {row['unit']} | {'**missed**' if row['pass'] is False else ''} | {row['note']} |")
            continue
        bar = f"{row['bar_kind']} {figure(row['bar'])}" if row["bar"] is not None else ""
        limit = f"{figure(row['limit'])}: {row['limit_name']}" if row["limit"] is not None else ""
        ranged = f"{figure(row['min'])} – {figure(row['max'])}" if row["rounds"] > 1 else ""
        note = superscript("; ".join(text for text in (limit, row["note"]) if text))
        lines.append(f"| {superscript(row['name'])} | {figure(row['value'])} {row['unit']} | {ranged} | {bar} | {verdict(row['pass'])} | {note} |")
    judged = [row for row in rows if row["pass"] is not None]
    return "\n".join([f"{sum(row['pass'] for row in judged)} of {len(judged)} bars hold.", "", *lines])


def peer_table(rows):
    lines = ["| workload | ours | theirs | ratio | bar | | null request | latency, failures |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{figure(row['ratio'])} ×"
        bar = "" if row["bar"] is None else f"≥ {row['bar']:g} ×"
        failed = row["failures"]
        notes = [row["note"]] if row["note"] else []
        if failed["ours"] or failed["theirs"]:
            notes.append(f"failures: ours {failed['ours']}, theirs {failed['theirs']}")
        ranges = [f"{figure(row[one])} ({figure(low)} – {figure(high)})" if row["rounds"] > 1 else figure(row[one])
                  for one in ("ours", "theirs") for low, high in [row.get(f"{one}_range", (row[one], row[one]))]]
        lines.append(f"| {row['name']}, {row['unit']} | {ranges[0]} | {ranges[1]} | {ratio} | {bar} | {verdict(row['pass'])} | {figure(row['limit']) if row['limit'] else ''} | {'; '.join(notes)} |")
    judged = [row for row in rows if row["pass"] is not None]
    return "\n".join([f"{sum(row['pass'] for row in judged)} of {len(judged)} bars hold.", "", *lines])


def conditions(files):
    cpu = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown processor")
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1024 / 1024
    disk = subprocess.run(["findmnt", "-no", "SOURCE,FSTYPE", "-T", os.environ.get("TMPDIR", "/tmp")], capture_output=True, text=True).stdout.split()
    day = datetime.date.fromtimestamp(max(pathlib.Path(name).stat().st_mtime for name in files)).isoformat()
    return f"Measured {day} on {os.cpu_count()} cores ({cpu}), {memory:.0f} GB of memory, Linux {os.uname().release.split('-')[0]}, {' '.join(disk[1:]) or 'unknown file system'}, a virtual machine whose disk others share."


def replace(text, mark, content):
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"bench report: docs/performance.md has no section between <!-- {mark} --> and <!-- /{mark} -->")
    return pattern.sub(lambda match: match.group(1) + content + "\n" + match.group(2), text)


def main():
    arguments = argparse.ArgumentParser(prog="bench report")
    arguments.add_argument("--engine", metavar="FILE")
    arguments.add_argument("--peer", metavar="FILE")
    arguments.add_argument("--curves", metavar="FILE")
    arguments.add_argument("--conditions", metavar="TEXT", default="", help="what else is to be said about the machine in that hour")
    asked = arguments.parse_args()
    files = [name for name in (asked.engine, asked.peer, asked.curves) if name]
    if not files:
        raise SystemExit("bench report: give at least one of --engine, --peer, --curves")
    text = PAGE.read_text()
    text = replace(text, "conditions", " ".join(part for part in (conditions(files), asked.conditions) if part))
    if asked.engine:
        text = replace(text, "engine", engine_table(json.loads(pathlib.Path(asked.engine).read_text())))
    if asked.peer:
        text = replace(text, "peer", peer_table(json.loads(pathlib.Path(asked.peer).read_text())))
    if asked.curves:
        curves = json.loads(pathlib.Path(asked.curves).read_text())
        shown = []
        for picture, title in PICTURES.items():
            chosen = [one for one in curves if one["picture"] == picture and one["points"]]
            if not chosen:
                continue
            (ROOT / "docs" / "pictures" / f"cost-{picture}.svg").write_text(chart.draw(title, chosen))
            shown.append(f"![{title}](pictures/cost-{picture}.svg)")
        text = replace(text, "curves", "\n\n".join(shown))
    PAGE.write_text(text)
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
