"""A real server in a folder of its own, on a free port."""
import os
import pathlib
import signal
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TARN_BINARY", ROOT / "build" / "tarn"))
KEY, SECRET = "AKIAJTESTTESTTESTTEQ", "test/secret/of/forty/characters/in/all00"


def environment(**more):
    """The process's, without what would configure the server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TARN_")}
    return kept | more


class Server:
    def __init__(self, data, *flags, keys=True, listen="127.0.0.1:0", env=None):
        self.data, self.flags, self.listen = pathlib.Path(data), flags, listen
        self.env = environment(**(env or {}))
        if keys:
            self.env |= {"TARN_ADMIN_KEY": KEY, "TARN_ADMIN_SECRET": SECRET}
        self.process = self.url = None

    def start(self):
        self.log = open(str(self.data) + ".log", "ab")
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--data", str(self.data), "--listen", self.listen, *self.flags],
            stdout=subprocess.PIPE, stderr=self.log, env=self.env, text=True)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                return self
        raise AssertionError(f"the server did not start: exit {self.process.wait()}, see {self.data}.log:\n" + self.errors())

    def errors(self):
        return pathlib.Path(str(self.data) + ".log").read_text()

    def stop(self, signal_number=signal.SIGTERM, timeout=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal_number)
            self.process.wait(timeout)
        if self.process:
            self.process.stdout.close()
            self.log.close()
        return self.process.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

    def api(self, method, path, *, auth=(KEY, SECRET), **arguments):
        return requests.request(method, f"{self.url}/api/v1{path}", auth=auth, timeout=30, **arguments)


def run(*arguments, env=None, timeout=20):
    """One command of the binary; gives (exit code, output, errors, seconds)."""
    started = time.monotonic()
    done = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=timeout, env=environment(**(env or {})))
    return done.returncode, done.stdout, done.stderr, time.monotonic() - started
