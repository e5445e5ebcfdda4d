"""The demonstration on a server that is not its own, and the server that it leaves up."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from server import BINARY, KEY, ROOT, SECRET, Server, environment                        # noqa: E402


def passed_on():
    """What both server and driver find in a clone that was set up."""
    names = ("TARN_DUCKDB_LIBRARY", "TARN_ALERTMANAGER", "TARN_DUCKDB_HTTPFS")
    return {name: os.environ[name] for name in names if name in os.environ}


def demo(archive, *words, **variables):
    variables = passed_on() | {"TARN_FLIGHTS_ARCHIVE": archive, "TARN_PYTHON": sys.executable, "NO_COLOR": "1", "TARN_BIN": str(BINARY)} | variables
    return subprocess.run([str(BINARY), "demo", *words], cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment(**variables), check=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("running") / "data", env=passed_on()).start()
    yield running
    assert running.stop() == 0, running.errors()


@pytest.fixture(scope="module")
def told(server, archive, tmp_path_factory):
    report = tmp_path_factory.mktemp("report")
    done = demo(archive, "--server", server.url, "--days", "2", "--report", str(report), TARN_ACCESS_KEY_ID=KEY, TARN_SECRET_ACCESS_KEY=SECRET)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    folder = re.search(r"point to files in (\S+): keep", done.stdout)[1]
    yield json.loads((report / "summary.json").read_text()), done.stdout, folder
    for base, _, _ in os.walk(folder):
        os.chmod(base, 0o755)
    shutil.rmtree(folder)


def test_a_running_server_is_told_the_same_story(told):
    summary, said, _ = told
    assert summary["published"] == {"days": 2, "of": 2} and summary["missing"] == []
    assert len(set(summary["digests"].values())) == 6
    assert 10 < summary["rss_mb_max"] <= 300
    assert "clock set wall" in said
    assert max(map(len, said.split("-" * 80)[0].splitlines())) <= 80


def test_the_server_goes_on_and_its_imported_objects_can_be_read(server, told):
    path = "weather/date=2013-09-01/weather.parquet"
    got = server.api("GET", "/repositories/weather/refs/main/objects", params={"path": path})
    assert got.status_code == 200 and got.content.startswith(b"PAR1")
    assert server.process.poll() is None


def test_what_is_wrong_with_the_server_is_said_before_anything_is_made(server, told, archive):
    again = demo(archive, "--server", server.url, "--days", "1", TARN_ACCESS_KEY_ID=KEY, TARN_SECRET_ACCESS_KEY=SECRET)
    assert again.returncode == 1 and "has the repositories airlines, airports" in again.stderr and again.stdout == ""
    stranger = demo(archive, "--server", server.url, "--days", "1", TARN_ACCESS_KEY_ID=KEY, TARN_SECRET_ACCESS_KEY="wrong")
    assert stranger.returncode == 1 and f"does not take the key {KEY}" in stranger.stderr and stranger.stdout == ""
    nobody = demo(archive, "--server", "http://127.0.0.1:1", "--days", "1", TARN_ACCESS_KEY_ID=KEY, TARN_SECRET_ACCESS_KEY=SECRET)
    assert nobody.returncode == 1 and "no server answers at http://127.0.0.1:1" in nobody.stderr and "Traceback" not in nobody.stderr
    keyless = demo(archive, "--server", server.url, "--days", "1", HOME="/nonexistent")
    assert keyless.returncode == 2 and "keys of an administrator" in keyless.stderr


def test_steps_that_need_the_process_are_left_out_and_said(monkeypatch):
    import demo as driver

    class Tale:
        """Records what it is asked for."""
        server, with_faults, days, landed, missing = None, True, [driver.CRASH_DAY], [], []

        def __getattr__(self, name):
            return lambda *words: said.append((name, *words))

    said = []
    driver.tell(Tale(), None, lambda *_: None)
    assert [words for name, *words in said if name == "skip"] == [[f"kill -9 and restart on {driver.CRASH_DAY}: the server is not the demo's own"]]
    assert "crash" not in [name for name, *_ in said]


def test_every_line_of_keep_can_be_pasted(archive, tmp_path):
    done = demo(archive, "--days", "1", "--no-faults", "--keep", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tail = done.stdout[done.stdout.index("The server stays up at"):]
    lines = [line.strip() for line in tail.splitlines() if line.startswith("  ")]
    exports, tries, end = lines[:2], lines[2:5], lines[5]

    def shell(text):
        return subprocess.run(["bash", "-e", "-c", text], capture_output=True, text=True, timeout=60, env=environment(HOME=str(tmp_path)), check=False)
    try:
        for line, expected in zip(tries, ("INC-1", "v1", "Data product analytics/delays")):
            assert line.startswith(str(BINARY))
            one = shell("\n".join([*exports, line]))
            assert one.returncode == 0 and one.stdout.strip(), (line, one.stdout, one.stderr)
            if "log" not in line:
                assert expected in one.stdout, (line, one.stdout)
    finally:
        ended = shell(end)
    assert ended.returncode == 0, ended.stderr
    folder = end.split()[-1]
    assert not pathlib.Path(folder).exists()
    for pid in end.split(";")[0].split()[1:]:
        gone = pathlib.Path(f"/proc/{pid}/stat")
        for _ in range(100):
            if not gone.exists() or gone.read_text().split()[2] == "Z":
                break
            subprocess.run(["sleep", "0.1"], check=True)
        else:
            raise AssertionError(f"process {pid} still runs")
