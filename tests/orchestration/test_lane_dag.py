"""A stranger's DAG with lanes: what each validator came to, what the consumers read, whom it told."""

import hashlib
import json
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.testing.dag_runs import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

# Two stretches as somebody without knowledge of pipechaos writes them: TaskFlow with pandas, and classic operators.
STRANGER = '''
import hashlib, os, sqlite3
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.sdk import DAG, Asset, get_current_context, task

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # before Airflow 3.3
    from airflow.exceptions import AirflowFailException

HOME = Path(os.environ["LANE_HOME"])
CHECKED = Asset(name="checked", uri="x-demo://checked")


def page(context):
    with (HOME / "paged").open("a") as file:
        file.write(context["ti"].task_id + "\\n")


def note(name, path):
    with (HOME / name).open("a") as file:
        file.write(hashlib.sha256(Path(path).read_bytes()).hexdigest() + "\\n")


def frame(path):
    import pandas as pd

    return pd.read_parquet(path)


def file_of(conf):
    day = "date=2013-06-04" if conf.get("bad") else "date=2013-06-03"
    return str(HOME / "features" / day / "part-0.parquet")


class Hook:
    """A database that has the file as its one table."""

    def __init__(self, path):
        self.path = path

    def get_records(self, sql):
        with sqlite3.connect(":memory:") as database:
            frame(self.path).to_sql("loaded", database)
            return database.execute(sql.replace(self.path, "loaded")).fetchall()


class TableCheck(SQLColumnCheckOperator):
    def get_db_hook(self):
        return Hook(self.table)


def load(dag_run):
    return file_of(dag_run.conf)


def by_template(path):
    if frame(path)["x"].isna().any():
        raise AirflowFailException("nulls in x")


def by_code(ti):
    if frame(ti.xcom_pull(task_ids="load"))["x"].isna().any():
        raise ValueError("nulls in x")


def crash(path):
    return 1 / int(frame(path)["x"].notna().all())


def fixed():
    if frame(file_of({}))["x"].isna().any():
        raise AirflowFailException("nulls in x")


def whole(path):
    return bool(frame(path)["x"].notna().all())


def route(path):
    return "deliver" if frame(path)["x"].notna().all() else "quarantine"


def slow(path):
    import time

    if "2013-06-03" in path and frame(path)["x"].isna().any():
        time.sleep(200)


def tell_and_check(path):
    from airflow.sdk import Metadata

    by_template(path)
    yield Metadata(CHECKED, {"rows": len(frame(path))})


QUIET = {"retries": 2, "retry_delay": timedelta(0)}
PAGES = {"on_failure_callback": page, "on_retry_callback": page, "on_skipped_callback": page}

with DAG("stranger", schedule=None, default_args={**QUIET, **PAGES}) as the_dag:

    @task
    def features(dag_run=None):
        return file_of(dag_run.conf)

    @task(retries=0)
    def validate(path):
        assert frame(path)["x"].notna().all(), "nulls in x"

    @task(retries=0)
    def validate_by_context():
        with (HOME / "tries").open("a") as file:
            file.write(get_current_context()["ti"].task_id + "\\n")
        path = get_current_context()["ti"].xcom_pull(task_ids="features")
        assert frame(path)["x"].notna().all(), "nulls in x"

    @task
    def publish(path):
        note("published", path)

    path = features()
    checks = [validate(path), validate_by_context()]
    published = publish(path)
    path >> checks[1]
    checks >> published

    loaded = PythonOperator(task_id="load", python_callable=load)
    pulled = "{{ ti.xcom_pull(task_ids='load') }}"
    nulls, most = {"x": {"null_check": {"equal_to": 0}}}, {"x": {"max": {"leq_to": 500}}}
    classic = [
        PythonOperator(task_id="by_template", python_callable=by_template, op_args=[pulled], retries=0,
                       on_success_callback=page),
        PythonOperator(task_id="by_code", python_callable=by_code, retries=0),
        PythonOperator(task_id="crash", python_callable=crash, op_kwargs={"path": pulled}, retries=0),
        PythonOperator(task_id="fixed", python_callable=fixed),
        ShortCircuitOperator(task_id="whole", python_callable=whole, op_args=[pulled]),
        BranchPythonOperator(task_id="route", python_callable=route, op_args=[pulled]),
        TableCheck(task_id="table", table=pulled, column_mapping=nulls, retries=0),
        TableCheck(task_id="table_max", table=pulled, column_mapping=most, accept_none=False, retries=0),
        PythonOperator(task_id="slow", python_callable=slow, op_args=[pulled], retries=0,
                       execution_timeout=timedelta(seconds=8)),
        PythonOperator(task_id="asset", python_callable=tell_and_check, op_args=[pulled], outlets=[CHECKED], retries=0),
    ]
    deliver = PythonOperator(task_id="deliver", python_callable=note, op_args=["delivered", pulled])
    quarantine = PythonOperator(task_id="quarantine", python_callable=note, op_args=["quarantined", pulled])
    loaded >> classic >> deliver
    classic[5] >> quarantine

    @task(multiple_outputs=True)
    def keyed():
        return {"path": file_of({}), "rows": 200}

    parts = keyed()
    of_keyed = [
        task(task_id="by_key")(by_template)(parts["path"]),
        task(task_id="by_whole")(lambda found: by_template(found["path"]))(parts),
    ]
    end_keyed = task(task_id="end_keyed")(lambda: None)()
    of_keyed >> end_keyed

    def stretch(name):
        stage = task(task_id=name)(lambda: file_of({}))()
        check = task(task_id=f"check_{name}")(by_template)(stage)
        end = task(task_id=f"end_{name}")(lambda: None)()
        check >> end
        return stage, check, end

    small, odd, halted = stretch("small"), stretch("odd"), stretch("halted")
'''

