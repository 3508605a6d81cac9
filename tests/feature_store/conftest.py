"""A local Feast repository, made here; the whole folder needs Feast, which lives in an environment of its own."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
DAYS, ROWS = 30, 200
FEATURES = ["trips", "grade", "zeros", "tip", "rate", "note"]  # as declared: neither the source's order nor sorted

STORE = """\
project: taxis
provider: local
registry: data/registry.db
online_store: {type: sqlite, path: data/online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
"""

DEFINITIONS = """\
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="town", join_keys=["city"], value_type=ValueType.STRING)
rides_file = FileSource(name="rides_file", path="data/rides.parquet", timestamp_field="event_timestamp")
rides = FeatureView(
    name="rides",
    entities=[driver, city],
    ttl=timedelta(days=1),
    source=rides_file,
    schema=[
        Field(name="trips", dtype=Int64),
        Field(name="grade", dtype=String),
        Field(name="zeros", dtype=Float64),
        Field(name="tip", dtype=Float64, tags={"pipechaos.target": "true", "owner": "pricing"}),
        Field(name="rate", dtype=Float32),
        Field(name="note", dtype=String, tags={"pipechaos.ignore": "true"}),
    ],
)
"""

SUITES = """\
import pandera.pandas as pa

KEY = ["driver_id", "city", "event_timestamp"]
COLUMNS = {
    "driver_id": pa.Column("int64"),
    "city": pa.Column(str),
    "event_timestamp": pa.Column("datetime64[us, UTC]"),
    "trips": pa.Column("int64", pa.Check.in_range(0, 49)),
    "grade": pa.Column(str, pa.Check.isin(["a", "b", "c"])),
    "zeros": pa.Column("float64"),
    "tip": pa.Column("float64", pa.Check.in_range(0, 9)),
    "rate": pa.Column("float32", pa.Check.in_range(0, 1)),
    "note": pa.Column(str),
}
loose = pa.DataFrameSchema(COLUMNS)
tight = pa.DataFrameSchema(COLUMNS, unique=KEY)
"""

SUITE = {
    "name": "rides",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "grade"}},
        {
            "type": "expect_compound_columns_to_be_unique",
            "kwargs": {"column_list": ["driver_id", "city", "event_timestamp"]},
        },
    ],
}

FAULTS = """\
severities: [3]
faults:
  - {fault: rows.duplicate}                  # only a uniqueness check can tell
  - {fault: null.mcar, columns: [grade]}     # any schema can tell
  - {fault: value.scale, columns: [zeros]}   # nothing to tell: nought times anything is nought
controls: {benign: 5, repeats: 2}
"""


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "feature_store: needs Feast, which pins pandas below 3; run by `make test-feast`"
    )


def pytest_collection_modifyitems(items):
    here = [item for item in items if item.path.is_relative_to(HERE)]
    for item in here:
        item.add_marker(pytest.mark.feature_store)
        if find_spec("feast") is None:
            item.add_marker(pytest.mark.skip(reason="Feast is not installed here: `make test-feast` runs these tests"))


def rides():
    """Thirty days of two hundred rides each: nanoseconds, shuffled, the first row of a day at midnight exactly."""
    rng = np.random.default_rng(20240501)
    parts = []
    for day in range(DAYS):
        seconds = np.sort(rng.choice(86_400, ROWS, replace=False))
        seconds[0] = 0
        at = pd.Timestamp("2024-05-01", tz="UTC") + pd.Timedelta(days=day) + pd.to_timedelta(seconds, unit="s")
        parts.append(
            pd.DataFrame(
                {
                    "note": [f"ride {day}-{i}" for i in range(ROWS)],
                    "rate": rng.random(ROWS).astype("float32"),
                    "city": np.where(np.arange(ROWS) % 3, "north", "south"),
                    "event_timestamp": at.astype("datetime64[ns, UTC]"),
                    "trips": rng.integers(0, 50, ROWS),
                    "driver_id": np.arange(ROWS) // 2 + 1000,
                    "unused": 1,
                    "zeros": 0.0,
                    "grade": rng.choice(["a", "b", "c"], ROWS),
                    "tip": rng.random(ROWS) * 9,
                }
            )
        )
    return pd.concat(parts).sample(frac=1, random_state=5)


def make_repository(folder, definitions=DEFINITIONS, frame=None, store=STORE):
    """A Feast repository on disk."""
    (folder / "data").mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(store, encoding="utf-8")
    (folder / "rides_defs.py").write_text(definitions, encoding="utf-8")
    if frame is not None:
        frame.to_parquet(folder / "data" / "rides.parquet", index=False)
    return folder


@pytest.fixture(scope="session")
def fingerprint():
    """Content of every file below a folder, by path."""

    def taken(folder):
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return taken


@pytest.fixture(scope="session")
def definitions():
    return DEFINITIONS


@pytest.fixture(scope="session")
def source():
    return rides()


@pytest.fixture(scope="session")
def place(tmp_path_factory, source):
    """A project: `feature_repo` with a registry and an online store, and beside it suites and faults."""
    home = tmp_path_factory.mktemp("project")
    repo = make_repository(home / "feature_repo", frame=source)
    program = Path(sys.executable).parent / "feast"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [program, "-c", repo, "apply"], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (repo / "data").iterdir()} == {"rides.parquet", "registry.db", "online.db"}
    (home / "schemas.py").write_text(SUITES, encoding="utf-8")
    (home / "rides.json").write_text(json.dumps(SUITE), encoding="utf-8")
    (home / "chaos.yaml").write_text(FAULTS, encoding="utf-8")
    return home


@pytest.fixture
def repository(tmp_path, source):
    """Makes repositories with other definitions or data."""

    def make(definitions=DEFINITIONS, frame=source, store=STORE):
        return make_repository(tmp_path / "repo", definitions, frame, store)

    return make
