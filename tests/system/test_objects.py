import hashlib
import time

import lakefs
import lakefs_sdk
import pytest
from lakefs_sdk.exceptions import ApiException


def put(server, repo, path, data, branch="main", **headers):
    return server.api("POST", f"/repositories/{repo}/branches/{branch}/objects", params={"path": path}, data=data, headers=headers)


def get(server, repo, path, ref="main", method="GET", **headers):
    return server.api(method, f"/repositories/{repo}/refs/{ref}/objects", params={"path": path}, headers=headers)


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 5_000_000])
def test_what_goes_in_comes_out(repo, size):
    data = hashlib.shake_256(str(size).encode()).digest(size)
    stored = repo.branch("main").object("some/path").upload(data, content_type="text/x-test", metadata={"who": "me"})
    stats = stored.stat()
    assert stats.size_bytes == size and stats.checksum == hashlib.md5(data).hexdigest()
    assert stats.content_type == "text/x-test" and stats.metadata == {"who": "me"}
    assert stats.path == "some/path" and abs(stats.mtime - time.time()) < 60
    assert stats.physical_address.startswith(f"local://{repo.id}/data/")
    with stored.reader(mode="rb") as reader:
        assert reader.read() == data


def test_the_form_upload_of_the_sdk(sdk, repo, name, tmp_path):
    file = tmp_path / "x.bin"
    file.write_bytes(b"form " * 1000)
    stats = sdk.objects_api.upload_object(name, "main", "from/form", content=str(file))
    assert stats.size_bytes == 5000 and stats.path_type == "object"
    assert sdk.objects_api.get_object(name, "main", "from/form") == b"form " * 1000


def test_a_form_without_content_is_refused(server, repo, name):
    answer = server.api("POST", f"/repositories/{name}/branches/main/objects", params={"path": "a"}, files={"other": b"1"})
    assert answer.status_code == 400 and "content" in answer.json()["message"]
    assert get(server, name, "a").status_code == 404


def test_metadata_headers(server, repo, name):
    answer = put(server, name, "a", b"1", **{"X-Lakefs-Meta-Owner": "Me", "X-Lakefs-Internal-Client-Mtime": "7", "Content-Type": "text/csv"})
    assert answer.status_code == 201
    assert answer.json()["metadata"] == {"owner": "Me", "::lakefs::client-mtime": "7"}
    assert answer.json()["content_type"] == "text/csv"


def test_writing_only_if_the_path_is_free(server, repo, name):
    assert put(server, name, "a", b"1", **{"If-None-Match": "*"}).status_code == 201
    refused = put(server, name, "a", b"2", **{"If-None-Match": "*"})
    assert refused.status_code == 412 and refused.json()["message"] == "path already exists"
    assert put(server, name, "a", b"2", **{"If-None-Match": '"x"'}).status_code == 501
    assert put(server, name, "a", b"2", **{"If-Match": '"wrong"'}).status_code == 412
    assert get(server, name, "a").content == b"1"
    assert put(server, name, "a", b"2", **{"If-Match": f'"{hashlib.md5(b"1").hexdigest()}"'}).status_code == 201
    assert get(server, name, "a").content == b"2"
    with pytest.raises(lakefs.exceptions.ObjectExistsException):
        repo.branch("main").object("a").upload(b"3", mode="xb")


def test_content_md5_is_verified(server, repo, name):
    assert put(server, name, "a", b"1", **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}).status_code == 400
    assert get(server, name, "a").status_code == 404


def test_heads_of_answers(server, repo, name):
    put(server, name, "a", b"hello world", **{"Content-Type": "text/html"})
    etag = f'"{hashlib.md5(b"hello world").hexdigest()}"'
    answer = get(server, name, "a")
    assert answer.headers["ETag"] == etag and answer.headers["Content-Length"] == "11"
    assert answer.headers["Content-Type"] == "text/html" and answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and "GMT" in answer.headers["Last-Modified"]
    head = get(server, name, "a", method="HEAD")
    assert head.status_code == 200 and head.headers["Content-Length"] == "11" and head.headers["ETag"] == etag and head.content == b""
    assert get(server, name, "a", **{"If-None-Match": etag}).status_code == 304
    assert get(server, name, "a", **{"If-None-Match": '"other"'}).status_code == 200
    assert get(server, name, "a", **{"If-Match": '"other"'}).status_code == 412


