"""Every command that the documents show is one that the program takes."""
import pathlib
import re
import shlex

import pytest
from shell import Tarn

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOWN = [(page.name, line) for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if page.name != "cli.md"
         for line in re.findall(r"^(?:    |\$ )?(tarn (?!serve|config|demo|recover|fsck)[a-z].*)$", page.read_text(), re.MULTILINE)]


def test_the_documents_show_commands():
    assert len(SHOWN) > 20


@pytest.mark.parametrize("page, line", SHOWN)
def test_a_command_in_a_document_is_understood(tmp_path, page, line):
    for name in ("sales", "examples/flights/mesh/weather"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    for name in ("corrected.parquet", "weather.parquet", "hourly.odcs.yaml", "hourly@2.odcs.yaml", "examples/flights/mesh/weather/product.odps.yaml"):
        (tmp_path / name).write_text("x: 1\n")
    # Nobody listens there: what is understood ends with 4, what is not with 2.
    env = {"TARN_PROFILE_FILE": str(tmp_path / "none")}
    words = shlex.split(line.split("#")[0])[1:]
    if "withdraw" in words or "discard" in words:
        words.append("--yes")
    if words[:2] == ["job", "exec"]:        # waits a while for a server that is away; its words are read first
        done = Tarn(tmp_path)(*words[:words.index("--")], "--help", env=env)
        assert done.code == 0
        return
    done = Tarn(tmp_path, "http://127.0.0.1:1")(*words, env=env)
    assert done.code == 4, f"{page}: {line}\n{done.err}"
