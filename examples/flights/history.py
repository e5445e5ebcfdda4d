"""Makes the output history of analytics, January to September, with the four job files in plain DuckDB.

    history.py --source DIR --out DIR     DIR/out/delays/date=YYYY-MM-DD/delays.parquet for each of the 273 days
"""
import argparse
import pathlib
import shutil
import sys

import corrections
import source

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jobs"))
JOBS = ("clean_flights", "join_weather", "carrier_report", "daily_delays")


def build(made, out, days=None):
    """Runs the jobs day after day on one connection; `made` is the folder that source.build() wrote."""
    history, out = pathlib.Path(made).resolve() / "history", pathlib.Path(out).resolve()
    inputs = out / "inputs"
    for table in ("flights", "weather", "planes", "airlines"):
        shutil.copytree(history / table, inputs / table, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for folder in [inputs, *inputs.rglob("date=*"), *inputs.iterdir()]:
        folder.chmod(0o755)
    con = source.connect()
    corrections.airports(con, history, inputs)
    corrections.wind(con, history, inputs)
    jobs = [__import__(name) for name in JOBS]
    done = days or [day for day in source.DAYS if day < source.FIRST_DROP]
    for day in done:
        for job in jobs:
            job.run(con, f"{out}/", str(day))
    for made_now in (out / "out").rglob("*.parquet"):
        source.stamp(made_now)
    shutil.rmtree(inputs)
    shutil.rmtree(out / "stage")
    return len(done)


def main():
    args = argparse.ArgumentParser(description="make the output history of analytics")
    args.add_argument("--source", required=True, help="folder that source.py wrote")
    args.add_argument("--out", required=True, help="folder to write")
    given = args.parse_args()
    print(f"{build(given.source, given.out)} days in {given.out}/out/delays")


if __name__ == "__main__":
    main()
