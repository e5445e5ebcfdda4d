"""The story of the demonstration, step by step, as the people of six teams would do it. No step knows what will be refused."""
import concurrent.futures
import contextlib
import datetime
import pathlib
import sys
import time

import client
import corrections
import faults
import host
import source

HERE = pathlib.Path(__file__).parent
PRODUCTS = {  # repository: (domain, product, port, folder in the repository)
    "airports": ("reference", "airports", "airports", "airports"),
    "airlines": ("reference", "airlines", "airlines", "airlines"),
    "planes": ("reference", "planes", "planes", "planes"),
    "weather": ("weather", "hourly", "hourly", "weather"),
    "flights": ("operations", "flights", "flights", "flights"),
    "analytics": ("analytics", "delays", "delays", "out/delays"),
}
INPUTS = ("airlines", "airports", "planes", "flights", "weather")
JOB_ORDER = (("clean_flights",), ("join_weather", "carrier_report"), ("daily_delays",))
FINAL = ("landed", "failed", "conflict", "cancelled", "superseded", "error")


def product_id(repository):
    return "/".join(PRODUCTS[repository][:2])


def next_morning(day, hour=6, days=1):
    return f"{datetime.date.fromisoformat(day) + datetime.timedelta(days=days)}T{hour:02}:00:00Z"


