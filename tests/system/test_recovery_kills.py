"""Servers die under load and lose their key-value store: an oracle of what was acknowledged.

TARN_RECOVERY_CYCLES=100 for a long run; TARN_RECOVERY_SEED repeats one.
"""
import json
import os
import random
import shutil
import threading
import time

from server import Server, run
from test_recovery import commit, lies, log_of, ok, put

CYCLES = int(os.environ.get("TARN_RECOVERY_CYCLES", "3"))
SEED = int(os.environ.get("TARN_RECOVERY_SEED", str(random.randrange(1 << 30))))
BRANCHES = ["b0", "b1", "b2"]
WINDOW = 5.0  # seconds: the journal's promise is one and a write; a loaded machine gets the rest


class Writers:
    """One a branch: commits until the server is gone, and keeps what was acknowledged, when."""

    def __init__(self, server, cycle):
        self.acknowledged = {b: [] for b in BRANCHES}
        self.threads = [threading.Thread(target=self.write, args=(server, b, cycle)) for b in BRANCHES]
        for thread in self.threads:
            thread.start()

    def write(self, server, branch, cycle):
        try:
            for i in range(100_000):
                put(server, branch, f"{cycle}/{i}", b"x")
                self.acknowledged[branch].append((commit(server, branch, f"{cycle}/{i}"), time.monotonic()))
        except Exception:  # the server is gone
            pass

    def join(self):
        for thread in self.threads:
            thread.join()


def test_no_acknowledged_commit_is_lost_and_no_other_is_a_head(tmp_path):
    print(f"TARN_RECOVERY_SEED={SEED}")
    dice = random.Random(SEED)
    data = tmp_path / "data"
    server = Server(data).start()
    ok(server.api("POST", "/repositories", json={"name": "flights", "storage_namespace": "local://flights"}))
    for branch in BRANCHES:
        ok(server.api("POST", "/repositories/flights/branches", json={"name": branch, "source": "main"}))
    time.sleep(1.5)
    for cycle in range(CYCLES):
        before = {b: log_of(server, b) for b in BRANCHES}
        if dice.random() < 0.3:
            ok(server.api("POST", "/repositories/flights/fold"))
        writers = Writers(server, cycle)
        time.sleep(dice.choice([0.2, 1, 3, WINDOW + 1.5]) * dice.uniform(0.8, 1.2))
        killed = time.monotonic()
        server.kill()
        writers.join()
        restarted = dice.random() < 0.4
        if restarted:  # the next start makes up for what the journal lacks
            server = Server(data).start()
            server.stop()
        shutil.rmtree(data / "kv")
        code, output, errors, _ = run("recover", "--data", str(data), "--json", timeout=120)
        assert code == 0, f"cycle {cycle}: {output}{errors}"
        unreached = {c["id"]: c for c in json.loads(output)["repositories"][0]["unreached_commits"]}
        assert lies(data) == [], f"cycle {cycle}"
        server = Server(data).start()
        for branch in BRANCHES:
            log = log_of(server, branch)
            made = [i for i, _ in writers.acknowledged[branch]]
            landed = log[:len(log) - len(before[branch])][::-1]
            assert log[len(landed):] == before[branch], f"cycle {cycle}: the past of {branch}"
            # What landed is what was acknowledged, in order, and at its end perhaps one more that nobody was told of.
            assert landed[:len(made)] == made[:len(landed)], f"cycle {cycle}: {branch}"
            assert len(landed) <= len(made) + 1, f"cycle {cycle}: {branch}"
            missing = made[len(landed):]
            assert all(unreached[i]["branch"] == branch and unreached[i]["follows_head"] for i in missing), f"cycle {cycle}: {branch}"
            late = [i for i, at in writers.acknowledged[branch][len(landed):] if at < killed - WINDOW]
            assert not late, f"cycle {cycle}: {branch} was {len(missing)} commits behind, {len(late)} of them for too long"
            assert not (restarted and missing), f"cycle {cycle}: a start makes up for all"
    assert server.stop() == 0
