"""Sign-in, users and keys, and who may do what."""
import lakefs_sdk
import pytest
from server import KEY, SECRET


def test_wrong_credentials_are_401(server):
    for auth in [None, (KEY, "wrong"), ("AKIAJNOBODYNOBODYNOQ", SECRET), ("", "")]:
        answer = server.api("GET", "/user", auth=auth)
        assert answer.status_code == 401 and answer.json()["message"].startswith("error authenticating request")
    assert server.api("GET", "/user", auth=None, headers={"Authorization": "Basic %%%"}).status_code == 401


def test_a_login_token_stands_for_the_key(server, sdk):
    token = sdk.auth_api.login(lakefs_sdk.LoginInformation(access_key_id=KEY, secret_access_key=SECRET))
    answer = server.api("GET", "/user", auth=None, headers={"Authorization": f"Bearer {token.token}"})
    assert answer.json()["user"]["id"] == "admin"
    assert server.api("GET", "/user", auth=None, headers={"Authorization": f"Bearer {token.token}x"}).status_code == 401


def test_every_answer_has_a_request_id_and_unknown_paths_are_404(server):
    answer = server.api("GET", "/nothing")
    assert answer.status_code == 404 and answer.json()["message"] == "invalid API endpoint"
    assert answer.headers["X-Request-ID"]


def test_what_is_not_served_says_why(server):
    answer = server.api("GET", "/repositories/some/pulls")
    assert answer.status_code == 501 and "not supported" in answer.json()["message"]
    assert server.api("GET", "/repositories/some/pulls", auth=None).status_code == 401


@pytest.mark.parametrize("method, call", [("GET", ""), ("HEAD", ""), ("GET", "/stat"), ("GET", "/ls")])
def test_presigned_addresses_are_not_supported_anywhere(server, repo, name, method, call):
    repo.branch("main").object("a").upload(b"1")
    answer = server.api(method, f"/repositories/{name}/refs/main/objects{call}", params={"path": "a", "presign": "true"})
    assert answer.status_code == 501
    assert method == "HEAD" or "presign=true is not supported" in answer.json()["message"] and "leave presign out" in answer.json()["message"]
    assert server.api(method, f"/repositories/{name}/refs/main/objects{call}", params={"path": "a", "presign": "false"}).status_code == 200


def test_packed_bodies_are_415(server, repo, name):
    for path, more in [("/auth/users", {}), (f"/repositories/{name}/branches/main/objects", {"params": {"path": "a"}})]:
        answer = server.api("POST", path, data=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}, **more)
        assert answer.status_code == 415 and "Content-Encoding gzip" in answer.json()["message"]
    assert list(repo.branch("main").objects()) == []


def test_config_reads_as_the_sdk_expects(sdk, client):
    config = sdk.config_api.get_config()
    assert config.storage_config.blockstore_type == "local" and not config.storage_config.pre_sign_support
    assert client.version == config.version_config.version


def test_bodies_are_limited_and_checked(server):
    assert server.api("POST", "/auth/users", data="{bad").status_code == 400
    assert server.api("POST", "/auth/users", json={"id": 5}).status_code == 400
    assert server.api("POST", "/auth/users", json={"id": "a b"}).status_code == 400
    big = server.api("POST", "/auth/users", data='{"id": "' + "x" * (9 << 20) + '"}')
    assert big.status_code == 413


@pytest.fixture
def writer(server, name):
    """A user that may write one repository."""
    made = server.api("POST", "/auth/users", json={"id": f"user-of-{name}", "writable_repositories": [name]})
    assert made.status_code == 201
    keys = server.api("POST", f"/auth/users/user-of-{name}/credentials")
    assert keys.status_code == 201
    return keys.json()["access_key_id"], keys.json()["secret_access_key"]


def test_users_come_and_go_with_their_keys(server, sdk, writer, name):
    user = f"user-of-{name}"
    assert server.api("GET", "/user", auth=writer).json()["user"]["id"] == user
    assert user in [u.id for u in sdk.auth_api.list_users(amount=1000).results]
    assert server.api("POST", "/auth/users", json={"id": user}).status_code == 409
    assert [c.access_key_id for c in sdk.auth_api.list_user_credentials(user).results] == [writer[0]]
    assert server.api("GET", "/auth/users", auth=writer).status_code == 401
    assert server.api("POST", "/auth/users", json={"id": "x"}, auth=writer).status_code == 401
    assert server.api("DELETE", f"/auth/users/{user}").status_code == 204
    assert server.api("GET", "/user", auth=writer).status_code == 401
    assert server.api("GET", f"/auth/users/{user}").status_code == 404


def test_the_last_administrator_stays(server):
    assert server.api("DELETE", "/auth/users/admin").status_code == 403
