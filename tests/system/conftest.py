import itertools
import pathlib
import sys

import lakefs
import lakefs_sdk
import lakefs_sdk.client
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import BINARY, KEY, SECRET, Server  # noqa: E402

numbers = itertools.count(1)


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"no server binary at {BINARY}: build first, or set TARN_BINARY", returncode=4)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that only need their own repository."""
    running = Server(tmp_path_factory.mktemp("tarn") / "data").start()
    yield running
    assert running.stop() == 0, running.errors()


@pytest.fixture(scope="session")
def client(server):
    """The unmodified lakeFS client."""
    return lakefs.Client(host=server.url, username=KEY, password=SECRET)


@pytest.fixture(scope="session")
def sdk(server):
    """The unmodified generated SDK, below the client."""
    configuration = lakefs_sdk.Configuration(host=f"{server.url}/api/v1", username=KEY, password=SECRET)
    return lakefs_sdk.client.LakeFSClient(configuration)


@pytest.fixture
def name():
    return f"repo-{next(numbers)}"


@pytest.fixture
def repo(client, name):
    return lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}")
