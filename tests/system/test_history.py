"""Branches, tags, commits, diffs, merges, reverts."""
import datetime

import lakefs
import lakefs_sdk
import pytest
from lakefs_sdk.exceptions import ApiException


def write(branch, **files):
    for path, text in files.items():
        if text is None:
            branch.object(path).delete()
        else:
            branch.object(path).upload(text.encode())
    return branch.commit("wrote " + ",".join(files)).get_commit()


def text_of(ref, path):
    with ref.object(path).reader(mode="r") as reader:
        return reader.read()


def changes(ref, other, **more):
    return [(c.type, c.path) for c in ref.diff(other, **more)]


def test_branches_come_and_go(server, sdk, repo, name):
    main = repo.branch("main")
    head = main.get_commit().id
    answer = server.api("POST", f"/repositories/{name}/branches", json={"name": "one", "source": "main"})
    assert answer.status_code == 201 and answer.text == head and answer.headers["Content-Type"].startswith("text/plain")
    assert sdk.branches_api.get_branch(name, "one").commit_id == head
    assert server.api("POST", f"/repositories/{name}/branches", json={"name": "one", "source": "main"}).status_code == 409
    assert server.api("POST", f"/repositories/{name}/branches", json={"name": "two", "source": "nope"}).status_code == 404
    for bad in ["-x", "a b", "a/b", ""]:
        assert server.api("POST", f"/repositories/{name}/branches", json={"name": bad, "source": "main"}).status_code == 400
    repo.branch("zwei").create("one")
    sdk.branches_api.create_branch(name, lakefs_sdk.BranchCreation(name="secret", source="main", hidden=True))
    assert [b.id for b in repo.branches()] == ["main", "one", "zwei"]
    page = sdk.branches_api.list_branches(name, amount=2)
    assert page.pagination.has_more and page.pagination.next_offset == "one"
    assert [b.id for b in sdk.branches_api.list_branches(name, show_hidden=True).results] == ["main", "one", "secret", "zwei"]
    repo.branch("one").delete()
    assert server.api("GET", f"/repositories/{name}/branches/one").status_code == 404
    assert server.api("DELETE", f"/repositories/{name}/branches/one").status_code == 404
    assert server.api("DELETE", f"/repositories/{name}/branches/main").status_code == 403


def test_tags_are_fixed_unless_forced(server, sdk, repo, name):
    first = repo.branch("main").get_commit().id
    tag = repo.tag("v1").create("main")
    assert tag.get_commit().id == first
    assert server.api("POST", f"/repositories/{name}/tags", json={"id": "v1", "ref": "main"}).status_code == 409
    second = write(repo.branch("main"), a="1").id
    assert repo.tag("v1").get_commit().id == first
    sdk.tags_api.create_tag(name, lakefs_sdk.TagCreation(id="v1", ref="main", force=True))
    assert sdk.tags_api.get_tag(name, "v1").commit_id == second
    assert [t.id for t in repo.tags()] == ["v1"]
    assert server.api("POST", f"/repositories/{name}/tags", json={"id": "v..2", "ref": "main"}).status_code == 400
    assert server.api("POST", f"/repositories/{name}/tags", json={"id": "v2", "ref": "nope"}).status_code == 404
    tag.delete()
    assert server.api("GET", f"/repositories/{name}/tags/v1").status_code == 404
    assert server.api("DELETE", f"/repositories/{name}/tags/v1").status_code == 404
    for reserved in ("pub--orders.1--v000001", "fail--INC-1"):
        refused = server.api("POST", f"/repositories/{name}/tags", json={"id": reserved, "ref": "main", "force": True})
        assert refused.status_code == 403 and "never change" in refused.json()["message"]
        assert server.api("DELETE", f"/repositories/{name}/tags/{reserved}").status_code == 403


