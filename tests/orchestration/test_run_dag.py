"""A DAG run without a server: isolated from the user's Airflow, honest about failures, and clean afterwards."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.errors import CannotRunError
from pipechaos.testing.dag_runs import run_dag

pytestmark = pytest.mark.airflow

PROBE = '''
import json, os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import ObjectStoragePath, dag, task
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from pipechaos.airflow.operators import ChaosOperator, ScoreOperator, ValidateBatchOperator

HOME = Path(os.environ["PROBE_HOME"])
FILE = HOME / "features" / "date=2013-06-03" / "part-0.parquet"
FAULT = {"fault": "null.mcar", "columns": "x", "fraction": 0.3, "key": ["id"]}
RETRY = {"retries": 1, "retry_delay": timedelta(0)}
IN_STORE = "memory://deep@lake/date={{ params.day }}/part-0.parquet"


class Store(MemoryFileSystem):
    """Only who asks Airflow for the connection comes to what is in here."""

    store, pseudo_dirs = {}, [""]


attach("memory", "deep", fs=Store())


class Interrupted(ChaosOperator):
    """Loses its worker once the work is done, on its first try."""

    def execute(self, context):
        found, ti = super().execute(context), context["ti"]
        kept = HOME / "tries.jsonl"
        ledger = {p.name: p.read_bytes().hex() for p in Path(found["ledger"]).iterdir()}
        line = {"try": ti.try_number, "run": ti.run_id, "digest": found["batch"]["digest"], "ledger": ledger}
        with kept.open("a") as file:
            file.write(json.dumps(line) + "\\n")
        if ti.try_number == 1:
            raise AirflowException("the worker was lost")
        return found


@task(multiple_outputs=False)
def as_json():
    from pipechaos.batch.ref import BatchRef

    return BatchRef.of(FILE).to_json()


@task
def as_path():
    return ObjectStoragePath(f"file://{FILE}")


@task
def as_stored():
    path = ObjectStoragePath(IN_STORE.replace("{{ params.day }}", "2013-06-03"))
    with path.open("wb") as file:
        file.write(FILE.read_bytes())
    return path


@task.chaos(shadow=str(HOME / "shadow-{{ params.take }}" / "from_decorator"), **FAULT)
def from_decorator():
    uri = "memory://lake/date=2013-06-03/part-0.parquet"
    return {"uri": uri, "format": "parquet", "name": "2013-06-03", "connection_id": "deep"}


@task(multiple_outputs=False)
def settings():
    import beside_the_file
    from airflow.configuration import conf

    known = ("AIRFLOW", "_AIRFLOW")
    return {
        "names": sorted(k for k in os.environ if k.startswith(known)),
        "dags": conf.get("core", "dags_folder"),
        "database": conf.get("database", "sql_alchemy_conn"),
        "telemetry": conf.getboolean("usage_data_collection", "enabled", fallback=False),
        "metrics": conf.getboolean("metrics", "statsd_on"),
    }


def chaos(task_id, batch, kind=ChaosOperator, **more):
    shadow = str(HOME / "shadow-{{ params.take }}" / task_id)
    return kind(task_id=task_id, batch=batch, shadow=shadow, **FAULT, **more)


def gate(task_id, validator, batch=str(FILE), **more):
    return ValidateBatchOperator(
        task_id=task_id,
        batch=batch,
        validators={"v": f"callable:demo_suite:{validator}"},
        code_roots=[str(HOME / "suite")],
        results=str(HOME / "verdicts" / task_id),
        **more,
    )


@dag(schedule=None, params={"take": 1, "day": "2013-06-03"})
def probe():
    rendered = str(HOME / "features" / "date={{ params.day }}" / "part-0.parquet")
    chaos("from_template", rendered)
    chaos("from_json", as_json())
    chaos("from_object_storage", as_path())
    stored = as_stored()
    chaos("from_store", stored)
    stored >> from_decorator()
    stored >> chaos("from_store_template", ObjectStoragePath(IN_STORE))
    stored >> gate("of_store", "positive", ObjectStoragePath(IN_STORE), gate=False)
    broken = chaos("retried", rendered, Interrupted, **RETRY)
    gate("rejects", "never", **RETRY) >> chaos("after_a_rejection", rendered)
    gate("errs", "breaks", **RETRY)
    gate("reports", "never", gate=False)
    judged = gate("of_operator", "positive", batch=broken.output, gate=False)
    judged_base = gate("of_operator_base", "positive")
    ScoreOperator(task_id="score", base=judged_base.output, verdicts=judged.output)
    settings()


probe()
'''

OK = [
    *("from_template", "as_json", "from_json", "as_path", "from_object_storage", "retried"),
    *("as_stored", "from_store", "from_store_template", "from_decorator", "of_store"),
    *("reports", "of_operator", "of_operator_base", "score", "settings"),
]

WAYS = ["from_template", "from_json", "from_object_storage", "retried"]
BY_CONNECTION = ["from_store", "from_store_template", "from_decorator"]


@pytest.fixture
def dags(tmp_path):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "probe.py").write_text(PROBE)
    return tmp_path / "dags"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """Two runs of the probe, and what was there before."""
    place = tmp_path_factory.mktemp("probe")
    for name in ("dags", "suite", "user", "tmp", "work"):
        (place / name).mkdir()
    (place / "dags" / "probe.py").write_text(PROBE)
    (place / "dags" / "beside_the_file.py").write_text("")
    (place / "suite" / "demo_suite.py").write_text(
        "def never(frame):\n    return False\n"
        "def breaks(frame):\n    raise ValueError('no verdict')\n"
        "def positive(frame):\n    return frame['x'] > 0\n"
    )
    file = place / "features" / "date=2013-06-03" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": range(200), "x": [float(i + 1) for i in range(200)]}), file)
    before = _files(place, "dags", "suite", "features")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "work")
        patch.setenv("HOME", str(place / "user"))
        patch.setenv("TMPDIR", str(place / "tmp"))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        # the user's own Airflow, as broken as can be
        patch.setenv("AIRFLOW_HOME", str(place / "user" / "airflow"))
        patch.setenv("AIRFLOW_CONFIG", str(place / "user" / "nothing.cfg"))
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/nonsense")
        patch.setenv("AIRFLOW__CORE__XCOM_BACKEND", "no.such.Backend")
        patch.setenv("AIRFLOW__CORE__EXECUTOR", "no.such.Executor")
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://nobody@127.0.0.1:1/none")
        patch.setenv("AIRFLOW_CONN_LAKE", "s3://key:secret@")
        patch.setenv("AIRFLOW_VAR_MOOD", "bad")
        runs = run_dag(
            place / "dags",
            "probe",
            [{"take": 1}, {"take": 2}],
            home=place / "airflow",
            wanted=[*WAYS, *BY_CONNECTION, "of_store", "score", "settings", "rejects"],
            env={"PROBE_HOME": str(place)},
        )
    return SimpleNamespace(home=place, runs=runs, before=before)


def _files(place, *folders):
    return {str(p): p.read_bytes() for f in folders for p in sorted((place / f).rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_a_failed_run_says_so_and_names_its_tasks(probe):
    expected = {**dict.fromkeys(OK, "success"), **dict.fromkeys(["rejects", "errs"], "failed")}
    for run in probe.runs:
        assert run.state == "failed"
        assert run.tasks == {**expected, "after_a_rejection": "upstream_failed"}
        # what a gate found is there before it fails
        assert [v["status"] for v in run.results["rejects"]["verdicts"].values()] == ["rejected"]
    assert [run.conf for run in probe.runs] == [{"take": 1}, {"take": 2}]


@pytest.mark.slow
def test_a_rejection_is_not_tried_again_and_an_error_is(probe):
    with sqlite3.connect(f"file:{probe.home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        tries = database.execute("select task_id, try_number from task_instance").fetchall()
    database.close()
    assert sorted(n for t, n in tries if t == "rejects") == [1, 1]
    assert sorted(n for t, n in tries if t == "errs") == [2, 2]


@pytest.mark.slow
def test_a_retried_or_backfilled_task_injects_the_identical_fault(probe):
    lines = [json.loads(line) for line in (probe.home / "tries.jsonl").read_text().splitlines()]
    assert [line["try"] for line in lines] == [1, 2, 1, 2]
    assert len({line["run"] for line in lines}) == 2
    assert len({line["digest"] for line in lines}) == 1
    assert all(line["ledger"] == lines[0]["ledger"] for line in lines)


@pytest.mark.slow
def test_every_way_to_name_a_batch_gives_the_same_injection(probe):
    ways = [run.results[t] for run in probe.runs for t in WAYS]
    assert len({(w["batch"]["digest"], w["changed"], w["injection"]) for w in ways}) == 1
    assert ways[0]["changed"] > 0
    for way, run in zip(ways[::4], probe.runs, strict=True):
        assert way["source"]["uri"] == str(probe.home / "features" / "date=2013-06-03" / "part-0.parquet")
        assert way["ledger"].startswith(str(probe.home / f"shadow-{run.conf['take']}" / "from_template"))


@pytest.mark.slow
def test_a_batch_behind_a_connection_of_airflow(probe):
    """Copies are local and need none; the source keeps its connection, by name."""
    for run in probe.runs:
        plain = run.results["from_template"]
        for task in BY_CONNECTION:
            found = run.results[task]
            assert {k: found[k] for k in ("changed", "injection")} == {k: plain[k] for k in ("changed", "injection")}
            assert found["batch"]["digest"] == plain["batch"]["digest"]
            assert found["batch"]["connection_id"] is None
            assert Path(found["batch"]["uri"]).is_relative_to(probe.home / f"shadow-{run.conf['take']}" / task)
            assert found["source"]["connection_id"] == "deep"
            assert found["source"]["uri"] in {f"memory:{s}lake/date=2013-06-03/part-0.parquet" for s in ("//", "///")}
        judged = run.results["of_store"]
        assert judged["batch"]["connection_id"] == "deep"
        assert judged["verdicts"]["v"]["status"] == "accepted"


@pytest.mark.slow
def test_the_result_of_one_operator_is_the_batch_of_the_next(probe):
    """Nulls are not positive: the comparison is false for them."""
    for run in probe.runs:
        assert run.results["score"]["counts"] == {"v": {"tp": 1}}


@pytest.mark.slow
def test_nothing_of_the_users_airflow_reaches_the_run(probe):
    found = probe.runs[0].results["settings"]
    assert found["dags"] == str(probe.home / "dags")
    assert found["database"] == f"sqlite:///{probe.home}/airflow/throw-away.db"
    leaked = ("AIRFLOW_CONFIG", "AIRFLOW__CORE__XCOM", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW_CONN", "AIRFLOW_VAR_MOOD")
    assert [n for n in found["names"] if n.startswith(leaked)] == []
    assert (found["telemetry"], found["metrics"]) == (False, False)


@pytest.mark.slow
def test_nothing_is_written_outside_the_home_but_what_tasks_write(probe):
    assert _files(probe.home, "dags", "suite", "features") == probe.before
    assert _files(probe.home, "user", "work") == {}
    assert list((probe.home / "tmp").iterdir()) == [], "scratch of the workers goes with them"


@pytest.mark.slow
def test_no_process_of_the_run_stays_behind(probe):
    mark = f"PROBE_HOME={probe.home}".encode()
    alive = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                alive.append(process.name)
        except OSError:
            continue  # not ours to read, or gone since
    assert alive == []


def test_an_unknown_dag_is_named_with_those_there_are(dags, tmp_path):
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "throw-away.db").write_text("left by a run that was killed")
    with pytest.raises(CannotRunError, match=r"no DAG 'prob' in .*; there are: probe") as caught:
        run_dag(dags, "prob", [{}], home=tmp_path / "airflow", env={"PROBE_HOME": str(tmp_path)})
    assert caught.value.exit_code == 3


def test_a_dag_file_that_does_not_import_is_quoted(dags, tmp_path):
    (dags / "probe.py").write_text("from airflow.sdk import dag\nraise RuntimeError('no such stage')\n")
    with pytest.raises(CannotRunError, match=r"(?s)probe\.py.*RuntimeError: no such stage"):
        run_dag(dags, "probe", [{}], home=tmp_path / "airflow")


def test_a_run_that_takes_too_long_is_ended(dags, tmp_path):
    with pytest.raises(CannotRunError, match=r"did not end within 0\.2 seconds"):
        run_dag(dags, "probe", [{}], home=tmp_path / "airflow", timeout_seconds=0.2)


def test_an_answer_of_an_earlier_call_is_not_taken_for_this_one(dags, tmp_path):
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "runs.json").write_text("[]")
    with pytest.raises(CannotRunError):
        run_dag(dags, "probe", [{}], home=tmp_path / "airflow", timeout_seconds=0.2)