LANES = """
from pipechaos.airflow.lane import chaos_lane

NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 0.3}
FOUR = [NULLS, {**NULLS, "fraction": 1.0}, {**NULLS, "columns": "s"}, {**NULLS, "fraction": 0.0}]
MORE = {"shadow": str(HOME / "shadow"), "key": ["id"], "enabled": os.environ["LANE"] == "on"}

chaos_lane(path, checks, published, injections=FOUR, **MORE)
chaos_lane(loaded, classic, deliver, injections=FOUR, rejects=[ValueError], **MORE)
chaos_lane(parts["path"], of_keyed, end_keyed, injections=FOUR, **MORE)
chaos_lane(*small, injections=[NULLS], max_rows=10, **MORE)
lane = chaos_lane(*odd, injections=[{**NULLS, "columns": "no_such_column"}], **MORE)
if lane.score is not None:
    lane.score.records = {"check_odd": {}}  # our own score breaks too
chaos_lane(*halted, injections=[NULLS], halt_file=str(HOME / "halt"), **MORE)
"""


def features(home, day, x):
    file = home / "features" / f"date={day}" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": range(200), "x": x, "s": [f"s{i % 7}" for i in range(200)]}), file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("lanes")
    (place / "dags").mkdir()
    (place / "dags" / "stranger.py").write_text(STRANGER + LANES)
    (place / "halt").write_text('{"who": "ops", "reason": "incident 7"}')
    return place


@pytest.fixture(scope="module")
def digests(home):
    numbers = [float(i) for i in range(200)]
    return {
        "good": features(home, "2013-06-03", numbers),
        "bad": features(home, "2013-06-04", [None, *numbers[1:]]),
    }


GROUPS = ["features", "load", "keyed", "small", "odd", "halted"]


@pytest.fixture(scope="module")
def runs(home, digests):
    """A run in which all of the team's own tasks succeed, and one in which their validators fail."""
    return run_dag(
        home / "dags",
        "stranger",
        [{}, {"bad": True}],
        home=home / "airflow",
        wanted=[f"chaos_{g}.score" for g in GROUPS],
        env={"LANE_HOME": str(home), "LANE": "on"},
        timeout_seconds=800,
    )


CAUGHT = ["tp", "tp", "fn", "noop"]
EXPECTED = {
    "validate": CAUGHT,
    "validate_by_context": CAUGHT,
    "by_template": CAUGHT,
    "by_code": CAUGHT,
    "crash": ["error", "error", "fn", "noop"],
    "fixed": ["not_exercised"] * 4,
    "whole": CAUGHT,
    "route": CAUGHT,
    "table": CAUGHT,
    "table_max": ["fn", "error", "fn", "noop"],
    "slow": ["error", "error", "fn", "noop"],
    "asset": CAUGHT,
    "by_key": CAUGHT,
    "by_whole": CAUGHT,
}


def scored(run, *groups):
    found = {}
    for group in groups:
        for line in run.results[f"chaos_{group}.score"]["outcomes"]:
            found.setdefault(line["validator"], []).append(line["outcome"])
    return found


def test_every_validator_is_scored_as_it_judges(runs):
    assert scored(runs[0], "features", "load", "keyed") == EXPECTED
    controls = [c for g in ("features", "load", "keyed") for c in runs[0].results[f"chaos_{g}.score"]["controls"]]
    assert {c["validator"]: c["outcome"] for c in controls} == {
        v: "not_exercised" if v == "fixed" else "tn" for v in EXPECTED
    }


def test_what_failed_is_credited_where_the_task_names_columns(runs):
    lines = {
        line["validator"]: line
        for line in runs[0].results["chaos_load.score"]["outcomes"]
        if line["outcome"] == "tp" and line["columns"] == ["x"]
    }
    assert (lines["table"]["why"], lines["table"]["how"]) == ("direct", "check_results")
    assert (lines["by_code"]["why"], lines["by_code"]["how"]) == ("unattributed", "ValueError")
    assert lines["route"]["how"] == "branch"
    assert lines["whole"]["how"] == "short circuit"


