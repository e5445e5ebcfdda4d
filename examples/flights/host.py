"""The machine's side of the demonstration: the server as an unprivileged process, its memory, and two alert receivers."""
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

NOBODY, NOGROUP = 65534, 65534


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged(paths):
    """The words before a command that make it an ordinary user; empty when this process is one already.

    Mode bits do not bind root, so root steps down to nobody. When `paths` lie where nobody may not look (a home of
    root), the process keeps the right to read and search, and still no right to write.
    """
    if os.geteuid() != 0:
        return []
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOGROUP}", "--clear-groups"]
    if all(subprocess.run([*words, "test", "-r", str(p)], check=False).returncode == 0 for p in paths):
        return words
    return words + ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def own(path):
    """Gives a folder to the unprivileged user."""
    if os.geteuid() == 0:
        for base, _, files in os.walk(path):
            os.chown(base, NOBODY, NOGROUP)
            for name in files:
                os.chown(os.path.join(base, name), NOBODY, NOGROUP)


def seal(folder):
    """Takes every right to write from a tree: the source is only read."""
    for base, _, files in os.walk(folder):
        for name in files:
            os.chmod(os.path.join(base, name), 0o444)
        os.chmod(base, 0o555)


def drop(source, made, relative):
    """The source drops one file: opened for this moment by its owner, then sealed again."""
    target = pathlib.Path(source) / relative
    parents = [p for p in (target.parent.parent, target.parent) if p.exists()]
    for parent in parents:
        os.chmod(parent, 0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.chmod(target, 0o644)
    target.write_bytes(pathlib.Path(made).read_bytes())
    os.chmod(target, 0o444)
    for parent in (target.parent.parent, target.parent):
        os.chmod(parent, 0o555)
    return target


def probe_write(as_user, folder):
    """Tries to write into the source as the server's user; returns what the system said, or None when it was allowed."""
    result = subprocess.run([*as_user, "touch", f"{folder}/probe"], capture_output=True, text=True, check=False)
    return result.stderr.strip() or f"exit {result.returncode}" if result.returncode else None


class Server:
    """`tarn serve` on a free port with a fresh data folder; killed and started again on the same ones."""

    def __init__(self, tarn, folder, as_user, environment):
        self.tarn, self.as_user, self.folder = tarn, as_user, pathlib.Path(folder)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", **environment}
        for name in ("TARN_DUCKDB_LIBRARY",):
            if os.environ.get(name):
                self.environment[name] = os.environ[name]
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        own(self.data)
        self.process, self.rss_mb_max, self.watching = None, 0.0, True
        threading.Thread(target=self.watch, daemon=True).start()

    def start(self, wait_s=20.0):
        """Returns the milliseconds until the server answered."""
        begin = time.monotonic()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.as_user, self.tarn, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT, cwd="/")
        while time.monotonic() - begin < wait_s:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.2) as link:
                    link.sendall(b"GET /api/v1/healthcheck HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    if link.recv(16).split(b" ")[1:2] in ([b"204"], [b"200"]):
                        return (time.monotonic() - begin) * 1000
            except OSError:
                pass
            time.sleep(0.02)
        tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"demo: the server did not start (exit {self.process.poll()}):\n{tail}")

    def kill(self):
        """kill -9, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def offline(self, *command):
        """Stops the server in good order, runs a command of `tarn` on its folder, starts it again. Returns what the command said."""
        self.process.terminate()
        self.process.wait(30)
        done = subprocess.run([*self.as_user, self.tarn, *command, "--data", str(self.data)], env=self.environment, cwd="/",
                              capture_output=True, text=True, check=False)
        self.start()
        return done.stdout or done.stderr

    def stop(self):
        self.watching = False
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def watch(self):
        """Largest resident memory of the server process, looked at five times a second."""
        while self.watching:
            try:
                with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                    for words in status:
                        if words.startswith("VmHWM"):
                            self.rss_mb_max = max(self.rss_mb_max, int(words.split()[1]) / 1024)
            except (OSError, AttributeError):
                pass
            time.sleep(0.2)


class Receiver:
    """An HTTP receiver of alerts: keeps every notification with the path that it came to."""

    def __init__(self):
        self.got, self.lock = [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):                                                          # noqa: N802
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    body = json.loads(body)
                except ValueError:
                    body = {"text": body.decode("utf-8", "replace")}
                with outer.lock:
                    outer.got.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, path):
        with self.lock:
            return [(headers, body) for at, headers, body in self.got if at == path]


class Alertmanager:
    """A real Alertmanager that groups nothing and waits for nothing; its notifications come back to the receiver."""

    def __init__(self, program, folder, receiver, as_user):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        config = self.folder / "alertmanager.yml"
        config.write_text(json.dumps({
            "route": {"receiver": "demo", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "24h"},
            "receivers": [{"name": "demo", "webhook_configs": [{"url": receiver.url("/alertmanager"), "send_resolved": True}]}]}))
        storage = self.folder / "storage"
        storage.mkdir()
        own(storage)
        with open(self.folder / "alertmanager.log", "wb") as log:
            self.process = subprocess.Popen(
                [*as_user, program, f"--config.file={config}", f"--storage.path={storage}", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--cluster.listen-address=", "--log.level=warn"], stdout=log, stderr=subprocess.STDOUT, cwd="/")
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("demo: Alertmanager did not start:\n" + (self.folder / "alertmanager.log").read_text()[-1500:])

    def stop(self):
        self.process.terminate()
        self.process.wait()
