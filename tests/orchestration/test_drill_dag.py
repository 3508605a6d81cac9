"""The drill DAG under ``dag.test``, on small data: three nights in one start."""

import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipechaos.testing.dag_runs import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAGS = Path(__file__).resolve().parents[2] / "dags"
SUITE = """
def whole(frame):
    return list(frame.columns) == ["id", "x", "y"] and bool(frame["x"].notna().all())
"""
CONFS = [{"until": "day-04"}, {"until": "day-05"}, {"until": "day-06", "release": True}, {"until": "day-00"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("drills") / "demo"
    (place / "data").mkdir(parents=True)
    for day in range(1, 8):
        rows = [float(day + i) for i in range(30)]
        table = pa.table({"id": list(range(30)), "x": rows, "y": [-v for v in rows]})
        pq.write_table(table, place / "data" / f"day-{day:02}.parquet")
    (place / "drill_dag_suite.py").write_text(SUITE)
    experiment = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "history": {"count": 2},
        "validators": [{"name": "whole", "spec": "callable:drill_dag_suite:whole"}],
        "faults": [{"fault": "null.mcar", "columns": ["x", "y"]}],
        "severities": [4],
        "controls": {"repeats": 0, "benign": 0},
    }
    (place / "flights.yaml").write_text(yaml.safe_dump(experiment))
    return place


@pytest.fixture(scope="module")
def runs(home):
    return run_dag(
        DAGS,
        "flights_drill",
        CONFS,
        home=home.parent / "airflow",
        wanted=["drill"],
        env={"PIPECHAOS_DEMO": str(home), "AIRFLOW_VAR_PIPECHAOS_HALT": "off"},
    )


def test_each_night_drills_the_latest_batch_and_takes_turns(runs, home):
    results = [run.results["drill"] for run in runs[:3]]
    assert [run.tasks for run in runs[:3]] == [{"drill": "success"}] * 3
    assert [r["bases"] for r in results] == [["day-04"], ["day-05"], ["day-06"]]
    assert [r["tried"] for r in results] == [1, 1, 1]  # two pairs within two weeks: one a night
    with sqlite3.connect(home / "runs.db") as database:
        rows = database.execute(
            "select r.run_id, t.columns from pc_trial t join pc_run r using (run_id) where t.kind = 'fault'"
        ).fetchall()
    database.close()
    columns = dict(rows)
    first, second, third = (columns[r["run_id"]] for r in results)
    assert {first, second} == {'["x"]', '["y"]'}
    assert third == first
    assert [r["coverage"]["never"] for r in results] == [1, 0, 0]


def test_a_drill_is_named_for_its_task_and_nothing_of_a_try_or_the_clock(runs):
    for run in runs[:3]:
        dag, name, task = run.results["drill"]["run_id"].split("/")
        assert (dag, task) == ("flights_drill", "drill")
        assert name.startswith("manual__")


def test_a_survivor_is_news_once_and_only_small_plain_json_travels(runs):
    results = [run.results["drill"] for run in runs[:3]]
    news = [(s["columns"], s["why"]) for r in results for s in r["new_survivors"]]
    assert news == [(["y"], "first_seen")]  # nobody looks at y; the third night is x or y again
    for result in results:
        assert len(json.dumps(result, allow_nan=False)) < 4000


def test_a_night_without_a_batch_fails_and_says_so(runs):
    assert runs[3].tasks == {"drill": "failed"}


def test_the_store_and_the_results_lie_in_the_demos_folder(runs, home):
    folders = sorted(p.name for p in (home / "drills").iterdir())
    assert len(folders) == 3
    assert all((home / "drills" / f / "scorecard.json").is_file() for f in folders)
    assert {p.name for p in (home / "data").iterdir()} == {f"day-{d:02}.parquet" for d in range(1, 8)}
