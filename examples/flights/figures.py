"""Makes the summary: every figure from what the server's records and the receivers say at the end."""
import datetime
import time

from client import User
from story import INPUTS, PRODUCTS, listed, product_id


def spread(values):
    values = sorted(values)
    if not values:
        return {"p50": 0.0, "p95": 0.0, "max": 0.0, "count": 0}
    at = lambda share: values[min(int(len(values) * share), len(values) - 1)]              # noqa: E731
    return {"p50": round(at(0.5), 3), "p95": round(at(0.95), 3), "max": round(values[-1], 3), "count": len(values)}


def days(story):
    """Rows and nulls of each delivered day, read by DuckDB over S3 from the mains; what never landed is read from the source."""
    con = story.users["analytics"].duckdb()
    owners = {"flights": story.users["operations"], "weather": story.users["weather"]}
    rows, nulls = {}, {}
    for table, columns in (("flights", ("dep_time", "arr_delay")), ("weather", ("wind_dir",))):
        con = owners[table].duckdb()
        there = {o["path"].split("date=")[1][:10] for o in owners[table].objects(table, "main", f"{table}/date=2013-1")}
        files = [f"s3://{table}/main/{table}/date={d}/{table}.parquet" if d in there else str(story.file(table, d))
                 for d in story.days if d in there or story.file(table, d).exists()]
        shares = ", ".join(f"100.0 * count(*) FILTER (WHERE {c} IS NULL) / count(*)" for c in columns)
        for day, count, *percent in con.execute(f"SELECT make_date(year, month, day)::VARCHAR, count(*), {shares} FROM "
                                                f"read_parquet({files}, hive_partitioning = false) GROUP BY 1").fetchall():
            rows[table, day] = count
            nulls.update({(f"{table}.{c}", day): round(p, 3) for c, p in zip(columns, percent)})
    out = []
    for day in story.days:
        landing = story.landed.index(day) + 1 if day in story.landed else None
        run = story.run(day) if landing is None else {}
        why = "; ".join(f"waits for {w.get('input')}: {w.get('reason')}" for w in run.get("waiting_for") or []) or None
        if landing and day in story.late:
            why = "waited for weather"
        out.append({"date": day, "rows": {t: rows.get((t, day)) for t in ("flights", "weather")},
                    "null_percent": {k: nulls.get((k, day)) for k in ("flights.dep_time", "flights.arr_delay", "weather.wind_dir")},
                    "published": landing is not None, "waited": day in story.late, "landing": landing, "why": why})
    return out


def mesh(story):
    """The products with their publications, the subscriptions with their modes."""
    products, refused = [], {}
    for entry in story.refused:
        refused[entry["product"]] = refused.get(entry["product"], 0) + (not entry["injected"])
    for repository, (domain, _, port, _) in PRODUCTS.items():
        ports = []
        for major in (1, 2) if repository == "weather" and story.weather_major == 2 else (1,):
            answer = listed(story.owner(repository).mesh(f"/repos/{repository}/ports/{port}/publications?major={major}"))
            ports.append({"port": port, "major": major, "publications": len(answer), "withdrawn": sum(bool(p.get("withdrawn")) for p in answer)})
        products.append({"id": product_id(repository), "domain": domain, "repository": repository, "ports": ports,
                         "incidents": refused.get(product_id(repository), 0)})
    modes = {"flights": "every", "weather": "every"}
    return {"products": products, "subscriptions": [
        {"consumer": product_id("analytics"), "input": name, "mode": modes.get(name, "auto"),
         "from": f"{product_id(name)}:{PRODUCTS[name][2]}@{story.weather_major if name == 'weather' else 1}"} for name in INPUTS]}


def stored(story):
    """Bytes stored, against the distinct objects and against one copy for each branch and publication."""
    answer = story.admin.mesh("/stats")["stored_bytes"]
    dated = {}
    for repository in PRODUCTS:
        for entry in story.owner(repository).objects(repository, "main"):
            day = entry["path"].split("date=")[1][:10] if "date=" in entry["path"] else ""
            dated.setdefault(repository, []).append((day, entry["size_bytes"]))
    # What the commits of all branches refer to and Tarn stores itself, each content once; on a server of others nobody has counted it.
    distinct = story.extra["fsck"]["distinct_object_bytes"] if "fsck" in story.extra else answer["objects"]
    # With copies instead of branches, a day costs a copy of each producer for its ingest branch and for its publication, and of analytics
    # for two onboarding branches, the run's branch and its four jobs.
    copies = 0
    for repository, times in (("flights", 2), ("weather", 2), ("analytics", 7)):
        for day in story.landed:
            copies += times * sum(size for when, size in dated.get(repository, []) if when <= day)
    return {"objects": answer["objects"], "metadata": answer["metadata"], "distinct": distinct, "as_copies": copies}


