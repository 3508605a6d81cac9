"""A small world for campaigns under Airflow: fourteen days, a suite that sees missing values and one that does not."""

import json
import os
from importlib.metadata import entry_points, version
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DAYS = [f"2013-06-{d:02}" for d in range(1, 15)]  # two of history, twelve controls

SUITE = """
import os, pathlib, time

HERE = pathlib.Path(__file__).parent


def note():
    with (HERE / "calls").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    if (HERE / "slow").exists():
        time.sleep(0.05)
    while (HERE / "slow").exists() and (HERE / "calls").read_text().count("\\n") > 50:
        time.sleep(0.05)  # whoever is to end the task has all the time it needs


def strict(frame):
    note()
    return list(frame.columns) == ["id", "x", "s"] and bool(frame["x"].notna().all())


def weak(frame):
    note()
    return "x" in frame and bool(frame["x"].notna().any())
"""

EXPERIMENT = {
    "name": "toy",
    "seed": 7,
    "batches": ["features/date=*"],
    "key": ["id"],
    "history": {"count": 2},
    "validators": [{"name": v, "spec": f"callable:toy_suite:{v}"} for v in ("strict", "weak")],
    "roots": ["suite"],
    "faults": [{"fault": "null.mcar", "columns": ["x"], "severities": [4]}],
    "controls": {"repeats": 2, "benign": 2},
    "contract": {"row_order": True},
    "gates": [{"metric": "fnr", "limit": 0.5}],
}


@pytest.fixture
def toy(tmp_path):
    """``place`` with batches, suite and ``toy.yaml``; ``calls()``: processes of the validators, one for each call."""
    place = tmp_path / "toy"
    for at, day in enumerate(DAYS):
        file = place / "features" / f"date={day}" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        ids = list(range(at * 1000, at * 1000 + 60))
        pq.write_table(pa.table({"id": ids, "x": [float(i % 17) for i in ids], "s": [f"s{i % 7}" for i in ids]}), file)
    (place / "suite").mkdir()
    (place / "suite" / "toy_suite.py").write_text(SUITE)
    (place / "toy.yaml").write_text(json.dumps(EXPERIMENT))
    seen = place / "suite" / "calls"
    return SimpleNamespace(
        place=place,
        file=str(place / "toy.yaml"),
        store=str(place / "runs.db"),
        experiment=EXPERIMENT,
        suite=place / "suite" / "toy_suite.py",
        slow=place / "suite" / "slow",
        calls=lambda: [int(line) for line in seen.read_text().split()] if seen.exists() else [],
    )


@pytest.fixture(scope="session")
def scorecard():
    """Scorecard in a folder of results, but for times and places."""

    def read(out):
        document = json.loads((out / "scorecard.json").read_text())
        document.pop("runtime")
        return document

    return read


@pytest.fixture(scope="session")
def provider_path(tmp_path_factory, airflow_environment):
    """``PYTHONPATH`` on which Airflow finds our provider, also where it was installed before it had an entry point."""
    path = airflow_environment("")["PYTHONPATH"]
    if any(e.value.startswith("pipechaos.") for e in entry_points(group="apache_airflow_provider")):
        return path
    site = tmp_path_factory.mktemp("site")
    info = site / f"pipechaos-{version('pipechaos')}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pipechaos\nVersion: {version('pipechaos')}\n")
    (info / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = pipechaos.airflow.provider:get_provider_info\n"
    )
    return f"{site}{os.pathsep}{path}"
