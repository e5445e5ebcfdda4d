"""Bad input at every door, as a user meets it: the cause and the cure in words, and nothing half-done.

More of the same: tests/system/test_start.py (port in use, folder locked, wrong settings), test_disk_full.py,
tools/tests/run_test.py (./run on another system), test_cli_connect.py (keys, profiles, no server).
"""
import json
import os
import pathlib

import boto3
import botocore.config
import botocore.exceptions
import pytest
from shell import KEY, SECRET, Server, Tarn

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalName: orders/
    logicalType: object
    properties:
      - {name: id, logicalType: integer, physicalType: INTEGER, required: true}
    quality:
      - {id: few, type: library, metric: rowCount, mustBeGreaterThan: 0}
"""
PRODUCT = """\
apiVersion: v1.0.0
kind: DataProduct
id: orders
status: active
outputPorts:
  - {name: orders, version: 1.0.0, contractId: orders, type: tables}
"""


def s3_of(server, secret=SECRET):
    config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, parameter_validation=False)
    return boto3.client("s3", endpoint_url=server.url, aws_access_key_id=KEY, aws_secret_access_key=secret, region_name="us-east-1", config=config)


def said(operation, *words, **more):
    """(code, status, message) of a refused S3 call."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        operation(*words, **more)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message", "")


@pytest.fixture(scope="module")
def s3(server):
    return s3_of(server)


@pytest.fixture
def checked(tmp_path):
    """A server that can test contracts."""
    library = os.environ.get("TARN_DUCKDB_LIBRARY")
    running = Server(tmp_path / "data", env={"TARN_DUCKDB_LIBRARY": library} if library else {}).start()
    yield Tarn(tmp_path, running.url), running
    assert running.stop() == 0, running.errors()


@pytest.mark.parametrize("words, look", [
    (["log", "{repo}/nope"], "tarn branch list"),
    (["commit", "{repo}/nope", "-m", "x"], "tarn branch list"),
    (["merge", "{repo}/nope", "{repo}/main"], "tarn branch list"),
    (["branch", "create", "{repo}/new", "--from", "nope"], "tarn branch list"),
    (["tag", "create", "{repo}/new", "nope"], "tarn branch list"),
    (["fs", "ls", "nope/main/"], "tarn repo list"),
    (["fs", "cat", "{repo}/main/nope"], "tarn fs ls"),
    (["mesh", "incident", "show", "INC-4711"], "tarn mesh incident list --all"),
    (["mesh", "product", "create", "nope/orders", "--repo", "unborn"], "tarn mesh domain list"),
])
def test_what_is_not_there_is_named_with_where_to_look(tarn, repo, words, look):
    done = tarn(*[w.format(repo=repo) for w in words])
    assert done.code == 1 and ("nope" in done.err or "INC-4711" in done.err) and look in done.err, done.err


def test_an_unknown_ref_at_rest_and_s3(server, s3, repo):
    answer = server.api("GET", f"/repositories/{repo}/refs/nope/objects", params={"path": "a"})
    assert answer.status_code == 404 and "'nope' is no branch, tag or commit" in answer.json()["message"]
    assert said(s3.get_object, Bucket=repo, Key="nope/a")[:2] == ("NoSuchKey", 404)
    code, status, message = said(s3.put_object, Bucket=repo, Key="nope/a", Body=b"1")
    assert (code, status) == ("NoSuchBucket", 404) and "create it first" in message


def test_a_missing_file(tarn, s3, repo, server):
    done = tarn("fs", "upload", f"{repo}/main/x", "nothere.csv")
    assert done.code == 2 and "nothere.csv" in done.err and "No such file" in done.err
    done = tarn("import", f"{repo}/main", "/nowhere/at/all", "--to", "x/")
    assert done.code == 1 and "there is no '/nowhere/at/all' on the server's machine" in done.err
    assert said(s3.head_object, Bucket=repo, Key="main/none")[1] == 404
    assert server.api("GET", f"/repositories/{repo}/refs/main/objects/ls").json()["results"] == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/.."])
def test_a_path_with_dots_at_every_door(tarn, server, s3, repo, path):
    (pathlib.Path(tarn.home) / "f").write_text("1")
    done = tarn("fs", "upload", f"{repo}/main/{path}", "f")
    assert done.code == 1 and "'..'" in done.err
    answer = server.api("POST", f"/repositories/{repo}/branches/main/objects", params={"path": path}, data=b"1")
    assert answer.status_code == 400 and "'..'" in answer.json()["message"]
    code, status, message = said(s3.put_object, Bucket=repo, Key=f"main/{path}", Body=b"1")
    assert status == 400 and "'..'" in message, (code, message)
    assert server.api("GET", f"/repositories/{repo}/refs/main/objects/ls").json()["results"] == []


def test_a_path_with_nul_at_rest_and_s3(server, s3, repo):
    answer = server.api("POST", f"/repositories/{repo}/branches/main/objects", params={"path": b"a\0b"}, data=b"1")
    assert answer.status_code == 400 and "NUL" in answer.json()["message"]
    code, status, message = said(s3.put_object, Bucket=repo, Key="main/a\0b", Body=b"1")
    assert (code, status) == ("InvalidURI", 400) and message


