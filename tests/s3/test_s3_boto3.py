"""The S3 door as unmodified boto3 sees it."""
import base64
import hashlib
import io
import os
import urllib.request
import zlib

import botocore.exceptions
import pytest
import requests
from conftest import make_client
from server import KEY, SECRET


def code_of(error):
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def refused(code, status):
    class Check:
        def __enter__(self):
            self.raises = pytest.raises(botocore.exceptions.ClientError)
            self.error = self.raises.__enter__()
            return self.error

        def __exit__(self, *args):
            done = self.raises.__exit__(*args)
            assert code_of(self.error) == (code, status), self.error.value.response
            return done
    return Check()


def keys(answer):
    return [item["Key"] for item in answer.get("Contents", [])]


def prefixes(answer):
    return [item["Prefix"] for item in answer.get("CommonPrefixes", [])]


# ---- whole objects
def test_an_object_comes_back_as_it_was_put(s3, repo):
    put = s3.put_object(Bucket=repo, Key="main/dir/a b+c=ü.txt", Body=b"hello", ContentType="text/plain",
                        Metadata={"owner": "me", "x-y": "1"}, CacheControl="max-age=5", ContentLanguage="en",
                        ContentDisposition="inline", ContentEncoding="identity")
    assert put["ETag"] == '"' + hashlib.md5(b"hello").hexdigest() + '"'
    got = s3.get_object(Bucket=repo, Key="main/dir/a b+c=ü.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert got["ContentType"] == "text/plain" and got["Metadata"] == {"owner": "me", "x-y": "1"}
    assert got["CacheControl"] == "max-age=5" and got["ContentLanguage"] == "en"
    assert got["ContentDisposition"] == "inline" and got["ContentEncoding"] == "identity"
    assert got["ETag"] == put["ETag"] and got["ChecksumCRC32"] == put["ChecksumCRC32"]
    head = s3.head_object(Bucket=repo, Key="main/dir/a b+c=ü.txt")
    assert head["ContentLength"] == 5 and head["ETag"] == put["ETag"] and head["AcceptRanges"] == "bytes"


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
def test_sizes(s3, repo, size):
    body = os.urandom(size)
    s3.put_object(Bucket=repo, Key="main/x", Body=body)
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == body


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_verified_kept_and_given_back(s3, repo, algorithm):
    put = s3.put_object(Bucket=repo, Key="main/x", Body=b"abc", ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=repo, Key="main/x", ChecksumMode="ENABLED")
    assert got["Checksum" + algorithm] == put["Checksum" + algorithm]
    with refused("BadDigest", 400):
        s3.put_object(Bucket=repo, Key="main/y", Body=b"abd", **{"Checksum" + algorithm: put["Checksum" + algorithm]})
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=repo, Key="main/y")


def test_a_wrong_md5_stores_nothing(s3, repo):
    right = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    s3.put_object(Bucket=repo, Key="main/x", Body=b"abc", ContentMD5=right)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=repo, Key="main/y", Body=b"abd", ContentMD5=right)
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=repo, Key="main/y", Body=b"abd", ContentMD5="AAAA")
    assert keys(s3.list_objects_v2(Bucket=repo, Prefix="main/")) == ["main/x"]


def test_metadata_over_two_kib_is_refused(s3, repo):
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=repo, Key="main/x", Body=b"", Metadata={"k": "v" * 2050})


def test_ranges(s3, repo):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"0123456789")
    def get(r):
        got = s3.get_object(Bucket=repo, Key="main/x", Range=r)
        return got["Body"].read(), got.get("ContentRange"), got["ResponseMetadata"]["HTTPStatusCode"]
    assert get("bytes=2-4") == (b"234", "bytes 2-4/10", 206)
    assert get("bytes=7-") == (b"789", "bytes 7-9/10", 206)
    assert get("bytes=-3") == (b"789", "bytes 7-9/10", 206)
    assert get("bytes=5-100") == (b"56789", "bytes 5-9/10", 206)
    assert get("bytes=x") == (b"0123456789", None, 200)
    with refused("InvalidRange", 416):
        get("bytes=10-")


def test_conditions_of_reads(s3, repo):
    etag = s3.put_object(Bucket=repo, Key="main/x", Body=b"abc")["ETag"]
    modified = s3.head_object(Bucket=repo, Key="main/x")["LastModified"]
    assert s3.get_object(Bucket=repo, Key="main/x", IfMatch=etag)["Body"].read() == b"abc"
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=repo, Key="main/x", IfMatch='"no"')
    with refused("304", 304):
        s3.get_object(Bucket=repo, Key="main/x", IfNoneMatch=etag)
    with refused("304", 304):
        s3.get_object(Bucket=repo, Key="main/x", IfModifiedSince=modified)
    assert s3.get_object(Bucket=repo, Key="main/x", IfUnmodifiedSince=modified)["Body"].read() == b"abc"


