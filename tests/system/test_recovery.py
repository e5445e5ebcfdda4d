"""The key-value store is lost, bytes rot, servers die: what comes back, and what is named."""
import json
import pathlib
import shutil
import time

import pytest
from server import Server, run

CONTENT = {f"data/{i:02}.txt": f"content {i} ".encode() * 20 for i in range(12)}
LARGE = b"0123456789abcdef" * 20_000  # a file of its own


def ok(response):
    assert response.ok, f"{response.status_code} {response.text}"
    return response.json() if response.content and "json" in response.headers.get("Content-Type", "") else response.content


def put(server, branch, path, content, repo="flights"):
    ok(server.api("POST", f"/repositories/{repo}/branches/{branch}/objects", params={"path": path}, data=content,
                  headers={"Content-Type": "application/octet-stream"}))


def commit(server, branch, message, repo="flights"):
    return ok(server.api("POST", f"/repositories/{repo}/branches/{branch}/commits", json={"message": message}))["id"]


def log_of(server, branch, repo="flights"):
    """Ids of all commits of a branch, page by page."""
    out, after = [], ""
    while True:
        page = ok(server.api("GET", f"/repositories/{repo}/refs/{branch}/commits", params={"amount": 1000, "after": after}))
        out += [c["id"] for c in page["results"]]
        if not page["pagination"]["has_more"]:
            return out
        after = page["pagination"]["next_offset"]


def fill(server, folder):
    """A repository with a bit of everything."""
    ok(server.api("POST", "/repositories", json={"name": "flights", "storage_namespace": "local://flights"}))
    for path, content in CONTENT.items():
        put(server, "main", path, content)
        if path.endswith(("3.txt", "7.txt")):
            commit(server, "main", path)
    put(server, "main", "large.bin", LARGE)
    commit(server, "main", "large")
    ok(server.api("POST", "/repositories/flights/branches", json={"name": "dev", "source": "main"}))
    put(server, "dev", "dev.txt", b"on dev")
    commit(server, "dev", "dev")
    ok(server.api("POST", "/repositories/flights/refs/dev/merge/main", json={}))
    ok(server.api("POST", "/repositories/flights/tags", json={"id": "v1.0", "ref": "main~1"}))
    linked = folder / "linked"
    linked.mkdir()
    (linked / "one.csv").write_text("a,b\n1,2\n")
    started = ok(server.api("POST", "/repositories/flights/branches/main/import", json={
        "paths": [{"type": "common_prefix", "path": f"local://{linked}/", "destination": "linked/"}],
        "commit": {"message": "linked"}}))
    for _ in range(200):
        status = ok(server.api("GET", "/repositories/flights/branches/main/import", params={"id": started["id"]}))
        if status["completed"]:
            break
        time.sleep(0.05)
    assert status["completed"] and not status.get("error"), status
    ok(server.api("POST", "/repositories", json={"name": "gone", "storage_namespace": "local://gone"}))
    ok(server.api("DELETE", "/repositories/gone"))


def picture(server, repo="flights"):
    """All that a reader sees of what was committed."""
    out = {"repository": ok(server.api("GET", f"/repositories/{repo}"))}
    for kind in ("branches", "tags"):
        out[kind] = ok(server.api("GET", f"/repositories/{repo}/{kind}", params={"amount": 1000}))["results"]
    for ref in [r["id"] for kind in ("branches", "tags") for r in out[kind]]:
        out[f"log {ref}"] = ok(server.api("GET", f"/repositories/{repo}/refs/{ref}/commits", params={"amount": 1000}))["results"]
        objects = ok(server.api("GET", f"/repositories/{repo}/refs/{ref}/objects/ls", params={"amount": 1000}))["results"]
        out[f"objects {ref}"] = objects
        for one in objects:
            out[f"bytes {ref} {one['path']}"] = ok(server.api(
                "GET", f"/repositories/{repo}/refs/{ref}/objects", params={"path": one["path"]}))
    return out


