"""Lanes round mapped stretches, tasks that defer or reschedule, stages in a row, objects as paths, our own operator."""

import hashlib
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.testing.dag_runs import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

SHAPES = '''
import hashlib, os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator, ObjectStoragePath, task, timezone
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.exceptions import AirflowSkipException
except ImportError:  # before Airflow 3.3
    from airflow.exceptions import AirflowSkipException

from pipechaos.airflow.lane import chaos_lane
from pipechaos.airflow.operators import ValidateBatchOperator



class Store(MemoryFileSystem):
    """Only who asks Airflow for the connection comes to what is in here."""

    store, pseudo_dirs = {}, [""]


attach("memory", "deep", fs=Store())

HOME = Path(os.environ["LANE_HOME"])
DAYS = ["2013-06-03", "2013-06-04"]


def file_of(day):
    return str(HOME / "features" / f"date={day}" / "part-0.parquet")


def note(name, path):
    with (HOME / name).open("a") as file:
        file.write(hashlib.sha256(Path(path).read_bytes()).hexdigest() + "\\n")


def whole(path):
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read().column("x").null_count == 0


def good(path):
    assert whole(path), "nulls in x"


def second_only(path):
    """Only the second day is looked at: one of two elements rejects."""
    assert "2013-06-03" in path or whole(path)


def second_crashes(path):
    return "2013-06-03" in path or 1 / int(whole(path))


def of_both(pair):
    assert pair[0] == pair[1]
    good(pair[0])


def of_all(paths):
    assert len(paths) == 2
    for path in paths:
        good(path)


def by_rule(paths, rule):
    if rule == "nulls":
        of_all(list(paths))


def by_index(day, ti):
    path = ti.xcom_pull(task_ids="listed")[ti.map_index]
    assert day in path
    good(path)


class Patient(BaseOperator):
    """Defers before it judges; what it judges it has asked for by then."""

    def __init__(self, *, judge, path=None, **kwargs):
        super().__init__(**kwargs)
        self.judge, self.path = judge, path

    def execute(self, context):
        path = self.path or context["ti"].xcom_pull(task_ids="awaited")
        context["ti"].xcom_push(key="at", value=path)  # dag.test loses what is given to defer()
        self.defer(trigger=DateTimeTrigger(moment=timezone.utcnow()), method_name="go_on")

    def go_on(self, context, event=None):
        ti = context["ti"]
        self.judge(ti.xcom_pull(task_ids=ti.task_id, key="at", map_indexes=ti.map_index))


class MappedPatient(Patient):
    template_fields = ("path",)


def poked(ti, path):
    """Says no at the first call, in each task."""
    mark = HOME / f"poked-{ti.task_id}"
    if mark.exists():
        good(path)
        return True
    mark.touch()
    return False


NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 0.3}
HOW = {"shadow": str(HOME / "shadow"), "key": ["id"], "enabled": True}

with DAG("shapes", schedule=None) as the_dag:
    # a list of paths, validators mapped over it
    paths = task(task_id="listed")(lambda: [file_of(d) for d in DAYS])()
    each = [task(task_id=f.__name__)(f).expand(path=paths) for f in (second_only, second_crashes)]
    each += [
        task(task_id="by_kwargs")(good).expand_kwargs(paths.map(lambda p: {"path": p})),
        task(task_id="by_rule")(by_rule).partial(paths=paths).expand(rule=["rows", "nulls"]),
        PythonOperator.partial(task_id="classic", python_callable=good).expand(op_args=paths.map(lambda p: [p])),
        PythonOperator.partial(task_id="by_index", python_callable=by_index).expand(op_args=[[d] for d in DAYS]),
        MappedPatient.partial(task_id="mapped_patient", judge=good).expand(path=paths),
    ]
    paths >> each[-2]
    published = task(task_id="publish")(lambda path: note("published", path)).expand(path=paths)
    each >> published
    chaos_lane(paths, each, published, injections=[NULLS], **HOW)

    # a mapped stage
    days = task(task_id="days")(file_of).expand(day=DAYS)
    of_days = [
        task(task_id="zipped")(of_both).expand(pair=days.zip(days)),
        task(task_id="all_days")(of_all)(days),
        PythonOperator.partial(
            task_id="by_map_index",
            python_callable=good,
            op_args=["{{ ti.xcom_pull(task_ids='days', map_indexes=ti.map_index) }}"],
        ).expand(op_kwargs=[{}, {}]),
    ]
    days >> of_days[-1]
    delivered = task(task_id="deliver")(lambda path: note("delivered", path)).expand(path=days)
    of_days >> delivered
    chaos_lane(days, of_days, delivered, injections=[NULLS], **HOW)

    # tasks that come back later, and other sorts of tasks
    awaited = task(task_id="awaited")(lambda: file_of(DAYS[0]))()
    no_help = task(task_id="no_help")(lambda: (_ for _ in ()).throw(AirflowSkipException()))()
    late = [
        Patient(task_id="patient", judge=good),
        Patient(task_id="patient_crash", judge=lambda path: 1 / int(whole(path))),
        PythonSensor(task_id="poked", python_callable=poked, op_kwargs={"path": awaited}, mode="reschedule",
                     poke_interval=0.01),
        task.branch(task_id="branch")(lambda path: "end_late" if whole(path) else "elsewhere")(awaited),
        task(task_id="helped", trigger_rule="none_failed")(good)(awaited),
    ]

    end_late, elsewhere = task(task_id="end_late")(lambda: None)(), task(task_id="elsewhere")(lambda: None)()
    awaited >> late >> end_late
    late[3] >> elsewhere
    no_help >> late[4]
    chaos_lane(awaited, late, end_late, injections=[NULLS], **HOW)

    # an object as a path
    stored = task(task_id="stored")(lambda: ObjectStoragePath(f"file://{file_of(DAYS[0])}"))()

    @task
    def opened(path):
        import pyarrow.parquet as pq

        assert isinstance(path, ObjectStoragePath)
        with path.open("rb") as file:
            assert pq.read_table(file).column("x").null_count == 0

    is_opened, end_stored = opened(stored), task(task_id="end_stored")(lambda: None)()
    is_opened >> end_stored
    chaos_lane(stored, is_opened, end_stored, injections=[NULLS], halt_variable="lane_off", **HOW)

    # the same in a store that only the connection leads to, history too
    @task
    def remote():
        paths = [ObjectStoragePath(f"memory://deep@lake/date={d}/part-0.parquet") for d in DAYS]
        for day, path in zip(DAYS, paths):
            with path.open("wb") as file:
                file.write(Path(file_of(day)).read_bytes())
        return paths[1]

    @task
    def end_remote(path):
        with path.open("rb") as file:
            (HOME / "end-remote").write_text(hashlib.sha256(file.read()).hexdigest())

    far = remote()
    far_opened, end_far = opened.override(task_id="far_opened")(far), end_remote(far)
    far_opened >> end_far
    past = [ObjectStoragePath("memory://deep@lake/date={{ '2013-06-03' }}/part-0.parquet")]
    chaos_lane(far, far_opened, end_far, injections=[NULLS], history=past, **HOW)

    # lanes at two stages in a row; the second stage is the consumer of the first
    @task
    def extract():
        return file_of(DAYS[0])

    @task
    def derive(path):
        note("derived-from", path)
        import pyarrow.parquet as pq

        made = HOME / "derived" / "derived.parquet"
        made.parent.mkdir(exist_ok=True)
        table = pq.ParquetFile(path).read()
        pq.write_table(table.append_column("y", table.column("x")), made)
        return str(made)

    raw = extract()
    raw_checked = task(task_id="check_raw")(good)(raw)
    derived = derive(raw)
    raw_checked >> derived
    ours = ValidateBatchOperator(
        task_id="ours",
        batch=derived,
        validators={"keen": "callable:demo_suite:positive", "blind": "callable:demo_suite:accepts"},
        code_roots=[str(HOME / "suite")],
        results=str(HOME / "results"),
    )
    end = task(task_id="end")(lambda path: note("ended", path))(derived)
    ours >> end
    chaos_lane(raw, raw_checked, derived, injections=[NULLS], **HOW)
    chaos_lane(derived, ours, end, injections=[NULLS], **HOW)

    # the kill switch as an Airflow Variable
    for name, rule in (("lane_on", "none_failed"), ("lane_gone", "all_success")):
        stage = task(task_id=name)(lambda: file_of(DAYS[0]))()
        check = task(task_id=f"check_{name}", trigger_rule=rule)(good)(stage)
        last = task(task_id=f"end_{name}")(lambda: None)()
        check >> last
        chaos_lane(stage, check, last, injections=[NULLS], halt_variable=name, **HOW)
'''