def test_wrong_credentials_at_every_door(tmp_path, server, repo):
    done = Tarn(tmp_path, server.url, secret="tell-no-one")("repo", "list")
    assert done.code == 1 and KEY in done.err and "TARN_ACCESS_KEY_ID" in done.err and "tell-no-one" not in done.err
    answer = server.api("GET", "/repositories", auth=(KEY, "wrong"))
    assert answer.status_code == 401 and answer.json()["message"]
    assert said(s3_of(server, "wrong").put_object, Bucket=repo, Key="main/a", Body=b"1")[:2] == ("SignatureDoesNotMatch", 403)


def test_a_body_that_is_too_large(server, s3, repo):
    answer = server.api("POST", f"/repositories/{repo}/branches", data=json.dumps({"name": "x" * (9 << 20), "source": "main"}))
    assert answer.status_code == 413 and "8388608" in answer.json()["message"]
    many = [{"Key": f"main/{'k' * 1000}{n}"} for n in range(1001)]
    assert said(s3.delete_objects, Bucket=repo, Delete={"Objects": many})[:2] == ("MalformedXML", 400)


def test_a_contract_that_is_no_contract_makes_no_product(tarn, server):
    home = pathlib.Path(tarn.home)
    tarn.ok("mesh", "domain", "create", "wrong", "--owner", "admin")
    for number, (text, found) in enumerate([("schema: [\n", "line 2"), (CONTRACT.replace("rowCount", "medianAge"), "unknown metric 'medianAge'"),
                                            (CONTRACT.replace("type: library", "type: magic"), "magic"), ("just words\n", "orders")]):
        (home / "orders" / "contracts").mkdir(parents=True, exist_ok=True)
        (home / "orders" / "product.odps.yaml").write_text(PRODUCT)
        file = home / "orders" / "contracts" / "orders.odcs.yaml"
        file.write_text(text)
        done = tarn("mesh", "contract", "lint", str(file))
        assert done.code == 3 and found in done.out, done.out
        done = tarn("mesh", "product", "create", "wrong/orders", "--repo", f"wrong-{number}", "--files", "orders")
        assert done.code == 1 and "_mesh/contracts/orders.odcs.yaml" in done.err and found in done.err, done.err
        assert server.api("GET", f"/repositories/wrong-{number}").status_code == 404
    assert "wrong/orders" not in tarn.ok("mesh", "product", "list").out


def test_files_of_a_product_can_be_left_for_later(tarn):
    home = pathlib.Path(tarn.home)
    (home / "later" / "contracts").mkdir(parents=True)
    (home / "later" / "product.odps.yaml").write_text(PRODUCT)
    (home / "later" / "contracts" / "orders.odcs.yaml").write_text(CONTRACT)
    (home / "later" / "contracts" / "orders@2.odcs.yaml").write_text("schema: [\n")
    tarn.ok("mesh", "domain", "create", "later", "--owner", "admin")
    words = ["mesh", "product", "create", "later/orders", "--repo", "later-orders", "--files", "later"]
    assert "orders@2.odcs.yaml" in tarn(*words).err
    tarn.ok(*words, "--skip", "contracts/*@*")
    listed = tarn.ok("fs", "ls", "-r", "later-orders/main/_mesh/").out
    assert "orders.odcs.yaml" in listed and "@2" not in listed
    done = tarn(*words, "--skip", "*.yaml", "--skip", "contracts/*")
    assert done.code == 2 and "that --skip leaves" in done.err
    assert tarn("mesh", "product", "create", "later/orders", "--skip", "x").code == 2


def test_unreadable_parquet_is_refused_by_the_gate(checked, tmp_path):
    tarn, server = checked
    (tmp_path / "orders" / "contracts").mkdir(parents=True)
    (tmp_path / "orders" / "product.odps.yaml").write_text(PRODUCT)
    (tmp_path / "orders" / "contracts" / "orders.odcs.yaml").write_text(CONTRACT)
    tarn.ok("mesh", "domain", "create", "sales", "--owner", "admin")
    tarn.ok("mesh", "product", "create", "sales/orders", "--repo", "orders", "--files", "orders")
    if "cannot be tested" in server.errors():
        pytest.skip("no DuckDB library here: TARN_DUCKDB_LIBRARY")
    before = tarn.ok("mesh", "digests", "orders/main").out
    tarn.ok("branch", "create", "orders/load", "--from", "main")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 this is no Parquet PAR1")
    tarn.ok("fs", "upload", "orders/load/orders/date=2026-01-01/rows.parquet", "rows.parquet")
    tarn.ok("commit", "orders/load", "-m", "a load")
    done = tarn("mesh", "propose", "orders/load")
    text = done.out + done.err
    assert done.code == 3 and "orders/date=2026-01-01/rows.parquet" in text and "main is untouched" in text, text
    assert "incident INC-1" in text and "next: tarn mesh incident show INC-1" in text
    assert tarn.ok("mesh", "digests", "orders/main").out == before


def test_without_the_check_library_the_cure_is_told(tmp_path):
    server = Server(tmp_path / "data", env={"TARN_DUCKDB_LIBRARY": "/nowhere/libduckdb.so"}).start()
    try:
        assert "/nowhere/libduckdb.so that duckdb.library names is not there" in server.errors()
        assert "./run setup" in server.errors()
    finally:
        assert server.stop() == 0