def command(name, data, *words):
    code, output, errors, _ = run(name, "--data", str(data), *words, "--json", timeout=60)
    return code, json.loads(output) if output else None, errors


def lies(data, *words):
    code, report, errors = command("fsck", data, *words)
    assert code == (3 if report["lies"] else 0), errors
    assert report["clean"] == (code == 0)
    return [f"{lie['what']} {lie['subject']}: {lie['message']}" for lie in report["lies"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A stopped server's folder, and what it showed."""
    folder = tmp_path_factory.mktemp("whole")
    server = Server(folder / "data").start()
    fill(server, folder)
    shown = picture(server)
    put(server, "main", "staged.txt", b"never committed")
    assert server.stop() == 0
    return folder, shown


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole[0] / "data", tmp_path / "data")
    return tmp_path / "data"


def test_a_healthy_folder_is_clean(copy):
    assert lies(copy) == []
    assert lies(copy, "--deep") == []
    code, report, _ = command("fsck", copy, "--repo", "flights")
    assert code == 0 and report["repositories"][0]["branches"] == 2 and report["repositories"][0]["staged"] == 1
    code, output, errors, _ = run("fsck", "--data", str(copy), "--repo", "nobody")
    assert code == 1 and "does not exist" in errors


def test_everything_committed_comes_back(whole, copy):
    shutil.rmtree(copy / "kv")
    code, _, errors, _ = run("serve", "--data", str(copy), "--listen", "127.0.0.1:0")
    assert code == 1 and "tarn recover --data" in errors
    code, _, errors, _ = run("fsck", "--data", str(copy))
    assert code == 1 and "tarn recover --data" in errors

    code, report, errors = command("recover", copy)
    assert code == 0, errors
    assert report["whole"] and [r["name"] for r in report["repositories"]] == ["flights"]
    assert report["repositories"][0]["unreached_commits"] == []
    assert lies(copy, "--deep") == []
    server = Server(copy).start()
    assert picture(server) == whole[1]
    put(server, "main", "after.txt", b"life goes on")
    commit(server, "main", "after")
    later = picture(server)
    assert server.stop() == 0
    assert lies(copy) == []
    shutil.rmtree(copy / "kv")
    code, output, errors, _ = run("recover", "--data", str(copy))
    assert code == 0 and "flights" in output and "users and keys" in output, errors
    server = Server(copy).start()
    assert picture(server) == later
    assert server.stop() == 0


def test_folded_packs_come_back_too(whole, copy):
    server = Server(copy).start()
    before = picture(server)
    folded = ok(server.api("POST", "/repositories/flights/fold"))
    assert folded["packs_after"] < folded["packs_before"]
    assert picture(server) == before
    assert server.stop() == 0
    assert lies(copy, "--deep") == []
    shutil.rmtree(copy / "kv")
    code, report, errors = command("recover", copy)
    assert code == 0 and report["repositories"][0]["unreached_commits"] == [], errors
    assert lies(copy, "--deep") == []
    server = Server(copy).start()
    assert picture(server) == whole[1]
    assert server.stop() == 0


def test_a_healthy_store_is_not_replaced_unless_told(whole, copy):
    code, _, errors, _ = run("recover", "--data", str(copy))
    assert code == 1 and "healthy" in errors and "--replace" in errors
    assert lies(copy) == []
    code, report, errors = command("recover", copy, "--replace")
    assert code == 0, errors
    assert pathlib.Path(report["old_key_value_store"]) == copy / "kv.replaced-1"
    server = Server(copy).start()
    assert picture(server) == whole[1]
    code, _, errors, _ = run("recover", "--data", str(copy), "--replace")
    assert code == 1 and "in use" in errors
    assert server.stop() == 0
    code, _, errors, _ = run("fsck", "--data", str(copy.parent))
    assert code == 1 and "TARN" in errors
    code, _, errors, _ = run("fsck", "--nonsense")
    assert code == 2


def test_a_damaged_store_is_put_aside(whole, copy):
    for table in (copy / "kv").glob("MANIFEST-*"):
        table.write_bytes(b"\x00" * 100)
    code, report, errors = command("recover", copy)
    assert code == 0, errors
    assert report["old_key_value_store"]
    server = Server(copy).start()
    assert picture(server) == whole[1]
    assert server.stop() == 0


def test_a_death_between_head_and_journal_is_made_up_for_at_the_next_start(tmp_path):
    server = Server(tmp_path / "data").start()
    fill(server, tmp_path)
    for i in range(5):
        put(server, "main", f"late{i}", b"late")
        last = commit(server, "main", f"late {i}")
    shown = picture(server)
    server.kill()
    again = Server(tmp_path / "data").start()
    assert again.stop() == 0
    shutil.rmtree(tmp_path / "data" / "kv")
    code, report, errors = command("recover", tmp_path / "data")
    assert code == 0 and report["repositories"][0]["unreached_commits"] == [], errors
    third = Server(tmp_path / "data").start()
    assert picture(third) == shown
    assert shown["log main"][0]["id"] == last
    assert third.stop() == 0


def test_what_the_journal_did_not_know_is_listed_and_never_a_head(tmp_path):
    server = Server(tmp_path / "data").start()
    fill(server, tmp_path)
    time.sleep(2.5)  # the writer is quiet
    put(server, "main", "at once", b"x")
    commit(server, "main", "at once")
    time.sleep(0.2)
    made = []
    for i in range(3):
        put(server, "main", f"late{i}", b"late")
        made.append(commit(server, "main", f"late {i}"))
    server.kill()
    shutil.rmtree(tmp_path / "data" / "kv")
    code, report, errors = command("recover", tmp_path / "data")
    assert code == 0, errors
    unreached = report["repositories"][0]["unreached_commits"]
    again = Server(tmp_path / "data").start()
    log = [c["id"] for c in picture(again)["log main"]]
    known = [c for c in made if c in log]
    assert [c["id"] for c in sorted(unreached, key=lambda c: c["generation"])] == made[len(known):], "none is lost"
    assert all(c["follows_head"] and c["branch"] == "main" for c in unreached)
    assert made[:len(known)] == known
    ok(again.api("POST", "/repositories/flights/branches", json={"name": "rescued", "source": made[-1]}))
    assert [c["id"] for c in picture(again)["log rescued"]][:3] == made[::-1]
    assert again.stop() == 0


def test_fsck_names_a_flipped_bit_of_an_object(copy):
    needle = CONTENT["data/05.txt"]
    for segment in sorted((copy / "objects" / "segments").glob("*.seg")):
        bytes_ = bytearray(segment.read_bytes())
        at = bytes_.find(needle)
        if at >= 0:
            bytes_[at + 30] ^= 4
            segment.write_bytes(bytes_)
    found = lies(copy, "--deep")
    assert found and any("data/05.txt" in lie or "segments" in lie for lie in found), found


def test_fsck_names_missing_and_changed_bytes(whole, copy):
    large = max((copy / "objects" / "files").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    content = bytearray(large.read_bytes())
    content[1000] ^= 1
    large.write_bytes(content)
    assert lies(copy) == []
    assert any(lie.startswith("object large.bin") for lie in lies(copy, "--deep"))
    large.unlink()
    assert any(lie.startswith("object large.bin") for lie in lies(copy))
    assert any(lie.startswith("object large.bin") for lie in lies(copy, "--deep"))
    linked = whole[0] / "linked" / "one.csv"
    before = linked.read_bytes()
    stat = linked.stat()
    try:
        linked.unlink()
        found = lies(copy)
        assert any(lie.startswith("object linked/one.csv") and "gone" in lie for lie in found), found
    finally:
        linked.write_bytes(before)
        import os
        os.utime(linked, ns=(stat.st_atime_ns, stat.st_mtime_ns))
