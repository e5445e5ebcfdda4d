"""Which server, as whom: flags, variables, the profile, lakectl's file; and what is said when it does not work."""
import json
import socket

import pytest
from shell import KEY, SECRET, Server, Tarn


def test_setup_keeps_the_keys_for_their_owner_only_and_happens_once(tmp_path):
    server = Server(tmp_path / "data", keys=False).start()
    try:
        tarn = Tarn(tmp_path, server.url, key=None)
        assert tarn("whoami").code == 1
        done = tarn.ok("setup", "--user", "me")
        assert "secret access key" in done.out and "profile 'default'" in done.err
        file = tmp_path / ".config" / "tarn" / "config.yaml"
        assert file.stat().st_mode & 0o777 == 0o600
        # Now no variable is needed, not even the address.
        bare = Tarn(tmp_path, key=None)
        assert json.loads(bare.ok("whoami", "--json").out)["user"]["id"] == "me"
        again = tarn("setup")
        assert again.code == 1 and "already set up" in again.err
    finally:
        server.stop()


def test_setup_with_given_keys_and_without_a_trace(tmp_path):
    server = Server(tmp_path / "data", keys=False).start()
    try:
        tarn = Tarn(tmp_path, server.url, key=None)
        answer = json.loads(tarn.ok("setup", "--no-save", "--json", "--access-key-id", KEY, "--secret", SECRET).out)
        assert answer["access_key_id"] == KEY
        assert not (tmp_path / ".config").exists()
        assert tarn("whoami").code == 1
        assert tarn.ok("whoami", "--access-key-id", KEY, "--secret", SECRET).out.startswith("user")
    finally:
        server.stop()


def test_setup_does_not_replace_the_keys_of_another_server(tmp_path):
    folder = tmp_path / ".config" / "tarn"
    folder.mkdir(parents=True)
    kept = "profiles:\n  default: {server: http://127.0.0.1:2, access_key_id: X, secret_access_key: Y}\n"
    (folder / "config.yaml").write_text(kept)
    done = Tarn(tmp_path, "http://127.0.0.1:1", key=None)("setup")
    assert done.code == 2 and "http://127.0.0.1:2" in done.err and "--profile" in done.err
    assert (folder / "config.yaml").read_text() == kept


def test_the_keys_of_a_profile_go_to_its_own_server_only(server, tmp_path):
    folder = tmp_path / ".config" / "tarn"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        f"profiles:\n  default: {{server: 'http://127.0.0.1:1', access_key_id: {KEY}, secret_access_key: '{SECRET}'}}\n"
        f"  here: {{server: '{server.url}', access_key_id: {KEY}, secret_access_key: '{SECRET}'}}\n")
    tarn = Tarn(tmp_path, key=None)
    assert "no credentials" in tarn("whoami", "--server", server.url).err
    assert tarn.ok("whoami", "--profile", "here")
    assert tarn.ok("whoami", env={"TARN_PROFILE": "here"})
    assert tarn.ok("whoami", "--server", server.url, "--profile", "default")  # asked for by name
    assert "no profile 'nowhere'" in tarn("whoami", "--profile", "nowhere").err


def test_lakectl_files_and_variables_are_understood(server, tmp_path):
    (tmp_path / ".lakectl.yaml").write_text(
        f"credentials:\n  access_key_id: {KEY}\n  secret_access_key: {SECRET}\nserver:\n  endpoint_url: {server.url}/api/v1\n")
    assert Tarn(tmp_path, key=None).ok("whoami")
    (tmp_path / ".lakectl.yaml").unlink()
    assert Tarn(tmp_path, key=None).ok("whoami", env={
        "LAKECTL_SERVER_ENDPOINT_URL": server.url, "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": KEY,
        "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": SECRET})


def test_flags_win_over_variables(server, tmp_path):
    tarn = Tarn(tmp_path, "http://127.0.0.1:1", "AKIAJNOBODYNOBODYNOQ", "x")
    assert tarn.ok("whoami", "--server", server.url, "--access-key-id", KEY, "--secret", SECRET)
    assert tarn.ok("whoami", "--server", server.url.removeprefix("http://"), "--access-key-id", KEY, "--secret", SECRET)


def test_wrong_credentials_name_the_key_and_where_it_came_from(server, tmp_path):
    done = Tarn(tmp_path, server.url, "AKIAJNOBODYNOBODYNOQ", "wrong")("repo", "list")
    assert done.code == 1
    assert "error authenticating request" in done.err
    assert "AKIAJNOBODYNOBODYNOQ came from TARN_ACCESS_KEY_ID" in done.err and "wrong" not in done.err.replace("wrong secret", "")


def test_no_server_is_said_with_its_address(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    done = Tarn(tmp_path, url)("repo", "list")
    assert done.code == 4 and url in done.err and "tarn serve" in done.err


def test_a_broken_profile_is_named(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("profiles: [\n")
    done = Tarn(tmp_path, key=None)("repo", "list", env={"TARN_PROFILE_FILE": str(file)})
    assert done.code == 2 and str(file) in done.err


def test_the_doctor_finds_what_is_missing(server, tmp_path):
    assert "it knows you as admin" in Tarn(tmp_path, server.url).ok("doctor").out
    assert "no access key" in Tarn(tmp_path, server.url, key=None)("doctor").out
    assert Tarn(tmp_path, server.url, KEY, "no")("doctor").code == 1


@pytest.mark.parametrize("words", [["repo", "show", "nosuch"], ["branch", "list", "nosuch"], ["log", "nosuch/main"],
                                   ["fs", "ls", "nosuch/main/"]])
def test_an_unknown_repository_is_named(tarn, words):
    done = tarn(*words)
    assert done.code == 1 and "nosuch" in done.err and not done.out


def test_an_unknown_ref_is_named(tarn, repo):
    for words in (["log", f"{repo}/nope"], ["fs", "ls", f"{repo}/nope/"], ["diff", f"{repo}/main", "nope"], ["show", f"{repo}/nope"]):
        done = tarn(*words)
        assert done.code == 1 and "nope" in done.err, words
