"""The contracts of the example against the real days: which load each rule refuses, by the oracle in rules.py."""
import datetime
import functools

import duckdb
import pytest

import corrections
import faults
import source
from conftest import FLIGHTS
from rules import Contract

MESH = FLIGHTS / "mesh"
OCTOBER = [day for day in source.DAYS if day >= source.FIRST_DROP]


@functools.cache
def rows(path):
    return duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()[0]


def file(made, table, day):
    part = "history" if day < source.FIRST_DROP else "drops"
    return made / part / table / f"date={day}" / f"{table}.parquet"


def before(made, table, day):
    return [rows(file(made, table, day - datetime.timedelta(days=n))) for n in range(28, 0, -1)]


@pytest.fixture(scope="session")
def inputs(made, tmp_path_factory):
    """References as the consumer has them on main: airports v2 and the rest."""
    out = tmp_path_factory.mktemp("inputs")
    corrections.airports(source.connect(), made / "history", out)
    return {"airports": f"{out}/airports/*.parquet", "airports@1": f"{made}/history/airports/*.parquet",
            "planes": f"{made}/history/planes/*.parquet", "flights": f"{made}/drops/flights/*/*.parquet",
            "corrected": out}


def refused(contract, made, table, references=None):
    found = {}
    for day in OCTOBER:
        path = file(made, table, day)
        if path.exists():
            failed = contract.check([path], references, before(made, table, day))
            if failed:
                found[f"{day:%m-%d}"] = failed
    return found


def test_weather_refuses_exactly_the_four_days(made):
    found = refused(Contract(MESH / "weather/contracts/hourly.odcs.yaml"), made, "weather")
    assert found == {"10-25": {"day-size": ("error", 60)}, "11-02": {"day-size": ("error", 60)},
                     "11-03": {"hourly-key": ("error", 3)}, "12-30": {"day-size": ("error", 57)}}


def test_second_major_of_weather_takes_the_day_when_the_clocks_go_back(made):
    day = datetime.date(2013, 11, 3)
    contract = Contract(MESH / "weather/contracts/hourly@2.odcs.yaml")
    assert contract.check([file(made, "weather", day)], None, before(made, "weather", day)) == {}


def test_flights_warn_on_exactly_the_snow_days_and_refuse_none(made):
    found = refused(Contract(MESH / "flights/contracts/flights.odcs.yaml"), made, "flights")
    assert sorted(found) == ["12-05", "12-10", "12-14", "12-17"]
    assert {(check, result[0]) for day in found.values() for check, result in day.items()} == {
        ("cancelled-share", "warning")}


def test_consumer_takes_every_right_day(made, inputs):
    assert refused(Contract(MESH / "analytics/expectations/flights.odcs.yaml"), made, "flights", inputs) == {}
    assert refused(Contract(MESH / "analytics/expectations/weather.odcs.yaml"), made, "weather", inputs) == {}


def test_consumer_refuses_the_history_of_flights_until_the_airports_are_known(made, inputs):
    contract = Contract(MESH / "analytics/expectations/flights.odcs.yaml")
    history = sorted((made / "history/flights").rglob("*.parquet"))
    old = dict(inputs, airports=inputs["airports@1"])
    assert contract.check(history, old) == {"dest-in-airports": ("error", 5837)}
    assert contract.check(history, inputs) == {}


def test_history_of_weather_has_one_impossible_value(made, inputs):
    contract = Contract(MESH / "weather/contracts/hourly.odcs.yaml")
    history = sorted((made / "history/weather").rglob("*.parquet"))
    assert contract.check(history) == {"wind_speed.range": ("error", 1)}
    corrections.wind(source.connect(), made / "history", inputs["corrected"])
    assert contract.check([inputs["corrected"] / "weather" / f"date={corrections.WIND_DAY}" / "weather.parquet"]) == {}


def test_reference_tables_hold_their_contracts(made, inputs):
    for name in ("airports", "airlines", "planes"):
        contract = Contract(MESH / name / "contracts" / f"{name}.odcs.yaml")
        assert contract.check([made / "history" / name / f"{name}.parquet"]) == {}
    assert Contract(MESH / "airports/contracts/airports.odcs.yaml").check(
        [inputs["corrected"] / "airports/airports.parquet"]) == {}


@pytest.mark.parametrize("day", sorted(faults.FLIGHTS))
def test_injected_fault_is_found_by_one_side(made, inputs, tmp_path, day):
    name, query = faults.FLIGHTS[day]
    when = datetime.date.fromisoformat(day)
    wrong = tmp_path / "flights.parquet"
    faults.write(source.connect(), file(made, "flights", when), query, wrong)
    producer = Contract(MESH / "flights/contracts/flights.odcs.yaml").check([wrong], None, before(made, "flights", when))
    consumer = Contract(MESH / "analytics/expectations/flights.odcs.yaml").check([wrong], inputs)
    expected = {"schema_drift": ({"schema"}, {"schema"}), "null_spike": ({"air-time-of-arrived"}, set()),
                "truncated_load": ({"day-size"}, set()), "duplicates": ({"flights-key"}, set()),
                "orphan_airport": (set(), {"dest-in-airports"}), "new_category": (set(), {"carrier-known"}),
                "unit_change": ({"ground-speed"}, set()), "checks_deleted": ({"day-size"}, set())}[name]
    assert (set(producer), set(consumer)) == expected


def test_no_rule_sees_the_load_that_is_withdrawn_later(made, inputs, tmp_path):
    when = datetime.date.fromisoformat(faults.WITHDRAWN_DAY)
    wrong = tmp_path / "flights.parquet"
    faults.write(source.connect(), file(made, "flights", when), faults.WITHDRAWN, wrong)
    assert wrong.read_bytes() != file(made, "flights", when).read_bytes()
    assert Contract(MESH / "flights/contracts/flights.odcs.yaml").check([wrong], None, before(made, "flights", when)) == {}
    assert Contract(MESH / "analytics/expectations/flights.odcs.yaml").check([wrong], inputs) == {}


def test_jobs_fulfil_the_output_contract(made, tmp_path):
    import history
    days = [datetime.date(2013, 9, 30), datetime.date(2013, 2, 9)]
    assert history.build(made, tmp_path, days) == 2
    for day in days:
        path = tmp_path / "out/delays" / f"date={day}" / "delays.parquet"
        assert Contract(MESH / "analytics/contracts/delays.odcs.yaml").check([path]) == {}
