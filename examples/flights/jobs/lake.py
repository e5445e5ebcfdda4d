"""Where a job reads and writes: its own branch over S3 when `tarn job exec` started it, a local folder else."""
import os
import sys

import duckdb

PARQUET = "(FORMAT parquet, COMPRESSION zstd)"


def connect():
    """One connection with one thread: the same rows always give the same bytes."""
    con = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    if os.environ.get("TARN_JOB_URI"):
        con.execute(f"LOAD '{os.environ['TARN_DUCKDB_HTTPFS']}'")
        # As text and not as parameters: those make DuckDB import pandas, which costs more than the whole job.
        key, secret, endpoint = (os.environ[name].replace("'", "''") for name in (
            "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TARN_S3_ENDPOINT"))
        con.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', ENDPOINT '{endpoint}', "
                    "URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')")
    return con


def write(con, query, base, folder, key, name):
    """Writes one Parquet file into the partition of the day."""
    target = f"{base}{folder}/date={key}/"
    if "://" not in base:
        os.makedirs(target, exist_ok=True)
    con.execute(f"COPY ({query}) TO '{target}{name}.parquet' {PARQUET}")


def main(run):
    """Runs a job: from the environment of `tarn job exec`, or `python JOB.py FOLDER DATE` in plain DuckDB."""
    base = os.environ.get("TARN_JOB_URI") or sys.argv[1].rstrip("/") + "/"
    run(connect(), base, os.environ.get("TARN_RUN_KEY") or sys.argv[2])
