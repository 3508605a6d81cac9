"""The contract of one day of flights as they come from upstream: enough to make features of, no more.

Limits come from January to March 2013 without the two blizzard days, as those of the features do. More columns, and any
order of columns, are fine.
"""

import pandas as pd
import pandera.pandas as pa

CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]


def is_clock(column: str) -> pa.Check:
    return pa.Check(lambda s: s.between(0, 2400) & (s % 100 < 60), name=f"{column}_is_hhmm")


def null_share(column: str, limit: float) -> pa.Check:
    # ignore_na=False: nulls are what this check counts
    return pa.Check(lambda s: bool(s.isna().mean() <= limit), name=f"{column}_null_share", ignore_na=False)


def delay(column: str) -> pa.Column:
    bounds = pa.Check.in_range(-120, 1800, name=f"{column}_bounds")
    return pa.Column("float64", [bounds, null_share(column, 0.35)], nullable=True)


raw_flights_schema = pa.DataFrameSchema(
    {
        "time_hour": pa.Column(pd.DatetimeTZDtype(unit="us", tz="UTC")),
        "carrier": pa.Column(str, pa.Check.isin(CARRIERS, name="carrier_known")),
        "flight": pa.Column("int64", pa.Check.in_range(1, 9999, name="flight_bounds")),
        "origin": pa.Column(str, pa.Check.isin(["EWR", "JFK", "LGA"], name="origin_known")),
        "dest": pa.Column(str, pa.Check.str_matches(r"^[A-Z]{3}$", name="dest_is_iata")),
        "sched_dep_time": pa.Column("int64", is_clock("sched_dep_time")),
        "sched_arr_time": pa.Column("int64", is_clock("sched_arr_time")),
        "dep_delay": delay("dep_delay"),
        "arr_delay": delay("arr_delay"),
        "distance": pa.Column("int64", pa.Check.in_range(1, 6000, name="distance_bounds")),
    },
    checks=[
        pa.Check(lambda df: 500 <= len(df) <= 1200, name="row_count"),
        pa.Check(lambda df: df["sched_dep_time"] == 100 * df["hour"] + df["minute"], name="clock_agrees_with_hour"),
    ],
    unique=["time_hour", "carrier", "flight", "origin"],
    name="raw_flights",
)