class Story:
    """Holds who acts, where the files are, and what was seen; figures.py makes the summary from `seen`."""

    def __init__(self, server, admin, users, folder, made, as_user, tarn, days, with_faults, say):
        self.server, self.admin, self.users = server, admin, users
        self.folder, self.made, self.as_user, self.tarn = pathlib.Path(folder), pathlib.Path(made), as_user, tarn
        self.source = self.folder / "source"
        self.days, self.with_faults, self.say = days, with_faults, say
        self.begin = time.monotonic()
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.refused, self.warnings, self.runs, self.missing = [], [], [], []
        self.onboarded = set()      # proposals of onboardings that were looked at
        self.waiting = {}           # day: entry of a natural refusal whose cure is still to come
        self.landed, self.late = [], set()
        self.delivered = set()      # (table, day) that were sent before their morning
        self.history, self.extra = {}, {}
        self.weather_major = 1
        self.proposals = []

    def owner(self, repository):
        return self.users[PRODUCTS[repository][0]]

    def at(self, when):
        """Sets the business clock; everything that depends on dates follows it."""
        self.admin.mesh("/clock", {"at": when}, method="PUT")
        self.now = when

    def skip(self, what):
        """A step that cannot be done here: said at once, and again in the summary."""
        self.missing.append(what)
        self.say("!", f"left out: {what}")

    @contextlib.contextmanager
    def optional(self, name):
        """A step beside the main road: when the server cannot do it yet, the summary says so, with the server's words."""
        try:
            yield
        except client.Refused as refused:
            self.missing.append(f"{name}: {refused}")
            self.say("!", f"{name}: {refused.message}")

    # -- 1. mesh ------------------------------------------------------------------------------------------------

    def make_mesh(self):
        for domain in dict.fromkeys(p[0] for p in PRODUCTS.values()):
            self.admin.mesh("/domains", {"name": domain, "owner": self.users[domain].name})
        for repository, (domain, product, _, _) in PRODUCTS.items():
            # A second major is for the day that needs it.
            self.admin.command(self.tarn, "mesh", "product", "create", f"{domain}/{product}", "--repo", repository, "--owner", self.users[domain].name,
                               "--files", HERE / "mesh" / repository, "--skip", "contracts/*@*")
        self.say("", f"{len(PRODUCTS)} products, each with contract, owner and protected main")

    def make_channels(self, webhook, alertmanager):
        self.admin.mesh("/channels", {"name": "webhook", "kind": "webhook", "url": webhook})
        if alertmanager:
            self.admin.mesh("/channels", {"name": "alertmanager", "kind": "alertmanager", "url": alertmanager})

    # -- 2. history ---------------------------------------------------------------------------------------------

    def onboard_history(self):
        before = self.admin.mesh("/stats")["stored_bytes"]
        self.history["reports"] = {}
        for repository, (_, _, _, folder) in PRODUCTS.items():
            place = self.source
            if repository == "analytics":       # its own outputs, made by the same jobs in plain DuckDB
                place = self.folder / "output"
                if self.output.wait():
                    raise SystemExit("demo: the output history could not be made")
                host.seal(place)
            answer = self.owner(repository).mesh(f"/repos/{repository}/onboard/history",
                                                 {"from": f"local://{place}/{folder}/", "to": f"{folder}/"}, timeout=300)
            self.history["reports"][repository] = answer
        after = self.admin.mesh("/stats")["stored_bytes"]
        linked = sum(a.get("bytes_linked", 0) for a in self.history["reports"].values())
        objects = sum(a.get("objects", 0) for a in self.history["reports"].values())
        self.extra["onboarding"] = {"objects": objects, "bytes_linked": linked, "object_bytes_before": before["objects"],
                                    "object_bytes_after": after["objects"]}
        self.say("", f"history: {objects} objects, {linked / 1e6:.1f} MB linked, {after['objects'] - before['objects']} B of data copied")
        for repository, answer in self.history["reports"].items():
            for check in failing(answer.get("report")):
                self.say("", f"history of {product_id(repository)}: {check['check']}: {words(observed(check))}, not {words(check['expected'])}")

    def correct_history(self):
        """What owners can correct, through the gate; then the consumer takes its first inputs."""
        con = source.connect()
        fixed = self.folder / "corrections"
        corrections.wind(con, self.source, fixed)
        corrections.airports(con, self.source, fixed)
        wind = f"weather/date={corrections.WIND_DAY}/weather.parquet"
        done = self.propose("weather", "correct-wind", {wind: fixed / wind}, "a wind of 1,048 mph is no wind: the value becomes null")
        self.history["wind"] = self.brief(done)
        analytics = self.users["analytics"]
        for name in INPUTS:
            analytics.mesh("/subscriptions", {"consumer": "analytics", "input": name})
            self.owner(name).mesh(f"/subscriptions/analytics/{name}/approve", {})
        for name in ("airlines", "airports", "planes"):
            self.onboard(name)
        refused = self.onboard("flights")
        bad = [p for p in refused if p["state"] == "failed"]
        self.history["flights_refused"] = [self.entry("history", "analytics", "flights", p) for p in bad]
        for found in self.history["flights_refused"]:
            self.say("x", f"history of flights at analytics: {found['check']} {words(found['observed'])}")
        done = self.propose("airports", "caribbean", {"airports/airports.parquet": fixed / "airports/airports.parquet"},
                            "four airports of the Caribbean that flights go to")
        self.history["airports"] = self.brief(done)
        self.onboard("airports")
        for proposal in bad:
            again = self.wait(analytics, analytics.mesh(f"/proposals/{proposal['id']}/retry", {}))
            self.history["flights_retried"] = self.brief(again)
        self.onboard("weather")

    # -- proposals ----------------------------------------------------------------------------------------------

    def wait(self, user, proposal):
        while proposal["state"] not in FINAL:
            proposal = user.mesh(f"/proposals/{proposal['id']}/wait?timeout_ms=60000")
        self.proposals.append(proposal)
        return proposal

    def propose(self, repository, branch, files, title, texts=None, delete=(), key=None, wait=True):
        """A team's change: a fresh branch, its files, one commit, one proposal into main."""
        user = self.owner(repository)
        user.fresh_branch(repository, branch)
        for path, file in files.items():
            user.upload(repository, branch, path, file)
        for path, text in (texts or {}).items():
            user.upload_text(repository, branch, path, text)
        for path in delete:
            user.s3.delete_object(Bucket=repository, Key=f"{branch}/{path}")
        user.commit(repository, branch, title)
        proposal = user.mesh(f"/repos/{repository}/proposals", {"source": branch, "title": title, "key": key or f"{branch} {title}",
                                                                 "wait_ms": 60000 if wait else 0})
        return self.wait(user, proposal) if wait else proposal

    def brief(self, proposal):
        return {"proposal": proposal["id"], "state": proposal["state"], "publications": proposal.get("publications") or []}

    def deliver(self, table, day, file, title=None, **options):
        """The producer's daily load on its ingest branch."""
        return self.propose(table, f"daily-{table}", {f"{table}/date={day}/{table}.parquet": file},
                            title or f"{table} of {day}", **options)

    def onboard(self, name):
        """The consumer works off what is due for an input; returns the proposals that this made."""
        analytics = self.users["analytics"]
        answer = analytics.mesh(f"/repos/analytics/onboard/{name}/runs", {}, named="onboard a publication", timeout=300)
        made = [p["id"] for p in answer.get("proposals") or []]
        # The server follows publications by itself, too: what it refused meanwhile stands among the refused proposals.
        made += [p["id"] for p in listed(analytics.get("/mesh/proposals", repository="analytics", state="failed"))
                 if (p.get("context") or {}).get("input") == name]
        new = [i for i in dict.fromkeys(made) if i not in self.onboarded]
        self.onboarded.update(new)
        return [self.wait(analytics, analytics.mesh(f"/proposals/{i}")) for i in new]

    def entry(self, day, repository, table, proposal, fault=None):
        """What a refused proposal leaves for people: its incident, the failing rows, the untouched main."""
        incident = self.incident(repository, proposal)
        checks = [c for c in incident.get("checks") or failing(proposal.get("report")) if c.get("severity", "error") == "error"]
        first = checks[0] if checks else {"check": proposal["state"], "observed": proposal.get("message"), "expected": "landed"}
        rows = first.get("missing_keys") or first.get("sample_rows") or []
        found = {
            "date": day, "product": product_id(repository), "table": table, "check": first["check"], "observed": observed(first),
            "expected": first.get("expected"), "incident": incident.get("id"), "injected": fault is not None,
            "snapshot": incident.get("snapshot"), "failing_rows": rows, "proposal": proposal["id"],
            "checks": [c["check"] for c in checks], "seen_s": round(time.monotonic() - self.begin, 1)}
        if fault:
            found["fault"] = fault
        return found

    def incident(self, repository, proposal):
        number = proposal.get("incident")
        if isinstance(number, dict):
            return number
        if number in (None, "", 0):
            return {}
        return self.owner(repository).mesh(f"/incidents/{number}")

    def warn(self, day, repository, proposal):
        for check in failing(proposal.get("report"), "warning"):
            self.warnings.append({"date": day, "product": product_id(repository), "check": check["check"],
                                  "observed": observed(check), "expected": check.get("expected")})
            self.say("w", f"{day} {product_id(repository)}: {check['check']} {words(observed(check))}, expected {words(check.get('expected'))}")

    def refuse(self, entry, note=""):
        self.refused.append(entry)
        self.say("x", f"{entry['date']} {entry['product']}: {entry['check']}: {words(entry['observed'])}, expected {words(entry['expected'])}"
                      f"  {entry['incident'] or ''}{'  planted: ' + entry['fault'] if entry['injected'] else ''}{note}")

    def digest(self, repository, ref="main"):
        """Scope digests of a ref: ports, inputs and the lock, as one flat map of text."""
        return flat(self.owner(repository).mesh(f"/repos/{repository}/digests?ref={ref}"))

    def main_digest(self, repository):
        port = PRODUCTS[repository][2]
        digests = self.digest(repository)
        return next((v for k, v in digests.items() if k.startswith("ports") and port in k), next(iter(digests.values()), ""))

    # -- 3. a day -----------------------------------------------------------------------------------------------

    def file(self, table, day):
        return self.made / "drops" / table / f"date={day}" / f"{table}.parquet"

    def day(self, day):
        """One morning: the source drops, the producers ingest, the consumer onboards, the pipeline runs."""
        self.at(next_morning(day))
        for table in ("weather", "flights"):
            if self.file(table, day).exists():
                host.drop(self.source, self.file(table, day), f"{table}/date={day}/{table}.parquet")
        ingest = [self.pool.submit(self.produce, "weather", day)] if self.file("weather", day).exists() else []
        ingest.append(self.pool.submit(self.produce_flights, day))
        for task in ingest:
            task.result()
        self.consume(day)

    def produce(self, table, day):
        if (table, day) in self.delivered:
            return
        before = self.main_digest(table)
        proposal = self.deliver(table, day, self.source / f"{table}/date={day}/{table}.parquet")
        self.warn(day, table, proposal)
        if proposal["state"] == "failed":
            entry = self.entry(day, table, table, proposal)
            entry["main_before"], entry["main_after"] = before, self.main_digest(table)
            self.refuse(entry)
            self.waiting[day] = entry
        elif proposal["state"] != "landed":
            raise SystemExit(f"demo: {table} of {day} ended as {proposal['state']}: {proposal.get('message') or proposal}")

    def produce_flights(self, day):
        if self.with_faults and day in faults.FLIGHTS:
            self.plant(day)
        elif self.with_faults and day == faults.WITHDRAWN_DAY:
            return          # that morning has its own story: withdraw()
        elif self.with_faults and day == faults.RUN_CHANGED_DAY:
            return          # and so has this: change_under_run()
        self.produce("flights", day)

    def consume(self, day):
        for name in ("weather", "flights"):
            for proposal in self.onboard(name):
                self.warn(day, "analytics", proposal)
                if proposal["state"] == "failed":
                    self.refuse(self.entry(day, "analytics", name, proposal))
        return self.run_ready(day)

    # -- runs ---------------------------------------------------------------------------------------------------

    def run(self, day):
        try:
            return self.users["analytics"].mesh(f"/repos/analytics/pipelines/daily/runs/{day}")
        except client.Refused as refused:
            if refused.status == 404:
                return {"state": "none", "waiting_for": []}
            raise

    def run_ready(self, day, late=False):
        """Runs the four jobs of a day when both inputs are there; a day that misses one is left waiting."""
        run = self.settle(day)
        if run["state"] in ("ready", "running", "stale"):
            lanes = self.work(day)
            run = self.finish(day, lanes)
        if run["state"] == "landed":
            if day not in self.landed:
                self.landed.append(day)
            if late:
                self.late.add(day)
        return run

    def settle(self, day, seconds=10):
        """The run's state once the server has seen the inputs; it follows them within moments."""
        until = time.monotonic() + seconds
        run = self.run(day)
        expected = all(self.pinned(name, day) for name in ("weather", "flights"))
        while expected and run["state"] in ("none", "waiting") and time.monotonic() < until:
            time.sleep(0.01)
            run = self.run(day)
        return run

    def pinned(self, name, day):
        """Whether the day's partition of an input is on the consumer's main."""
        folder = f"inputs/{name}/date={day}/"
        return any(True for _ in self.users["analytics"].objects("analytics", "main", folder))

    def work(self, day, jobs=JOB_ORDER):
        """Starts each job through `tarn job exec`, the two middle ones side by side; returns their lanes."""
        lanes = []
        for together in jobs:
            started = []
            for job in together:
                began = time.monotonic()
                command = [sys.executable, str(HERE / "jobs" / f"{job}.py")]
                started.append((job, began, client.run_job(self.tarn, self.users["analytics"], self.as_user, "daily", day, job, command)))
            for job, began, process in started:
                output, _ = process.communicate(timeout=120)
                state = {0: "landed", 3: "failed"}.get(process.returncode, "stopped")
                lanes.append({"job": job, "attempt": 1, "began_ms": (began - self.begin) * 1000,
                              "ended_ms": (time.monotonic() - self.begin) * 1000, "state": state})
                if process.returncode not in (0, 3):
                    raise SystemExit(f"demo: job {job} of {day} ended with {process.returncode}:\n{output}")
                if state == "failed":
                    return lanes
        return lanes

    def finish(self, day, lanes, note=None):
        run = self.users["analytics"].mesh(f"/repos/analytics/pipelines/daily/runs/{day}/wait?timeout_ms=60000&states=landed,stopped,stale,ready")
        start = min(lane["began_ms"] for lane in lanes) - 4 if lanes else 0
        for lane in lanes:
            lane["attempt"] = (run.get("jobs") or {}).get(lane["job"], {}).get("attempt", 1) or 1
            lane["began_ms"] -= start
            lane["ended_ms"] -= start
        publication = run.get("publication")
        if isinstance(publication, dict):
            publication = publication.get("number")
        entry = {"date": day, "state": run["state"], "forked_ms": 0.0, "jobs": lanes,
                 "landed_ms": (time.monotonic() - self.begin) * 1000 - start if run["state"] == "landed" else None,
                 "publication": f"delays v{publication}" if publication else "landed"}
        if note:
            entry["note"] = note
        self.runs.append(entry)
        return run

    # -- 4. cures -----------------------------------------------------------------------------------------------

    def noon(self, today):
        """Owners answer what was refused: short loads a day later, a broken key at once. Earlier days come first."""
        for day in sorted(self.waiting):
            short = any("day-size" in check for check in self.waiting[day]["checks"])
            if short and day == today:
                continue
            self.at(next_morning(today, 12))
            self.look_at(day)
            if short:
                self.waive(day)
            else:
                self.second_major(day)

    def look_at(self, day):
        """What a person sees of a refused weather day: the waiting run, the snapshot in DuckDB, the cost downstream."""
        entry = self.waiting[day]
        run = self.run(day)
        entry["waiting"] = f"run {day} {run['state']}: " + "; ".join(
            f"{w.get('input')}: {w.get('reason')}{' (' + str(w['incident']) + ')' if w.get('incident') else ''}" for w in run.get("waiting_for") or [])
        con = self.owner("weather").duckdb()
        snapshot = f"read_parquet('s3://weather/{entry['snapshot']}/weather/date={day}/*.parquet', hive_partitioning = false)"
        entry["snapshot_rows"] = con.execute(f"SELECT count(*) FROM {snapshot}").fetchone()[0]
        lost, of = self.users["operations"].duckdb().execute("SELECT 0, 0").fetchone() if not entry["snapshot"] else con.execute(
            f"SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM {snapshot} w WHERE w.origin = f.origin AND w.time_hour = f.time_hour)), "
            f"count(*) FROM read_parquet('s3://flights/main/flights/date={day}/*.parquet', hive_partitioning = false) f").fetchone()
        entry["cost"] = {"lost": lost, "of": of, "what": "flights without weather"}

    def waive(self, day):
        """The owner answers for a short day: a name, a reason, an end; then the same load is tested again and lands."""
        entry = self.waiting.pop(day)
        weather = self.owner("weather")
        weather.mesh(f"/proposals/{entry['proposal']}/waive", {
            "checks": entry["checks"], "owner": weather.name, "expires": "2014-01-31T00:00:00Z",
            "reason": f"the stations sent {words(entry['observed'])} of this day; the rest is lost"})
        proposal = self.wait(weather, weather.mesh(f"/proposals/{entry['proposal']}/retry", {}))
        entry["cure"] = f"waiver of {weather.name} until 2014-01-31; {proposal['state']}"
        self.say("+", f"{day} {entry['product']}: waived by {weather.name}, {proposal['state']}")
        self.consume(day)
        self.run_ready(day, late=True)

    def second_major(self, day):
        """A key that the clocks break is the contract's fault: a new major, the consumer's dry-run, its upgrade, the old one's end."""
        entry = self.waiting.pop(day)
        weather, analytics = self.owner("weather"), self.users["analytics"]
        contracts = HERE / "mesh" / "weather" / "contracts"
        old, new = (contracts / "hourly.odcs.yaml").read_text(), (contracts / "hourly@2.odcs.yaml").read_text()
        diff = weather.mesh("/contracts/diff", {"old": old, "new": new, "product": product_id("weather"), "port": "hourly"})
        found = {"breaking": diff.get("breaking"), "consumers": diff.get("consumers"),
                 "changes": [f"{c.get('class')}: {c.get('path')}" for c in diff.get("changes") or [] if c.get("class") == "breaking"]}
        product = (HERE / "mesh/weather/product.odps.yaml").read_text().replace(
            "outputPorts:\n", "outputPorts:\n  - {name: hourly, version: 2.0.0, contractId: weather-hourly, type: tables}\n")
        found["added"] = self.brief(self.propose("weather", "hourly-2", {}, "hourly@2, keyed on the hour in UTC", texts={
            "_mesh/contracts/hourly@2.odcs.yaml": new, "_mesh/product.odps.yaml": product}))
        if found["added"]["state"] != "landed":
            raise SystemExit(f"demo: hourly@2 was not taken: {found['added']}")
        with self.optional("dry-run of hourly@2"):
            report = analytics.mesh("/subscriptions/analytics/weather/dry-run", {"from": "weather/hourly:hourly@2"})
            found["dry_run"] = "passed" if not failing(report.get("report", report)) else "failed"
        inputs = (HERE / "mesh/analytics/inputs.yaml").read_text().replace("hourly:hourly@1", "hourly:hourly@2")
        found["upgraded"] = self.brief(self.propose("analytics", "upgrade-weather", {}, "weather from hourly@2", texts={"_mesh/inputs.yaml": inputs}))
        found["retired"] = self.brief(self.propose("weather", "end-of-hourly-1", {}, "hourly@1 has no subscriber left", texts={
            "_mesh/contracts/hourly.odcs.yaml": old.replace("status: active", "status: retired", 1)}))
        self.weather_major = 2
        self.say("+", f"hourly@2: {'breaking' if found['breaking'] else 'compatible'}, consumers {words(found['consumers'])}; "
                      f"dry-run {found.get('dry_run', '-')}, upgrade {found['upgraded']['state']}, old major {found['retired']['state']}")
        proposal = self.wait(weather, weather.mesh(f"/proposals/{entry['proposal']}/retry", {}))
        entry["cure"] = f"hourly@2, keyed on the hour in UTC; {proposal['state']}"
        self.extra["major"] = found
        self.say("+", f"{day} {entry['product']}: tested again under hourly@2, {proposal['state']}")
        self.consume(day)
        self.run_ready(day, late=True)


