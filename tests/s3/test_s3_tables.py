"""Tables through the clients that people use: pandas, pyarrow, DuckDB."""
import pathlib

import duckdb
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
from server import KEY, SECRET

FRAME = pandas.DataFrame({"id": range(1000), "word": [f"w{i % 7}" for i in range(1000)]})


@pytest.fixture
def arrow(server):
    return pyarrow.fs.S3FileSystem(access_key=KEY, secret_key=SECRET, endpoint_override=server.url.split("//")[1],
                                   scheme="http", region="us-east-1", force_virtual_addressing=False)


@pytest.fixture
def duck(server):
    con = duckdb.connect()
    import duckdb_extension_httpfs
    file = next(pathlib.Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
    con.execute(f"LOAD '{file}'")
    con.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION 'us-east-1', URL_STYLE 'path',
                    USE_SSL false, ENDPOINT '{server.url.split("//")[1]}')""")
    return con


def test_pandas_and_pyarrow_write_and_read_a_file(arrow, repo):
    FRAME.to_parquet(f"{repo}/main/t/one.parquet", filesystem=arrow)
    pandas.testing.assert_frame_equal(pandas.read_parquet(f"{repo}/main/t/one.parquet", filesystem=arrow), FRAME)
    info = arrow.get_file_info(f"{repo}/main/t/one.parquet")
    assert info.type == pyarrow.fs.FileType.File and info.size > 0
    assert arrow.get_file_info(f"{repo}/main/none").type == pyarrow.fs.FileType.NotFound
    assert arrow.get_file_info(f"{repo}/main/t").type == pyarrow.fs.FileType.Directory


def test_pyarrow_writes_and_reads_a_partitioned_dataset(arrow, repo):
    table = pyarrow.Table.from_pandas(FRAME, preserve_index=False)
    pyarrow.dataset.write_dataset(table, f"{repo}/main/set", filesystem=arrow, format="parquet",
                                  partitioning=pyarrow.dataset.partitioning(pyarrow.schema([("word", pyarrow.string())]),
                                                                            flavor="hive"))
    read = pyarrow.dataset.dataset(f"{repo}/main/set", filesystem=arrow, format="parquet", partitioning="hive")
    assert read.count_rows() == 1000 and set(read.to_table()["word"].to_pylist()) == set(FRAME["word"])


def test_pyarrow_deletes_moves_and_lists(arrow, repo):
    with arrow.open_output_stream(f"{repo}/main/d/a.txt") as out:
        out.write(b"x" * 100)
    arrow.move(f"{repo}/main/d/a.txt", f"{repo}/main/d/b.txt")
    found = arrow.get_file_info(pyarrow.fs.FileSelector(f"{repo}/main/d", recursive=True))
    assert [f.base_name for f in found if f.type == pyarrow.fs.FileType.File] == ["b.txt"]
    arrow.delete_dir(f"{repo}/main/d")
    assert arrow.get_file_info(f"{repo}/main/d/b.txt").type == pyarrow.fs.FileType.NotFound


def test_duckdb_writes_and_reads_parquet_on_a_branch(duck, repo, branch):
    branch(repo, "dev")
    duck.execute(f"COPY (SELECT range AS i, 'x' || range AS s FROM range(100000)) TO 's3://{repo}/dev/t.parquet'")
    assert duck.execute(f"SELECT count(*), sum(i) FROM 's3://{repo}/dev/t.parquet'").fetchone() == (100000, 4999950000)
    assert duck.execute(f"SELECT s FROM 's3://{repo}/dev/t.parquet' WHERE i = 77777").fetchone() == ("x77777",)
    with pytest.raises(duckdb.Error):
        duck.execute(f"SELECT * FROM 's3://{repo}/main/t.parquet'")


def test_duckdb_globs_partitions(duck, repo):
    duck.execute(f"""COPY (SELECT DATE '2013-10-01' + CAST(range % 3 AS INT) AS date, range AS i FROM range(300))
                     TO 's3://{repo}/main/p' (FORMAT parquet, PARTITION_BY (date), OVERWRITE_OR_IGNORE)""")
    rows = duck.execute(f"""SELECT date, count(*) FROM read_parquet('s3://{repo}/main/p/*/*.parquet',
                            hive_partitioning=true) GROUP BY 1 ORDER BY 1""").fetchall()
    assert [n for _, n in rows] == [100, 100, 100]
    one = duck.execute(f"SELECT count(*) FROM 's3://{repo}/main/p/date=2013-10-02/*.parquet'").fetchone()
    assert one == (100,)


def test_duckdb_names_the_protected_branch(server, duck, repo):
    server.api("PUT", f"/repositories/{repo}/settings/branch_protection", json=[{"pattern": "main"}])
    with pytest.raises(duckdb.Error) as error:
        duck.execute(f"COPY (SELECT 1 AS i) TO 's3://{repo}/main/t.parquet'")
    assert "403" in str(error.value) or "AccessDenied" in str(error.value)