def test_a_commit_carries_what_it_was_given(server, sdk, repo, name):
    main = repo.branch("main")
    parent = main.get_commit().id
    main.object("a").upload(b"1")
    assert [(c.type, c.path, c.size_bytes) for c in main.uncommitted()] == [("added", "a", 1)]
    made = sdk.commits_api.commit(name, "main", lakefs_sdk.CommitCreation(message="hi", metadata={"k": "v"}, date=1_000_000_000))
    assert made.message == "hi" and made.metadata == {"k": "v"} and made.creation_date == 1_000_000_000
    assert made.committer == "admin" and made.parents == [parent] and made.generation == 2 and len(made.id) == 64
    assert list(main.uncommitted()) == []
    for ref in [made.id, made.id[:12], "main", "main@", "main~0"]:
        assert sdk.commits_api.get_commit(name, ref).id == made.id
    assert sdk.commits_api.get_commit(name, "main~1").id == parent
    refused = server.api("POST", f"/repositories/{name}/branches/main/commits", json={"message": "none"})
    assert refused.status_code == 400 and "no changes" in refused.json()["message"]
    assert server.api("POST", f"/repositories/{name}/branches/main/commits", json={"message": "none", "allow_empty": True}).status_code == 201
    assert server.api("POST", f"/repositories/{name}/branches/main/commits", json={}).status_code == 400
    assert server.api("POST", f"/repositories/{name}/branches/nope/commits", json={"message": "x"}).status_code == 404
    assert server.api("GET", f"/repositories/{name}/commits/main~9").status_code == 404


def test_the_log_filters(sdk, repo, name):
    main = repo.branch("main")
    ids = [write(main, **{path: path}).id for path in ["a", "b_1", "b_2", "c"]]
    log = lambda **more: [c.id for c in sdk.refs_api.log_commits(name, "main", **more).results]
    newest_first = ids[::-1]
    assert log()[:4] == newest_first and len(log()) == 5
    page = sdk.refs_api.log_commits(name, "main", amount=2)
    assert [c.id for c in page.results] == newest_first[:2] and page.pagination.has_more
    assert log(after=page.pagination.next_offset)[:2] == newest_first[2:]
    assert log(objects=["a"]) == [ids[0]]
    assert log(prefixes=["b_"]) == [ids[2], ids[1]]
    assert log(objects=["a"], prefixes=["c"]) == [ids[3], ids[0]]
    assert log(stop_at=ids[2]) == [ids[3], ids[2]]
    assert log(first_parent=True)[:4] == newest_first
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    assert log(since=tomorrow) == []
    assert [c.message for c in main.log(max_amount=1)] == ["wrote c"]


def test_two_dot_and_three_dot_diffs(sdk, repo, name):
    main = repo.branch("main")
    write(main, a="1", **{"d": "1"})
    work = repo.branch("work").create("main")
    write(work, a="2", b="1", d=None)
    write(main, c="1")
    assert changes(main, "work") == [("changed", "a"), ("added", "b"), ("removed", "d")]
    two = sdk.refs_api.diff_refs(name, "main", "work", type="two_dot").results
    assert [(d.type, d.path) for d in two] == [("changed", "a"), ("added", "b"), ("removed", "c"), ("removed", "d")]
    page = sdk.refs_api.diff_refs(name, "main", "work", amount=1)
    assert page.pagination.has_more and page.pagination.next_offset == "a"
    assert [d.path for d in sdk.refs_api.diff_refs(name, "main", "work", after="a").results] == ["b", "d"]
    right = sdk.refs_api.diff_refs(name, "main", "work", include_right_stats=True).results[0].right
    assert right.checksum and right.content_type == "application/octet-stream"
    write(main, a="3")
    assert ("conflict", "a") in changes(main, "work")
    with pytest.raises(ApiException) as refused:
        sdk.refs_api.diff_refs(name, "main", "work", type="one_dot")
    assert refused.value.status == 400


def test_diffs_fold_at_a_delimiter(sdk, repo, name):
    work = repo.branch("work").create("main")
    for path in ["x/1", "x/2", "y"]:
        work.object(path).upload(b"1")
    assert [(d.type, d.path) for d in sdk.branches_api.diff_branch(name, "work", delimiter="/").results] == [("prefix_changed", "x/"), ("added", "y")]
    assert [d.path for d in sdk.branches_api.diff_branch(name, "work", prefix="x/").results] == ["x/1", "x/2"]
    work.commit("three")
    found = sdk.refs_api.diff_refs(name, "main", "work", delimiter="/").results
    assert [(d.type, d.path, d.path_type) for d in found] == [("prefix_changed", "x/", "common_prefix"), ("added", "y", "object")]


