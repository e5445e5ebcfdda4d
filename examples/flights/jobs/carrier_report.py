"""One row for each carrier of a day: its flights, its cancellations, and the seats of the planes that are known."""
import lake


def run(con, base, key):
    lake.write(con, f"""
        SELECT f.carrier, any_value(c.name) AS carrier_name, count(*)::INTEGER AS flights,
               count(*) FILTER (WHERE f.cancelled)::INTEGER AS cancelled,
               count(p.tailnum)::INTEGER AS known_planes, coalesce(sum(p.seats), 0)::INTEGER AS known_seats
        FROM read_parquet('{base}stage/clean_flights/date={key}/*.parquet', hive_partitioning = false) f
        JOIN read_parquet('{base}inputs/airlines/*.parquet') c ON c.carrier = f.carrier
        LEFT JOIN read_parquet('{base}inputs/planes/*.parquet') p ON p.tailnum = f.tailnum
        GROUP BY f.carrier ORDER BY f.carrier""", base, "stage/carrier_report", key, "carrier_report")


if __name__ == "__main__":
    lake.main(run)
