"""The facts of the real data that the story stands on, measured on the files that source.py makes."""
import datetime
import filecmp
import pathlib

import duckdb
import pytest


@pytest.fixture(scope="module")
def tables(made):
    con = duckdb.connect()
    for table in ("flights", "weather"):
        con.execute(f"CREATE VIEW {table} AS FROM read_parquet(['{made}/history/{table}/*/*.parquet', "
                    f"'{made}/drops/{table}/*/*.parquet'], hive_partitioning = true)")
    for table in ("airports", "airlines", "planes"):
        con.execute(f"CREATE VIEW {table} AS FROM '{made}/history/{table}/{table}.parquet'")
    return con


def one(con, query):
    return con.execute(query).fetchone()[0]


def test_two_runs_give_the_same_bytes(archive, made, tmp_path):
    import source
    source.build(archive, tmp_path)
    files = sorted(p.relative_to(made) for p in made.rglob("*.parquet"))
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.parquet"))
    same, different, missing = filecmp.cmpfiles(made, tmp_path, [str(f) for f in files], shallow=False)
    assert (len(same), different, missing) == (732, [], [])


def test_every_row_of_the_package_is_there_and_in_its_partition(tables):
    for table, rows in {"flights": 336776, "weather": 26115, "planes": 3322, "airports": 1458, "airlines": 16}.items():
        assert one(tables, f"SELECT count(*) FROM {table}") == rows
    for table in ("flights", "weather"):
        assert one(tables, f"SELECT count(*) FROM {table} WHERE date <> make_date(year, month, day)") == 0
    assert one(tables, "SELECT count(DISTINCT date) FROM flights") == 365


def test_history_ends_with_september_and_drops_start_with_october(made):
    for table in ("flights", "weather"):
        history = sorted(p.name for p in (made / "history" / table).iterdir())
        drops = sorted(p.name for p in (made / "drops" / table).iterdir())
        assert (len(history), history[0], history[-1]) == (273, "date=2013-01-01", "date=2013-09-30")
        assert drops[0] == "date=2013-10-01"
    assert len(list((made / "drops" / "flights").iterdir())) == 92
    assert len(list((made / "drops" / "weather").iterdir())) == 91


def test_short_weather_days(tables):
    rows = dict(tables.execute("SELECT date::VARCHAR, count(*) FROM weather WHERE date >= DATE '2013-10-01' "
                               "GROUP BY ALL HAVING count(*) <> 72").fetchall())
    assert rows == {"2013-10-23": 70, "2013-10-25": 60, "2013-10-26": 66, "2013-11-01": 68, "2013-11-02": 60,
                    "2013-11-04": 69, "2013-12-17": 71, "2013-12-30": 57}
    assert one(tables, "SELECT count(*) FROM weather WHERE date = DATE '2013-12-31'") == 0
    hours = "SELECT list(h) FROM range(24) t(h) WHERE h NOT IN (SELECT hour FROM weather WHERE date = DATE '%s')"
    assert one(tables, hours % "2013-10-25") == [20, 21, 22, 23] == one(tables, hours % "2013-11-02")
    assert one(tables, hours % "2013-12-30") == [19, 20, 21, 22, 23]


def test_cost_of_the_short_days_downstream(tables):
    for day, lost, flights in (("2013-10-25", 95, 989), ("2013-11-02", 43, 689), ("2013-12-30", 156, 968)):
        assert tables.execute(
            "SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM weather w WHERE w.date = f.date AND "
            "w.origin = f.origin AND w.time_hour = f.time_hour)), count(*) FROM flights f "
            f"WHERE date = DATE '{day}'").fetchone() == (lost, flights)


def test_clocks_go_back_on_november_third(tables):
    local = tables.execute("SELECT date::VARCHAR, origin, hour, count(*) FROM weather "
                           "GROUP BY ALL HAVING count(*) > 1 ORDER BY origin").fetchall()
    assert local == [("2013-11-03", origin, 1, 2) for origin in ("EWR", "JFK", "LGA")]
    assert one(tables, "SELECT count(*) - count(DISTINCT (origin, time_hour)) FROM weather") == 0


def test_one_impossible_wind(tables):
    assert tables.execute("SELECT date::VARCHAR, origin, round(wind_speed, 2) FROM weather WHERE wind_speed > 250"
                          ).fetchall() == [("2013-02-12", "EWR", 1048.36)]


def test_destinations_and_planes_that_nobody_knows(tables):
    orphans = "SELECT count(*) FROM flights WHERE dest NOT IN (SELECT faa FROM airports)"
    assert one(tables, orphans) == 7602
    assert one(tables, orphans + " AND month <= 9") == 5837
    fix = pathlib.Path(__file__).resolve().parents[2] / "examples" / "flights" / "airports-fix.csv"
    assert one(tables, f"{orphans} AND dest NOT IN (SELECT faa FROM '{fix}')") == 0
    assert one(tables, "SELECT count(*) FROM flights WHERE tailnum NOT IN (SELECT tailnum FROM planes)") == 50094


def test_key_and_nulls_of_flights(tables):
    assert one(tables, "SELECT count(*) - count(DISTINCT (year, month, day, carrier, flight, origin)) FROM flights") == 0
    assert tables.execute("SELECT count(*) FILTER (dep_time IS NULL), count(*) FILTER (arr_time IS NULL), "
                          "count(*) FILTER (air_time IS NULL), count(*) FILTER (tailnum IS NULL) FROM flights"
                          ).fetchone() == (8255, 8713, 9430, 2512)


def test_snow_days(tables):
    share = tables.execute("SELECT date, 100.0 * count(*) FILTER (dep_time IS NULL) / count(*) FROM flights "
                           "GROUP BY ALL ORDER BY 2").fetchall()
    assert round(share[182][1], 2) == 0.73
    assert sorted(day for day, cancelled in share if cancelled > 10 and day >= datetime.date(2013, 10, 1)) == [
        datetime.date(2013, 12, day) for day in (5, 10, 14, 17)]