VARIABLES = {"AIRFLOW_VAR_LANE_ON": "on", "AIRFLOW_VAR_LANE_OFF": "off"}
STAGES = ["listed", "days", "awaited", "stored", "remote", "extract", "derive", "lane_on", "lane_gone"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("shapes")
    (place / "dags").mkdir()
    (place / "dags" / "shapes.py").write_text(SHAPES)
    (place / "suite").mkdir()
    (place / "suite" / "demo_suite.py").write_text(
        "def positive(frame):\n    return frame['x'] > 0\n\n\ndef accepts(frame):\n    return True\n"
    )
    for n, day in enumerate(("2013-06-03", "2013-06-04")):
        file = place / "features" / f"date={day}" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": range(200), "x": [float(i + n + 1) for i in range(200)]}), file)
    return place


@pytest.fixture(scope="module")
def run(home):
    (one,) = run_dag(
        home / "dags",
        "shapes",
        [{}],
        home=home / "airflow",
        wanted=[f"chaos_{s}.score" for s in STAGES],
        env={"LANE_HOME": str(home), **VARIABLES},
        timeout_seconds=800,
    )
    return one


def scored(run, stage):
    found = {}
    for line in run.results[f"chaos_{stage}.score"]["outcomes"]:
        found.setdefault(line["validator"], []).append(line["outcome"])
    return found


def controls(run, stage):
    return {c["validator"]: c["outcome"] for c in run.results[f"chaos_{stage}.score"]["controls"]}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


CAUGHT = ["tp"]


def test_validators_mapped_over_a_list_are_scored_by_all_elements_together(run):
    assert scored(run, "listed") == {
        "second_crashes": ["error"],
        **dict.fromkeys(["second_only", "by_kwargs", "by_rule", "classic", "by_index", "mapped_patient"], CAUGHT),
    }
    assert set(controls(run, "listed").values()) == {"tn"}


def test_a_mapped_stage_is_a_list_of_batches(run):
    assert scored(run, "days") == dict.fromkeys(["zipped", "all_days", "by_map_index"], CAUGHT)
    assert set(controls(run, "days").values()) == {"tn"}
    changed = [o["changed"] for o in run.results["chaos_days.score"]["outcomes"]]
    assert 80 < changed[0] < 160, "0.3 of both batches"


def test_tasks_that_come_back_later_are_scored_by_what_they_say_then(run):
    assert scored(run, "awaited") == {
        **dict.fromkeys(["patient", "poked", "branch", "helped"], CAUGHT),
        "patient_crash": ["error"],
    }
    assert set(controls(run, "awaited").values()) == {"tn"}
    assert run.tasks["no_help"] == "skipped"


def test_an_object_as_a_path_stays_one(run):
    assert scored(run, "stored") == {"opened": CAUGHT}


def test_what_lies_behind_a_connection_is_copied_out_of_there(run, home):
    assert scored(run, "remote") == {"far_opened": CAUGHT}
    assert controls(run, "remote") == {"far_opened": "tn"}
    source = home / "features" / "date=2013-06-04" / "part-0.parquet"
    (base,) = (home / "shadow" / "remote").rglob("base/**/date=2013-06-04/part-0.parquet")
    assert pq.ParquetFile(base).read().equals(pq.ParquetFile(source).read())
    assert (home / "end-remote").read_text() == digest(source), "the consumer reads what the stage wrote"


def test_lanes_at_two_stages_in_a_row(run, home):
    assert scored(run, "extract") == {"check_raw": CAUGHT}
    assert scored(run, "derive") == {"ours.keen": CAUGHT, "ours.blind": ["fn"]}
    assert (home / "derived-from").read_text().split() == [digest(home / "features/date=2013-06-03/part-0.parquet")]
    bases = list((home / "shadow" / "derive").rglob("base/**/*.parquet"))
    assert {pq.ParquetFile(b).read().column("x").null_count for b in bases} == {0}


def test_each_validator_of_our_own_operator_is_told_with_its_columns(run, home):
    keen = run.results["chaos_derive.score"]["outcomes"][0]
    assert (keen["validator"], keen["why"]) == ("ours.keen", "direct")
    kept = {p.parent.name for p in (home / "results").rglob("keen.json")}
    assert kept == {"base", *(f"chaos_derive.copies.{n}" for n in ("base", "i0_null_mcar"))}


@pytest.mark.parametrize(("name", "clones"), [("lane_on", "success"), ("lane_gone", "skipped")])
def test_a_variable_stops_a_lane_and_one_that_is_not_there_does_too(run, name, clones):
    score = run.results[f"chaos_{name}.score"]
    assert [o["outcome"] for o in score["outcomes"]] == ["not_exercised"]
    assert score["reason"].startswith(f"halted (variable {name})")
    assert run.tasks[f"chaos_{name}.copies"] == "skipped"
    assert run.tasks[f"chaos_{name}.check_{name}__base"] == clones, "one that runs after a skip, and one that does not"
    assert run.tasks["chaos_stored.copies"] == "success", "its variable says off"


def test_the_team_notices_nothing(run, home):
    team = {t: s for t, s in run.tasks.items() if not t.startswith("chaos_")}
    assert {t for t, s in team.items() if s != "success"} == {"no_help", "elsewhere"}
    assert run.state == "success"
    both = sorted(digest(p) for p in (home / "features").rglob("*.parquet"))
    assert sorted((home / "published").read_text().split()) == both
    assert sorted((home / "delivered").read_text().split()) == both
    assert (home / "ended").read_text().split() == [digest(home / "derived" / "derived.parquet")]


def test_every_clone_ends_in_success(run):
    halted = ("chaos_lane_on.", "chaos_lane_gone.")
    judged = {t: s for t, s in run.tasks.items() if t.startswith("chaos_") and not t.startswith(halted)}
    assert len(judged) == 2 * (7 + 3 + 5 + 1 + 1 + 1 + 1) + 3 * 7
    assert {t: s for t, s in judged.items() if s != "success"} == {}


def test_only_references_and_small_results_travel(run, home):
    with sqlite3.connect(f"file:{home}/airflow/throw-away.db?mode=ro", uri=True) as database:
        rows = database.execute("select task_id, cast(value as text) from xcom").fetchall()
    database.close()
    assert len(rows) > 80
    assert max(len(text) for _, text in rows) < 12_000
    assert not [task for task, text in rows if "nulls in x" in text]
