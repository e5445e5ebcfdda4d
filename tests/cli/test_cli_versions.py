"""Repositories, branches, objects, commits: golden outputs, with ids and times masked."""
import hashlib
import http.server
import json
import os
import threading

import pytest
from shell import SECRET, Tarn


def lines(text):
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def test_the_story_of_the_readme(tarn, repo, tmp_path):
    (tmp_path / "sales" / "date=2026-01-03").mkdir(parents=True)
    (tmp_path / "sales" / "date=2026-01-03" / "sales.parquet").write_text("wrong\n")
    (tmp_path / "corrected.parquet").write_text("right!\n")
    assert tarn.ok("import", f"{repo}/main", "sales/", "--to", "sales/").masked == "imported 1 objects: <id>\n"
    assert tarn.ok("branch", "create", f"{repo}/fix", "--from", "main").masked == f"branch {repo}/fix at <id>\n"
    path = "sales/date=2026-01-03/sales.parquet"
    done = tarn.ok("fs", "upload", f"{repo}/fix/{path}", "corrected.parquet")
    assert done.out == "" and done.err == f"uploaded {repo}/fix/{path}, 7 B\n"
    done = tarn.ok("diff", f"{repo}/fix")
    assert done.out == f"~ changed  {path}  7 B\n" and done.err == "1 path\n"
    assert tarn.ok("commit", f"{repo}/fix", "-m", "corrected day").masked == "<id>  corrected day\n"
    assert tarn.ok("diff", f"{repo}/main", "fix").out == f"~ changed  {path}  7 B\n"
    assert tarn.ok("merge", f"{repo}/fix", f"{repo}/main").masked == f"merged fix into {repo}/main: <id>\n"
    assert tarn.ok("fs", "cat", f"tarn://{repo}/main/{path}").out == "right!\n"
    assert lines(tarn.ok("log", f"lakefs://{repo}/main", "--oneline").masked) == [
        "<id>  <time>  Merge 'fix' into 'main'", "<id>  <time>  corrected day", "<id>  <time>  Import sales/", "<id>  <time>  Repository created"]


def test_branches_and_tags_are_listed_in_columns(tarn, repo):
    tarn.ok("branch", "create", f"{repo}/dev", "-s", f"lakefs://{repo}/main")
    tarn.ok("tag", "create", f"{repo}/v1.0", "main")
    assert lines(tarn.ok("branch", "list", repo).masked) == ["BRANCH  COMMIT", "dev     <id>", "main    <id>"]
    assert lines(tarn.ok("tag", "list", repo).masked) == ["TAG   COMMIT", "v1.0  <id>"]
    assert lines(tarn.ok("branch", "show", f"{repo}/dev").masked) == ["branch  dev", "commit  <commit>"]
    tarn.ok("branch", "delete", f"{repo}/dev", "--yes")
    tarn.ok("tag", "delete", f"{repo}/v1.0", "-y")
    assert lines(tarn.ok("branch", "list", repo).masked) == ["BRANCH  COMMIT", "main    <id>"]
    again = tarn("branch", "delete", f"{repo}/dev", "-y")
    assert again.code == 1 and "dev" in again.err


def test_json_is_the_body_of_the_server(server, tarn, repo):
    body = json.loads(tarn.ok("branch", "list", repo, "--json").out)
    theirs = server.api("GET", f"/repositories/{repo}/branches").json()
    assert body["results"] == theirs["results"]
    assert json.loads(tarn.ok("repo", "show", repo, "--json").out) == server.api("GET", f"/repositories/{repo}").json()


