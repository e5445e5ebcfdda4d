"""What the owners correct before the first publications: files for their proposals, made from the history."""
import pathlib

import source

HERE = pathlib.Path(__file__).parent
WIND_DAY = "2013-02-12"


def airports(con, history, out):
    """The airports with the four of airports-fix.csv."""
    types = ", ".join(f"'{c}': '{t}'" for c, t in source.COLUMNS["airports"].items())
    source.write(con, f"FROM '{history}/airports/airports.parquet' UNION ALL FROM read_csv('{HERE}/airports-fix.csv', "
                      f"header = true, columns = {{{types}}}) ORDER BY faa", f"{out}/airports/airports.parquet")


def wind(con, history, out):
    """The day whose wind speed of 1,048 mph cannot be true: the value becomes null."""
    day = f"weather/date={WIND_DAY}/weather.parquet"
    source.write(con, "SELECT * REPLACE (CASE WHEN wind_speed <= 250 THEN wind_speed END AS wind_speed) "
                      f"FROM read_parquet('{history}/{day}', hive_partitioning = false) ORDER BY origin, time_hour",
                 f"{out}/{day}")
