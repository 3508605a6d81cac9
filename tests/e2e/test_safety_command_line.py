"""A run that somebody halts in the middle, and that goes on later, from the command line."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

SUITE = """
import pathlib

HERE = pathlib.Path(__file__).parent


def strict(frame):
    with (HERE / "calls").open("a") as file:
        file.write("x")
    if (HERE / "calls").stat().st_size == 20:  # somebody halts while the 20th frame is judged
        (HERE / "halt").write_text('{"who": "ops", "reason": "incident 7"}')
    return list(frame.columns) == ["id", "x"] and bool(frame["x"].notna().all())
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "data").mkdir()
    for day in range(1, 9):
        x = np.random.default_rng(day).normal(10, 3, 40).round(3)
        pq.write_table(pa.table({"id": range(40), "x": x}), tmp_path / "data" / f"day-{day:02}.parquet")
    (tmp_path / "halting_suite.py").write_text(SUITE)
    experiment = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "key": ["id"],
        "history": {"count": 3},
        "contract": {"row_order": True},
        "validators": [{"name": "strict", "spec": "callable:halting_suite:strict"}],
        "faults": [{"fault": "null.mcar", "columns": ["x"]}, {"fault": "drift.mean", "columns": ["x"]}],
        "severities": [1, 5],
        "controls": {"repeats": 1, "benign": 2},
    }
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(experiment))
    return tmp_path


def pipechaos(home, *args, code):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PIPECHAOS")}
    env |= {"PIPECHAOS_KILL_SWITCH": str(home / "halt"), "PIPECHAOS_STORE": str(home / "runs.db"), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pipechaos", *args], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def card(home):
    found = json.loads((home / "experiment.out" / "scorecard.json").read_text())
    found.pop("runtime")
    return found


def test_halted_refused_released_and_resumed(home):
    run = ("run", "experiment.yaml", "--jobs", "1")
    halted = pipechaos(home, *run, code=3)
    assert "CUT SHORT: halted by ops" in halted.stderr
    assert "incident 7" in halted.stderr
    assert (home / "calls").stat().st_size == 20  # nothing was shown to the suite after that
    refused = pipechaos(home, *run, "--resume", "last", code=3)
    assert "pipechaos: halted by ops" in refused.stderr
    pipechaos(home, "halt", "status", code=3)
    pipechaos(home, "halt", "off", code=0)
    pipechaos(home, *run, "--resume", "last", code=0)
    resumed, judged = card(home), (home / "calls").stat().st_size
    pipechaos(home, *run, code=0)
    assert card(home) == resumed
    assert (home / "calls").stat().st_size == 2 * judged  # halted and resumed together did no more than one run does
