"""Measures Tarn beside another server that speaks the same REST interface, on this machine, one after the other in turns.

    ./run bench peer --peer-binary PATH [--json FILE] [--sec S] [--files N] [--rounds N] [--only WORD]

Both servers get a fresh data folder, the same repository imported from the same folder of N files, and the same requests from the
same driver (bench/load). Every workload runs in rounds (A B, B A, A B ...); the median of the rounds counts. Tarn acknowledges nothing that is
not on the disk; the other server runs as it comes. The limit of every rate is a null request (GET /healthcheck) to Tarn in the same run.
"""
import argparse
import base64
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import KEY, SECRET, Server  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = "bench-repo"
R = f"/api/v1/repositories/{REPOSITORY}"
DELETED = 20_000
HISTORY = 1_000


class Ours(Server):
    name = "ours"


class Theirs(Server):
    """The other server, with the local object store and its local key-value store: no service beside it."""

    name = "theirs"

    def __init__(self, folder, binary, sources):
        super().__init__(folder)
        self.binary, self.sources = binary, sources

    def command(self):
        return [str(self.binary), "run"]

    def environment(self):
        data = self.folder / "data"
        values = {
            "DATABASE_TYPE": "local", "DATABASE_LOCAL_PATH": data / "kv", "BLOCKSTORE_TYPE": "local", "BLOCKSTORE_LOCAL_PATH": data / "blocks",
            "BLOCKSTORE_LOCAL_IMPORT_ENABLED": "true", "BLOCKSTORE_LOCAL_ALLOWED_EXTERNAL_PREFIXES": self.sources,
            "BLOCKSTORE_SIGNING_SECRET_KEY": "bench-only", "AUTH_ENCRYPT_SECRET_KEY": "bench-only-secret-of-the-measurement",
            "STATS_ENABLED": "false", "USAGE_REPORT_ENABLED": "false", "EMAIL_SUBSCRIPTION_ENABLED": "false", "SECURITY_CHECK_LATEST_VERSION": "false",
            "LOGGING_LEVEL": "WARN", "LISTEN_ADDRESS": f"127.0.0.1:{self.port}", "GATEWAYS_S3_DOMAIN_NAME": f"s3.local.lakefs.io:{self.port}",
            "COMMITTED_LOCAL_CACHE_DIR": data / "cache"}
        return {**os.environ, "HOME": str(self.folder), **{f"LAKEFS_{name}": str(value) for name, value in values.items()}}

    def __enter__(self):
        super().__enter__()
        self.call("POST", "/setup_lakefs", {"username": "admin", "key": {"access_key_id": KEY, "secret_access_key": SECRET}})
        return self