def test_the_team_alone_decides_the_state_of_the_run(runs):
    good, bad = runs
    team = {t: s for t, s in good.tasks.items() if not t.startswith("chaos_")}
    assert {t: s for t, s in team.items() if s != "success"} == {"quarantine": "skipped"}
    # our own tasks failed, and were skipped, in the very same run
    assert good.tasks["chaos_odd.copies"] == good.tasks["chaos_odd.score"] == "failed"
    assert good.tasks["chaos_odd.check_odd__base"] == "upstream_failed"
    assert good.state == "success"
    assert bad.state == "failed"
    assert {good.tasks[f"chaos_{g}.end"] for g in GROUPS} == {"success"}


def test_every_expected_rejection_ends_in_success(runs):
    judged = {
        t: s for t, s in runs[0].tasks.items() if t.startswith(("chaos_features.", "chaos_load.", "chaos_keyed."))
    }
    assert len(judged) == 14 * 5 + 3 * 3
    assert set(judged.values()) == {"success"}


def test_a_validator_that_refuses_the_untouched_batch_scores_nothing(runs):
    found = scored(runs[1], "features", "load")
    refusing = [
        "validate",
        "validate_by_context",
        "by_template",
        "by_code",
        "crash",
        "whole",
        "route",
        "table",
        "asset",
    ]
    assert {v: set(found[v]) for v in refusing} == {v: {"base_bad"} for v in refusing}
    controls = {c["validator"]: c["outcome"] for c in runs[1].results["chaos_load.score"]["controls"]}
    assert (controls["by_template"], controls["crash"], controls["table_max"]) == ("fp", "error", "tn")


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("small", "the stage's output has more than 10 rows (max_rows)"),
        ("halted", "halted by ops"),
    ],
)
def test_over_a_cap_or_halted_the_lane_is_skipped_as_a_whole_and_says_why(runs, home, group, reason):
    tasks = {t: s for t, s in runs[0].tasks.items() if t.startswith(f"chaos_{group}.")}
    ours = {f"chaos_{group}.score": "success", f"chaos_{group}.end": "success"}
    clones = [f"chaos_{group}.check_{group}__{label}" for label in ("base", "i0_null_mcar")]
    assert tasks == {**ours, **dict.fromkeys([f"chaos_{group}.copies", *clones], "skipped")}
    score = runs[0].results[f"chaos_{group}.score"]
    assert score["counts"] == {f"check_{group}": {"not_exercised": 1}}
    assert score["reason"].startswith(reason)
    assert not list((home / "shadow").glob(f"{group}/*/*"))


def test_consumers_read_the_source_and_nothing_else(runs, home, digests):
    def read(name):
        return (home / name).read_text().split()

    assert read("published") == [digests["good"]]
    assert read("delivered") == [digests["good"]]
    assert read("quarantined") == [digests["bad"]]
    copies = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (home / "shadow").rglob("data/**/*.parquet")}
    assert len(copies) > 4
    assert (
        hashlib.sha256((home / "features/date=2013-06-03/part-0.parquet").read_bytes()).hexdigest() == digests["good"]
    )


def test_nobody_is_paged_and_nothing_is_tried_again(runs, home):
    paged = (home / "paged").read_text().split()
    assert "by_template" in paged, "the team's own callbacks still work"
    assert [p for p in paged if p.startswith("chaos_")] == []
    tries = (home / "tries").read_text().split()
    labels = ["base", "i0_null_mcar", "i1_null_mcar", "i2_null_mcar", "i3_null_mcar"]
    mine = [f"chaos_features.validate_by_context__{label}" for label in labels]
    assert sorted(tries) == sorted([*mine, "validate_by_context"] * 2)


def test_only_the_teams_own_task_tells_of_its_asset(runs, home):
    with sqlite3.connect(f"file:{home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select source_task_id, extra from asset_event").fetchall()
    database.close()
    assert [(task, json.loads(extra)) for task, extra in rows] == [("asset", {"rows": 200})]


def test_only_references_and_small_results_travel(runs, home):
    with sqlite3.connect(f"file:{home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select task_id, cast(value as text) from xcom").fetchall()
    database.close()
    assert len(rows) > 50
    for task, text in rows:
        assert len(text) < 12_000, task
        assert "nulls in x" not in text, "messages may quote data"


def test_a_bad_batch_is_delivered_to_nobody_by_the_lane(runs):
    bad = runs[1].tasks
    assert (bad["publish"], bad["deliver"], bad["quarantine"]) == ("upstream_failed", "skipped", "success")