def test_conditions_of_writes(s3, repo):
    etag = s3.put_object(Bucket=repo, Key="main/x", Body=b"1", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=repo, Key="main/x", Body=b"2", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=repo, Key="main/x", Body=b"2", IfMatch='"no"')
    s3.put_object(Bucket=repo, Key="main/x", Body=b"2", IfMatch=etag)
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == b"2"


def test_response_overrides(s3, repo):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"abc")
    got = s3.get_object(Bucket=repo, Key="main/x", ResponseContentType="text/csv", ResponseCacheControl="no-cache")
    assert got["ContentType"] == "text/csv" and got["CacheControl"] == "no-cache"


# ---- refs
def test_a_commit_and_a_tag_are_read_and_never_written(server, s3, repo, commit):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"old")
    first = commit(repo)
    assert server.api("POST", f"/repositories/{repo}/tags", json={"id": "v1", "ref": "main"}).status_code == 201
    s3.put_object(Bucket=repo, Key="main/x", Body=b"new")
    for ref in (first, first[:12], "v1", "main~0"):
        assert s3.get_object(Bucket=repo, Key=f"{ref}/x")["Body"].read() == b"old"
        with refused("AccessDenied", 403):
            s3.put_object(Bucket=repo, Key=f"{ref}/x", Body=b"z")
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == b"new"


def test_a_missing_branch_is_named(s3, repo):
    with refused("NoSuchBucket", 404) as error:
        s3.put_object(Bucket=repo, Key="nowhere/x", Body=b"z")
    assert "branch 'nowhere' does not exist" in str(error.value)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=repo, Key="nowhere/x")
    assert keys(s3.list_objects_v2(Bucket=repo, Prefix="nowhere/")) == []


def test_a_protected_branch_refuses_every_kind_of_write(server, s3, repo):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"1")
    set_ = server.api("PUT", f"/repositories/{repo}/settings/branch_protection", json=[{"pattern": "main"}])
    assert set_.status_code in (200, 204), set_.text
    with refused("AccessDenied", 403) as error:
        s3.put_object(Bucket=repo, Key="main/x", Body=b"2")
    assert "protected" in str(error.value)
    with refused("AccessDenied", 403):
        s3.delete_object(Bucket=repo, Key="main/x")
    with refused("AccessDenied", 403):
        s3.copy_object(Bucket=repo, Key="main/y", CopySource={"Bucket": repo, "Key": "main/x"})
    failed = s3.delete_objects(Bucket=repo, Delete={"Objects": [{"Key": "main/x"}]})
    assert failed["Errors"][0]["Code"] == "AccessDenied"
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == b"1"


# ---- buckets
def test_buckets(s3, repo):
    assert repo in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=repo)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=repo)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=repo)
    with refused("404", 404):
        s3.head_bucket(Bucket="no-such-repo")
    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket="no-such-repo")
    with refused("NoSuchBucket", 404):
        s3.get_object(Bucket="no-such-repo", Key="main/x")
    with refused("BucketAlreadyOwnedByYou", 409):
        s3.create_bucket(Bucket=repo)
    with refused("NotImplemented", 501):
        s3.create_bucket(Bucket="another-repo")
    with refused("MethodNotAllowed", 405):
        s3.delete_bucket(Bucket=repo)


def test_what_is_not_there_says_so(s3, repo):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"1")
    with refused("NotImplemented", 501):
        s3.get_bucket_acl(Bucket=repo)
    with refused("NotImplemented", 501):
        s3.put_object_tagging(Bucket=repo, Key="main/x", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=repo, Key="main/x", Body=b"2", ServerSideEncryption="AES256")
    with refused("NotImplemented", 501):
        s3.get_object(Bucket=repo, Key="main/x", VersionId="123")
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=repo)
    assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == b"1"


# ---- listings
def test_the_root_lists_branches(s3, repo, branch):
    for name in ("a", "a-b", "dev"):
        branch(repo, name)
    assert prefixes(s3.list_objects_v2(Bucket=repo)) == ["a-b/", "a/", "dev/", "main/"]
    assert prefixes(s3.list_objects_v2(Bucket=repo, Prefix="a", Delimiter="/")) == ["a-b/", "a/"]
    page = s3.list_objects_v2(Bucket=repo, MaxKeys=3)
    assert page["IsTruncated"] and prefixes(page) == ["a-b/", "a/", "dev/"]
    rest = s3.list_objects_v2(Bucket=repo, ContinuationToken=page["NextContinuationToken"])
    assert prefixes(rest) == ["main/"] and not rest["IsTruncated"]