def test_a_merge_brings_the_changes_and_names_both_parents(sdk, repo, name):
    main = repo.branch("main")
    write(main, a="1")
    work = repo.branch("work").create("main")
    theirs = write(work, b="1").id
    ours = write(main, c="1").id
    base = sdk.refs_api.find_merge_base(name, "work", "main")
    assert (base.source_commit_id, base.destination_commit_id) == (theirs, ours)
    reference = work.merge_into("main", message="together", metadata={"k": "v"})
    made = repo.ref(reference).get_commit()
    assert made.parents == [ours, theirs] and made.message == "together"
    assert made.metadata == {"k": "v", ".lakefs.merge.strategy": "default"}
    assert [o.path for o in main.objects()] == ["a", "b", "c"]
    with pytest.raises(lakefs.exceptions.BadRequestException):
        work.merge_into("main")
    default = sdk.refs_api.merge_into_branch(name, "main", "work")
    assert repo.ref(default.reference).get_commit().message == "Merge 'main' into 'work'"


def test_a_conflict_is_told_path_by_path(server, repo, name):
    main = repo.branch("main")
    write(main, a="0", b="0", c="0")
    work = repo.branch("work").create("main")
    write(work, a="1", b=None, d="1")
    before = write(main, a="2", b="2").id
    answer = server.api("POST", f"/repositories/{name}/refs/work/merge/main", json={})
    assert answer.status_code == 409
    assert answer.json()["reference"] == "" and "a, b" in answer.json()["message"]
    assert answer.json()["conflicts"] == [
        {"path": "a", "source": "changed", "destination": "changed"}, {"path": "b", "source": "removed", "destination": "changed"}]
    assert main.get_commit().id == before
    with pytest.raises(lakefs.exceptions.ConflictException):
        work.merge_into("main")
    work.merge_into("main", strategy="source-wins")
    assert text_of(main, "a") == "1" and not main.object("b").exists() and text_of(main, "d") == "1"


def test_conflicts_come_in_pages_and_classes_of_paths_decide(server, repo, name):
    main = repo.branch("main")
    paths = [f"p/{number:02}" for number in range(12)] + ["q"]
    write(main, **{path: "0" for path in paths})
    side = repo.branch("side").create("main")
    write(side, **{path: "1" for path in paths})
    write(main, **{path: "2" for path in paths})
    merge = f"/repositories/{name}/refs/side/merge/main"
    found, after = [], ""
    while True:
        page = server.api("GET", f"{merge}/conflicts", params={"amount": 5, "after": after}).json()
        found += [conflict["path"] for conflict in page["results"]]
        after = page["pagination"]["next_offset"]
        if not page["pagination"]["has_more"]:
            break
    assert found == paths
    refused = server.api("POST", merge, json={"path_strategies": [{"paths": "p/", "strategy": "source-wins"}]})
    assert refused.status_code == 409 and refused.json()["conflicts_total"] == 1 and refused.json()["conflicts"][0]["path"] == "q"
    for wrong in ({"paths": "p/", "strategy": "mine"}, {"strategy": "source-wins"}, "p/"):
        assert server.api("POST", merge, json={"path_strategies": [wrong]}).status_code == 400
    decided = server.api("POST", merge, json={"path_strategies": [{"paths": "p/", "strategy": "source-wins"}, {"paths": "*", "strategy": "dest-wins"}]})
    assert decided.status_code == 200
    assert text_of(main, "p/00") == "1" and text_of(main, "q") == "2"
    assert server.api("GET", f"{merge}/conflicts").json()["results"] == []


def test_strategies_squash_and_dirt(server, sdk, repo, name):
    main = repo.branch("main")
    write(main, a="0")
    work = repo.branch("work").create("main")
    write(work, a="1")
    ours = write(main, a="2").id
    main.object("dirt").upload(b"1")
    dirty = server.api("POST", f"/repositories/{name}/refs/work/merge/main", json={"strategy": "dest-wins"})
    assert dirty.status_code == 400 and "uncommitted" in dirty.json()["message"]
    main.reset_changes(path_type="reset")
    assert server.api("POST", f"/repositories/{name}/refs/work/merge/main", json={"strategy": "best"}).status_code == 400
    merged = sdk.refs_api.merge_into_branch(name, "work", "main", lakefs_sdk.Merge(strategy="dest-wins", squash_merge=True, allow_empty=True))
    commit = repo.ref(merged.reference).get_commit()
    assert commit.parents == [ours] and text_of(main, "a") == "2"


