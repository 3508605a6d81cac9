"""The contract of one day of flight features, as a pandera schema.

Limits come from the history window, January to March 2013 without the two blizzard days, and from the nature of each
quantity; a null budget is about twice the worst history day. Later days were not looked at. More columns than these,
and any order of columns, are fine: readers select by name.
"""

import pandas as pd
import pandera.pandas as pa

KEY = ["time_hour", "carrier", "flight", "origin"]
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ORIGINS = ["EWR", "JFK", "LGA"]
ENGINES = ["4 Cycle", "Reciprocating", "Turbo-fan", "Turbo-jet", "Turbo-prop", "Turbo-shaft"]  # the whole register's
UTC = pd.DatetimeTZDtype(unit="us", tz="UTC")
FEED_START = pd.Timestamp("2013-01-01", tz="UTC")


def between(column: str, low: float, high: float) -> pa.Check:
    return pa.Check.in_range(low, high, name=f"{column}_bounds")


def null_share(column: str, limit: float) -> pa.Check:
    # ignore_na=False: nulls are what this check counts. NaN <= limit is False, so an empty batch fails
    return pa.Check(lambda s: bool(s.isna().mean() <= limit), name=f"{column}_null_share", ignore_na=False)


def is_clock(column: str) -> pa.Check:
    return pa.Check(lambda s: s.between(0, 2400) & (s % 100 < 60), name=f"{column}_is_hhmm")


def measure(column: str, low: float, high: float, nulls: float) -> pa.Column:
    """A float with physical bounds and a budget of nulls."""
    return pa.Column("float64", [between(column, low, high), null_share(column, nulls)], nullable=True)


def arr_delay_is_dep_delay_plus_time_lost(df: pd.DataFrame) -> pd.Series:
    """Both clocks are local and wrap at midnight, so the identity holds modulo a day."""
    lost = df["elapsed"] - df["sched_elapsed"]
    gap = (df["arr_delay"] - df["dep_delay"] - lost) % 1440
    return (gap == 0) | gap.isna()


def late_15_follows_arr_delay(df: pd.DataFrame) -> pd.Series:
    late = (df["arr_delay"] >= 15) == (df["late_15"] == 1)
    return late & (df["arr_delay"].isna() == df["late_15"].isna())


flights_schema = pa.DataFrameSchema(
    {
        "time_hour": pa.Column(
            UTC,
            [
                pa.Check.ge(FEED_START, name="time_hour_since_feed_start"),
                pa.Check(lambda s: s == s.dt.floor("h"), name="time_hour_on_the_hour"),
                pa.Check(lambda s: s.max() - s.min() < pd.Timedelta("24h"), name="time_hour_spans_one_day"),
            ],
        ),
        "carrier": pa.Column(str, pa.Check.isin(CARRIERS, name="carrier_known")),
        "flight": pa.Column("int64", between("flight", 1, 9999)),
        "origin": pa.Column(
            str,
            [
                pa.Check.isin(ORIGINS, name="origin_known"),
                pa.Check(lambda s: s.nunique() == len(ORIGINS), name="origin_all_present"),
            ],
        ),
        "dest": pa.Column(str, pa.Check.str_matches(r"^[A-Z]{3}$", name="dest_is_iata")),
        "tailnum": pa.Column(
            str,
            [
                pa.Check.str_matches(r"^[A-Z][0-9A-Z]{2,5}$", name="tailnum_format"),
                null_share("tailnum", 0.10),
            ],
            nullable=True,
        ),
        "sched_dep": pa.Column(UTC, pa.Check.ge(FEED_START, name="sched_dep_since_feed_start")),
        "sched_dep_time": pa.Column("int64", is_clock("sched_dep_time")),
        "sched_arr_time": pa.Column("int64", is_clock("sched_arr_time")),
        "sched_elapsed": pa.Column("int64", between("sched_elapsed", 20, 720)),
        "distance": pa.Column("int64", between("distance", 1, 6000)),
        "dep_delay": measure("dep_delay", -60, 1800, nulls=0.35),
        "arr_delay": measure("arr_delay", -120, 1800, nulls=0.35),
        "elapsed": measure("elapsed", 0, 1439, nulls=0.35),
        "air_time": measure("air_time", 10, 900, nulls=0.35),
        "temp": measure("temp", -20, 115, nulls=0.10),
        "dewp": measure("dewp", -40, 90, nulls=0.10),
        "humid": measure("humid", 0, 100, nulls=0.10),
        "wind_speed": measure("wind_speed", 0, 120, nulls=0.10),
        "precip": measure("precip", 0, 5, nulls=0.10),
        "pressure": measure("pressure", 940, 1060, nulls=0.80),
        "visib": measure("visib", 0, 10, nulls=0.10),
        "plane_year": measure("plane_year", 1940, 2014, nulls=0.40),
        "seats": measure("seats", 1, 500, nulls=0.40),
        "engine": pa.Column(
            str, [pa.Check.isin(ENGINES, name="engine_known"), null_share("engine", 0.40)], nullable=True
        ),
        "late_15": pa.Column(
            "float64",
            [
                pa.Check.isin([0.0, 1.0], name="late_15_is_0_or_1"),
                pa.Check(lambda s: s.nunique() == 2, name="late_15_has_both_classes"),
                null_share("late_15", 0.35),
            ],
            nullable=True,
        ),
    },
    checks=[
        pa.Check(lambda df: 500 <= len(df) <= 1200, name="row_count"),
        pa.Check(arr_delay_is_dep_delay_plus_time_lost, name="arr_delay_is_dep_delay_plus_time_lost"),
        pa.Check(late_15_follows_arr_delay, name="late_15_follows_arr_delay"),
    ],
    unique=KEY,
    name="flights",
)
