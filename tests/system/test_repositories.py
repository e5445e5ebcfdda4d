import lakefs
import lakefs_sdk
import pytest
from lakefs_sdk.exceptions import ApiException, BadRequestException, NotFoundException


def test_a_repository_begins_with_one_commit_on_its_default_branch(client, sdk, name):
    repo = lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}", default_branch="trunk")
    assert repo.properties.default_branch == "trunk" and repo.properties.storage_namespace == f"local://{name}"
    commits = list(repo.branch("trunk").log())
    assert [c.message for c in commits] == ["Repository created"] and commits[0].parents == []
    found = sdk.repositories_api.get_repository(name)
    assert found.id == name and found.creation_date > 1.6e9 and found.read_only is False


def test_names_and_namespaces_are_taken_once(client, repo, name):
    with pytest.raises(lakefs.exceptions.ConflictException):
        lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}-other")
    lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}", exist_ok=True)
    with pytest.raises(lakefs.exceptions.BadRequestException):
        lakefs.Repository(name + "-b", client=client).create(storage_namespace=f"local://{name}")


@pytest.mark.parametrize("body", [
    {"name": "No", "storage_namespace": "local://no"},
    {"name": "ab", "storage_namespace": "local://no"},
    {"name": "good-name"},
    {"name": "good-name", "storage_namespace": "nonsense"},
    {"name": "good-name", "storage_namespace": "local://../up"},
    {"name": "good-name", "storage_namespace": "local://x", "storage_id": "other"},
])
def test_bad_names_are_refused(server, body):
    answer = server.api("POST", "/repositories", json=body)
    assert answer.status_code == 400 and answer.json()["message"]
    assert server.api("GET", "/repositories/good-name").status_code == 404


def test_listing_pages_and_searches(client, sdk, name):
    names = [f"{name}-{c}" for c in "abcde"]
    for n in names:
        lakefs.Repository(n, client=client).create(storage_namespace=f"local://{n}")
    first = sdk.repositories_api.list_repositories(prefix=f"{name}-", amount=2)
    assert [r.id for r in first.results] == names[:2]
    assert first.pagination.has_more and first.pagination.next_offset == names[1] and first.pagination.results == 2
    rest = sdk.repositories_api.list_repositories(prefix=f"{name}-", after=first.pagination.next_offset)
    assert [r.id for r in rest.results] == names[2:] and not rest.pagination.has_more
    assert [r.id for r in lakefs.repositories(client=client, prefix=f"{name}-", max_amount=10)] == names
    assert [r.id for r in sdk.repositories_api.list_repositories(search=f"{name[1:]}-c").results] == [names[2]]


def test_deletion_frees_the_name(client, sdk, repo, name):
    repo.branch("main").object("a").upload(b"1")
    repo.delete()
    with pytest.raises(NotFoundException):
        sdk.repositories_api.get_repository(name)
    with pytest.raises(NotFoundException):
        sdk.repositories_api.delete_repository(name)
    again = lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}-2")
    assert list(again.branch("main").objects()) == []


def test_metadata_is_merged_and_taken_away(sdk, repo, name):
    sdk.internal_api.set_repository_metadata(name, lakefs_sdk.RepositoryMetadataSet(metadata={"a": "1", "b": "2"}))
    sdk.internal_api.set_repository_metadata(name, lakefs_sdk.RepositoryMetadataSet(metadata={"b": "3"}))
    assert sdk.repositories_api.get_repository_metadata(name) == {"a": "1", "b": "3"}
    sdk.internal_api.delete_repository_metadata(name, lakefs_sdk.RepositoryMetadataKeys(keys=["a"]))
    assert sdk.repositories_api.get_repository_metadata(name) == {"b": "3"}


