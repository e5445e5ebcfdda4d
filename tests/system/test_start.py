"""Start, setup, settings, stop: what happens around the server's life."""
import base64
import re
import socket
import subprocess
import time

import pytest
import requests
from server import KEY, SECRET, Server, run

JSON = {"Content-Type": "application/json"}


def test_a_fresh_server_is_not_set_up_and_setup_happens_once(tmp_path):
    server = Server(tmp_path / "data", keys=False).start()
    try:
        assert server.api("GET", "/setup_lakefs", auth=None).json()["state"] == "not_initialized"
        assert server.api("GET", "/user", auth=("a", "b")).status_code == 401
        made = server.api("POST", "/setup_lakefs", auth=None, json={"username": "admin"})
        assert made.status_code == 200
        keys = made.json()
        assert re.fullmatch(r"AKIA[IJ][A-Z0-9]{14}Q", keys["access_key_id"]) and len(keys["secret_access_key"]) == 40
        assert server.api("GET", "/setup_lakefs", auth=None).json()["state"] == "initialized"
        assert server.api("POST", "/setup_lakefs", auth=None, json={"username": "admin"}).status_code == 409
        pair = (keys["access_key_id"], keys["secret_access_key"])
        assert server.api("GET", "/user", auth=pair).json()["user"]["id"] == "admin"
        assert server.kill() == -9
        again = Server(tmp_path / "data", keys=False).start()
        assert again.api("GET", "/user", auth=pair).status_code == 200
        assert again.stop() == 0
    finally:
        server.stop()


def test_setup_takes_given_keys_and_json_only(tmp_path):
    server = Server(tmp_path / "data", keys=False).start()
    try:
        body = {"username": "me", "key": {"access_key_id": KEY, "secret_access_key": SECRET}}
        assert server.api("POST", "/setup_lakefs", auth=None, data='{"username":"me"}').status_code == 400
        assert server.api("POST", "/setup_lakefs", auth=None, json={"username": ""}).status_code == 400
        assert server.api("POST", "/setup_lakefs", auth=None, json=body).json()["access_key_id"] == KEY
        assert server.api("GET", "/user").json()["user"]["id"] == "me"
    finally:
        server.stop()


def test_setup_through_a_proxy_needs_the_printed_token(tmp_path):
    server = Server(tmp_path / "data", keys=False).start()
    try:
        token = [line.split()[-1] for line in server.lines if line.startswith("setup token: ")][0]
        proxied = {"X-Forwarded-For": "192.0.2.1"}
        refused = server.api("POST", "/setup_lakefs", auth=None, json={"username": "a"}, headers=proxied)
        assert refused.status_code == 403 and "token" in refused.json()["message"]
        wrong = server.api("POST", "/setup_lakefs", auth=None, json={"username": "a", "token": "x"}, headers=proxied)
        assert wrong.status_code == 403
        assert server.api("POST", "/setup_lakefs", auth=None, json={"username": "a", "token": token}, headers=proxied).status_code == 200
    finally:
        server.stop()


def test_health_and_metrics(server):
    assert server.api("GET", "/healthcheck", auth=None).status_code == 204
    assert requests.get(server.url + "/_health").text.startswith("alive!")
    metrics = requests.get(server.url + "/metrics")
    assert metrics.status_code == 200 and "tarn_rest_request_duration" in metrics.text


def test_the_address_is_printed_and_written(server):
    assert (server.data / "address").read_text().strip() == server.url
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.url)


def test_secret_files_are_for_their_owner_only(server):
    assert (server.data / "secrets" / "auth.key").stat().st_mode & 0o077 == 0
    assert (server.data / "secrets").stat().st_mode & 0o077 == 0
    for file in (server.data / "kv").iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_a_second_server_on_the_folder_says_who_has_it(server):
    code, _, errors, seconds = run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0")
    assert code == 1 and seconds < 1
    assert "in use by another server" in errors and server.url in errors


def test_a_taken_port_is_named(server, tmp_path):
    address = server.url.removeprefix("http://")
    code, _, errors, seconds = run("serve", "--data", str(tmp_path / "d"), "--listen", address)
    assert code != 0 and address in errors and "in use" in errors


def test_an_open_listener_needs_tls_or_a_word(tmp_path):
    code, _, errors, _ = run("serve", "--data", str(tmp_path / "d"), "--listen", "0.0.0.0:0")
    assert code == 2 and "--insecure-listen" in errors
    assert not (tmp_path / "d").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "photos.txt").write_text("mine")
    code, _, errors, _ = run("serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0")
    assert code != 0 and "photos.txt" in errors
    assert [p.name for p in tmp_path.iterdir()] == ["photos.txt"]


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path):
    (tmp_path / "TARN").write_text('{"installation_id": "x", "format": 9, "minimum_reader": 9}')
    code, _, errors, _ = run("serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0")
    assert code == 1 and "newer version" in errors
    assert [p.name for p in tmp_path.iterdir()] == ["TARN"]


