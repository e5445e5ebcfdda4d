"""Measures the bars of the house against a server of its own, over REST as any client would.

    ./run bench [--objects N] [--rounds N] [--output FILE]

A repository gets N objects by import (no byte is copied); then one-object commits, branch creations and merges are timed one after
the other on one kept connection. Prints a table of p50 and p95 in ms with the bar of each, and exits with 1 when a bar is missed.
"""
import argparse
import base64
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEY, SECRET = "AKIABENCH0000000000", "bench-secret-0123456789-abcdefghijklmnop"
REPOSITORY = "bench"


class Server:
    """A server on a free port of the loopback with a fresh data folder; ends with the block."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def command(self):
        tarn = os.environ.get("TARN_BIN", str(ROOT / "build" / "tarn"))
        return [tarn, "serve", "--data", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]

    def environment(self):
        return {**os.environ, "TARN_ADMIN_KEY": KEY, "TARN_ADMIN_SECRET": SECRET}

    def __enter__(self):
        self.log = open(self.folder / "server.log", "w")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT, env=self.environment())
        end = time.monotonic() + 30
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
                self.call("GET", "/healthcheck")
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("bench: the server did not start:\n" + (self.folder / "server.log").read_text()[-2000:]) from None
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def call(self, method, path, body=None, content_type="application/json"):
        """The decoded answer; anything but 2xx ends the measurement with the server's own message."""
        data = json.dumps(body) if content_type == "application/json" and body is not None else body
        headers = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(), "Content-Type": content_type}
        try:
            self.connection.request(method, "/api/v1" + path, data, headers)
            answer = self.connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):  # a kept connection that the server gave up while idle
            self.connection.close()
            self.connection.request(method, "/api/v1" + path, data, headers)
            answer = self.connection.getresponse()
        text = answer.read()
        if not 200 <= answer.status < 300:
            raise SystemExit(f"bench: {method} {path} answered {answer.status}: {text[:500].decode(errors='replace')}")
        return json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else text

    def rss_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return 0.0


def make_files(folder, count):
    """`count` small files in folders of 1,000; what an import lists."""
    for number in range(count):
        if number % 1000 == 0:
            sub = folder / f"part={number // 1000:04d}"
            sub.mkdir(parents=True)
        (sub / f"{number:07d}.bin").write_bytes(b"%d" % number)


def import_folder(server, folder):
    base = f"/repositories/{REPOSITORY}/branches/main/import"
    started = server.call("POST", base, {"paths": [{"path": f"local://{folder}/", "destination": "data/", "type": "common_prefix"}], "commit": {"message": "import"}})
    while True:
        status = server.call("GET", f"{base}?id={urllib.parse.quote(started['id'])}")
        if status.get("error"):
            raise SystemExit(f"bench: the import failed: {status['error']}")
        if status["completed"]:
            return status["ingested_objects"]
        time.sleep(0.05)


def timed(rounds, action):
    """Milliseconds of each round; the first tenth warms up and does not count."""
    warm = max(1, rounds // 10)
    spent = []
    for number in range(rounds + warm):
        begin = time.perf_counter()
        action(number)
        if number >= warm:
            spent.append((time.perf_counter() - begin) * 1000)
    return spent


def measure(server, asked, folder):
    repository = f"/repositories/{REPOSITORY}"
    server.call("POST", "/repositories", {"name": REPOSITORY, "storage_namespace": "local://bench", "default_branch": "main"})
    begin = time.monotonic()
    imported = import_folder(server, folder)
    rows = [("import, objects/s", imported / (time.monotonic() - begin), None, None)]

    def upload(branch, path, number):
        server.call("POST", f"{repository}/branches/{branch}/objects?path={urllib.parse.quote(path)}", b"%d" % number, "application/octet-stream")

    server.call("POST", f"{repository}/branches", {"name": "work", "source": "main"})
    commits = []
    for number in range(asked.rounds + asked.rounds // 10):
        upload("work", f"data/part={number % 100:04d}/new-{number}.bin", number)
        begin = time.perf_counter()
        server.call("POST", f"{repository}/branches/work/commits", {"message": f"one object {number}"})
        commits.append((time.perf_counter() - begin) * 1000)
    rows.append(("one-object commit, ms", *quantiles(commits[asked.rounds // 10:]), 10))
    uploads = timed(asked.rounds, lambda number: upload("work", f"upload/{number}.bin", number))
    rows.append(("one-object upload, ms", *quantiles(uploads), None))
    server.call("POST", f"{repository}/branches/work/commits", {"message": "uploads"})
    branches = timed(asked.rounds, lambda number: server.call("POST", f"{repository}/branches", {"name": f"b{number}", "source": "work"}))
    rows.append(("branch create, ms", *quantiles(branches), 2))
    merges = []
    for number in range(min(asked.rounds, 100)):
        upload(f"b{number}", f"merge/{number}.bin", number)
        server.call("POST", f"{repository}/branches/b{number}/commits", {"message": "change"})
        begin = time.perf_counter()
        server.call("POST", f"{repository}/refs/b{number}/merge/main", {})
        merges.append((time.perf_counter() - begin) * 1000)
    rows.append(("merge of one object, ms", *quantiles(merges), None))
    rows.append(("server memory, MB", server.rss_mb(), None, 300))
    return rows


def quantiles(values):
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def main():
    arguments = argparse.ArgumentParser(prog="bench")
    arguments.add_argument("--objects", type=int, default=100_000, metavar="N")
    arguments.add_argument("--rounds", type=int, default=200, metavar="N")
    arguments.add_argument("--output", metavar="FILE", help="the same figures as JSON")
    asked = arguments.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tarn-bench-"))
    try:
        make_files(folder / "source", asked.objects)
        with Server(folder) as server:
            rows = measure(server, asked, folder / "source")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.objects} objects, {asked.rounds} rounds, {os.cpu_count()} cores")
    print(f"  {'':<26}{'p50':>10}{'p95':>10}{'bar (p50)':>12}")
    missed = 0
    for name, middle, high, bar in rows:
        missed += bar is not None and middle > bar
        print(f"  {name:<26}{middle:>10.2f}{'' if high is None else format(high, '.2f'):>10}{'' if bar is None else f'≤ {bar}':>12}{'  MISSED' if bar is not None and middle > bar else ''}")
    if asked.output:
        pathlib.Path(asked.output).write_text(json.dumps({name: {"p50": middle, "p95": high, "bar": bar} for name, middle, high, bar in rows}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
