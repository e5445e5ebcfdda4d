"""Kill -9 under load, again and again over one folder, with an oracle of what was acknowledged (promises G4, G5, G7, G10, G16).

TARN_KILL_CYCLES=600 for a release run (`./run crash --cycles 600`); TARN_KILL_SEED repeats the choices of one.
"""
import os
import random
import threading

import requests
from server import Server
from test_recovery import lies, log_of, ok

CYCLES = int(os.environ.get("TARN_KILL_CYCLES", "4"))
SEED = int(os.environ.get("TARN_KILL_SEED", str(random.randrange(1 << 30))))
WRITERS = 4
REPO = "/repositories/flights"


class Oracle:
    """What each path may be after a restart. One writer a path, so its story is a line.

    A path's value is a text, None is absent. `sure` was acknowledged; `open` are the values of calls that were never answered since.
    """

    def __init__(self):
        self.sure, self.open = {}, {}

    def begins(self, path, value):
        self.open.setdefault(path, []).append(value)

    def done(self, path, value):
        self.sure[path], self.open[path] = value, []

    def settle(self, path, value):
        """A read after the restart decides for good."""
        allowed = [self.sure.get(path)] + self.open.get(path, [])
        self.sure[path], self.open[path] = value, []
        if value in allowed:
            return None
        kind = "lost" if value is None else "resurrected" if allowed == [None] else "stale"
        return f"{kind}: {path} is {value}, expected one of {allowed}"


class Calls:
    """How many calls were answered in a cycle, by all clients."""

    def __init__(self):
        self.answered, self.changed = 0, threading.Condition()

    def count(self):
        with self.changed:
            self.answered += 1
            self.changed.notify_all()

    def wait_for(self, number):
        with self.changed:
            assert self.changed.wait_for(lambda: self.answered >= number, timeout=60), f"{self.answered} calls were answered, not {number}"


class Client(threading.Thread):
    def __init__(self, server, oracle, calls, number, cycle, dice):
        super().__init__()
        self.server, self.oracle, self.calls, self.number, self.cycle, self.dice = server, oracle, calls, number, cycle, random.Random(dice)
        self.session, self.acknowledged, self.refused = requests.Session(), 0, []

    def call(self, method, path, **arguments):
        answer = self.session.request(method, f"{self.server.url}/api/v1{REPO}{path}", auth=("AKIAJTESTTESTTESTTEQ", "test/secret/of/forty/characters/in/all00"), timeout=30, **arguments)
        self.calls.count()
        if not answer.ok:
            self.refused.append(f"{method} {path}: {answer.status_code} {answer.text}")
        self.acknowledged += answer.ok
        return answer

    def put(self, path, value):
        self.oracle.begins(path, value)
        if self.call("POST", "/branches/main/objects", params={"path": path}, data=value.encode(), headers={"Content-Type": "application/octet-stream"}).ok:
            self.oracle.done(path, value)

    def remove(self, path):
        self.oracle.begins(path, None)
        if self.call("DELETE", "/branches/main/objects", params={"path": path}).ok:
            self.oracle.done(path, None)

    def run(self):
        try:
            for i in range(100_000):
                self.step(i)
        except requests.RequestException:
            pass  # the server is gone: what was under way stays open


class Writer(Client):
    def step(self, i):
        mine = f"w{self.number}/{self.dice.randrange(30):02}"
        if self.dice.random() < 0.25:
            self.remove(mine)
        else:
            self.put(mine, f"{self.cycle}.{self.number}.{i}")


class Committer(Client):
    """Keeps two paths equal in every commit: alone on its branch, it writes both and commits."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.commits = []

    def step(self, i):
        if i % 2:
            answer = self.call("POST", "/branches/main/commits", json={"message": f"{self.cycle}.{i}"})
            if answer.status_code == 400:
                self.refused.pop()  # no changes
            elif answer.ok:
                self.commits.append(("main", answer.json()["id"]))
            return
        value = f"{self.cycle}.{i}"
        for path in ("pair/a", "pair/b"):
            self.call("POST", "/branches/pairs/objects", params={"path": path}, data=value.encode(), headers={"Content-Type": "application/octet-stream"})
        answer = self.call("POST", "/branches/pairs/commits", json={"message": value})
        if answer.ok:
            self.commits.append(("pairs", answer.json()["id"]))


def content(server, ref, path):
    answer = server.api("GET", f"{REPO}/refs/{ref}/objects", params={"path": path})
    return None if answer.status_code == 404 else ok(answer).decode()


def test_acknowledged_writes_survive_any_death(tmp_path):
    print(f"TARN_KILL_SEED={SEED}")
    dice, oracle = random.Random(SEED), Oracle()
    data = tmp_path / "data"
    server = Server(data).start()
    ok(server.api("POST", "/repositories", json={"name": "flights", "storage_namespace": "local://flights"}))
    ok(server.api("POST", f"{REPO}/branches", json={"name": "pairs", "source": "main"}))
    acknowledged, commits, wrong = 0, {"main": [], "pairs": []}, []
    for cycle in range(CYCLES):
        calls = Calls()
        clients = [Writer(server, oracle, calls, n, cycle, dice.random()) for n in range(WRITERS)]
        clients.append(Committer(server, oracle, calls, WRITERS, cycle, dice.random()))
        for client in clients:
            client.start()
        calls.wait_for(dice.randrange(1, 150))
        server.kill()
        for client in clients:
            client.join()
        if dice.random() < 0.25:  # and once more while it starts
            again = Server(data)
            threading.Timer(dice.uniform(0.0, 0.15), lambda: again.process and again.process.kill()).start()
            try:
                again.start()
                again.kill()
            except AssertionError:
                again.stop()
        server = Server(data).start()
        for client in clients:
            acknowledged += client.acknowledged
            wrong += [f"refused under load: {line}" for line in client.refused if " 5" in line[:60]]
            for branch, commit in getattr(client, "commits", []):
                commits[branch].append(commit)
        for branch in commits:
            there = set(log_of(server, branch))
            wrong += [f"lost: commit {c} of {branch}" for c in commits[branch] if c not in there]
        halves = [content(server, "pairs@", path) for path in ("pair/a", "pair/b")]
        if halves[0] != halves[1]:
            wrong.append(f"half-visible: a commit shows {halves}")
        for path in sorted(set(oracle.sure) | set(oracle.open)):
            if fault := oracle.settle(path, content(server, "main", path)):
                wrong.append(fault)
        assert not wrong, f"cycle {cycle}: {wrong}"
        if cycle % 50 == 49 or cycle == CYCLES - 1:
            assert server.stop() == 0
            assert lies(data) == [], f"cycle {cycle}"
            server = Server(data).start()
    print(f"{CYCLES} deaths, {acknowledged} acknowledged calls, {sum(map(len, commits.values()))} commits: 0 lost, 0 resurrected, 0 half-visible")
    assert server.stop() == 0