def test_a_read_only_repository_takes_no_writes(server, client, sdk, name):
    sdk.repositories_api.create_repository(lakefs_sdk.RepositoryCreation(name=name, storage_namespace=f"local://{name}", read_only=True))
    refused = server.api("POST", f"/repositories/{name}/branches/main/objects", params={"path": "a"}, data=b"1")
    assert refused.status_code == 403
    assert server.api("DELETE", f"/repositories/{name}").status_code == 403
    assert server.api("DELETE", f"/repositories/{name}", params={"force": "true"}).status_code == 204


def test_protection_rules_carry_an_etag(server, sdk, repo, name):
    path = f"/repositories/{name}/settings/branch_protection"
    first = server.api("GET", path)
    assert first.json() == [] and first.headers["ETag"] == ""
    rules = [{"pattern": "main"}, {"pattern": "prod-*"}]
    assert server.api("PUT", path, json=rules, headers={"If-Match": ""}).status_code == 204
    second = server.api("GET", path)
    assert second.json() == rules and second.headers["ETag"]
    assert server.api("PUT", path, json=[], headers={"If-Match": "stale"}).status_code == 412
    assert server.api("PUT", path, json=[], headers={"If-Match": ""}).status_code == 412
    assert server.api("PUT", path, json=[{"pattern": "x"}], headers={"If-Match": second.headers["ETag"]}).status_code == 204
    assert [r.pattern for r in sdk.repositories_api.get_branch_protection_rules(name)] == ["x"]
    sdk.repositories_api.set_branch_protection_rules(name, [lakefs_sdk.BranchProtectionRule(pattern="y")])
    old = f"/repositories/{name}/branch_protection"
    assert server.api("POST", old, json={"pattern": "z"}).status_code == 204
    assert [r["pattern"] for r in server.api("GET", old).json()] == ["y", "z"]
    assert server.api("DELETE", old, json={"pattern": "y"}).status_code == 204
    assert server.api("DELETE", old, json={"pattern": "y"}).status_code == 404
    assert server.api("PUT", path, json=[{"pattern": ""}]).status_code == 400


def test_a_protected_branch_takes_merges_only(client, sdk, repo, name):
    sdk.repositories_api.set_branch_protection_rules(name, [lakefs_sdk.BranchProtectionRule(pattern="main")])
    with pytest.raises(lakefs.exceptions.ForbiddenException):
        repo.branch("main").object("a").upload(b"1")
    with pytest.raises(ApiException) as refused:
        sdk.commits_api.commit(name, "main", lakefs_sdk.CommitCreation(message="x", allow_empty=True))
    assert refused.value.status == 403
    work = repo.branch("work").create("main")
    work.object("a").upload(b"1")
    work.commit("one")
    work.merge_into("main")
    assert repo.ref("main").object("a").reader(mode="rb").read() == b"1"
    errors = sdk.objects_api.delete_objects(name, "main", lakefs_sdk.PathList(paths=["a"])).errors
    assert [(e.path, e.status_code) for e in errors] == [("a", 403)]
    assert repo.branch("main").object("a").exists()


def test_users_write_where_granted(server, client, repo, name):
    user = f"user-of-{name}"
    server.api("POST", "/auth/users", json={"id": user, "writable_repositories": [name]})
    keys = server.api("POST", f"/auth/users/{user}/credentials").json()
    pair = (keys["access_key_id"], keys["secret_access_key"])
    put = {"params": {"path": "a"}, "data": b"1", "auth": pair}
    assert server.api("POST", f"/repositories/{name}/branches/main/objects", **put).status_code == 201
    lakefs.Repository(name + "-other", client=client).create(storage_namespace=f"local://{name}-other")
    denied = server.api("POST", f"/repositories/{name}-other/branches/main/objects", **put)
    assert denied.status_code == 401 and "insufficient permissions" in denied.json()["message"]
    assert server.api("GET", f"/repositories/{name}-other", auth=pair).status_code == 200
    assert server.api("POST", "/repositories", auth=pair, json={"name": name + "-z", "storage_namespace": f"local://{name}-z"}).status_code == 401
    commit = server.api("POST", f"/repositories/{name}/branches/main/commits", auth=pair, json={"message": "m"})
    assert commit.json()["committer"] == user