@pytest.mark.parametrize("arguments, environment, said", [
    (["--lisen", "x"], {}, "did you mean --listen?"),
    ([], {"TARN_LISTN": "x"}, "did you mean TARN_LISTEN?"),
    (["--log-level"], {}, "needs a value"),
    (["--tasks-threads", "many"], {}, "whole number"),
    (["--config", "/nowhere.yaml"], {}, "/nowhere.yaml"),
    (["stray"], {}, "unexpected argument stray"),
])
def test_wrong_settings_name_the_cure(arguments, environment, said):
    code, _, errors, _ = run("config", *arguments, env=environment)
    assert code == 2 and said in errors


def test_settings_come_from_file_variables_and_flags_in_this_order(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("listen: 127.0.0.1:1\nlog:\n  level: debug\nimport:\n  local_roots: [/a, /b]\nshutdown:\n  grace_ms: 5\n")
    code, out, errors, _ = run("config", "--config", str(file), "--shutdown-grace-ms=7", env={"TARN_LOG_LEVEL": "error", "TARN_ADMIN_SECRET": "hush"})
    assert code == 0, errors
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert rows["listen"] == ["127.0.0.1:1", str(file)]
    assert rows["log.level"] == ["error", "TARN_LOG_LEVEL"]
    assert rows["import.local_roots"] == ["/a,/b", str(file)]
    assert rows["shutdown.grace_ms"] == ["7", "--shutdown-grace-ms"]
    assert rows["data"] == ["./tarn-data", "default"]
    assert rows["admin.secret"][0] == "(set)" and "hush" not in out
    file.write_text("log:\n  levl: debug\n")
    code, _, errors, _ = run("config", "--config", str(file))
    assert code == 2 and "log.levl" in errors and "log.level" in errors


def test_the_folder_may_bring_its_own_file(tmp_path):
    (tmp_path / "tarn.yaml").write_text("log: {style: json}\n")
    code, out, _, _ = run("config", "--data", str(tmp_path))
    assert code == 0 and re.search(r"log\.style +json +\S+tarn\.yaml", out)


def test_a_half_sent_request_does_not_hold_up_the_stop(tmp_path):
    server = Server(tmp_path / "data").start()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"GET /_health HTTP/1.1\r\nHost: x\r\n")
        assert server.stop() == 0


def test_a_client_that_leaves_ends_the_wait_that_it_asked_for(tmp_path):
    server = Server(tmp_path / "data").start()
    host, port = server.url.removeprefix("http://").split(":")
    basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    with socket.create_connection((host, int(port))) as waiting:
        waiting.sendall(f"GET /api/v1/mesh/repos/none/pipelines/daily/runs/k/wait?timeout_ms=600000 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n\r\n".encode())
        time.sleep(0.3)
    until = time.monotonic() + 10
    while "tarn_http_clients_left_total 1" not in requests.get(server.url + "/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.1)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 5, "the handler went on, and the stop waited for it"


def test_tls(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = Server(tmp_path / "data", "--tls-certificate-file", str(certificate), "--tls-key-file", str(key)).start()
    try:
        assert server.url.startswith("https://127.0.0.1:")
        assert server.api("GET", "/user", verify=str(certificate)).json()["user"]["id"] == "admin"
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url.replace("https", "http") + "/_health", timeout=5)
    finally:
        assert server.stop() == 0
    code, _, errors, _ = run("serve", "--data", str(tmp_path / "other"), "--listen", "127.0.0.1:0", "--tls-certificate-file", "/nowhere.pem", "--tls-key-file", str(key))
    assert code == 2 and "/nowhere.pem" in errors


def test_a_disk_cache_answers_reads_and_survives_a_restart(tmp_path):
    flags = ("--storage-cache-folder", str(tmp_path / "cache"), "--storage-cache-bytes", str(32 << 20))

    def counted(server, what):
        return int(re.search(rf"^tarn_block_cache_{what}_total (\d+)$", requests.get(server.url + "/metrics").text, re.M)[1])

    server = Server(tmp_path / "data", *flags).start()
    content = bytes(range(256)) * 4000
    try:
        assert server.api("POST", "/repositories", json={"name": "far", "storage_namespace": "local://far"}).status_code == 201
        put = server.api("POST", "/repositories/far/branches/main/objects?path=a.bin", data=content, headers={"Content-Type": "application/octet-stream"})
        assert put.status_code == 201, put.text
        assert server.api("POST", "/repositories/far/branches/main/commits", json={"message": "one"}).status_code == 201
        get = "/repositories/far/refs/main/objects?path=a.bin"
        assert server.api("GET", get).content == content
        assert counted(server, "misses") == 4  # 1,024,000 bytes in blocks of 256 KiB
        assert server.stop() == 0
        server = Server(tmp_path / "data", *flags).start()
        assert server.api("GET", get).content == content
        assert server.api("GET", get, headers={"Range": "bytes=300000-300099"}).content == content[300000:300100]
        assert counted(server, "misses") == 0 and counted(server, "hits") >= 5
    finally:
        server.stop()


def test_a_disk_cache_on_the_objects_own_disk_is_refused(tmp_path):
    inside = tmp_path / "data" / "cache"
    code, _, errors, _ = run("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--storage-cache-folder", str(inside))
    assert code == 2 and "storage.cache.folder" in errors and "faster disk" in errors
    assert not inside.exists()
