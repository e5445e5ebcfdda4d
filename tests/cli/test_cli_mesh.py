"""The mesh's commands and `tarn job exec` against a real gate, on a product of one table and one job."""
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import duckdb
import pytest
from shell import BINARY, KEY, SECRET, Server, Tarn, environment

LIBRARY = os.environ.get("TARN_DUCKDB_LIBRARY")
keys = (f"2026-01-{day:02}" for day in itertools.count(1))

PRODUCT = """
apiVersion: v1.0.0
kind: DataProduct
id: 7b1c8a52-0f0e-4c35-9f3e-0a53a1b0f0aa
name: orders
version: 1.0.0
status: active
domain: sales
description: {purpose: Orders of a test.}
outputPorts:
  - {name: orders, version: 1.0.0, contractId: sales-orders, type: tables}
team:
  - {username: admin, role: owner}
"""
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: sales-orders
name: Orders
version: 1.0.0
status: active
domain: sales
dataProduct: orders
schema:
  - name: orders
    physicalType: table
    physicalName: orders/
    customProperties:
      - {property: meshPartition, value: date}
    properties:
      - {name: id, logicalType: integer, physicalType: INTEGER, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: amount, logicalType: integer, physicalType: INTEGER, required: true}
    quality:
      - {id: orders-key, type: library, metric: duplicateValues, arguments: {properties: [id]}, mustBe: 0, unit: rows, severity: error}
"""
PIPELINE = """
pipeline: daily
trigger: {onInputs: [], partition: date}
jobs:
  make:
    reads: []
    writes: ["orders/date={run_key}/"]
    checks: ["port:orders"]
