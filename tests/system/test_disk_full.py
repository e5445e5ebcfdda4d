"""A full disk while uploading: a clear answer, nothing half-done, and the server goes on."""
import os
import subprocess

import boto3
import botocore.config
import botocore.exceptions
import lakefs
import pytest
from server import KEY, SECRET, Server, run


@pytest.fixture
def small_disk(tmp_path):
    """A server whose objects lie on a tmpfs of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs")
    data = tmp_path / "data"
    Server(data).start().stop()
    place = data / "objects"
    subprocess.run(["rm", "-rf", place], check=True)
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    server = Server(data).start()
    yield server
    server.stop()
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_507_and_nothing_half_done(small_disk, tmp_path):
    client = lakefs.Client(host=small_disk.url, username=KEY, password=SECRET)
    repo = lakefs.Repository("tight", client=client).create(storage_namespace="local://tight")
    main = repo.branch("main")
    main.object("small").upload(b"x" * 1000)

    def put(path, size):
        return small_disk.api("POST", "/repositories/tight/branches/main/objects", params={"path": path}, data=b"y" * size)

    full = put("big", 3 << 20)
    assert full.status_code == 507, full.text
    assert "space" in full.json()["message"] or "full" in full.json()["message"]
    assert [o.path for o in main.objects()] == ["small"]
    with main.object("small").reader(mode="rb") as reader:
        assert reader.read() == b"x" * 1000
    # The same through S3 and the command line.
    config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=small_disk.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1", config=config)
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        s3.put_object(Bucket="tight", Key="main/big", Body=b"y" * (3 << 20))
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("InsufficientStorage", 507)
    (tmp_path / "big").write_bytes(b"y" * (3 << 20))
    code, _, errors, _ = run("fs", "upload", "tight/main/big", str(tmp_path / "big"),
                             env={"TARN_SERVER": small_disk.url, "TARN_ACCESS_KEY_ID": KEY, "TARN_SECRET_ACCESS_KEY": SECRET})
    assert code == 1 and "make room there" in errors, errors
    assert [o.path for o in main.objects()] == ["small"]
    # Room is there again once the half-written bytes are gone.
    again = put("fits", 200_000)
    assert again.status_code == 201, again.text
    # The small store is filled up record by record: the last answer is clear, what was acknowledged stays.
    kept = []
    for i in range(100):
        answer = put(f"r/{i:03}", 40_000)
        if answer.status_code != 201:
            break
        kept.append(f"r/{i:03}")
    assert answer.status_code in (503, 507), answer.text
    for path in kept:
        assert small_disk.api("GET", "/repositories/tight/refs/main/objects", params={"path": path}).content == b"y" * 40_000
    assert small_disk.api("GET", "/healthcheck").status_code == 204
