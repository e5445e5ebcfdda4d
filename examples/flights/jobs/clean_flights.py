"""The flights of a day with what later jobs need: cancelled or not, late or not, where to."""
import lake


def run(con, base, key):
    lake.write(con, f"""
        SELECT f.origin, f.carrier, f.flight, f.tailnum, f.dest, a.name AS dest_name, f.time_hour, f.distance,
               f.dep_time IS NULL AS cancelled, f.dep_delay, f.arr_delay, coalesce(f.arr_delay > 15, false) AS late
        FROM read_parquet('{base}inputs/flights/date={key}/*.parquet', hive_partitioning = false) f
        JOIN read_parquet('{base}inputs/airports/*.parquet') a ON a.faa = f.dest
        ORDER BY f.origin, f.time_hour, f.carrier, f.flight""", base, "stage/clean_flights", key, "clean_flights")


if __name__ == "__main__":
    lake.main(run)
