import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from shell import BINARY, Server, Tarn  # noqa: E402

numbers = itertools.count(1)


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"no binary at {BINARY}: build first, or set TARN_BINARY", returncode=4)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("tarn") / "data").start()
    yield running
    assert running.stop() == 0, running.errors()


@pytest.fixture
def tarn(server, tmp_path):
    return Tarn(tmp_path, server.url)


@pytest.fixture
def repo(tarn):
    name = f"cli-{next(numbers)}"
    tarn.ok("repo", "create", name)
    return name