@pytest.mark.parametrize("size", [11, 200_000])
@pytest.mark.parametrize("asked, first, last", [("0-3", 0, 3), ("2-", 2, None), ("-4", -4, None), ("5-5", 5, 5), ("3-9999999", 3, None), ("-9999999", 0, None)])
def test_ranges(server, repo, name, size, asked, first, last):
    data = hashlib.shake_128(b"r").digest(size)
    put(server, name, "a", data)
    want = data[first if first >= 0 else size + first:][: None if last is None else last - first + 1]
    answer = get(server, name, "a", Range=f"bytes={asked}")
    assert answer.status_code == 206 and answer.content == want
    begin = first if first >= 0 else size + first
    assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(want) - 1}/{size}"
    head = get(server, name, "a", method="HEAD", Range=f"bytes={asked}")
    assert head.status_code == 206 and head.headers["Content-Length"] == str(len(want))


def test_ranges_that_cannot_be(server, repo, name):
    put(server, name, "a", b"hello")
    for asked in ["bytes=5-", "bytes=0-1,3-4", "bytes=-0"]:
        answer = get(server, name, "a", Range=asked)
        assert answer.status_code == 416 and answer.headers["Content-Range"] == "bytes */5"
    for asked in ["lines=1-2", "bytes=x-", "bytes=3-1"]:
        assert get(server, name, "a", Range=asked).status_code == 200


def test_reading_like_a_file(repo):
    repo.branch("main").object("a").upload(bytes(range(200)))
    with repo.branch("main").object("a").reader(mode="rb") as reader:
        assert reader.read(10) == bytes(range(10))
        reader.seek(100)
        assert reader.read(5) == bytes(range(100, 105))


def test_listing_with_a_delimiter(sdk, client, repo, name):
    branch = repo.branch("main")
    for path in ["a", "b/1", "b/2", "c/d/3", "z"]:
        branch.object(path).upload(path.encode())
    page = sdk.objects_api.list_objects(name, "main", delimiter="/")
    assert [(o.path, o.path_type) for o in page.results] == [("a", "object"), ("b/", "common_prefix"), ("c/", "common_prefix"), ("z", "object")]
    page = sdk.objects_api.list_objects(name, "main", amount=2)
    assert [o.path for o in page.results] == ["a", "b/1"] and page.pagination.has_more and page.pagination.next_offset == "b/1"
    rest = sdk.objects_api.list_objects(name, "main", after="b/1")
    assert [o.path for o in rest.results] == ["b/2", "c/d/3", "z"]
    assert [o.path for o in sdk.objects_api.list_objects(name, "main", prefix="b/", delimiter="/").results] == ["b/1", "b/2"]
    first = sdk.objects_api.list_objects(name, "main", delimiter="/", amount=2)
    assert first.pagination.next_offset == "b/"
    assert [o.path for o in sdk.objects_api.list_objects(name, "main", delimiter="/", after="b/").results] == ["c/", "z"]
    assert sdk.objects_api.list_objects(name, "main", user_metadata=False).results[0].metadata is None
    branch.commit("all")
    assert [o.path for o in repo.ref("main").objects(delimiter="/")] == ["a", "b/", "c/", "z"]
    assert sdk.objects_api.list_objects(name, "main@", prefix="nothing").results == []


def test_deleting_one_and_many(sdk, repo, name):
    branch = repo.branch("main")
    for path in "abcd":
        branch.object(path).upload(b"x")
    branch.commit("four")
    branch.object("a").delete()
    branch.object("never-there").delete()
    assert not branch.object("a").exists()
    assert sdk.objects_api.delete_objects(name, "main", lakefs_sdk.PathList(paths=["b", "c", "nope", ""])).errors == []
    assert [o.path for o in branch.objects()] == ["d"]
    branch.delete_objects(["d"])
    assert list(branch.objects()) == []
    assert [(c.type, c.path) for c in branch.uncommitted()] == [("removed", p) for p in "abcd"]
    with pytest.raises(ApiException) as refused:
        sdk.objects_api.delete_objects(name, "main", lakefs_sdk.PathList(paths=[str(i) for i in range(1001)]))
    assert refused.value.status == 400