"""

# A job: writes the rows of its arguments through the command line, with the keys that it was given.
JOB = """
import os, subprocess, sys
subprocess.run([os.environ["TARN_CLI"], "fs", "upload", f"{os.environ['TARN_REPOSITORY']}/{os.environ['TARN_BRANCH']}/orders/date={os.environ['TARN_RUN_KEY']}/x.parquet", sys.argv[1]], check=True)
"""


def parquet(path, rows):
    duckdb.sql(f"COPY (SELECT * FROM (VALUES {rows}) t(id, amount)) TO '{path}' (FORMAT parquet)")
    return str(path)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """A server with checks, and a product in it."""
    folder = tmp_path_factory.mktemp("mesh")
    server = Server(folder / "data", env={"TARN_DUCKDB_LIBRARY": LIBRARY} if LIBRARY else {}).start()
    try:
        tarn = Tarn(folder, server.url)
        tarn.url, tarn.server = server.url, server
        if tarn("clock", "get").code != 0:
            pytest.skip("THE SERVER HAS NO MESH YET: job exec and the mesh's commands are not tested")
        if not LIBRARY:
            pytest.skip("TARN_DUCKDB_LIBRARY is not set: the gate cannot check, so job exec and the mesh's commands are not tested")
        definitions = folder / "orders"
        (definitions / "contracts").mkdir(parents=True)
        (definitions / "pipelines").mkdir()
        (definitions / "product.odps.yaml").write_text(PRODUCT)
        (definitions / "contracts" / "orders.odcs.yaml").write_text(CONTRACT)
        (definitions / "pipelines" / "daily.yaml").write_text(PIPELINE)
        (folder / "job.py").write_text(JOB)
        tarn.ok("mesh", "domain", "create", "sales", "--owner", "admin")
        done = tarn.ok("mesh", "product", "create", "sales/orders", "--files", "orders", "--owner", "admin")
        assert done.out.startswith("sales/orders\n  repository  sales-orders\n")
        tarn.good = parquet(folder / "good.parquet", "(1, 10), (2, 20)")
        tarn.bad = parquet(folder / "bad.parquet", "(1, 10), (1, 20)")
        yield tarn
    finally:
        server.stop()


def exec_words(key, *command):
    return ["job", "exec", "--repo", "sales-orders", "--pipeline", "daily", "--run", key, "--job", "make", "--", *command]


def start(mesh):
    key = next(keys)
    mesh.ok("mesh", "run", "start", "sales-orders", "daily", key)
    return key


def job(mesh, key, file):
    return mesh(*exec_words(key, sys.executable, "job.py", file), env={"TARN_CLI": str(BINARY)})


def test_the_clock_is_shown_and_set(mesh):
    assert mesh.ok("clock", "get").out.endswith("(the wall clock)\n")
    assert mesh.ok("clock", "set", "2026-01-02T06:00:00Z").out == "2026-01-02T06:00:00Z  (set)\n"
    assert json.loads(mesh.ok("clock", "set", "wall", "--json").out)["set"] is False


def test_the_catalogue_is_listed(mesh):
    assert mesh.ok("mesh", "domain", "list").out.split() == ["DOMAIN", "OWNER", "sales", "admin"]
    listed = mesh.ok("mesh", "product", "list").out.splitlines()
    assert listed[0].split() == ["PRODUCT", "REPOSITORY", "OWNER", "PORTS", "HEALTH"]
    assert listed[1].split()[:4] == ["sales/orders", "sales-orders", "admin", "orders@1"]
    assert "orders@1" in mesh.ok("mesh", "product", "describe", "sales/orders").out
    assert mesh("mesh", "product", "describe", "sales/nothing").code == 1
    assert mesh("mesh", "product", "describe", "nodomain").code == 2
    mesh.ok("mesh", "graph")
    mesh.ok("mesh", "monitor")
    mesh.ok("mesh", "subscriptions")


def test_a_proposal_lands_or_is_refused_with_the_reason(mesh):
    repo = "sales-orders"
    mesh.ok("branch", "create", f"{repo}/load")
    mesh.ok("fs", "upload", f"{repo}/load/orders/date=2025-12-01/x.parquet", mesh.good)
    mesh.ok("commit", f"{repo}/load", "-m", "a day")
    done = mesh.ok("mesh", "propose", f"{repo}/load")
    assert done.out.startswith("landed  ") and "published  orders@1 v" in done.out
    head = json.loads(mesh.ok("branch", "show", f"{repo}/main", "--json").out)["commit_id"]
    assert mesh.ok("mesh", "gate", f"{repo}/main").code == 0
    assert " v1 " in " " + mesh.ok("mesh", "publications", f"{repo}/orders").out

    mesh.ok("fs", "upload", f"{repo}/load/orders/date=2025-12-02/x.parquet", mesh.bad)
    mesh.ok("commit", f"{repo}/load", "-m", "a bad day")
    done = mesh("mesh", "propose", f"{repo}/load", "--title", "second day")
    assert done.code == 3
    assert done.out.startswith("failed  second day\n") and "  x orders-key" in done.out
    assert "main is untouched at " + head[:12] in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines()), done.out
    incident = re.search(r"INC-\d+", done.out).group()
    shown = mesh.ok("mesh", "incident", "show", incident).out
    assert shown.startswith(f"{incident}  open  ") and "orders-key" in shown
    assert incident in mesh.ok("mesh", "incident", "list").out
    assert json.loads(mesh.ok("branch", "show", f"{repo}/main", "--json").out)["commit_id"] == head

    proposal = json.loads(mesh.ok("mesh", "proposal", "list", "--state", "failed", "--json").out)
    proposal = (proposal if isinstance(proposal, list) else proposal["results"])[-1]["id"]
    assert mesh("mesh", "proposal", "retry", proposal).code == 3
    incidents = mesh.ok("mesh", "incident", "list").out
    merged = mesh("merge", f"{repo}/load", f"{repo}/main")          # the same question again, through the plain call
    assert merged.code != 0 and proposal in merged.err and incident in merged.err, merged.out + merged.err
    assert mesh.ok("mesh", "incident", "list").out == incidents
    assert mesh("mesh", "proposal", "waive", proposal, "--owner", "me").code == 2
    done = mesh.ok("mesh", "proposal", "waive", proposal, "--owner", "me", "--reason", "a test", "--expires", "2099-01-01", "--retry")
    assert done.out.startswith("landed  ") and "(waived)" in done.out or "landed" in done.out
    assert incident not in mesh.ok("mesh", "incident", "list").out
    assert "resolved" in mesh.ok("mesh", "incident", "show", incident).out


def test_a_job_lands_and_its_run_with_it(mesh):
    key = start(mesh)
    done = job(mesh, key, mesh.good)
    assert done.code == 0, done.out + done.err
    assert f"tarn: job make of {key} landed" in done.err and done.out == ""
    shown = mesh.ok("mesh", "run", "status", "sales-orders", "daily", key, "--wait").out
    assert shown.startswith(f"RUN {key}  landed") and re.search(r"make +landed +1", shown)
    assert mesh.ok("fs", "ls", f"sales-orders/main/orders/date={key}/").out
    assert key in mesh.ok("mesh", "run", "list", "sales-orders", "daily", "--state", "landed").out


def test_a_refused_job_ends_with_3_and_can_be_resumed(mesh):
    key = start(mesh)
    done = job(mesh, key, mesh.bad)
    assert done.code == 3 and "x orders-key" in done.out, done.out + done.err
    assert mesh.ok("mesh", "run", "status", "sales-orders", "daily", key).out.startswith(f"RUN {key}  stopped")
    assert mesh("mesh", "run", "status", "sales-orders", "daily", key, "--wait").code == 3
    mesh.ok("mesh", "run", "resume", "sales-orders", "daily", key)
    assert job(mesh, key, mesh.good).code == 0


def test_a_failed_command_ends_with_1_and_lands_nothing(mesh):
    key = start(mesh)
    done = mesh(*exec_words(key, sys.executable, "-c", "import sys; print('words'); sys.exit(7)"))
    assert done.code == 1 and done.out == "words\n" and "ended with 7" in done.err
    mesh.ok("mesh", "run", "resume", "sales-orders", "daily", key)
    done = mesh(*exec_words(key, "no-such-program"))
    assert done.code == 1 and "cannot start 'no-such-program'" in done.err


def test_everything_else_ends_with_4(mesh, tmp_path):
    assert mesh(*exec_words("2020-01-01", "true")).code == 4                  # no such run
    assert mesh("job", "exec", "--repo", "sales-orders", "--", "true").code == 4
    assert mesh("job", "exec", "--repo", "sales-orders").code == 4
    assert Tarn(tmp_path, mesh.url, KEY, "wrong")(*exec_words("2020-01-01", "true")).code == 4


def test_the_command_sees_its_place_and_only_the_keys_of_its_attempt(mesh):
    key = start(mesh)
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    done = mesh(*exec_words(key, sys.executable, "-c", program), env={"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "old", "TARN_DUCKDB_HTTPFS": "/x"})
    seen = json.loads(done.out.splitlines()[0])
    branch = seen["TARN_BRANCH"]
    assert seen["TARN_JOB_URI"] == f"s3://sales-orders/{branch}/" and seen["TARN_REPOSITORY"] == "sales-orders"
    assert seen["TARN_RUN_KEY"] == key and seen["TARN_S3_ENDPOINT"] == mesh.url.removeprefix("http://")
    assert seen["TARN_ENDPOINT"] == mesh.url and seen["AWS_REGION"] and seen["TARN_DUCKDB_HTTPFS"] == "/x"
    assert seen["AWS_ACCESS_KEY_ID"] == seen["TARN_ACCESS_KEY_ID"] != KEY
    assert SECRET not in seen.values()
    assert "AWS_PROFILE" not in seen and "AWS_SESSION_TOKEN" not in seen


def test_a_heartbeat_tells_an_attempt_that_another_took_over(mesh):
    key = start(mesh)
    begin = lambda: mesh.server.api("POST", f"/mesh/repos/sales-orders/pipelines/daily/runs/{key}/jobs/make/begin").json()
    beat = lambda a, fence: mesh.server.api("POST", f"/mesh/attempts/{a['attempt_id']}/heartbeat", json={"fence": fence})
    first = begin()
    assert beat(first, first["fence"]).json() == {"state": "running"}
    second = begin()
    assert beat(first, first["fence"]).status_code in (409, 412)
    assert beat(second, second["fence"]).json() == {"state": "running"}
    assert beat(second, "another").status_code in (409, 412)


def test_signals_go_through_and_end_the_attempt(mesh):
    key = start(mesh)
    program = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([str(BINARY), *exec_words(key, sys.executable, "-c", program)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment(**mesh.variables))
    assert process.stdout.readline() == "up\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1 and "ended with 9" in errors and time.monotonic() - begin < 10
    assert "failed" in mesh.ok("mesh", "run", "status", "sales-orders", "daily", key).out


def test_a_server_that_restarts_in_the_middle_loses_nothing(mesh):
    key = start(mesh)
    program = "import os, subprocess, sys; print('up', flush=True); sys.stdin.readline(); exec(open('job.py').read())"
    process = subprocess.Popen([str(BINARY), *exec_words(key, sys.executable, "-c", program, mesh.good)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=mesh.home,
                               env=environment(**mesh.variables, TARN_CLI=str(BINARY)))
    assert process.stdout.readline() == "up\n"
    mesh.server.kill()
    mesh.server.listen = mesh.url.removeprefix("http://")
    mesh.server.start()
    process.stdin.write("go\n")
    process.stdin.flush()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and f"job make of {key} landed" in errors, errors
    # And one that dies before the job is complete: the command line waits for it.
    key = start(mesh)
    mesh.server.kill()
    process = subprocess.Popen([str(BINARY), *exec_words(key, "true")], stderr=subprocess.PIPE, text=True, env=environment(**mesh.variables))
    assert process.stderr.readline() == f"tarn: waiting for the server at {mesh.url}\n"
    mesh.server.start()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_contracts_are_linted_and_compared(mesh):
    folder = pathlib.Path(mesh.home)
    (folder / "new.yaml").write_text(CONTRACT.replace("      - {name: amount, logicalType: integer, physicalType: INTEGER, required: true}\n", ""))
    (folder / "broken.yaml").write_text("schema: [\n")
    assert "fine" in mesh.ok("mesh", "contract", "lint", "orders/contracts/orders.odcs.yaml").out
    done = mesh("mesh", "contract", "lint", "broken.yaml")
    assert done.code == 3 and "broken.yaml: not valid" in done.out
    done = mesh.ok("mesh", "contract", "diff", "orders/contracts/orders.odcs.yaml", "new.yaml")
    assert "breaking: needs a new major" in done.out
    assert mesh("mesh", "contract", "diff", "orders/contracts/orders.odcs.yaml", "new.yaml", "--check").code == 3


def test_environments_and_experiments(mesh):
    repo = "sales-orders"
    mesh.ok("mesh", "env", "create", f"{repo}/dev-environment")
    assert "dev-environment" in mesh.ok("mesh", "env", "list", repo).out
    mesh.ok("mesh", "env", "sync", f"{repo}/dev-environment")
    mesh.ok("mesh", "exp", "create", f"{repo}/one", "--from", "main")
    assert "one" in mesh.ok("mesh", "exp", "list", repo).out
    branch = json.loads(mesh.ok("mesh", "exp", "list", repo, "--json").out)["results"][0]["branch"]
    done = mesh.ok("mesh", "compare", f"{repo}/main/orders/", branch)
    assert done.out.startswith("objects: 0 added, 0 removed, 0 changed")
    mesh.ok("mesh", "exp", "discard", f"{repo}/one", "-y")
    mesh.ok("mesh", "export", repo)
    assert "orders" in mesh.ok("mesh", "digests", f"{repo}/main").out


def test_channels_are_added(mesh):
    mesh.ok("mesh", "channel", "add", "hook", "http://127.0.0.1:9/x")
    assert "hook" in mesh.ok("mesh", "channel", "list").out
