"""The harder half of the story: planted faults, a withdrawal, a crash, an environment to try things, and the way back in time."""
import hashlib
import json
import time

import faults
import source
from story import PRODUCTS, Story, flat, listed, product_id


class Trials(Story):
    # -- 5. planted faults ----------------------------------------------------------------------------------------

    def wrong_file(self, day, query):
        wrong = self.folder / "wrong" / f"{day}.parquet"
        faults.write(source.connect(), self.file("flights", day), query, wrong)
        return wrong

    def plant(self, day):
        """A wrong load comes first. Which side finds it is for the contracts to say; the right load follows."""
        fault, query = faults.FLIGHTS[day]
        wrong = self.wrong_file(day, query)
        delete = ["_mesh/contracts/flights.odcs.yaml"] if fault == "checks_deleted" else []
        before = self.main_digest("flights")
        proposal = self.deliver("flights", day, wrong, f"flights of {day}, first load", delete=delete)
        if proposal["state"] == "failed":
            entry = self.entry(day, "flights", "flights", proposal, fault)
            entry["main_before"], entry["main_after"] = before, self.main_digest("flights")
            self.refuse(entry)
            self.withdraw_proposal("flights", proposal)
            entry["cure"] = "the right load"
            return
        found = [p for p in self.onboard("flights") if p["state"] == "failed"]
        for refused in found:
            entry = self.entry(day, "analytics", "flights", refused, fault)
            entry["cure"] = "the right load"
            self.refuse(entry)
        if not found:
            raise SystemExit(f"demo: nobody refused the planted fault {fault} of {day}")

    def withdraw_proposal(self, repository, proposal):
        with self.optional("closing a refused proposal"):
            self.owner(repository).mesh(f"/proposals/{proposal['id']}/cancel", {})

    def close_superseded(self):
        """Refused proposals of the consumer that a later load has overtaken are closed, which ends their incidents."""
        for entry in self.refused:
            if entry["injected"] and entry["product"] == product_id("analytics") and entry.get("proposal"):
                proposal = self.users["analytics"].mesh(f"/proposals/{entry['proposal']}")
                if proposal["state"] == "failed":
                    self.withdraw_proposal("analytics", proposal)

    def change_under_run(self, day):
        """The right load arrives while the run of the day is at work on a load that misses five flights."""
        rows = "SELECT * FROM {rows} WHERE NOT (carrier = 'US' AND hour = 6)"
        self.deliver("flights", day, self.wrong_file(day, rows), f"flights of {day}, first load")
        for name in ("weather", "flights"):
            self.onboard(name)
        if self.settle(day)["state"] not in ("ready", "running"):
            raise SystemExit(f"demo: the run of {day} did not become ready: {self.run(day)}")
        lanes = self.work(day, (("clean_flights",), ("join_weather", "carrier_report")))
        self.produce("flights", day)
        self.onboard("flights")
        lanes += self.work(day, (("daily_delays",),))
        run = self.finish(day, lanes, "stale: flights changed on main while it ran")
        until = time.monotonic() + 10
        while run["state"] == "landed" and run.get("generation", 1) < 2 and time.monotonic() < until:
            run = self.run(day)
            time.sleep(0.02)
        self.refuse({"date": day, "product": product_id("analytics"), "table": "flights", "check": "isolation: serializable", "observed": "flights of the "
                     "day changed on main", "expected": "the inputs of the fork", "incident": None, "injected": True, "fault": "main_changed",
                     "cure": "run again on the new inputs", "state": run["state"], "generation": run.get("generation")})
        return self.run_ready(day)

    # -- 6. withdrawal --------------------------------------------------------------------------------------------

    def withdraw(self, day):
        """A load that no rule sees is published and used; then its producer takes it back, and the right one comes."""
        analytics, flights = self.users["analytics"], self.owner("flights")
        self.onboard("weather")
        before = self.consumer_state()
        first = self.deliver("flights", day, self.wrong_file(day, faults.WITHDRAWN), f"flights of {day}, first load")
        self.onboard("flights")
        self.run_ready(day)
        used = self.consumer_state()
        publication = listed(flights.mesh("/repos/flights/ports/flights/publications?major=1"))[-1]
        self.at(f"{day[:8]}{int(day[8:]) + 1:02}T09:00:00Z")
        answer = flights.mesh(f"/repos/flights/ports/flights/publications/{publication['number']}/withdraw?major=1",
                              {"reason": "every arrival delay of DL is zero"})
        after = self.consumer_state()
        found = {"date": day, "publication": publication["number"], "reason": "every arrival delay of DL is zero", "proposal": first["id"],
                 "consumers": answer.get("consumers"), "digest_before": digest_of(before), "digest_used": digest_of(used),
                 "digest_after": digest_of(after), "rolled_back": before == after, "changed_by_use": before != used}
        with self.optional("export after the withdrawal"):
            exports = analytics.mesh("/repos/analytics/exports")
            found["export"] = {name: {k: e.get(k) for k in ("state", "publication", "switched_at")} for name, e in exports.items() if isinstance(e, dict)}
        self.landed = [d for d in self.landed if d != day]
        self.extra["withdrawal"] = found
        self.say("+", f"{day} flights v{publication['number']} withdrawn; analytics is {'back' if found['rolled_back'] else 'NOT back'} at its state "
                      f"before: {found['digest_after'][:16]}")
        self.produce("flights", day)
        self.consume(day)

    def consumer_state(self):
        """Digests of the consumer's inputs, outputs and lock on main."""
        return {k: v for k, v in self.digest("analytics").items() if "commit" not in k}

    # -- a crash ---------------------------------------------------------------------------------------------------

    def crash(self, day):
        """kill -9 while a load is being tested; after the restart it lands once, and nothing else has moved."""
        before = {r: self.main_digest(r) for r in PRODUCTS}
        last = self.last_event()
        weather = self.owner("weather")
        proposal = self.deliver("weather", day, self.file("weather", day), wait=False)
        self.server.kill()
        begin = time.monotonic()
        self.server.start()
        down = (time.monotonic() - begin) * 1000
        done = self.wait(weather, weather.mesh(f"/proposals/{proposal['id']}"))
        self.delivered.add(("weather", day))
        self.warn(day, "weather", done)
        kept = {r: self.main_digest(r) for r in PRODUCTS if r != "weather"}
        outcome = f"the load that was being tested is {done['state']}"
        events = self.events(last)
        numbers = [e["id"] for e in events]
        self.extra["restart"] = {"day": day, "signal": "SIGKILL", "down_ms": round(down, 1), "outcome": outcome,
                                 "others_unchanged": all(before[r] == v for r, v in kept.items()),
                                 "events_repeated": len(numbers) - len(set(numbers))}
        self.say("+", f"kill -9 on {day}: back after {down:.0f} ms; {outcome}")

    def events(self, after):
        with self.optional("events"):
            return self.admin.mesh(f"/events?after={after}").get("events") or []
        return []

    def last_event(self):
        with self.optional("events"):
            after = ""
            while True:
                page = self.admin.mesh(f"/events?after={after}")
                if not page.get("events") or page.get("next") in (None, "", after):
                    return after
                after = page["next"]
        return ""

    # -- 7. environment ----------------------------------------------------------------------------------------------

    def make_environment(self):
        with self.optional("development environment"):
            analytics = self.users["analytics"]
            before = self.admin.mesh("/stats")["stored_bytes"]["objects"]
            analytics.mesh("/repos/analytics/envs", {"name": "dev-environment"}, named="create an environment")
            after = self.admin.mesh("/stats")["stored_bytes"]["objects"]
            self.extra["environment"] = {"made_on": self.now, "bytes_copied": after - before}
            self.say("", f"development environment of analytics: {after - before} B copied")

    def use_environment(self):
        """Two experiments, one compared, reset, used again; both go in the end, and main never noticed."""
        if "environment" not in self.extra:
            return
        found, analytics = self.extra["environment"], self.users["analytics"]
        with self.optional("experiments"):
            main = self.main_digest("analytics")
            analytics.mesh("/repos/analytics/envs/dev-environment/sync", {})
            state = next(iter(listed(analytics.mesh("/repos/analytics/envs"))), {})
            found.update({k: state.get(k) for k in ("unique_bytes", "lag_ms", "conflicts") if k in state})
            one = analytics.mesh("/repos/analytics/experiments", {"name": "newest", "env": "dev-environment"})
            two = analytics.mesh("/repos/analytics/experiments", {"name": "older", "from": "delays@v1"})
            compared = analytics.mesh(f"/repos/analytics/compare?left={one['branch']}&right={two['branch']}&prefix=out/delays/")
            found["compared"] = {side: {"objects": compared[side].get("objects"), "bytes": compared[side].get("bytes"),
                                        "rows": (compared[side].get("profile") or {}).get("rows"),
                                        "columns": len((compared[side].get("profile") or {}).get("columns") or [])}
                                 for side in ("left", "right")}
            found["difference"] = compared.get("objects")
            path = f"out/delays/date={self.days[0]}/delays.parquet"
            before = digest_of(self.digest("analytics", one["branch"]))
            analytics.s3.delete_object(Bucket="analytics", Key=f"{one['branch']}/{path}")
            analytics.commit("analytics", one["branch"], "an idea that was none")
            analytics.mesh(f"/repos/analytics/experiments/{one['name']}/reset", {})
            found["reset_restores"] = digest_of(self.digest("analytics", one["branch"])) == before
            for name in (one["name"], two["name"]):
                analytics.mesh(f"/repos/analytics/experiments/{name}", method="DELETE")
            found["main_untouched"] = self.main_digest("analytics") == main
            self.say("+", f"two experiments compared and gone; main untouched: {found['main_untouched']}")

    # -- the end -----------------------------------------------------------------------------------------------------

    def monitors(self):
        """What fires without any merge: ports whose newest day is too old."""
        found = []
        for monitor in listed(self.admin.mesh("/monitors")):
            if monitor["state"] == "breached":
                found.append({"at": self.now, "product": product_id(monitor["repository"]), "port": monitor["port"], "monitor": "freshness",
                              "age_h": round(monitor["age_hours"], 2), "limit_h": monitor["limit_hours"]})
                self.say("x", f"{self.now[:10]} {monitor['repository']}:{monitor['port']} is {monitor['age_hours']:.0f} h old, limit "
                              f"{monitor['limit_hours']:g} h: no merge needed to see that")
        return found

    def fold(self):
        """Folds the packs of all commits so far, as the server does by itself from time to time; nobody reads anything else than before."""
        before = self.admin.mesh("/stats")["stored_bytes"]["metadata"]
        reports = [self.admin.call("POST", f"/repositories/{repository}/fold", {}) for repository in PRODUCTS]
        after = self.admin.mesh("/stats")["stored_bytes"]["metadata"]
        packs = [sum(r[k] for r in reports) for k in ("packs_before", "packs_after")]
        self.extra["folding"] = {"packs_before": packs[0], "packs_after": packs[1], "metadata_before": before, "metadata_after": after}
        self.say("", f"{packs[0]} packs folded into {packs[1]}: metadata {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB")

    def check(self):
        """The stopped server's folder: every pack, commit, tree and object is read and compared with its hash."""
        if not self.server:
            self.say("", "fsck is left out: it reads the folder of a stopped server")
            return
        found = json.loads(self.server.offline("fsck", "--deep", "--json"))
        self.extra["fsck"] = {"clean": found["clean"], "lies": len(found["lies"]), "commits": sum(r["commits"] for r in found["repositories"]),
                              "nodes": sum(r["nodes"] for r in found["repositories"]), "object_bytes_read": found["object_bytes_read"],
                              "distinct_objects": found["distinct_objects"], "distinct_object_bytes": found["distinct_object_bytes"]}
        self.say("+" if found["clean"] else "x", f"fsck of the stopped server: {self.extra['fsck']['commits']} commits, "
                 f"{found['object_bytes_read'] / 1e6:.1f} MB of objects read, clean: {found['clean']}")

    def time_travel(self):
        """A commit of main answers which publications it was made from, and reads byte by byte as then."""
        analytics = self.users["analytics"]
        with self.optional("time travel"):
            published = listed(analytics.mesh("/repos/analytics/ports/delays/publications?major=1"))
            middle = published[len(published) // 2]
            lock = analytics.mesh(f"/repos/analytics/lock?ref={middle['commit']}").get("inputs") or {}
            name = "flights"
            publication = lock[name].get("publication")
            number = publication.get("number") if isinstance(publication, dict) else publication
            theirs = self.owner(name).mesh(f"/repos/{name}/ports/{name}/publications/{number}?major=1")
            day = (theirs.get("partitions") or [self.days[0]])[-1].replace("date=", "").strip("/")
            mine = analytics.read("analytics", middle["commit"], f"inputs/{name}/date={day}/{name}.parquet")
            read = self.owner(name).read(name, theirs["commit"], f"{name}/date={day}/{name}.parquet")
            self.extra["time_travel"] = {"commit": middle["commit"], "publication": f"delays v{middle['number']}",
                                         "inputs": {k: f"v{flat(v).get('publication', flat(v).get('publication.number'))}" for k, v in lock.items()},
                                         "identical": mine == read, "sha256": hashlib.sha256(mine).hexdigest()}
            self.say("+", f"delays v{middle['number']} came from flights v{number}; its {name} of {day} read byte-identical: {mine == read}")


def digest_of(state):
    """One short digest of a flat map of digests."""
    return hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest()

