"""Loads that are wrong on purpose: each takes a right day of flights and returns the query of a wrong one.

The driver delivers them before the right load of the same day. What finds them is the contracts' business.
"""
import source

# day, fault: the wrong flights of that day as a SELECT over its rows {rows}
FLIGHTS = {
    "2013-10-08": ("schema_drift",
                   "SELECT * EXCLUDE (tailnum) REPLACE (flight::VARCHAR AS flight), tailnum AS tail_number FROM {rows}"),
    "2013-10-09": ("null_spike",
                   "SELECT * REPLACE (CASE WHEN row_number() OVER (ORDER BY sched_dep_time, carrier, flight, origin) "
                   "% 8 = 0 THEN NULL ELSE air_time END AS air_time) FROM {rows}"),
    "2013-10-10": ("truncated_load", "SELECT * FROM {rows} WHERE hour < 7"),
    "2013-10-11": ("duplicates",
                   "SELECT * FROM {rows} UNION ALL SELECT * FROM {rows} WHERE carrier = 'UA' AND hour < 10"),
    "2013-10-14": ("orphan_airport",
                   "SELECT * REPLACE (CASE WHEN dest = 'BOS' AND carrier = 'B6' THEN 'QQX' ELSE dest END AS dest) "
                   "FROM {rows}"),
    "2013-10-15": ("new_category",
                   "SELECT * REPLACE (CASE WHEN carrier = 'FL' THEN 'ZL' ELSE carrier END AS carrier) FROM {rows}"),
    "2013-10-16": ("unit_change", "SELECT * REPLACE (round(distance * 1.609344)::INTEGER AS distance) FROM {rows}"),
    "2013-10-17": ("checks_deleted", "SELECT * FROM {rows} WHERE hour < 7"),
}
RUN_CHANGED_DAY = "2013-10-18"      # main of the consumer changes while the run of this day is at work
WITHDRAWN_DAY = "2013-12-20"        # first delivered with one carrier's arrival delay at zero
WITHDRAWN = "SELECT * REPLACE (CASE WHEN carrier = 'DL' THEN 0 ELSE arr_delay END AS arr_delay) FROM {rows}"


def write(con, right, query, wrong):
    """Writes the wrong file `wrong` from the right file `right`, in the order of a right day."""
    rows = f"read_parquet('{right}', hive_partitioning = false)"
    order = "sched_dep_time, carrier, flight::VARCHAR, origin"
    source.write(con, f"FROM ({query.format(rows=rows)}) ORDER BY {order}", wrong)
