"""The product: delays of a day by origin and carrier, beside the weather that the flights met."""
import lake


def run(con, base, key):
    lake.write(con, f"""
        SELECT DATE '{key}' AS day, f.origin, f.carrier, any_value(c.carrier_name) AS carrier_name,
               count(*)::INTEGER AS flights, count(*) FILTER (WHERE f.cancelled)::INTEGER AS cancelled,
               count(*) FILTER (WHERE f.late)::INTEGER AS late,
               round(avg(f.dep_delay), 2) AS mean_dep_delay, round(avg(f.arr_delay), 2) AS mean_arr_delay,
               count(*) FILTER (WHERE NOT f.has_weather)::INTEGER AS without_weather,
               round(avg(f.wind_speed), 2) AS mean_wind_speed, max(f.precip) AS max_precip, min(f.visib) AS min_visib,
               any_value(c.flights) AS carrier_flights, any_value(c.known_seats) AS carrier_known_seats
        FROM read_parquet('{base}stage/flights_weather/date={key}/*.parquet', hive_partitioning = false) f
        JOIN read_parquet('{base}stage/carrier_report/date={key}/*.parquet', hive_partitioning = false) c
          ON c.carrier = f.carrier
        GROUP BY f.origin, f.carrier ORDER BY f.origin, f.carrier""", base, "out/delays", key, "delays")


if __name__ == "__main__":
    lake.main(run)
