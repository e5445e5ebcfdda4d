"""The same requests to lakeFS and to Tarn: the same statuses, and answers of the same shape.

Runs only when PEER_URL, PEER_KEY and PEER_SECRET name a running lakeFS; nothing else of the tests needs one.
"""
import os
import uuid

import pytest
import requests

pytestmark = pytest.mark.skipif("PEER_URL" not in os.environ, reason="no lakeFS given by PEER_URL, PEER_KEY, PEER_SECRET")

R = "/repositories/{repo}"
# (method, path, what else the request has); {repo} is the same fresh name on both sides.
STORY = [
    ("GET", "/setup_lakefs", {}), ("GET", "/config", {}), ("GET", "/config/version", {}), ("GET", "/config/storage", {}),
    ("GET", "/healthcheck", {}), ("GET", "/user", {}), ("GET", "/auth/users", {}), ("GET", "/nope", {}),
    ("POST", "/setup_lakefs", {"json": {"username": "again"}}),
    ("POST", "/repositories", {"json": {"name": "{repo}", "storage_namespace": "local://{repo}"}}),
    ("POST", "/repositories", {"json": {"name": "{repo}", "storage_namespace": "local://{repo}"}}),
    ("POST", "/repositories", {"json": {"name": "{repo}-2", "storage_namespace": "local://{repo}"}}),
    ("POST", "/repositories", {"json": {"name": "No", "storage_namespace": "local://no"}}),
    ("POST", "/repositories", {"json": {"storage_namespace": "local://no"}}), ("POST", "/repositories", {"data": "{bad"}),
    ("GET", "/repositories", {"params": {"prefix": "{repo}"}}), ("GET", R, {}), ("GET", "/repositories/nope", {}), ("GET", R + "/metadata", {}),
    ("GET", R + "/branches", {}), ("POST", R + "/branches", {"json": {"name": "b1", "source": "main"}}),
    ("POST", R + "/branches", {"json": {"name": "b1", "source": "main"}}), ("POST", R + "/branches", {"json": {"name": "b2", "source": "nope"}}),
    ("POST", R + "/branches", {"json": {"name": "-bad", "source": "main"}}), ("POST", R + "/branches", {"json": {"name": "main", "source": "main"}}),
    ("GET", R + "/branches/b1", {}), ("GET", R + "/branches/nope", {}), ("GET", R + "/branches", {"params": {"amount": 1}}),
    ("POST", R + "/branches/b1/objects", {"params": {"path": "a/x"}, "files": {"content": b"form"}}),
    ("POST", R + "/branches/b1/objects", {"params": {"path": "a/y"}, "data": b"raw bytes", "headers": {"Content-Type": "text/csv", "X-Lakefs-Meta-Foo": "Bar"}}),
    ("POST", R + "/branches/b1/objects", {"params": {"path": "a/y"}, "data": b"raw", "headers": {"If-None-Match": "*"}}),
    ("POST", R + "/branches/nope/objects", {"params": {"path": "a/y"}, "data": b"raw"}), ("POST", R + "/branches/b1/objects", {"data": b"raw"}),
    ("GET", R + "/refs/b1/objects", {"params": {"path": "a/y"}}), ("HEAD", R + "/refs/b1/objects", {"params": {"path": "a/y"}}),
    ("GET", R + "/refs/b1/objects", {"params": {"path": "a/y"}, "headers": {"Range": "bytes=2-4"}}),
    ("HEAD", R + "/refs/b1/objects", {"params": {"path": "a/y"}, "headers": {"Range": "bytes=2-4"}}),
    ("GET", R + "/refs/b1/objects", {"params": {"path": "a/y"}, "headers": {"Range": "bytes=50-"}}),
    ("GET", R + "/refs/b1/objects", {"params": {"path": "a/y"}, "headers": {"Range": "bytes=0-1,3-4"}}),
    ("GET", R + "/refs/b1/objects", {"params": {"path": "nope"}}), ("HEAD", R + "/refs/b1/objects", {"params": {"path": "nope"}}),
    ("GET", R + "/refs/nope/objects", {"params": {"path": "a/y"}}),
    ("GET", R + "/refs/b1/objects/stat", {"params": {"path": "a/y"}}), ("GET", R + "/refs/b1/objects/stat", {"params": {"path": "nope"}}),
    ("GET", R + "/refs/b1/objects/ls", {"params": {"delimiter": "/"}}), ("GET", R + "/refs/b1/objects/ls", {"params": {"prefix": "a/", "amount": 1}}),
    ("GET", R + "/refs/nope/objects/ls", {}), ("GET", R + "/branches/b1/diff", {}), ("GET", R + "/branches/nope/diff", {}),
    ("POST", R + "/branches/b1/commits", {"json": {"message": "one", "metadata": {"k": "v"}}}),
    ("POST", R + "/branches/b1/commits", {"json": {"message": "none"}}), ("POST", R + "/branches/b1/commits", {"json": {}}),
    ("POST", R + "/branches/nope/commits", {"json": {"message": "x"}}),
    ("GET", R + "/commits/b1", {}), ("GET", R + "/commits/nope", {}), ("GET", R + "/commits/b1~9", {}), ("GET", R + "/commits/b1^3", {}),
    ("GET", R + "/refs/b1/commits", {}), ("GET", R + "/refs/b1/commits", {"params": {"amount": 1}}), ("GET", R + "/refs/nope/commits", {}),
    ("GET", R + "/refs/b1/commits", {"params": {"objects": ["a/x"]}}), ("GET", R + "/refs/b1/commits", {"params": {"prefixes": ["zzz"]}}),
    ("GET", R + "/refs/main/diff/b1", {}), ("GET", R + "/refs/main/diff/b1", {"params": {"delimiter": "/"}}),
    ("GET", R + "/refs/main/diff/b1", {"params": {"type": "two_dot"}}), ("GET", R + "/refs/main/diff/nope", {}),
    ("GET", R + "/refs/main/diff/b1", {"params": {"include_right_stats": "true"}}),
    ("GET", R + "/refs/b1/merge/main", {}), ("POST", R + "/refs/b1/merge/main", {"json": {}}), ("POST", R + "/refs/b1/merge/main", {"json": {}}),
    ("POST", R + "/refs/b1/merge/b1", {"json": {}}), ("POST", R + "/refs/nope/merge/main", {"json": {}}), ("POST", R + "/refs/b1/merge/nope", {"json": {}}),
    ("POST", R + "/branches/b1/objects", {"params": {"path": "c"}, "data": b"one"}), ("POST", R + "/branches/b1/commits", {"json": {"message": "b c"}}),
    ("POST", R + "/branches/main/objects", {"params": {"path": "c"}, "data": b"two"}), ("POST", R + "/refs/b1/merge/main", {"json": {}}),
    ("POST", R + "/branches/main/commits", {"json": {"message": "m c"}}), ("POST", R + "/refs/b1/merge/main", {"json": {}}),
    ("GET", R + "/refs/main/diff/b1", {}), ("POST", R + "/refs/b1/merge/main", {"json": {"strategy": "nope"}}),
    ("POST", R + "/branches/main/revert", {"json": {"ref": "main", "parent_number": 0}}), ("POST", R + "/branches/main/revert", {"json": {"ref": "main~1", "parent_number": 0}}),
    ("POST", R + "/branches/main/revert", {"json": {"ref": "nope", "parent_number": 0}}), ("POST", R + "/branches/main/revert", {"json": {"ref": "main~2", "parent_number": 0}}),
    ("POST", R + "/branches/main/cherry-pick", {"json": {"ref": "b1"}}), ("POST", R + "/branches/main/cherry-pick", {"json": {"ref": "nope"}}),
    ("GET", R + "/refs/main/commits", {}),
    ("POST", R + "/branches/b1/objects/delete", {"json": {"paths": ["c", "nope"]}}), ("DELETE", R + "/branches/b1/objects", {"params": {"path": "nope"}}),
    ("POST", R + "/branches/b1/objects/copy", {"params": {"dest_path": "d"}, "json": {"src_path": "a/y"}}),
    ("POST", R + "/branches/b1/objects/copy", {"params": {"dest_path": "d"}, "json": {"src_path": "nope"}}),
    ("PUT", R + "/branches/b1/objects/stat/user_metadata", {"params": {"path": "d"}, "json": {"set": {"q": "1"}}}),
    ("GET", R + "/refs/b1/objects/underlyingProperties", {"params": {"path": "d"}}),
    ("PUT", R + "/branches/b1", {"json": {"type": "object", "path": "d"}}), ("PUT", R + "/branches/b1/hard_reset", {"params": {"ref": "main"}}),
    ("PUT", R + "/branches/b1", {"json": {"type": "reset"}}), ("PUT", R + "/branches/b1", {"json": {"type": "nope"}}),
    ("PUT", R + "/branches/b1/hard_reset", {"params": {"ref": "main"}}), ("PUT", R + "/branches/b1/hard_reset", {"params": {"ref": "nope"}}),
    ("POST", R + "/tags", {"json": {"id": "v1", "ref": "main"}}), ("POST", R + "/tags", {"json": {"id": "v1", "ref": "main"}}),
    ("POST", R + "/tags", {"json": {"id": "v2", "ref": "nope"}}), ("POST", R + "/tags", {"json": {"id": "v..2", "ref": "main"}}),
    ("GET", R + "/tags", {}), ("GET", R + "/tags/v1", {}), ("GET", R + "/tags/nope", {}), ("DELETE", R + "/tags/v1", {}), ("DELETE", R + "/tags/v1", {}),
    ("GET", R + "/settings/branch_protection", {}), ("PUT", R + "/settings/branch_protection", {"json": [{"pattern": "main"}], "headers": {"If-Match": "x"}}),
    ("PUT", R + "/settings/branch_protection", {"json": [{"pattern": "locked"}]}), ("GET", R + "/settings/branch_protection", {}), ("GET", R + "/branch_protection", {}),
    ("DELETE", R + "/branches/main", {}), ("DELETE", R + "/branches/b1", {}), ("DELETE", R + "/branches/b1", {}),
    ("GET", R + "/branches/main/import", {"params": {"id": "nope"}}), ("DELETE", R + "/branches/main/import", {"params": {"id": "nope"}}),
    ("POST", R + "/branches/main/import", {"json": {"paths": [], "commit": {"message": "x"}}}),
    ("DELETE", R, {}), ("DELETE", R, {}),
]
# Where Tarn answers otherwise on purpose; docs/compatibility.md says so.
DELIBERATE = {
    ("GET", "/refs/b1/objects/ls"): "empty metadata is shown, not left out",
    ("GET", "/commits/b1^3"): "400, not 500",
    ("PUT", "/branches/b1/hard_reset"): "a dirty branch is not reset: staged changes would be lost without a word",
    ("POST", "/branches/main/import"): "an import of nothing is refused",
}
# Members that Tarn adds, or that differ by nature.
EXTRA = {"login_cookie_names", "admin", "writable_repositories", "conflicts", "conflicts_total", "message"}
OPEN_MAPS = {"metadata", "ui_config", "capabilities_config"}


