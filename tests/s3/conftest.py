import itertools
import pathlib
import sys

import boto3
import botocore.config
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from server import BINARY, KEY, SECRET, Server  # noqa: E402

numbers = itertools.count(1)


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"no server binary at {BINARY}: build first, or set TARN_BINARY", returncode=4)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("tarn-s3") / "data").start()
    yield running
    assert running.stop() == 0, running.errors()


def make_client(server, key=KEY, secret=SECRET, **options):
    config = botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"},
                                    retries={"max_attempts": 1}, read_timeout=20, **options)
    return boto3.client("s3", endpoint_url=server.url, aws_access_key_id=key, aws_secret_access_key=secret,
                        region_name="us-east-1", config=config)


@pytest.fixture(scope="session")
def s3(server):
    return make_client(server)


@pytest.fixture
def repo(server):
    """A fresh repository with an empty branch main."""
    name = f"repo-{next(numbers)}"
    made = server.api("POST", "/repositories", json={"name": name, "storage_namespace": f"local://{name}"})
    assert made.status_code == 201, made.text
    return name


@pytest.fixture
def commit(server):
    def do(repo, branch="main", message="change"):
        made = server.api("POST", f"/repositories/{repo}/branches/{branch}/commits", json={"message": message})
        assert made.status_code == 201, made.text
        return made.json()["id"]
    return do


@pytest.fixture
def branch(server):
    def do(repo, name, source="main"):
        made = server.api("POST", f"/repositories/{repo}/branches", json={"name": name, "source": source})
        assert made.status_code == 201, made.text
        return name
    return do
