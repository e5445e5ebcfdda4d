"""Makes demo-report/index.html from demo-report/summary.json: one file, inline SVG, opens without network.

    report.py summary.json index.html

Every figure on the page is a figure of the summary; its shape is summary.schema.json.
"""
import json
import pathlib
import sys
from html import escape

import charts

HERE = pathlib.Path(__file__).parent


def shown(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(v) for v in value)
    return str(value)


def table(head, rows, numbers=()):
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(
        f'<td class="n">{escape(shown(v))}</td>' if n in numbers else f"<td>{escape(shown(v))}</td>"
        for n, v in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def flat(value, before=""):
    """Nested figures as one level: {"left": {"rows": 3}} becomes {"left, rows": 3}."""
    out = {}
    for name, inner in value.items():
        key = f"{before}, {name}" if before else str(name)
        out.update(flat(inner, key) if isinstance(inner, dict) else {key: inner})
    return out


def grouped(rows):
    """Rows of two columns with one line for each value of the first: EWR | 20, 21, 22, 23."""
    head = list(rows[0])
    if len(head) != 2 or len(rows) < 4:
        return head, [[r.get(h) for h in head] for r in rows[:12]], max(len(rows) - 12, 0)
    groups = {}
    for row in rows:
        groups.setdefault(row.get(head[0]), []).append(row.get(head[1]))
    return head, list(groups.items()), 0


def facts(pairs):
    inner = "".join(f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in pairs if v)
    return f'<dl class="facts">{inner}</dl>'


def code(value):
    return f"<code>{escape(str(value))}</code>" if value else ""


def tiles(summary):
    bytes_ = summary["stored_bytes"]
    items = [(f"{summary['published']['days']} of {summary['published']['of']}", "days published"),
             (sum(not r["injected"] for r in summary["refused"]), "real loads refused"),
             (sum(r["injected"] for r in summary["refused"]), "planted faults caught"),
             (f"{summary['landings_ms']['p95']:.1f} ms", "engine time of a landing, p95"),
             (charts.size(bytes_["objects"] + bytes_["metadata"]), f"stored; {charts.size(bytes_['as_copies'])} as copies"),
             (f"{summary['wall_s']:.0f} s", "whole demonstration"),
             (f"{summary['rss_mb_max']:.0f} MB", "server memory at most")]
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><b>{escape(str(a))}</b><span>{escape(b)}</span></div>' for a, b in items) + "</div>"


def incident(entry):
    rows = entry.get("failing_rows") or []
    parts = [f'<section class="incident" id="{escape(entry["incident"])}"><h3>{escape(entry["incident"])}: '
             f'{escape(entry["product"])} of {escape(entry["date"])}</h3>']
    same = entry.get("main_before") and entry["main_before"] == entry.get("main_after")
    deliveries = ", ".join(f"{channel}: {d['firing']} firing, {d['resolved']} resolved"
                           for channel, d in (entry.get("deliveries") or {}).items())
    cost = entry.get("cost") or {}
    parts.append(facts([
        ("rule", code(entry["check"])),
        ("observed", f'<b class="bad">{escape(shown(entry["observed"]))}</b> instead of {escape(shown(entry["expected"]))}'),
        ("main", f'{"untouched" if same else "moved"} {code(entry.get("main_after"))}' if entry.get("main_after") else ""),
        ("snapshot", code(entry.get("snapshot"))),
        ("downstream", escape(f"{cost['lost']} of {cost['of']} {cost['what']}") if cost.get("lost") else ""),
        ("waiting", escape(entry.get("waiting") or "")),
        ("alerts", escape(deliveries)),
        ("cured by", escape(entry.get("cure") or ""))]))
    if rows:
        head, lines, more = grouped(rows)
        parts.append(table(head, lines))
        if more:
            parts.append(f'<p class="soft">and {more} more in the report of the incident</p>')
    return "".join(parts) + "</section>"


def runs(summary):
    chosen = summary["runs"]
    names = {"landed": "landed in one step", "stale": "stale: main had changed under it", "stopped": "stopped at a gate"}
    return "".join(f'<h3>{escape(run["date"])} <span class="soft">{escape(run.get("note") or names.get(run["state"], run["state"]))}'
                   f"</span></h3>{charts.run_lanes(run)}" for run in chosen)


def page(summary):
    """The whole page as one string."""
    days, refused = summary["days"], summary["refused"]
    by_table = {}
    for entry in refused:
        by_table.setdefault(entry["table"], {}).setdefault(entry["date"], entry)
    real = [r for r in refused if not r["injected"]]
    planted = [r for r in refused if r["injected"]]
    bytes_ = summary["stored_bytes"]
    stored = bytes_["objects"] + bytes_["metadata"]
    missing = [d for d in days if not d["published"]]
    out = [f'<p class="lead">A data mesh of six products on one year of flights from New York, {escape(days[0]["date"])} to '
           f'{escape(days[-1]["date"])}, day by day, each load tested before anyone could see it.</p>', tiles(summary)]
    if missing:
        out.append("<p>Not published: " + "; ".join(f"{escape(d['date'])}, {escape(d.get('why') or '')}" for d in missing) + ".</p>")
    out += ["<h2>The mesh</h2>", charts.mesh_graph(summary["mesh"]),
            "<h2>Rows a day</h2><p>A filled dot marks a load that a contract refused; a ring marks a planted fault that came before the "
            "right load.</p>"]
    out += [charts.rows_a_day(days, name, by_table.get(name, {})) for name in ("flights", "weather")]
    out += ["<h2>Nulls over time</h2>", charts.shares(days, summary["null_series"], 10)]
    out += ["<h2>Runs</h2><p>Every job writes on its own branch; its gate decides before it lands on the branch of the run, and the run lands "
            "on main in one step.</p>", runs(summary),
            "<h3>Order of the landings</h3>", charts.landing_order(days)]
    out += ["<h2>Incidents</h2>"] + [incident(r) for r in real]
    if planted:
        out += ["<h3>Planted faults</h3>", table(
            ("day", "fault", "found by", "rule", "observed", "expected", "incident"),
            [(r["date"], r.get("fault"), r["product"], r["check"], r["observed"], r["expected"], r["incident"]) for r in planted])]
    if summary["monitors"]:
        out += ["<h3>Monitors</h3>", table(("at", "port", "monitor", "age", "limit"), [
            (m["at"], f"{m['product']}:{m['port']}", m["monitor"], f"{m['age_h']:g} h", f"{m['limit_h']:g} h") for m in summary["monitors"]])]
    if summary["warnings"]:
        out += ["<h3>Warnings</h3>", table(("day", "product", "rule", "observed", "expected"), [
            (w["date"], w["product"], w["check"], w["observed"], w["expected"]) for w in summary["warnings"]])]
    out += ["<h3>Alerts delivered</h3>", table(("channel", "delivered"), list(summary["alerts"].items()), (1,))]
    out += ["<h2>Stored bytes</h2><p>What all branches, publications and snapshots take, against one copy of the data for each of them.</p>",
            charts.bars([("one copy each", bytes_["as_copies"], "soft", ""), ("distinct objects", bytes_["distinct"], "", ""),
                         ("stored", stored, "", f"objects {charts.size(bytes_['objects'])}, metadata {charts.size(bytes_['metadata'])}; "
                          f"{stored / max(bytes_['distinct'], 1):.2f} x the distinct objects")], charts.size, label="Stored bytes")]
    steps = [(name, s["p50"], s["p95"], s["count"]) for name, s in summary["engine_ms"].items()]
    out += ["<h2>Engine time a step</h2><p>Median (dark) and 95th percentile (light); checks are shown apart, since they are the data's own time.</p>",
            charts.spans(steps, "Engine time a step")]
    out += ["<h2>Proof</h2>", table(("product", "scope digest of main"), list(summary["digests"].items()))]
    extra = [(k, summary.get(k)) for k in ("withdrawal", "environment", "restart", "readonly_probe", "onboarding", "time_travel", "folding", "fsck")]
    for name, value in extra:
        if value:
            pairs = [(k, v) for k, v in flat(value).items() if v not in ("", [], None)]
            out += [f"<h3>{escape(name.replace('_', ' ').capitalize())}</h3>",
                    facts([(k.replace("_", " "), code(json.dumps(v)) if isinstance(v, list) else escape(shown(v))) for k, v in pairs])]
    css = (HERE / "report.css").read_text(encoding="utf-8")
    title = f"{summary['published']['days']} of {summary['published']['of']} days published"
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Tarn: {title}</title><style>{css}</style></head><body><main><h1>{title}</h1>{''.join(out)}"
            f'<p class="soft">Made by {escape(summary["tarn_version"])} at {escape(summary["made_at"])}.</p></main></body></html>')


def main():
    source, target = sys.argv[1:3]
    with open(source, encoding="utf-8") as file:
        summary = json.load(file)
    pathlib.Path(target).write_text(page(summary), encoding="utf-8")


if __name__ == "__main__":
    main()