def test_listings_page_and_fold(s3, repo, commit):
    names = ["a/1", "a/2", "b", "c d/x+y", "c d/z", "e"]
    for name in names[:4]:
        s3.put_object(Bucket=repo, Key="main/" + name, Body=b"1")
    commit(repo)
    for name in names[4:]:
        s3.put_object(Bucket=repo, Key="main/" + name, Body=b"22")
    for operation in ("list_objects", "list_objects_v2"):
        for size in (1, 2, 1000):
            found = [item["Key"] for page in s3.get_paginator(operation).paginate(
                Bucket=repo, Prefix="main/", PaginationConfig={"PageSize": size}) for item in page.get("Contents", [])]
            assert found == ["main/" + name for name in names]
            folded = []
            for page in s3.get_paginator(operation).paginate(Bucket=repo, Prefix="main/", Delimiter="/",
                                                             PaginationConfig={"PageSize": size}):
                folded += keys(page) + prefixes(page)
            assert sorted(folded) == ["main/a/", "main/b", "main/c d/", "main/e"]
    other = s3.list_objects_v2(Bucket=repo, Prefix="main/", Delimiter=" ")
    assert prefixes(other) == ["main/c "]
    after = s3.list_objects_v2(Bucket=repo, Prefix="main/", StartAfter="main/b")
    assert keys(after) == ["main/c d/x+y", "main/c d/z", "main/e"] and after["KeyCount"] == 3
    none = s3.list_objects_v2(Bucket=repo, Prefix="main/", MaxKeys=0)
    assert keys(none) == [] and not none["IsTruncated"]
    item = after["Contents"][-1]
    assert item["Size"] == 2 and item["ETag"] == '"' + hashlib.md5(b"22").hexdigest() + '"'
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=repo, Prefix="main/", ContinuationToken="!!")


# ---- delete and copy
def test_deletes(s3, repo):
    for name in "abc":
        s3.put_object(Bucket=repo, Key="main/" + name, Body=b"1")
    s3.delete_object(Bucket=repo, Key="main/a")
    s3.delete_object(Bucket=repo, Key="main/a")
    s3.delete_object(Bucket=repo, Key="main/")
    done = s3.delete_objects(Bucket=repo, Delete={"Objects": [{"Key": "main/b"}, {"Key": "main/none"},
                                                              {"Key": "nowhere/x"}]})
    assert [d["Key"] for d in done["Deleted"]] == ["main/b", "main/none"]
    assert [e["Key"] for e in done["Errors"]] == ["nowhere/x"]
    quiet = s3.delete_objects(Bucket=repo, Delete={"Objects": [{"Key": "main/c"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert keys(s3.list_objects_v2(Bucket=repo, Prefix="main/")) == []
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=repo, Delete={"Objects": [{"Key": f"main/{i}"} for i in range(1001)]})


def test_copies(s3, repo, branch):
    etag = s3.put_object(Bucket=repo, Key="main/a b", Body=b"abc", Metadata={"k": "v"}, ContentType="text/plain")["ETag"]
    branch(repo, "dev")
    source = {"Bucket": repo, "Key": "main/a b"}
    assert s3.copy_object(Bucket=repo, Key="dev/copy", CopySource=source)["CopyObjectResult"]["ETag"] == etag
    got = s3.get_object(Bucket=repo, Key="dev/copy")
    assert got["Body"].read() == b"abc" and got["Metadata"] == {"k": "v"} and got["ContentType"] == "text/plain"
    s3.copy_object(Bucket=repo, Key="main/a b", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "1"})
    assert s3.head_object(Bucket=repo, Key="main/a b")["Metadata"] == {"n": "1"}
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=repo, Key="main/a b", CopySource=source)
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=repo, Key="dev/c", CopySource=source, CopySourceIfMatch='"no"')
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=repo, Key="dev/c", CopySource={"Bucket": repo, "Key": "main/none"})


# ---- multipart
MIB = 1 << 20


