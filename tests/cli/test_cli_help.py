"""Help is the documentation, and it is the same everywhere."""
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from shell import BINARY, Tarn

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tarn(tmp_path):
    return Tarn(tmp_path, key=None)


def test_the_reference_page_is_what_the_program_says(tarn):
    made = tarn.ok("help", "--all").out
    assert made == (ROOT / "docs" / "cli.md").read_text(), "docs/cli.md is old: build/tarn help --all > docs/cli.md"


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"], ["branch", "--help"], ["help", "branch", "create"],
                                   ["branch", "create", "-h"], ["mesh", "--help"], ["job", "exec", "--help"], ["help", "mesh", "run"]])
def test_help_ends_with_0_and_fits_80_columns(tarn, words):
    done = tarn.ok(*words)
    assert done.out and not done.err
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_every_command_has_help(tarn):
    commands = re.findall(r"^###? tarn (.+)$", tarn.ok("help", "--all").out, re.MULTILINE)
    assert len(commands) > 70
    for words in ("commit", "fs upload", "mesh proposal waive"):
        assert tarn.ok(*words.split(), "--help").out.startswith(f"tarn {words} ")


@pytest.mark.parametrize("words, said", [
    (["brnch"], "unknown command 'brnch'; did you mean 'branch'?"),
    (["branch", "crate"], "did you mean 'branch create'?"),
    (["mesh", "incidnt"], "did you mean 'mesh incident'?"),
    (["branch"], "'branch' needs one more word: create, delete, list, reset, show"),
    (["repo", "list", "--jsn"], "unknown option --jsn; did you mean --json?"),
    (["repo", "create"], "REPO is missing"),
    (["repo", "create", "a", "b", "c"], "unexpected word 'c'"),
    (["commit", "a/b", "--message"], "--message needs a value"),
    (["repo", "list", "--amount", "many"], "--amount must be a whole number, not 'many'"),
    (["repo", "list", "--json=yes"], "--json takes no value"),
    (["branch", "show", "justarepo"], "names no branch, tag or commit: write justarepo/main"),
    (["fs", "cat", "repo/main"], "names no path"),
    (["fs", "cat", "s3://repo/main/x"], "is not an address in Tarn"),
    (["repo", "delete", "some"], "Add --yes to say so"),
    (["commit", "a/b"], "a commit needs a message"),
    (["commit", "a/b", "-m", "x", "--meta", "novalue"], "--meta takes key=value"),
    (["clock", "set", "noon"], "TIME is like"),
    (["--server", "ftp://x", "repo", "list"], "--server:"),
])
def test_wrong_use_ends_with_2_and_names_the_cure(tmp_path, words, said):
    done = Tarn(tmp_path, "http://127.0.0.1:1")(*words)
    assert done.code == 2 and not done.out
    assert done.err.startswith("tarn: ") and said in done.err, done.err


def test_wrong_use_points_to_the_help_of_the_command(tarn):
    assert "'tarn branch create --help'" in tarn("branch", "create").err


def test_starting_takes_milliseconds(tarn):
    best = min((lambda begin: (tarn.ok("version"), time.monotonic() - begin)[1])(time.monotonic()) for _ in range(10))
    assert best < 0.25, f"tarn version took {best:.3f} s at best"


def test_the_demo_says_what_it_needs(tmp_path):
    """Beside no clone there is nothing to run."""
    if any((folder / "examples").exists() for folder in tmp_path.parents):
        pytest.skip("the tests' folder lies in a clone")
    alone = shutil.copy(BINARY, tmp_path / "tarn")
    done = subprocess.run([str(alone), "demo"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "run it inside a clone" in done.stderr