def failing(report, severity="error"):
    """The findings of one report, or of a list of them, that did not hold; of one severity."""
    if isinstance(report, list):
        return [f for one in report for f in failing(one, severity)]
    if not isinstance(report, dict):
        return []
    findings = report.get("findings") or report.get("checks") or []
    bad = ("failed", "error") if severity == "error" else ("warned", "failed")
    own = [f for f in findings if f.get("severity", "error") == severity and f.get("result") in bad]
    return own + failing(report.get("reports") or report.get("contracts") or [], severity)


def observed(finding):
    """What was seen, in the server's words when it has some."""
    seen = finding.get("observed_text") or finding.get("observed")
    return seen.get("value", seen) if isinstance(seen, dict) else seen


def listed(answer):
    """The items of an answer, whether it is a bare list or a page."""
    if isinstance(answer, list):
        return answer
    return next((answer[k] for k in ("results", "publications", "monitors", "envs", "items") if k in answer), [])


def flat(value, before=""):
    """A nested answer as one map of dotted names to text."""
    if not isinstance(value, dict):
        return {before: value}
    out = {}
    for name, inner in value.items():
        out.update(flat(inner, f"{before}.{name}" if before else name))
    return out


def words(value):
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple)):
        return ", ".join(words(v) for v in value) or "none"
    return str(value)
