"""``run --resume last`` after SIGKILL: the scorecard of an uninterrupted run, no trial lost, none doubled."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipechaos.campaign.trials_io import read_trials

SUITE = """
import pathlib, time

HERE = pathlib.Path(__file__).parent

def positive(frame):
    if (HERE / "held").exists():
        with (HERE / "calls").open("a") as file:
            file.write("x")
        while (HERE / "held").exists() and (HERE / "calls").stat().st_size > 120:
            time.sleep(0.05)  # whoever is to kill the run has all the time it needs
    return ((frame["amount"] >= 0) & frame["id"].notna()).to_numpy()
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    for day in range(1, 15):
        amounts = [10.0 + i for i in range(40)]
        table = pa.table({"id": list(range(100 * day, 100 * day + 40)), "amount": amounts})
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"2024-03-{day:02}.parquet")
    (tmp_path / "suite.py").write_text(SUITE)
    experiment = {
        "name": "shop",
        "batches": ["data"],
        "key": ["id"],
        "history": {"count": 3},
        "validators": [{"name": "signs", "spec": "callable:suite:positive"}],
        "faults": [{"fault": f, "columns": ["amount"]} for f in ("value.sign", "value.scale", "null.mcar")],
        "repeats": 2,
        "block": 1,
    }
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(experiment))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(*arguments):
    command = [sys.executable, "-m", "pipechaos", "run", "shop.yaml", "--jobs", "2", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def committed(store):
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
            (count,) = db.execute("select count(*) from pc_trial where kind = 'fault'").fetchone()
    except sqlite3.OperationalError:  # not laid out yet
        return 0
    finally:
        if "db" in locals():
            db.close()
    return count


def scorecard(folder):
    found = json.loads((folder / "scorecard.json").read_text())
    return {k: v for k, v in found.items() if k != "runtime"}, found["runtime"]


def test_a_killed_run_goes_on(shop):
    whole_run = started("--store", "none", "--out", "whole")
    _, said = whole_run.communicate(timeout=240)
    assert whole_run.returncode == 0, said
    store = shop / "runs.db"
    (shop / "held").touch()
    killed = started("--store", "runs.db", "--out", "halves")
    try:
        while committed(store) < 20:
            assert killed.poll() is None, "it was over before it could be killed"
            time.sleep(0.01)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
        (shop / "held").unlink()
    before = committed(store)
    whole, _ = scorecard(shop / "whole")
    judged = len(read_trials(shop / "whole" / "trials.parquet"))
    assert 20 <= before < judged
    assert not (shop / "halves" / "scorecard.json").exists()
    resumed = started("--resume", "last", "--store", "runs.db", "--out", "halves")
    _, said = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, said
    again, runtime = scorecard(shop / "halves")
    assert again == whole
    assert runtime["resumed_tasks"] >= before
    ids = [t.trial_id for t in read_trials(shop / "halves" / "trials.parquet")]
    assert ids == [t.trial_id for t in read_trials(shop / "whole" / "trials.parquet")]
    assert len(set(ids)) == len(ids)