def shape(value, key=""):
    if isinstance(value, dict):
        return "map" if key in OPEN_MAPS else {k: shape(v, k) for k, v in sorted(value.items()) if k not in EXTRA}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return type(value).__name__


def told(answer):
    """What must agree: status, content type, the JSON's shape."""
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    if kind == "application/json" and answer.text:
        return answer.status_code, kind, shape(answer.json())
    return answer.status_code, kind if answer.content else "", answer.text if len(answer.text) < 50 else len(answer.text)


def fill(value, repo):
    if isinstance(value, str):
        return value.replace("{repo}", repo)
    if isinstance(value, dict):
        return {k: fill(v, repo) for k, v in value.items()}
    return [fill(v, repo) for v in value] if isinstance(value, list) else value


def test_both_answer_alike(server):
    repo = "peer-" + uuid.uuid4().hex[:8]
    pair = (os.environ["PEER_KEY"], os.environ["PEER_SECRET"])
    different = []
    for method, path, more in STORY:
        path, more = fill(path, repo), fill(more, repo)
        theirs = requests.request(method, os.environ["PEER_URL"] + "/api/v1" + path, auth=pair, timeout=30, **more)
        ours = server.api(method, path, **more)
        if told(theirs) != told(ours) and (method, path.removeprefix(f"/repositories/{repo}")) not in DELIBERATE:
            different.append(f"{method} {path} {more}\n  theirs {told(theirs)} {theirs.text[:200]}\n  ours   {told(ours)} {ours.text[:200]}")
    assert not different, "\n".join(different)