def alerts(story, receiver):
    """Notifications by channel, each delivery counted once whatever was sent again; and those of each incident."""
    seen, by_incident = {"webhook": set(), "alertmanager": set()}, {}

    def note(channel, incident, status, ident):
        if ident not in seen[channel]:
            seen[channel].add(ident)
            counts = by_incident.setdefault(str(incident), {}).setdefault(channel, {"firing": 0, "resolved": 0})
            counts[status if status in counts else "firing"] += 1

    for headers, body in receiver.on("/webhook"):
        data = body.get("data", body) if isinstance(body, dict) else {}
        incident = data.get("incident") or data.get("id") or ""
        incident = incident.get("id") if isinstance(incident, dict) else incident
        status = data.get("status") or ("resolved" if "resolved" in str(body.get("type", "")) else "firing")
        lower = {k.lower(): v for k, v in headers.items()}
        ident = body.get("delivery_id") or lower.get("x-tarn-delivery") or body.get("id") or repr(body)
        note("webhook", incident, status, ident)
    for _, body in receiver.on("/alertmanager"):
        for alert in body.get("alerts") or []:
            incident = alert["labels"].get("incident", "")
            note("alertmanager", incident, alert["status"], (alert.get("fingerprint"), alert["startsAt"], alert["status"]))
    return {channel: len(ids) for channel, ids in seen.items()}, by_incident


def summary(story, receiver, version, started, options):
    """The whole summary; its shape is summary.schema.json."""
    story.days_table = days(story)
    stats = story.admin.mesh("/stats")
    landings = stats.get("landings") or []
    channels, deliveries = alerts(story, receiver)
    for entry in story.refused:
        if entry.get("incident"):
            entry["deliveries"] = deliveries.get(str(entry["incident"]), {})
    timings = [p.get("timings") or {} for p in story.proposals]
    engine = {"prepare the merge": [t["prepare_us"] / 1000 for t in timings if "prepare_us" in t],
              "land": [t["land_us"] / 1000 for t in timings if t.get("land_us")], **User.times}
    first = [e["seen_s"] for e in story.refused if e.get("seen_s")]
    natural = [e["seen_s"] for e in story.refused if e.get("seen_s") and not e["injected"]]
    rss = story.server.rss_mb_max if story.server else stats["rss_bytes_max"] / 2**20
    chosen = {}
    for run in story.runs:                      # the first that landed, each that did not, each that came late
        if not chosen or run["state"] != "landed" or run.get("note") or (run["date"] in story.late and len(chosen) < 4):
            chosen[run["date"], len(chosen)] = run
    out = {
        "schema": "tarn.flights.summary/1", "tarn_version": version, "made_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "options": options, "wall_s": 0.0, "first_refused_s": min(first, default=None), "first_natural_refused_s": min(natural, default=None),
        "rss_mb_max": round(rss, 1), "published": {"days": len(story.landed), "of": len(story.days)},
        "mesh": mesh(story), "days": story.days_table,
        "null_series": {"flights.dep_time": "flights: dep_time (cancelled)", "flights.arr_delay": "flights: arr_delay", "weather.wind_dir": "weather: wind_dir"},
        "runs": list(chosen.values()), "refused": story.refused, "warnings": story.warnings, "monitors": story.found_monitors, "alerts": channels,
        "landings_ms": spread([entry["overhead_us"] / 1000 for entry in landings]), "checks_ms": spread([entry["checks_us"] / 1000 for entry in landings]),
        "engine_ms": {name: spread(values) for name, values in engine.items() if values},
        "stored_bytes": stored(story), "digests": {product_id(r): story.main_digest(r) for r in PRODUCTS},
        "history": {k: v for k, v in story.history.items() if k != "reports"}, "missing": story.missing,
    }
    for name in ("onboarding", "withdrawal", "environment", "restart", "readonly_probe", "time_travel", "folding", "fsck", "major"):
        if name in story.extra:
            out[name] = story.extra[name]
    out["wall_s"] = round(time.monotonic() - started, 1)
    return out