def test_multipart_by_hand(s3, repo):
    key = {"Bucket": repo, "Key": "main/big"}
    upload = s3.create_multipart_upload(**key, ContentType="text/csv", Metadata={"m": "1"})["UploadId"]
    bodies = [os.urandom(5 * MIB), os.urandom(5 * MIB), b"end"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**key, UploadId=upload, PartNumber=n, Body=b)["ETag"]}
             for n, b in zip((1, 3, 7), bodies)]
    listed = s3.list_parts(**key, UploadId=upload)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, 5 * MIB), (3, 5 * MIB), (7, 3)]
    page = s3.list_parts(**key, UploadId=upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 3
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=repo, Prefix="main/")["Uploads"]] == [upload]
    with refused("InvalidPartOrder", 400):
        s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": [parts[1], parts[0]]})
    with refused("InvalidPart", 400):
        s3.complete_multipart_upload(**key, UploadId=upload,
                                     MultipartUpload={"Parts": [{"PartNumber": 2, "ETag": parts[0]["ETag"]}]})
    with refused("NoSuchUpload", 404):
        s3.complete_multipart_upload(Bucket=repo, Key="main/other", UploadId=upload, MultipartUpload={"Parts": parts})
    done = s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})
    digest = hashlib.md5(b"".join(hashlib.md5(b).digest() for b in bodies)).hexdigest()
    assert done["ETag"] == f'"{digest}-3"'
    again = s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    head = s3.head_object(**key)
    assert head["ETag"] == done["ETag"] and head["ContentType"] == "text/csv" and head["Metadata"] == {"m": "1"}
    assert s3.list_objects_v2(Bucket=repo, Prefix="main/big")["Contents"][0]["ETag"] == done["ETag"]
    assert s3.get_object(**key)["Body"].read() == b"".join(bodies)
    middle = s3.get_object(**key, Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")["Body"].read()
    assert middle == bodies[0][-2:] + bodies[1][:2]
    assert s3.get_object(**key, PartNumber=3)["Body"].read() == b"end"
    with refused("NoSuchUpload", 404):
        s3.list_parts(**key, UploadId=upload)


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("kind", ["FULL_OBJECT", "COMPOSITE"])
def test_the_checksum_of_a_whole_object_is_compared_with_its_parts(s3, repo, kind):
    key = {"Bucket": repo, "Key": "main/big"}
    upload = s3.create_multipart_upload(**key, ChecksumAlgorithm="CRC32", ChecksumType=kind)["UploadId"]
    bodies = [os.urandom(5 * MIB), b"end"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**key, UploadId=upload, PartNumber=n, Body=b, ChecksumAlgorithm="CRC32")["ETag"]}
             for n, b in enumerate(bodies, 1)]
    right = crc32(b"".join(bodies)) if kind == "FULL_OBJECT" else crc32(b"".join(zlib.crc32(b).to_bytes(4, "big") for b in bodies)) + "-2"
    finish = lambda **said: s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts}, ChecksumType=kind, **said)
    with refused("BadDigest", 400):
        finish(ChecksumCRC32=crc32(b"something else") + ("-2" if kind == "COMPOSITE" else ""))
    with refused("InvalidRequest", 400):
        finish(ChecksumCRC32="AAA=")
    with refused("InvalidRequest", 400):
        finish(MpuObjectSize=7)
    with refused("NoSuchKey", 404):
        s3.get_object(**key)
    done = finish(ChecksumCRC32=right, MpuObjectSize=5 * MIB + 3)
    assert done["ChecksumCRC32"] == right and done["ChecksumType"] == kind
    head = s3.head_object(**key, ChecksumMode="ENABLED")
    if kind == "FULL_OBJECT":
        assert head["ChecksumCRC32"] == right and head["ChecksumType"] == kind
    else:
        assert "ChecksumCRC32" not in head
    assert s3.get_object(**key)["Body"].read() == b"".join(bodies)


def test_small_parts_and_aborted_uploads_are_refused(s3, repo):
    key = {"Bucket": repo, "Key": "main/big"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**key, UploadId=upload, PartNumber=n, Body=b"x")["ETag"]}
             for n in (1, 2)]
    with refused("EntityTooSmall", 400):
        s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})
    s3.abort_multipart_upload(**key, UploadId=upload)
    for call in (lambda: s3.abort_multipart_upload(**key, UploadId=upload),
                 lambda: s3.upload_part(**key, UploadId=upload, PartNumber=1, Body=b"x"),
                 lambda: s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})):
        with refused("NoSuchUpload", 404):
            call()
    with refused("NoSuchBucket", 404):
        s3.create_multipart_upload(Bucket=repo, Key="nowhere/big")


def test_the_transfer_manager_moves_big_files(s3, repo, tmp_path):
    body = os.urandom(20 * MIB)
    s3.upload_fileobj(io.BytesIO(body), repo, "main/file")
    assert s3.head_object(Bucket=repo, Key="main/file")["ETag"].endswith('-3"')
    out = io.BytesIO()
    s3.download_fileobj(repo, "main/file", out)
    assert out.getvalue() == body


