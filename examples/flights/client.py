"""The doors that the driver uses, as any user would: REST with basic auth, S3 with boto3, DuckDB over S3, the CLI."""
import collections
import os
import subprocess
import time

import boto3
import botocore.config
import duckdb
import duckdb_extension_httpfs
import requests

HTTPFS = os.environ.get("TARN_DUCKDB_HTTPFS") or os.path.join(
    os.path.dirname(duckdb_extension_httpfs.__file__), "extensions", f"v{duckdb.__version__}", "httpfs.duckdb_extension")


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, method, path, status, message):
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status
        self.message = message


class User:
    """One person or team with its own key. `times` collects the milliseconds of named calls."""

    times = collections.defaultdict(list)

    def __init__(self, name, endpoint, key, secret):
        self.name, self.endpoint, self.key, self.secret = name, endpoint, key, secret
        self.session = requests.Session()
        self.session.auth = (key, secret)
        self.s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                               region_name="us-east-1", config=botocore.config.Config(
                                   s3={"addressing_style": "path"}, retries={"max_attempts": 1},
                                   request_checksum_calculation="when_required"))

    def call(self, method, path, body=None, params=None, named=None, timeout=120):
        begin = time.perf_counter()
        answer = self.session.request(method, f"{self.endpoint}/api/v1{path}", json=body, params=params, timeout=timeout)
        if named:
            User.times[named].append((time.perf_counter() - begin) * 1000)
        if answer.status_code // 100 != 2:
            try:
                message = answer.json().get("message", answer.text)
            except ValueError:
                message = answer.text
            raise Refused(method, path, answer.status_code, message[:400])
        if "json" not in answer.headers.get("Content-Type", ""):
            return {}
        return answer.json() if answer.content else {}

    def get(self, path, **params):
        return self.call("GET", path, params=params)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body if body is not None else {}, **options)

    def mesh(self, path, body=None, **options):
        """GET without a body, POST with one, below /mesh."""
        method = options.pop("method", "GET" if body is None else "POST")
        return self.call(method, f"/mesh{path}", body, **options)

    # -- branches and files, by the ordinary versioning calls -------------------------------------------------

    def fresh_branch(self, repository, branch, source="main"):
        """Makes the branch anew from `source`; an older one of that name goes."""
        try:
            self.call("DELETE", f"/repositories/{repository}/branches/{branch}")
        except Refused as refused:
            if refused.status != 404:
                raise
        self.call("POST", f"/repositories/{repository}/branches", {"name": branch, "source": source}, named="create a branch")

    def commit(self, repository, branch, message, metadata=None):
        return self.call("POST", f"/repositories/{repository}/branches/{branch}/commits",
                         {"message": message, "metadata": metadata or {}}, named="commit")["id"]

    def upload(self, repository, branch, path, file):
        with open(file, "rb") as body:
            self.s3.put_object(Bucket=repository, Key=f"{branch}/{path}", Body=body.read())

    def upload_text(self, repository, branch, path, text):
        self.s3.put_object(Bucket=repository, Key=f"{branch}/{path}", Body=text.encode())

    def read(self, repository, ref, path):
        return self.s3.get_object(Bucket=repository, Key=f"{ref}/{path}")["Body"].read()

    def objects(self, repository, ref, prefix=""):
        """All objects below a prefix of a ref."""
        after = ""
        while True:
            page = self.get(f"/repositories/{repository}/refs/{ref}/objects/ls", prefix=prefix, after=after, amount=1000)
            yield from page["results"]
            if not page["pagination"]["has_more"]:
                return
            after = page["pagination"]["next_offset"]

    def branches(self, repository):
        return [b["id"] for b in self.get(f"/repositories/{repository}/branches", amount=1000)["results"]]

    # -- other programs ---------------------------------------------------------------------------------------

    def duckdb(self):
        con = duckdb.connect(config={"autoinstall_known_extensions": False})
        con.execute(f"LOAD '{HTTPFS}'")
        con.execute("CREATE SECRET (TYPE s3, KEY_ID $id, SECRET $secret, ENDPOINT $endpoint, URL_STYLE 'path', USE_SSL false, "
                    "REGION 'us-east-1')", {"id": self.key, "secret": self.secret, "endpoint": self.endpoint.split("//")[1]})
        return con

    def command(self, tarn, *words):
        """One command line as this user; gives its output."""
        done = subprocess.run([tarn, *map(str, words)], env=self.environment(), capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise SystemExit(f"demo: tarn {' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def environment(self):
        """What the CLI needs to speak as this user."""
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
                "TARN_ENDPOINT": self.endpoint, "TARN_ACCESS_KEY_ID": self.key, "TARN_SECRET_ACCESS_KEY": self.secret,
                "TARN_DUCKDB_HTTPFS": HTTPFS}


def run_job(tarn, user, as_user, pipeline, key, job, command):
    """Starts one job as `tarn job exec` would be started by any scheduler; returns the process."""
    return subprocess.Popen(
        [*as_user, tarn, "job", "exec", "--repo", "analytics", "--pipeline", pipeline, "--run", key, "--job", job, "--", *command],
        env=user.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
