"""Each flight of a day with the weather at its airport in its scheduled hour; nulls where there is none."""
import lake


def run(con, base, key):
    lake.write(con, f"""
        SELECT f.*, w.origin IS NOT NULL AS has_weather, w.temp, w.wind_speed, w.precip, w.visib
        FROM read_parquet('{base}stage/clean_flights/date={key}/*.parquet', hive_partitioning = false) f
        LEFT JOIN read_parquet('{base}inputs/weather/date={key}/*.parquet', hive_partitioning = false) w
          ON w.origin = f.origin AND w.time_hour = f.time_hour
        ORDER BY f.origin, f.time_hour, f.carrier, f.flight""", base, "stage/flights_weather", key, "flights_weather")


if __name__ == "__main__":
    lake.main(run)