def test_revert_undoes_one_commit(server, repo, name):
    main = repo.branch("main")
    write(main, a="1")
    bad = write(main, b="1").id
    write(main, c="1")
    main.revert(bad)
    assert [o.path for o in main.objects()] == ["a", "c"]
    assert main.get_commit().message == f"Revert {bad}"
    again = server.api("POST", f"/repositories/{name}/branches/main/revert", json={"ref": bad, "parent_number": 0})
    assert again.status_code == 400
    write(main, c="2")
    conflict = server.api("POST", f"/repositories/{name}/branches/main/revert", json={"ref": "main~2", "parent_number": 0})
    assert conflict.status_code in (400, 409)
    assert server.api("POST", f"/repositories/{name}/branches/main/revert", json={"ref": "main"}).status_code == 400


def test_a_revert_that_meets_later_changes_is_a_conflict(server, repo, name):
    main = repo.branch("main")
    write(main, a="1")
    first = write(main, a="2").id
    write(main, a="3")
    answer = server.api("POST", f"/repositories/{name}/branches/main/revert", json={"ref": first, "parent_number": 0})
    assert answer.status_code == 409 and "a" in answer.json()["message"]
    assert text_of(main, "a") == "3"


def test_cherry_pick_takes_one_commit(repo, client):
    main = repo.branch("main")
    work = repo.branch("work").create("main")
    write(work, a="1")
    picked = write(work, b="1")
    made = main.cherry_pick(picked.id)
    assert [o.path for o in main.objects()] == ["b"]
    assert made.message == picked.message and made.metadata["cherry-pick-origin"] == picked.id
    with pytest.raises(lakefs.exceptions.NotFoundException):
        main.cherry_pick("nope")


def test_reset_drops_what_is_staged(server, repo, name):
    main = repo.branch("main")
    write(main, kept="1")
    for path in ["a", "p/1", "p/2", "q"]:
        main.object(path).upload(b"1")
    main.reset_changes(path_type="object", path="a")
    assert [o.path for o in main.objects()] == ["kept", "p/1", "p/2", "q"]
    main.reset_changes(path_type="common_prefix", path="p/")
    assert [o.path for o in main.objects()] == ["kept", "q"]
    main.reset_changes(path_type="reset")
    assert [o.path for o in main.objects()] == ["kept"]
    assert server.api("PUT", f"/repositories/{name}/branches/main", json={"type": "all"}).status_code == 400
    assert server.api("PUT", f"/repositories/{name}/branches/main", json={"type": "object"}).status_code == 400


def test_hard_reset_moves_a_clean_branch(server, repo, name):
    main = repo.branch("main")
    first = write(main, a="1").id
    write(main, b="1")
    main.object("dirt").upload(b"1")
    path = f"/repositories/{name}/branches/main/hard_reset"
    assert server.api("PUT", path, params={"ref": first}).status_code == 400
    main.reset_changes(path_type="reset")
    assert server.api("PUT", path, params={"ref": first}).status_code == 204
    assert main.get_commit().id == first and [o.path for o in main.objects()] == ["a"]
    assert server.api("PUT", path, params={"ref": "nope"}).status_code == 404
    assert server.api("PUT", path).status_code == 400


def test_a_transaction_of_the_client_lands_whole(repo):
    with repo.branch("main").transact(commit_message="both") as work:
        work.object("x").upload(b"1")
        work.object("y").upload(b"2")
    assert sorted(o.path for o in repo.branch("main").objects()) == ["x", "y"]
    with pytest.raises(RuntimeError):
        with repo.branch("main").transact(commit_message="never") as work:
            work.object("z").upload(b"1")
            raise RuntimeError("changed my mind")
    assert not repo.branch("main").object("z").exists()
