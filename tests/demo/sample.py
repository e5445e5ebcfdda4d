"""An invented summary with the shape of a real one: a fixture for the tests of the report, never shown to a user."""
import datetime
import random


def summary(count=92):
    chance = random.Random(7)
    first = datetime.date(2013, 10, 1)
    dates = [str(first + datetime.timedelta(days=n)) for n in range(count)]
    short = {"2013-10-25": 60, "2013-11-02": 60, "2013-12-30": 57}
    snow = {"2013-12-05": 16.3, "2013-12-10": 21.6, "2013-12-14": 18.1, "2013-12-17": 11.6}
    held = {**short, "2013-11-03": 72}
    days = []
    for n, date in enumerate(dates):
        lost = date == "2013-12-31"
        days.append({
            "date": date, "rows": {"flights": chance.randint(880, 1010), "weather": None if lost else short.get(date, 72), "delays": 38},
            "null_percent": {"flights.dep_time": snow.get(date, chance.uniform(0.1, 2)), "flights.arr_delay": snow.get(date, 1) + chance.random(),
                             "weather.wind_dir": None if lost else chance.uniform(0, 3)},
            "published": not lost, "waited": date in held, "landing": None if lost else n + 1,
            "why": "waits for weather, which never arrived" if lost else ("waited for weather" if date in held else None)})
    names = ("clean_flights", "join_weather", "carrier_report", "daily_delays")
    jobs = [{"job": j, "attempt": 1, "began_ms": b, "ended_ms": e, "state": "landed"}
            for j, b, e in zip(names, (5, 220, 222, 470), (205, 430, 455, 660))]
    stopped = [dict(j, attempt=2) if n else dict(j, state="failed") for n, j in enumerate(jobs[:1])]
    refused = [
        {"date": d, "product": "weather/hourly", "table": "weather", "check": "hourly-key" if d == "2013-11-03" else "day-size",
         "observed": 3 if d == "2013-11-03" else rows, "expected": "= 0" if d == "2013-11-03" else ">= 64.8", "incident": f"INC-{n + 9}",
         "injected": False, "main_before": "set256:aa11", "main_after": "set256:aa11", "snapshot": f"fail--INC-{n + 9}",
         "failing_rows": [{"origin": o, "hour": h} for o in ("EWR", "JFK", "LGA") for h in (20, 21, 22, 23)],
         "cost": {"lost": 95, "of": 989, "what": "flights without weather"}, "waiting": f"run {d}: weather, {d} (INC-{n + 9})",
         "deliveries": {c: {"firing": 1, "resolved": 1} for c in ("webhook", "alertmanager")}, "cure": "waiver by weather until 2014-01-31"}
        for n, (d, rows) in enumerate(sorted(held.items())) if d in dates]
    refused += [{"date": f"2013-10-{8 + n:02}", "product": "operations/flights", "table": "flights", "check": c, "observed": n + 1, "expected": "= 0",
                 "incident": f"INC-{n + 1}", "injected": True, "fault": c} for n, c in enumerate(("schema", "air-time-of-arrived", "day-size"))]
    products = [("reference/airports", "airports", 2), ("reference/airlines", "airlines", 1), ("reference/planes", "planes", 1),
                ("weather/hourly", "weather", 91), ("operations/flights", "flights", 93), ("analytics/delays", "analytics", 93)]
    return {
        "schema": "tarn.flights.summary/1", "tarn_version": "tarn (sample of the tests)", "made_at": "2026-01-01T00:00:00Z",
        "options": {"days": count, "faults": True}, "wall_s": 203.4, "first_refused_s": 21.5, "rss_mb_max": 148.0,
        "published": {"days": sum(d["published"] for d in days), "of": count},
        "mesh": {"products": [{"id": i, "domain": i.split("/")[0], "repository": r, "incidents": 4 if r == "weather" else 0,
                               "ports": [{"port": i.split("/")[1], "major": 1, "publications": n}]} for i, r, n in products],
                 "subscriptions": [{"consumer": "analytics/delays", "input": r, "from": f"{i}:{i.split('/')[1]}@1", "mode": "auto"}
                                   for i, r, _ in products[:-1]]},
        "days": days, "null_series": {"flights.dep_time": "flights: dep_time (cancelled)", "flights.arr_delay": "flights: arr_delay",
                                      "weather.wind_dir": "weather: wind_dir"},
        "runs": [{"date": dates[0], "state": "landed", "forked_ms": 0, "landed_ms": 690, "publication": "delays v2", "jobs": jobs},
                 {"date": dates[-1], "state": "stopped", "forked_ms": 0, "landed_ms": None, "jobs": stopped}],
        "refused": refused, "warnings": [{"date": d, "product": "operations/flights", "check": "cancelled-share", "observed": v,
                                          "expected": "<= 10 %"} for d, v in snow.items()],
        "monitors": [{"at": "2014-01-02T06:00:00Z", "product": "weather/hourly", "port": "hourly", "monitor": "freshness", "age_h": 54.0, "limit_h": 48.0}],
        "alerts": {"webhook": 24, "alertmanager": 24},
        "landings_ms": {"p50": 3.1, "p95": 8.4, "count": 880}, "checks_ms": {"p50": 41.0, "p95": 96.0, "count": 880},
        "engine_ms": {"prepare": {"p50": 1.0, "p95": 2.2, "count": 880}, "land": {"p50": 2.0, "p95": 6.0, "count": 880},
                      "begin a job": {"p50": 1.9, "p95": 5.0, "count": 368}},
        "stored_bytes": {"objects": 6_900_000, "metadata": 1_100_000, "distinct": 7_400_000, "as_copies": 96_000_000},
        "digests": {i: f"set256:{n:04x}" for i, _, n in products},
        "withdrawal": {"date": "2013-12-20", "reason": "arrival delays of DL are zero"}, "restart": {"signal": "KILL", "down_ms": 640},
    }