def test_pages_are_followed_and_amounts_kept(tarn, repo, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(1050):
        (folder / f"{n:04}.txt").write_text(str(n))
    tarn.ok("import", f"{repo}/main", str(folder), "--to", "many/")
    assert len(tarn.ok("fs", "ls", "-r", f"{repo}/main/many/").out.splitlines()) == 1050
    assert len(tarn.ok("fs", "ls", "-r", f"{repo}/main/many/", "--amount", "7").out.splitlines()) == 7
    assert len(json.loads(tarn.ok("fs", "ls", "-r", f"{repo}/main/", "--json").out)["results"]) == 1050
    assert lines(tarn.ok("fs", "ls", f"{repo}/main/").out) == [f"{'-':>8}  {'':19}  many/"]
    tarn.ok("fs", "rm", "-r", f"{repo}/main/many")
    assert tarn.ok("fs", "ls", "-r", f"{repo}/main/").out == ""
    assert tarn("fs", "rm", "-r", f"{repo}/main/many").code == 1


def test_folders_go_up_and_come_down_byte_identical(tarn, repo, tmp_path):
    files = {"a.bin": os.urandom(300_000), "d/b.bin": b"", "d/e/c ü%.bin": os.urandom(1000), "d/big": os.urandom(3_000_000)}
    for name, content in files.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(content)
    done = tarn.ok("fs", "upload", "-r", f"{repo}/main/x", "up", "-p", "3", "--meta", "who=me", "--content-type", "text/x")
    assert done.err == "uploaded 4 files, 3.3 MB\n"
    tarn.ok("fs", "download", "-r", f"{repo}/main/x/", "down")
    assert {name: (tmp_path / "down" / name).read_bytes() for name in files} == files
    stat = json.loads(tarn.ok("fs", "stat", f"{repo}/main/x/a.bin", "--json").out)
    assert stat["checksum"] == hashlib.md5(files["a.bin"]).hexdigest()
    assert stat["metadata"] == {"who": "me"} and stat["content_type"] == "text/x"
    tarn.ok("fs", "download", f"{repo}/main/x/a.bin")
    assert (tmp_path / "a.bin").read_bytes() == files["a.bin"]
    assert not list(tmp_path.rglob("*.tarn-part"))


def test_standard_input_is_an_object(tarn, repo):
    tarn.ok("fs", "upload", f"{repo}/main/in.txt", "-", input="from a pipe")
    assert tarn.ok("fs", "cat", f"{repo}/main/in.txt").out == "from a pipe"
    assert tarn.ok("fs", "cat", f"{repo}/main/in.txt", "--range", "0-3").out == "from"
    assert tarn("fs", "upload", f"{repo}/main/", "-", input="x").code == 2


def test_uploads_name_what_is_wrong(tarn, repo, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "is a folder: add -r" in tarn("fs", "upload", f"{repo}/main/x", "folder").err
    assert "nofile" in tarn("fs", "upload", f"{repo}/main/x", "nofile").err
    assert "FILE is missing" in tarn("fs", "upload", f"{repo}/main/x").err
    (tmp_path / "f").write_text("x")
    done = tarn("fs", "upload", f"{repo}/nobranch/x", "f")
    assert done.code == 1 and "nobranch" in done.err


@pytest.mark.parametrize("name", ["p/../../evil", "p//evil", "p/.", "p/a/../../../evil"])
def test_a_download_does_not_leave_its_folder(tmp_path, name):
    """A server that is not to be trusted lists a path that would lie elsewhere."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):                                                               # noqa: N802
            item = {"path": name, "path_type": "object", "size_bytes": 1, "checksum": "", "mtime": 0}
            body = json.dumps({"pagination": {"has_more": False}, "results": [item]}).encode() if "/ls?" in self.path else b"x"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as fake:
        threading.Thread(target=fake.serve_forever, daemon=True).start()
        done = Tarn(tmp_path, f"http://127.0.0.1:{fake.server_address[1]}")("fs", "download", "-r", "some/main/p", "here")
        fake.shutdown()
    assert done.code == 1 and "cannot be a file's name here" in done.err
    assert not list(tmp_path.rglob("*evil*")) and not (tmp_path.parent / "evil").exists()


def test_folders_are_not_prefixes(tarn, repo):
    for name in ("a/x", "ab/x"):
        tarn.ok("fs", "upload", f"{repo}/main/{name}", "-", input="1")
    tarn.ok("fs", "rm", "-r", f"{repo}/main/a")
    tarn.ok("fs", "cp", "-r", f"{repo}/main/ab", f"{repo}/main/copy")
    assert [line.split()[-1] for line in tarn.ok("fs", "ls", "-r", f"{repo}/main/").out.splitlines()] == ["ab/x", "copy/x"]


def test_conflicts_are_listed_and_change_nothing(tarn, repo):
    tarn.ok("fs", "upload", f"{repo}/main/f", "-", input="base")
    tarn.ok("commit", f"{repo}/main", "-m", "base")
    tarn.ok("branch", "create", f"{repo}/side")
    for branch in ("main", "side"):
        tarn.ok("fs", "upload", f"{repo}/{branch}/f", "-", input=branch)
        tarn.ok("commit", f"{repo}/{branch}", "-m", branch)
    done = tarn("merge", f"{repo}/side", "main")
    assert done.code == 3
    assert lines(done.out) == ["CONFLICT  SOURCE   DESTINATION", "f         changed  changed"]
    assert "1 conflict: f" in done.err
    assert json.loads(tarn("merge", f"{repo}/side", "main", "--json").out)["conflicts"][0]["path"] == "f"
    assert tarn.ok("fs", "cat", f"{repo}/main/f").out == "main"
    assert lines(tarn.ok("merge-conflicts", f"{repo}/side", "main").out)[1:] == ["f         changed  changed"]
    assert tarn("merge", f"{repo}/side", "main", "--path-strategy", "f").code == 2
    assert tarn("merge", f"{repo}/side", "main", "--path-strategy", "g/=source-wins").code == 3
    tarn.ok("merge", f"{repo}/side", "main", "--path-strategy", "?=source-wins")
    assert tarn.ok("fs", "cat", f"{repo}/main/f").out == "side"


def test_a_revert_undoes_and_a_reset_drops(tarn, repo):
    tarn.ok("fs", "upload", f"{repo}/main/f", "-", input="1")
    tarn.ok("commit", f"{repo}/main", "-m", "one", "--meta", "k=v")
    tarn.ok("fs", "upload", f"{repo}/main/f", "-", input="2")
    tarn.ok("commit", f"{repo}/main", "-m", "two")
    tarn.ok("revert", f"{repo}/main", "main")
    assert tarn.ok("fs", "cat", f"{repo}/main/f").out == "1"
    tarn.ok("fs", "upload", f"{repo}/main/f", "-", input="3")
    tarn.ok("branch", "reset", f"{repo}/main", "-y")
    assert tarn.ok("fs", "cat", f"{repo}/main/f").out == "1"
    assert "meta    k = v" in tarn.ok("log", f"{repo}/main/f").out
    assert tarn.ok("commit", f"{repo}/main", "-m", "none", "--allow-empty")
    nothing = tarn("commit", f"{repo}/main", "-m", "none")
    assert nothing.code == 1 and nothing.err.startswith("tarn: ")


def test_protection_refuses_and_is_taken_back(tarn, repo):
    tarn.ok("protect", "add", repo, "main")
    tarn.ok("protect", "add", repo, "release-*")
    assert lines(tarn.ok("protect", "list", repo).out) == ["PATTERN", "main", "release-*"]
    done = tarn("fs", "upload", f"{repo}/main/f", "-", input="1")
    assert done.code == 1 and "protected" in done.err
    tarn.ok("protect", "remove", repo, "main")
    assert tarn("protect", "remove", repo, "main").code == 1
    tarn.ok("fs", "upload", f"{repo}/main/f", "-", input="1")


def test_users_and_keys(tarn, server, repo, tmp_path):
    tarn.ok("user", "create", f"u-{repo}", "--writes", repo)
    keys = json.loads(tarn.ok("credentials", "create", f"u-{repo}", "--json").out)
    theirs = Tarn(tmp_path, server.url, keys["access_key_id"], keys["secret_access_key"])
    assert f"user           u-{repo}" in theirs.ok("whoami").out
    theirs.ok("fs", "upload", f"{repo}/main/f", "-", input="1")
    assert theirs("user", "list").code == 1
    tarn.ok("credentials", "delete", f"u-{repo}", keys["access_key_id"], "-y")
    assert theirs("whoami").code == 1
    tarn.ok("user", "delete", f"u-{repo}", "-y")


def test_an_import_says_what_is_wrong(tarn, repo):
    assert "there is no folder 'nofolder' here" in tarn("import", f"{repo}/main", "nofolder").err
    done = tarn("import", f"{repo}/main", "/nowhere/at/all/", "--to", "x/")
    assert done.code == 1 and "/nowhere/at/all" in done.err


def test_secrets_are_not_shown(tarn):
    for words in (["whoami"], ["doctor"], ["whoami", "--json"]):
        done = tarn(*words)
        assert SECRET not in done.out + done.err


def test_control_characters_of_names_do_not_reach_the_terminal(tarn, repo):
    tarn.ok("fs", "upload", f"{repo}/main/a\x1b[31mred", "-", input="1")
    assert "\x1b" not in tarn.ok("fs", "ls", "-r", f"{repo}/main/").out
    tarn.ok("commit", f"{repo}/main", "-m", "x\x1b[2Jy")
    assert "\x1b" not in tarn.ok("log", f"{repo}/main").out