def test_parts_are_copied_from_objects(s3, repo):
    s3.put_object(Bucket=repo, Key="main/src+ a", Body=b"0123456789")
    key = {"Bucket": repo, "Key": "main/dst"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    copy = {**key, "UploadId": upload, "CopySource": {"Bucket": repo, "Key": "main/src+ a"}}
    with refused("InvalidRange", 416):
        s3.upload_part_copy(**copy, PartNumber=1, CopySourceRange="bytes=0-10")
    with refused("InvalidArgument", 400):
        s3.upload_part_copy(**copy, PartNumber=1, CopySourceRange="bytes=0-")
    part = s3.upload_part_copy(**copy, PartNumber=1, CopySourceRange="bytes=2-5")["CopyPartResult"]
    s3.complete_multipart_upload(**key, UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.get_object(**key)["Body"].read() == b"2345"


# ---- who may come in
def test_wrong_and_unknown_keys(server, repo):
    with refused("SignatureDoesNotMatch", 403):
        make_client(server, secret="wrong" * 8).list_objects_v2(Bucket=repo)
    with refused("InvalidAccessKeyId", 403):
        make_client(server, key="AKIAUNKNOWNUNKNOWNQQ").list_objects_v2(Bucket=repo)
    with refused("SignatureDoesNotMatch", 403):
        make_client(server, secret="wrong" * 8).put_object(Bucket=repo, Key="main/x", Body=b"1")


def test_presigned_urls(server, s3, repo):
    url = s3.generate_presigned_url("put_object", {"Bucket": repo, "Key": "main/p q"}, ExpiresIn=3600)
    assert requests.put(url, data=b"abc", timeout=10).status_code == 200
    url = s3.generate_presigned_url("get_object", {"Bucket": repo, "Key": "main/p q"}, ExpiresIn=3600)
    assert requests.get(url, timeout=10).content == b"abc"
    assert requests.get(url + "0", timeout=10).status_code in (400, 403)
    assert requests.delete(url, timeout=10).status_code == 403
    added = requests.get(url, headers={"x-amz-copy-source": f"/{repo}/main/x"}, timeout=10)
    assert added.status_code == 403 and "not signed: x-amz-copy-source" in added.text
    v2 = requests.get(f"{server.url}/{repo}/main/x?AWSAccessKeyId=a&Signature=b&Expires=1", timeout=10)
    assert v2.status_code == 400 and "AWS4-HMAC-SHA256" in v2.text


def test_nothing_is_public(server, repo):
    answer = requests.get(f"{server.url}/{repo}/main/x", headers={"Host": "s3.localhost"}, timeout=10)
    assert answer.status_code == 403 and "AccessDenied" in answer.text


def test_virtual_host_style(server, s3, repo):
    s3.put_object(Bucket=repo, Key="main/x", Body=b"abc")
    port = server.url.rsplit(":", 1)[1]
    signer = make_client(server)
    url = signer.generate_presigned_url("get_object", {"Bucket": repo, "Key": "main/x"})
    # The same request signed for the virtual host.
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    request = botocore.awsrequest.AWSRequest("GET", f"http://{repo}.s3.localhost:{port}/main/x")
    botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    answer = requests.get(f"{server.url}/main/x", headers=dict(request.headers) | {"Host": f"{repo}.s3.localhost:{port}"},
                          timeout=10)
    assert answer.status_code == 200 and answer.content == b"abc"
    assert requests.get(url, timeout=10).content == b"abc"


def test_a_forged_body_never_becomes_an_object(server, s3, repo):
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    request = botocore.awsrequest.AWSRequest("PUT", f"{server.url}/{repo}/main/forged", data=b"what was signed")
    botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    answer = requests.put(request.url, data=b"what was sent..", headers=dict(request.headers), timeout=10)
    assert answer.status_code == 400 and "XAmzContentSHA256Mismatch" in answer.text
    assert keys(s3.list_objects_v2(Bucket=repo, Prefix="main/")) == []


def test_a_user_writes_only_where_granted(server, repo):
    made = server.api("POST", "/auth/users", json={"id": "reader"})
    assert made.status_code in (201, 409), made.text
    pair = server.api("POST", "/auth/users/reader/credentials").json()
    reader = make_client(server, key=pair["access_key_id"], secret=pair["secret_access_key"])
    assert prefixes(reader.list_objects_v2(Bucket=repo)) == ["main/"]
    with refused("AccessDenied", 403):
        reader.put_object(Bucket=repo, Key="main/x", Body=b"1")
    with refused("AccessDenied", 403):
        reader.delete_object(Bucket=repo, Key="main/x")
