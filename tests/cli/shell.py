"""The command line as a user runs it: the built binary, in a home of its own."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from server import BINARY, KEY, SECRET, Server, environment  # noqa: E402, F401


class Done:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    @property
    def masked(self):
        """The output without what differs from run to run."""
        text = re.sub(r"\b[0-9a-f]{64}\b", "<commit>", self.out)
        text = re.sub(r"\b[0-9a-f]{12}\b", "<id>", text)
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)


class Tarn:
    """`tarn(…)` runs one command line and gives code, out and err."""

    def __init__(self, home, url=None, key=KEY, secret=SECRET):
        self.home = pathlib.Path(home)
        self.variables = {"HOME": str(home), "XDG_CONFIG_HOME": ""}
        if url:
            self.variables["TARN_SERVER"] = url
        if key:
            self.variables |= {"TARN_ACCESS_KEY_ID": key, "TARN_SECRET_ACCESS_KEY": secret}

    def __call__(self, *words, input=None, env=None, timeout=60):
        done = subprocess.run([str(BINARY), *words], capture_output=True, text=True, timeout=timeout, input=input,
                              cwd=self.home, env=environment(**self.variables, **(env or {})))
        return Done(done)

    def ok(self, *words, **more):
        done = self(*words, **more)
        assert done.code == 0, f"tarn {' '.join(words)}: {done.code}\n{done.out}{done.err}"
        return done