def test_copies_share_their_bytes(repo):
    branch = repo.branch("main")
    source = branch.object("a").upload(b"shared", content_type="text/x", metadata={"k": "v"})
    branch.commit("one")
    copy = source.copy("main", "b/c")
    one, two = source.stat(), copy.stat()
    assert two.checksum == one.checksum and two.metadata == {"k": "v"} and two.content_type == "text/x"
    assert two.physical_address == one.physical_address
    with copy.reader(mode="rb") as reader:
        assert reader.read() == b"shared"
    with pytest.raises(lakefs.exceptions.NotFoundException):
        branch.object("missing").copy("main", "d")


def test_user_metadata_is_replaced(server, repo, name):
    put(server, name, "a", b"1", **{"X-Lakefs-Meta-A": "1"})
    path = f"/repositories/{name}/branches/main/objects/stat/user_metadata"
    assert server.api("PUT", path, params={"path": "a"}, json={"set": {"b": "2"}}).status_code == 204
    assert repo.branch("main").object("a").stat().metadata == {"b": "2"}
    assert server.api("PUT", path, params={"path": "nope"}, json={"set": {}}).status_code == 404
    assert server.api("PUT", path.replace(name, "no-such-repo"), params={"path": "a"}, json={"set": {}}).status_code == 404


@pytest.mark.parametrize("path", ["../up", "a/../b", "a/./b", "..", "nul\0byte", "x" * 1025, "bad\udcff"])
def test_paths_that_could_lead_astray_are_refused(server, repo, name, path):
    raw = path.encode("utf-8", "surrogateescape")
    answer = server.api("POST", f"/repositories/{name}/branches/main/objects", params={"path": raw}, data=b"1")
    assert answer.status_code == 400 and answer.json()["message"]
    assert list(repo.branch("main").objects()) == []


@pytest.mark.parametrize("path", ["with space", "ünï/cödé", "a//b", "per%25cent", "plus+plus", "trailing/", "q?x=1&y", "#hash", "x" * 1024])
def test_unusual_paths_are_kept_as_they_are(repo, path):
    repo.branch("main").object(path).upload(path.encode())
    assert [o.path for o in repo.branch("main").objects()] == [path]
    with repo.branch("main").object(path).reader(mode="rb") as reader:
        assert reader.read() == path.encode()


def test_what_is_missing_is_named(server, repo, name):
    assert get(server, name, "nope").status_code == 404
    assert get(server, name, "nope", method="HEAD").status_code == 404
    assert get(server, name, "nope", ref="no-ref").status_code == 404
    assert get(server, "no-repo", "nope").status_code == 404
    missing = put(server, name, "a", b"1", branch="no-branch")
    assert missing.status_code == 404 and "no-branch" in missing.json()["message"]
    assert server.api("GET", f"/repositories/{name}/refs/main/objects/stat").status_code == 400
    assert server.api("POST", f"/repositories/{name}/branches/main/objects", data=b"1").status_code == 400


def test_an_upload_that_is_cut_leaves_nothing(server, repo, name):
    import socket
    host, port = server.url.removeprefix("http://").split(":")
    import base64
    from server import KEY, SECRET
    auth = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(f"POST /api/v1/repositories/{name}/branches/main/objects?path=cut HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {auth}\r\n"
                     "Content-Length: 100000\r\n\r\n".encode() + b"x" * 5000)
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(10)
        while peer.recv(4096):  # until the server has let go of the request
            pass
    assert get(server, name, "cut").status_code == 404


def test_objects_survive_a_kill(tmp_path):
    from server import KEY, SECRET, Server
    server = Server(tmp_path / "data").start()
    client = lakefs.Client(host=server.url, username=KEY, password=SECRET)
    repo = lakefs.Repository("kept", client=client).create(storage_namespace="local://kept")
    repo.branch("main").object("committed").upload(b"1")
    head = repo.branch("main").commit("one").get_commit().id
    repo.branch("main").object("staged").upload(b"2" * 100_000)
    assert server.kill() == -9
    again = Server(tmp_path / "data").start()
    try:
        assert get(again, "kept", "committed").content == b"1"
        assert get(again, "kept", "staged").content == b"2" * 100_000
        assert again.api("GET", "/repositories/kept/branches/main").json()["commit_id"] == head
    finally:
        assert again.stop() == 0
