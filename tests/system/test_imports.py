import lakefs
import pytest


@pytest.fixture
def folder(tmp_path):
    files = tmp_path / "files"
    for i in range(5):
        (files / f"date=2013-10-0{i}").mkdir(parents=True)
        (files / f"date=2013-10-0{i}" / "part.parquet").write_bytes(b"row %d" % i)
    return files


def test_an_import_links_a_folder_without_copying(server, repo, name, folder):
    importer = repo.branch("main").import_data("linked", metadata={"k": "v"}).prefix(f"local://{folder}/", destination="raw/")
    status = importer.run()
    assert status.completed and status.error is None and status.ingested_objects == 5
    assert status.commit.message == "linked" and status.commit.metadata["k"] == "v"
    found = list(repo.branch("main").objects(prefix="raw/"))
    assert [o.path for o in found] == [f"raw/date=2013-10-0{i}/part.parquet" for i in range(5)]
    assert found[0].physical_address == f"local://{folder}/date=2013-10-00/part.parquet" and found[0].size_bytes == 5
    assert found[0].checksum.startswith("weak-")
    with repo.branch("main").object("raw/date=2013-10-03/part.parquet").reader(mode="rb") as reader:
        assert reader.read() == b"row 3"
    done = server.api("DELETE", f"/repositories/{name}/branches/main/import", params={"id": importer.import_id})
    assert done.status_code == 409


def test_bytes_that_changed_after_the_import_are_gone(server, repo, name, folder):
    repo.branch("main").import_data("linked").prefix(f"local://{folder}/", destination="raw/").run()
    (folder / "date=2013-10-01" / "part.parquet").write_bytes(b"another row")
    (folder / "date=2013-10-02" / "part.parquet").unlink()
    get = lambda path: server.api("GET", f"/repositories/{name}/refs/main/objects", params={"path": path})
    assert get("raw/date=2013-10-00/part.parquet").status_code == 200
    assert get("raw/date=2013-10-01/part.parquet").status_code == 410
    assert get("raw/date=2013-10-02/part.parquet").status_code == 410


def test_one_file(repo, folder):
    status = repo.branch("main").import_data("one").object(f"local://{folder}/date=2013-10-04/part.parquet", destination="one.parquet").run()
    assert status.ingested_objects == 1
    assert [o.path for o in repo.branch("main").objects()] == ["one.parquet"]


def test_bad_imports_name_what_is_wrong(server, repo, name, folder):
    path = f"/repositories/{name}/branches/main/import"
    place = {"type": "common_prefix", "path": f"local://{folder}/", "destination": "x/"}
    for body in [{"commit": {"message": "m"}}, {"paths": [], "commit": {"message": "m"}}, {"paths": [place]},
                 {"paths": [place | {"type": "folder"}], "commit": {"message": "m"}},
                 {"paths": [place | {"path": "s3://bucket/"}], "commit": {"message": "m"}}]:
        answer = server.api("POST", path, json=body)
        assert answer.status_code == 400 and answer.json()["message"], body
    missing = server.api("POST", path, json={"paths": [place | {"path": f"local://{folder}/nowhere/"}], "commit": {"message": "m"}})
    assert missing.status_code == 400 and "nowhere" in missing.json()["message"]
    assert server.api("GET", path, params={"id": "nope"}).status_code == 404
    assert server.api("GET", path).status_code == 400
    assert server.api("DELETE", path, params={"id": "nope"}).status_code == 404


def test_imports_stay_below_the_allowed_roots(tmp_path, folder):
    from server import KEY, SECRET, Server
    server = Server(tmp_path / "data", "--import-local-roots", str(folder / "date=2013-10-00")).start()
    try:
        client = lakefs.Client(host=server.url, username=KEY, password=SECRET)
        lakefs.Repository("fenced", client=client).create(storage_namespace="local://fenced")
        place = {"type": "common_prefix", "path": f"local://{folder}/", "destination": "x/"}
        for outside, status, said in [(f"local://{folder}/", 403, f"({folder}/date=2013-10-00)"), ("local:///etc/", 403, "import.local_roots"),
                                      ("local:///nowhere/at/all/", 403, "import.local_roots"), (f"local://{folder}/date=2013-10-00/../", 400, '".."')]:
            answer = server.api("POST", "/repositories/fenced/branches/main/import", json={"paths": [place | {"path": outside}], "commit": {"message": "m"}})
            assert answer.status_code == status and said in answer.json()["message"], (outside, answer.text)
        assert server.api("GET", "/repositories/fenced/refs/main/objects/ls").json()["results"] == []
        inside = f"local://{folder}/date=2013-10-00/"
        assert server.api("POST", "/repositories/fenced/branches/main/import", json={"paths": [place | {"path": inside}], "commit": {"message": "m"}}).status_code == 202
    finally:
        assert server.stop() == 0
