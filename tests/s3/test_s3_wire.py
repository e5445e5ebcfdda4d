"""What AWS's clients put on the wire over TLS and with streams: chunks, trailers, no length."""
import base64
import hashlib
import io
import os
import subprocess
import zlib

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.config
import boto3
import pytest
import requests
from server import KEY, SECRET, Server

CREDENTIALS = botocore.credentials.Credentials(KEY, SECRET)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "c.pem", folder / "k.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
    server = Server(folder / "data", "--tls-certificate-file", str(certificate), "--tls-key-file", str(key)).start()
    config = botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    client = boto3.client("s3", endpoint_url=server.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                          region_name="us-east-1", verify=str(certificate), config=config)
    made = requests.post(f"{server.url}/api/v1/repositories", json={"name": "over-tls", "storage_namespace": "local://tls"},
                         auth=(KEY, SECRET), verify=str(certificate), timeout=20)
    assert made.status_code == 201, made.text
    yield client
    assert server.stop() == 0


def test_boto3_over_tls_sends_trailers(tls):
    sent = []
    tls.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers)))
    body = os.urandom(3 << 20)
    put = tls.put_object(Bucket="over-tls", Key="main/x", Body=io.BytesIO(body), ContentEncoding="gzip")
    assert any(b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" in (v if isinstance(v, bytes) else str(v).encode())
               for h in sent for v in h.values()), sent
    got = tls.get_object(Bucket="over-tls", Key="main/x", ChecksumMode="ENABLED")
    assert got["Body"].read() == body and got["ContentEncoding"] == "gzip"
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def test_the_transfer_manager_over_tls(tls):
    body = os.urandom(20 << 20)
    tls.upload_fileobj(io.BytesIO(body), "over-tls", "main/big")
    out = io.BytesIO()
    tls.download_fileobj("over-tls", "main/big", out)
    assert out.getvalue() == body


def send_chunked(server, path, body, headers, hash_name):
    """A PUT signed with a payload kind of our choice; gives the seed signature's parts as well."""
    request = botocore.awsrequest.AWSRequest("PUT", f"{server.url}{path}", headers=headers)
    signer = botocore.auth.S3SigV4Auth(CREDENTIALS, "s3", "us-east-1")
    request.headers["X-Amz-Content-SHA256"] = hash_name
    signer.payload = lambda _: hash_name
    signer.add_auth(request)
    return dict(request.headers), signer, request


def signature_of(headers):
    return headers["Authorization"].rsplit("Signature=", 1)[1]


def signed_chunks(headers, chunks, trailer=None):
    import hmac
    date = headers["X-Amz-Date"]
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    key = ("AWS4" + SECRET).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sign = lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    previous, out = signature_of(headers), b""
    for chunk in [*chunks, b""]:
        previous = sign("\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, hashlib.sha256(b"").hexdigest(),
                                   hashlib.sha256(chunk).hexdigest()]))
        out += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer is None:
        return out + b"\r\n"
    previous = sign("\n".join(["AWS4-HMAC-SHA256-TRAILER", date, scope, previous,
                               hashlib.sha256(f"{trailer}\n".encode()).hexdigest()]))
    return out + f"{trailer}\r\nx-amz-trailer-signature:{previous}\r\n\r\n".encode()


@pytest.mark.parametrize("with_trailer", [False, True])
def test_signed_chunks(server, s3, repo, with_trailer):
    chunks = [os.urandom(65536), os.urandom(65536), b"the end"]
    whole = b"".join(chunks)
    crc = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if with_trailer else "")
    more = {"x-amz-decoded-content-length": str(len(whole)), "content-encoding": "aws-chunked"}
    if with_trailer:
        more["x-amz-trailer"] = "x-amz-checksum-crc32"
    path = f"/{repo}/main/chunks"
    headers, _, _ = send_chunked(server, path, None, more, kind)
    body = signed_chunks(headers, chunks, crc if with_trailer else None)
    # A forged chunk, a forged trailer, a cut: errors, and no object.
    forged = body[:200] + bytes([body[200] ^ 1]) + body[201:]
    cut = body[:-len("the end") - 200]
    for bad in (forged, cut, *([body.replace(crc[-8:].encode(), b"AAAAAA==")] if with_trailer else [])):
        answer = requests.put(server.url + path, data=bad, headers=headers, timeout=20)
        assert answer.status_code in (400, 403), answer.text
    assert s3.list_objects_v2(Bucket=repo, Prefix="main/")["KeyCount"] == 0
    answer = requests.put(server.url + path, data=body, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    got = s3.get_object(Bucket=repo, Key="main/chunks")
    assert got["Body"].read() == whole and "ContentEncoding" not in got


def test_an_unsigned_trailer_needs_a_signed_head(server, s3, repo):
    more = {"x-amz-decoded-content-length": "3", "x-amz-trailer": "x-amz-checksum-crc32"}
    path = f"/{repo}/main/x"
    headers, _, _ = send_chunked(server, path, None, more, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    crc = base64.b64encode(zlib.crc32(b"abc").to_bytes(4, "big")).decode()
    body = f"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    broken = headers | {"Authorization": headers["Authorization"][:-4] + "0000"}
    assert requests.put(server.url + path, data=body, headers=broken, timeout=20).status_code == 403
    wrong = requests.put(server.url + path, data=body.replace(b"abc", b"abd"), headers=headers, timeout=20)
    assert wrong.status_code == 400 and "BadDigest" in wrong.text
    assert s3.list_objects_v2(Bucket=repo, Prefix="main/")["KeyCount"] == 0
    assert requests.put(server.url + path, data=iter([body]), headers=headers, timeout=20).status_code == 200
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == b"abc"


def test_random_keys_and_parameters_verify_as_botocore_signs_them(server, s3, repo):
    import random
    world = random.Random(5)
    letters = "abzAZ09-_.~!*'()+=@:;,&$# %?\"<>[]{}|^`é漢/"
    names = {"".join(world.choice(letters) for _ in range(world.randint(1, 30))) for _ in range(60)}
    names = sorted(n for n in names if not {".", ".."} & set(n.split("/")))
    for name in names:
        s3.put_object(Bucket=repo, Key="main/" + name, Body=name.encode())
    for name in names:
        assert s3.get_object(Bucket=repo, Key="main/" + name)["Body"].read() == name.encode()
    found = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=repo, Prefix="main/", PaginationConfig={"PageSize": 7}) for item in page["Contents"]]
    assert found == sorted(("main/" + n for n in names), key=lambda k: k.encode())
