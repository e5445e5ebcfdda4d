"""Goal: the commands that the documents show work as shown.

Method: each block that begins with ```console tested is run in one shell, in an empty folder that has `sales/` with three small Parquet
files and `corrected.parquet`. Lines that begin with `$ ` are the commands; the lines below one are its output, where `…` stands for
anything. The server that a block starts listens on the block's own port, and ends with the block.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess

import duckdb
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARN = pathlib.Path(os.environ.get("TARN_BIN", ROOT / "build" / "tarn"))
COMMANDS_MAX = 8
BLOCK = re.compile(r"^```console tested\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(str(page.relative_to(ROOT)), number, block) for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
          for number, block in enumerate(BLOCK.findall(page.read_text()), 1)]


def steps(block):
    """[(command, [expected lines])]; a command goes on while its line ends with a backslash."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0] + "\n" + line, [])
        elif found and line.strip():
            found[-1][1].append(line)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_sales(folder):
    con = duckdb.connect()
    for day in (1, 2, 3):
        path = folder / f"date=2026-01-0{day}"
        path.mkdir(parents=True)
        con.execute(f"COPY (SELECT i AS id, i * {day} AS amount FROM range(1000) t(i)) TO '{path}/sales.parquet' (FORMAT parquet)")
    con.execute(f"COPY (SELECT i AS id, i * 4 AS amount FROM range(1000) t(i)) TO '{folder.parent}/corrected.parquet' (FORMAT parquet)")


@pytest.mark.parametrize("page,number,block", BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS])
def test_commands_work_as_shown(page, number, block, tmp_path):
    shown = steps(block)
    assert 0 < len(shown) <= COMMANDS_MAX, f"{page} shows {len(shown)} commands"
    make_sales(tmp_path / "sales")
    port = free_port()
    script = "set -eu\n" + "\n".join(f"echo '@@{index}'\n{command}" for index, (command, _) in enumerate(shown)) + "\necho '@@end'\n"
    script = script.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    environment = {**os.environ, "PATH": f"{TARN.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "TARN_LISTEN": f"127.0.0.1:{port}",
                   "TARN_ENDPOINT": f"http://127.0.0.1:{port}"}
    for name in ("TARN_DATA", "TARN_CONFIG", "TARN_ACCESS_KEY_ID", "TARN_SECRET_ACCESS_KEY"):
        environment.pop(name, None)
    log = tmp_path / "shell.log"
    with open(log, "w") as out:
        shell = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            code = shell.wait(120)
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    text = log.read_text()
    assert code == 0 and "@@end" in text, f"{page}: a command failed\n{text}"
    for index, (command, expected) in enumerate(shown):
        output = text.split(f"@@{index}\n", 1)[1].split("@@", 1)[0].splitlines()
        position = 0
        for line in expected:
            pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")) + r"\s*$")
            while position < len(output) and not pattern.match(output[position]):
                position += 1
            assert position < len(output), f"{page}: `{command}` did not print {line!r}\n{text}"
            position += 1