def cpu_seconds(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Bench:
    def __init__(self, asked, servers, folder):
        self.asked, self.servers, self.folder = asked, servers, folder
        self.rows, self.counter = [], 0
        self.keys_file = folder / "keys.txt"
        self.keys = []
        self.commits = {}

    # -- requests
    def load(self, server, clients, steps, seconds=None, count=None):
        """One run of the driver: `steps` are (method, path, body: JSON, text, a number of bytes, or None). Gives its figures."""
        self.counter += 1
        words = [os.environ.get("TARN_BENCH_LOAD", str(ROOT / "build" / "bench" / "bench_load")), "--port", str(server.port), "--clients", str(clients),
                 "--auth", base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(), "--run", f"{self.counter}x{random.getrandbits(32):08x}"]
        words += ["--count", str(count)] if count else ["--seconds", str(seconds or self.asked.sec), "--warm", "0.3"]
        if any("{key}" in path or "{next}" in path for _, path, _ in steps):
            words += ["--keys", str(self.keys_file)]
        for method, path, body in steps:
            words += ["--step", f"{method} {path}"]
            if isinstance(body, int):
                words += ["--body-bytes", str(body), "--type", "application/octet-stream"]
            elif isinstance(body, str):
                words += ["--body", body, "--type", "application/octet-stream"]
            elif body is not None:
                words += ["--body", json.dumps(body)]
        before = cpu_seconds(server)
        done = subprocess.run(words, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"bench peer: the driver failed against {server.name}: {done.stderr.strip()[-500:]}")
        figures = json.loads(done.stdout)
        figures["cpu_ms"] = (cpu_seconds(server) - before) * 1000 / max(1, figures["operations"] + figures["failures"])
        return figures

    def turns(self, rounds=None):
        for number in range(rounds or self.asked.rounds):
            for server in self.servers if number % 2 == 0 else self.servers[::-1]:
                yield number, server

    # -- rows
    def wanted(self, name):
        return not self.asked.only or self.asked.only in name

    def row(self, name, unit, values, bar, more_is_better=True, failures=None, limit=None, note="", cpu=None):
        """@param values: per server name the figures of its rounds."""
        ours, theirs = (statistics.median(values[one]) for one in ("ours", "theirs"))
        ratio = (ours / theirs if more_is_better else theirs / ours) if ours and theirs else None
        lost = (failures or {}).get("ours", 0)
        row = {"name": name, "unit": unit, "ours": ours, "theirs": theirs, "ratio": ratio, "limit": limit, "bar": bar,
               "pass": None if bar is None else bool(ratio and ratio >= bar and not lost), "failures": failures or {"ours": 0, "theirs": 0},
               "ours_range": [min(values["ours"]), max(values["ours"])], "theirs_range": [min(values["theirs"]), max(values["theirs"])],
               "rounds": len(values["ours"]), "note": note, "cpu_ms": cpu}
        self.rows.append(row)
        print(f"  {name:<50}{ours:>12.2f}{theirs:>12.2f} {unit:<8}{'' if ratio is None else format(ratio, '.1f') + ' x':>10}", file=sys.stderr, flush=True)

    def rate(self, name, clients, steps, bar, limit=None, count=None, rounds=None, before=None):
        """Operations per second of the driver in turns. `steps(round)` gives the requests; `before(server, round)` sets up."""
        if not self.wanted(name):
            return
        values, failures, cpu, p50 = {"ours": [], "theirs": []}, {"ours": 0, "theirs": 0}, {"ours": [], "theirs": []}, {"ours": [], "theirs": []}
        for number, server in self.turns(rounds):
            if before:
                before(server, number)
            figures = self.load(server, clients, steps(server, number), count=count)
            values[server.name].append(figures["rate"])
            cpu[server.name].append(figures["cpu_ms"])
            p50[server.name].append(figures["p50"])
            failures[server.name] += figures["failures"]
            if figures["failures"]:
                print(f"  {server.name}: {figures['failures']} failures {figures['refusals']}: {figures['example'][:200]}", file=sys.stderr)
        middle = {one: statistics.median(cpu[one]) for one in cpu}
        self.row(name, "per s", values, bar, failures=failures, limit=limit, cpu=middle,
                 note="p50 {:.2f} against {:.2f} ms".format(statistics.median(p50["ours"]), statistics.median(p50["theirs"])))

    def seconds(self, name, action, bar, unit="ms", rounds=None):
        """Time of one action in turns; `action(server, round)` gives it in seconds."""
        values = {"ours": [], "theirs": []}
        for number, server in self.turns(rounds):
            values[server.name].append(action(server, number) * 1000)
        self.row(name, unit, values, bar, more_is_better=False)

    # -- set-up, the same for both
    def make_files(self):
        source = self.folder / "source"
        for number in range(self.asked.files):
            if number % 1000 == 0:
                (source / f"p{number // 1000:04d}").mkdir(parents=True)
            path = f"p{number // 1000:04d}/f{number:07d}"
            (source / path).write_bytes(b"%010d" % number)
            self.keys.append("data/" + path)
        shuffled = self.keys[:]
        random.Random(7).shuffle(shuffled)
        self.keys_file.write_text("\n".join(shuffled) + "\n")

    def import_into(self, server, repository):
        server.call("POST", "/repositories", {"name": repository, "storage_namespace": f"local://{repository}", "default_branch": "main"})
        base = f"/repositories/{repository}/branches/main/import"
        begin = time.perf_counter()
        paths = [{"path": f"local://{self.folder}/source/", "destination": "data/", "type": "common_prefix"}]
        started = server.call("POST", base, {"paths": paths, "commit": {"message": "import"}})
        while True:
            status = server.call("GET", f"{base}?id={urllib.parse.quote(started['id'])}")
            if status.get("error"):
                raise SystemExit(f"bench peer: the import into {server.name} failed: {status['error']}")
            if status["completed"]:
                break
            time.sleep(0.02)
        spent = time.perf_counter() - begin
        if status["ingested_objects"] != self.asked.files:
            raise SystemExit(f"bench peer: {server.name} imported {status['ingested_objects']} of {self.asked.files} files")
        return self.asked.files / spent

    def branch(self, server, name):
        server.call("POST", f"/repositories/{REPOSITORY}/branches", {"name": name, "source": "main"})

    def commit(self, server, branch, message):
        begin = time.perf_counter()
        made = server.call("POST", f"/repositories/{REPOSITORY}/branches/{branch}/commits", {"message": message})
        return made["id"], time.perf_counter() - begin

    def put_scattered(self, server, branch, count):
        figures = self.load(server, 32, [("POST", f"{R}/branches/{branch}/objects?path={{next}}", "{u} {n}")], count=count)
        if figures["failures"]:
            raise SystemExit(f"bench peer: {figures['failures']} uploads to {server.name} failed: {figures['example']}")

    # -- the workloads
    def run(self):
        imports = {"ours": [], "theirs": []}
        for number, server in self.turns():
            imports[server.name].append(self.import_into(server, REPOSITORY if number == 0 else f"{REPOSITORY}-{number}"))
        if self.wanted("import"):
            self.row(f"import of {self.asked.files:,} files", "per s", imports, 5)
        base = {server.name: server.call("GET", f"/repositories/{REPOSITORY}/branches/main")["commit_id"] for server in self.servers}

        null = {}
        for clients in (1, 64):
            self.rate(f"null request, {clients} client{'s' if clients > 1 else ''}", clients, lambda *_: [("GET", "/api/v1/healthcheck", None)], None)
            null[clients] = self.rows[-1]["ours"] if self.rows and self.rows[-1]["name"].startswith("null") else None
        for clients, bar in ((1, 20), (64, 8)):
            self.rate(f"stat on a branch, {clients} client{'s' if clients > 1 else ''}", clients,
                      lambda *_: [("GET", f"{R}/refs/main/objects/stat?path={{key}}", None)], bar, null[clients])
        for clients, bar in ((1, 12), (64, 6)):
            self.rate(f"PUT 1 KiB, {clients} client{'s' if clients > 1 else ''}", clients,
                      lambda _, number, c=clients: [("POST", f"{R}/branches/puts-{c}-{number}/objects?path=new/{{u}}/{{n}}", 1024)], bar, null[clients],
                      before=lambda server, number, c=clients: self.branch(server, f"puts-{c}-{number}"))
        self.ones(null[1])
        self.scattered(base, null[1])
        self.rate("branch create", 1, lambda *_: [("POST", f"{R}/branches", {"name": "b{u}-{n}", "source": "main"})], 15, null[1])
        job = [("POST", f"{R}/branches", {"name": "j{u}-{n}", "source": "main"}),
               ("POST", f"{R}/branches/j{{u}}-{{n}}/objects?path=jobs/{{u}}/{{n}}", 1024),
               ("POST", f"{R}/branches/j{{u}}-{{n}}/commits", {"message": "job"}),
               ("POST", f"{R}/refs/j{{u}}-{{n}}/merge/main", {})]
        self.rate("storm: branch, put, commit, merge, 16 clients", 16, lambda *_: job, 20, count=320)
        self.rate("list page of 1,000", 1, lambda server, _: [("GET", f"{R}/refs/{base[server.name]}/objects/ls?amount=1000&after={{key}}", None)], 8, null[1])
        self.tombstones(null[1])
        self.rows.append({"name": "resident memory at the end", "unit": "MB", "bar": None, "pass": None, "limit": None, "note": "", "rounds": 1, "cpu_ms": None,
                          "failures": {"ours": 0, "theirs": 0}, **{server.name: rss_mb(server) for server in self.servers}})
        self.rows[-1]["ratio"] = self.rows[-1]["theirs"] / self.rows[-1]["ours"]

    def ones(self, null):
        """One-object commits; together they are the history that the path log walks."""
        if not (self.wanted("put and commit of one object") or self.wanted("path log")):
            return
        for server in self.servers:
            self.branch(server, "ones")
            self.load(server, 1, [("POST", f"{R}/branches/ones/objects?path=once/only", "{u}")], count=1)
            self.commit(server, "ones", "the only one to touch it")
        each = -(-HISTORY // self.asked.rounds)
        chosen, self.asked.only = self.asked.only, ""
        self.rate("put and commit of one object", 1, lambda *_: [("POST", f"{R}/branches/ones/objects?path={{key}}", "{u} {n}"),
                                                                 ("POST", f"{R}/branches/ones/commits", {"message": "one {n}"})], 40, null, count=each)
        self.rate(f"path log, 1 hit in {each * self.asked.rounds + 1:,} commits", 1,
                  lambda *_: [("GET", f"{R}/refs/ones/commits?objects=once/only&amount=10", None)], 100, null)
        self.asked.only = chosen

    def scattered(self, base, null):
        if not (self.wanted("scattered") or self.wanted("diff")):
            return
        for server in self.servers:
            self.branch(server, "scattered")
            self.branch(server, "hundred")
            self.put_scattered(server, "hundred", 100)
            self.commit(server, "hundred", "100 scattered")

        def thousand(server, number):
            # The driver begins the shuffled keys anew each run: the keys are turned so that each round changes others.
            self.put_scattered(server, "scattered", 1000)
            return self.commit(server, "scattered", "1,000 scattered")[1]

        shuffled = self.keys_file.read_text().split()
        values = {"ours": [], "theirs": []}
        for number in range(5):
            turned = shuffled[number * 1000:] + shuffled[:number * 1000]
            self.keys_file.write_text("\n".join(turned) + "\n")
            for server in self.servers if number % 2 == 0 else self.servers[::-1]:
                values[server.name].append(thousand(server, number) * 1000)
        self.row(f"commit of 1,000 scattered at {self.asked.files:,}", "ms", values, 10, more_is_better=False)
        head = {server.name: server.call("GET", f"/repositories/{REPOSITORY}/branches/scattered")["commit_id"] for server in self.servers}
        hundred = {server.name: server.call("GET", f"/repositories/{REPOSITORY}/branches/hundred")["commit_id"] for server in self.servers}
        for server in self.servers:
            page = server.call("GET", f"/repositories/{REPOSITORY}/refs/{base[server.name]}/diff/{hundred[server.name]}?amount=1000")["results"]
            if len(page) != 100:
                raise SystemExit(f"bench peer: the diff of {server.name} has {len(page)} changes instead of 100")
        self.rate("diff, page of 1,000 of 5,000 changes", 1, lambda server, _: [("GET", f"{R}/refs/{base[server.name]}/diff/{head[server.name]}?amount=1000", None)], 10, null)
        self.rate("diff of 100 changes", 1, lambda server, _: [("GET", f"{R}/refs/{base[server.name]}/diff/{hundred[server.name]}?amount=1000", None)], 50, null)

    def tombstones(self, null):
        name = "list page past 20,000 deleted"
        if not self.wanted(name):
            return
        gone = self.keys[:min(DELETED, len(self.keys) * 4 // 5)]
        for server in self.servers:
            self.branch(server, "tombs")
            for i in range(0, len(gone), 1000):
                failed = server.call("POST", f"/repositories/{REPOSITORY}/branches/tombs/objects/delete", {"paths": gone[i:i + 1000]})
                if failed.get("errors"):
                    raise SystemExit(f"bench peer: {server.name} did not delete: {failed['errors'][:1]}")
        self.rate(name, 1, lambda *_: [("GET", f"{R}/refs/tombs/objects/ls?amount=100", None)], 100, null)


def show(rows):
    print(f"  {'':<50}{'ours':>12}{'theirs':>12} {'':<8}{'ratio':>10}{'bar':>8}{'':>8}{'limit':>11}")
    for row in rows:
        verdict = "" if row["pass"] is None else ("pass" if row["pass"] else "MISSED")
        lost = row["failures"]
        failed = f"  failures: ours {lost['ours']}, theirs {lost['theirs']}" if lost["ours"] or lost["theirs"] else ""
        print(f"  {row['name']:<50}{row['ours']:>12.2f}{row['theirs']:>12.2f} {row['unit']:<8}{'' if row['ratio'] is None else format(row['ratio'], '.1f') + ' x':>10}"
              f"{'' if row['bar'] is None else '≥ ' + format(row['bar'], 'g'):>8}{verdict:>8}{'' if row['limit'] is None else format(row['limit'], '.0f'):>11}"
              f"  {row['note']}{failed}")


def main():
    arguments = argparse.ArgumentParser(prog="bench peer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer-binary", metavar="PATH", help="the other server's program")
    arguments.add_argument("--json", metavar="FILE")
    arguments.add_argument("--sec", type=float, default=2, help="seconds of each rate and round (default 2)")
    arguments.add_argument("--files", type=int, default=200_000, metavar="N", help="imported files (default 200,000)")
    arguments.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments.add_argument("--only", metavar="WORD", default="", help="workloads with this word in their name")
    asked = arguments.parse_args()
    if not asked.peer_binary:
        print("bench peer: skipped, because no --peer-binary was given: there is nothing to stand beside")
        return 0
    if not os.access(asked.peer_binary, os.X_OK):
        raise SystemExit(f"bench peer: '{asked.peer_binary}' is no program that can be run")
    if asked.files < 10_000:
        raise SystemExit("bench peer: --files must be at least 10000")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tarn-bench-peer-"))
    try:
        for one in ("ours", "theirs"):
            (folder / one).mkdir()
        started = time.monotonic()
        with Ours(folder / "ours") as ours, Theirs(folder / "theirs", pathlib.Path(asked.peer_binary).resolve(), folder) as theirs:
            bench = Bench(asked, [ours, theirs], folder)
            bench.make_files()
            bench.run()
        spent = time.monotonic() - started
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.files:,} files, {asked.rounds} rounds of {asked.sec:g} s, {os.cpu_count()} cores, {spent:.0f} s in whole")
    show(bench.rows)
    if asked.json:
        pathlib.Path(asked.json).write_text(json.dumps(bench.rows, indent=1) + "\n")
    return 1 if any(row["pass"] is False for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
