"""What a lane adds to a DAG, what it takes from clones, and where it refuses; off means off, byte for byte."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.airflow

PROGRAM = '''
import contextlib, json, os, sys
from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, TaskGroup, setup, task, task_group, teardown
from airflow.serialization import serialized_objects

from pipechaos.airflow.lane import chaos_lane

DagSerialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
PARSED = sorted(m for m in ("pandas", "pyarrow", "numpy", "scipy", "pandera", "great_expectations") if m in sys.modules)
NULLS = {"fault": "null.mcar", "columns": "x"}
HOW = {"injections": [NULLS], "shadow": "/shadow", "enabled": True}


KINDS = ("failure", "success", "retry", "execute", "skipped")


def page(context):
    pass


def build(lane=None, check=None, names=("stage", "check", "publish"), **dag):
    """A DAG of three tasks, and what is called on them."""
    with DAG("d", schedule=None, **dag) as made:
        stage, publish = (PythonOperator(task_id=names[i], python_callable=print) for i in (0, 2))
        arguments = {"op_args": [stage.output], "python_callable": print, **(check or {})}
        checked = PythonOperator(task_id=names[1], **arguments)
        stage >> checked >> publish
        found = lane(stage, checked, publish) if lane else None
    return made, found


def build_mapped(lane=None, **how):
    """The same with a mapped stage, validator and consumer."""
    with DAG("d", schedule=None, **how) as made:
        stage = task(task_id="stage")(lambda n: "p").expand(n=[1, 2])
        checked = task(task_id="check")(lambda p: None).expand(p=stage)
        publish = task(task_id="publish")(lambda p: None).expand(p=stage)
        checked >> publish
        found = lane(stage, checked, publish) if lane else None
    return made, found


def plain(dag):
    return json.dumps(DagSerialization.to_dict(dag), sort_keys=False)


def looks(t):
    return {
        "callbacks": sum(len(getattr(t, f"on_{k}_callback")) for k in KINDS),
        "hooks": [t._pre_execute_hook is not None, t._post_execute_hook is not None],
        "retries": t.retries, "outlets": len(t.outlets), "pool": t.pool, "queue": t.queue,
        "past": t.depends_on_past, "result": t.do_xcom_push, "weight": t.priority_weight, "rule": t.trigger_rule.value,
        "up": sorted(t.upstream_task_ids),
        "seconds": t.execution_timeout and t.execution_timeout.total_seconds(), "kind": t.task_type,
    }


def facts():
    noisy = {
        **{f"on_{k}_callback": page for k in KINDS}, "retries": 3, "pool": "small", "queue": "gpu",
        "depends_on_past": True, "priority_weight": 9, "trigger_rule": "none_failed",
        "do_xcom_push": False,
    }
    own = {"outlets": [Asset(name="a", uri="x-demo://a")], "execution_timeout": timedelta(seconds=7), "doc_md": "mine",
           "pre_execute": page, "post_execute": page, "op_kwargs": {"keeps": {"results": []}}}
    dag, lane = build(lambda s, c, p: chaos_lane(s, c, p, **HOW), check=own, default_args=noisy)
    mine, team = dag.get_task("chaos_stage.check__base"), dag.get_task("check")
    mine.op_kwargs["keeps"]["results"].append(1)  # as the SQL check operators do
    shared = list(team.op_kwargs["keeps"]["results"])
    mine.op_kwargs["keeps"]["results"].clear()
    alone, _ = build(check=own, default_args=noisy)
    of_map, _ = build_mapped(lambda s, c, p: chaos_lane(s, c, p, **HOW), default_args=noisy)
    DagSerialization.from_dict(DagSerialization.to_dict(of_map))
    tasks = {t.task_id: looks(t) for t in dag.tasks}
    mapped = {t.task_id: looks(t) for t in of_map.tasks if t.task_id.startswith("chaos")}
    whole = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    leaves = [sorted(t.task_id for t in d.tasks if not t.downstream_task_ids) for d in (alone, dag)]
    before = json.loads(plain(alone))["dag"]["tasks"]
    after = [t for t in json.loads(plain(dag))["dag"]["tasks"] if "chaos" not in t["__var"]["task_id"]]
    for t in before + after:
        t["__var"].pop("downstream_task_ids", None)  # the stage has the copying after it
    same = {"team_same": before == after, "shared": shared, "back": len(whole.tasks) == len(dag.tasks)}
    return {"tasks": tasks, "mapped": mapped, "leaves": leaves, **same}


def off():
    """Serialised without a lane, with one that is switched off, with one the environment does not allow."""
    os.environ.pop("PIPECHAOS_LANES", None)
    silent = {**HOW, "enabled": None}
    calls = {
        "none": None,
        "false": lambda s, c, p: chaos_lane(s, c, p, **{**HOW, "enabled": False}),
        "unset": lambda s, c, p: chaos_lane(s, c, p, **silent),
    }
    same = {}
    for kind, of in (("", build), ("mapped ", build_mapped)):
        os.environ.pop("PIPECHAOS_LANES", None)
        found = {name: plain(of(call)[0]) for name, call in calls.items()}
        for word in ("off", "0", "", "perhaps"):
            os.environ["PIPECHAOS_LANES"] = word
            found[word] = plain(of(calls["unset"])[0])
        os.environ["PIPECHAOS_LANES"] = "On"
        found["ON"] = plain(of(calls["unset"])[0])
        same |= {kind + name: text == found["none"] for name, text in found.items()}
    return same


def setups():
    with DAG("d", schedule=None) as dag:
        @setup
        def open_it():
            pass

        @teardown
        def close_it():
            pass

        stage = task(task_id="stage")(lambda: "p")()
        opened, closed = open_it(), close_it()
        checked = task(task_id="check")(lambda p: None)(stage)
        publish = task(task_id="publish")(lambda: None)()
        opened >> checked >> closed
        opened >> closed
        checked >> publish
        chaos_lane(stage, checked, publish, **HOW)
    clone = dag.get_task("chaos_stage.check__base")
    return {"up": sorted(clone.upstream_task_ids), "down": sorted(clone.downstream_task_ids)}


def groups():
    with DAG("d", schedule=None) as dag:
        with TaskGroup("g"):
            stage = PythonOperator(task_id="stage", python_callable=print)
            checked = PythonOperator(task_id="check", python_callable=print, op_args=[stage.output["path"]])
            publish = PythonOperator(task_id="publish", python_callable=print)
            stage >> checked >> publish
            chaos_lane(stage.output["path"], [checked], [publish], **HOW)
    return sorted(dag.task_ids)


def keys():
    """Key columns that the score is told, by how they are declared."""
    table = {"connection_id": "shop", "table": "orders"}
    made = {}
    for name, more in {
        "lane": {"key": ["a"]},
        "table": {"table": {**table, "key": ["b"]}},
        "both": {"key": ["a"], "table": {**table, "key": ["b"]}},
        "none": {"table": table},
    }.items():
        dag, _ = build(lambda s, c, p, more=more: chaos_lane(s, c, p, **HOW, **more))
        made[name] = list(dag.get_task("chaos_stage.score").key)
    return made


def rules():
    """Which trigger rule a clone has, by its validator's."""
    made = {}
    for rule in ("one_success", "always", "all_done"):
        dag, _ = build(lambda s, c, p: chaos_lane(s, c, p, **HOW), check={"trigger_rule": rule})
        made[rule] = dag.get_task("chaos_stage.check__base").trigger_rule.value
    return made


def refusals():
    def with_dag(**more):
        return lambda: build(lambda s, c, p: chaos_lane(s, c, p, **HOW), **more)

    def with_how(**more):
        return lambda: build(lambda s, c, p: chaos_lane(s, c, p, **{**HOW, **more}))

    def mapped_group():
        with DAG("d", schedule=None):
            @task_group
            def daily(n):
                stage = task(task_id="stage")(lambda n: "p")(n)
                task(task_id="check")(lambda p: None)(stage)

            daily.expand(n=[1, 2])
            publish = task(task_id="publish")(lambda: None)()
            dag = publish.operator.dag
            chaos_lane(dag.get_task("daily.stage"), dag.get_task("daily.check"), publish, **HOW)

    def of_kind(kind, **arguments):
        with DAG("d", schedule=None):
            stage = task(task_id="stage")(lambda: "p")()
            check = kind(task_id="check", **arguments)
            publish = task(task_id="publish")(lambda: None)()
            stage >> check >> publish
            chaos_lane(stage, check, publish, **HOW)

    def mapped_chain():
        with DAG("d", schedule=None):
            stage = task(task_id="stage")(lambda: ["p"])()
            first = task(task_id="first")(lambda p: p).expand(p=stage)
            second = task(task_id="second")(lambda p: None).expand(p=first.zip(first))
            end = task(task_id="end")(lambda: None)()
            stage >> second >> end
            chaos_lane(stage, [first, second], end, **HOW)

    def two_of_a_name():
        with DAG("d", schedule=None):
            stage = PythonOperator(task_id="stage", python_callable=print)
            checks = [PythonOperator(task_id=n, python_callable=print) for n in ("c_a", "c.a")]
            end = PythonOperator(task_id="end", python_callable=print)
            stage >> checks >> end
            chaos_lane(stage, checks, end, **HOW)

    def chain():
        with DAG("d", schedule=None):
            stage = PythonOperator(task_id="stage", python_callable=print)
            first = PythonOperator(task_id="first", python_callable=print, op_args=[stage.output])
            second = PythonOperator(task_id="second", python_callable=print, op_args=[first.output])
            end = PythonOperator(task_id="end", python_callable=print)
            stage >> second >> end
            chaos_lane(stage, [first, second], end, **HOW)

    def wired():
        with DAG("d", schedule=None):
            stage = PythonOperator(task_id="stage", python_callable=print)
            check = PythonOperator(task_id="check", python_callable=print, op_args=[stage.output])
            end = PythonOperator(task_id="end", python_callable=print)
            check >> end.as_teardown()
            chaos_lane(stage, check, end, **HOW)

    cases = {
        "fail_fast": with_dag(fail_fast=True),
        "time limit": with_dag(dagrun_timeout=timedelta(hours=1)),
        "waiting": with_dag(default_args={"wait_for_downstream": True}),
        "mapped": lambda: build_mapped(lambda s, c, p: chaos_lane(s, c, p, **HOW)),
        "mapped group": mapped_group,
        "mapped chain": mapped_chain,
        "a human": lambda: of_kind(ApprovalOperator, subject="fine?"),
        "another DAG": lambda: of_kind(TriggerDagRunOperator, trigger_dag_id="other"),
        "chain": chain,
        "teardown as consumer": wired,
        "nothing": with_how(injections=[]),
        "misspelt": with_how(injections=[{"fault": "null.mcar", "column": "x"}]),
        "no fault": with_how(injections=[{"columns": "x"}]),
        "too many": with_how(injections=[NULLS] * 100),
        "just enough": with_how(injections=[NULLS] * 99),
        "one name": two_of_a_name,
        "rejects as text": with_how(rejects="ValueError"),
        "key as text": with_how(key="id"),
        "rejects as class": with_how(rejects=ValueError),
        "key of a table": with_how(table={"connection_id": "c", "table": "t", "key": "id"}),
        "relative switch": with_how(halt_file="halt"),
        "no mapping": with_how(injections=["null.mcar"]),
        "no time": with_how(max_seconds=0),
        "twice": lambda: build(lambda s, c, p: [chaos_lane(s, c, p, **HOW), chaos_lane(s, c, p, **HOW)]),
        "no validator": lambda: build(lambda s, c, p: chaos_lane(s, [], p, **HOW)),
        "same task": lambda: build(lambda s, c, p: chaos_lane(s, [c], c, **HOW)),
        "not after": lambda: build(lambda s, c, p: chaos_lane(s, p, c, **HOW)),
        "no task": lambda: build(lambda s, c, p: chaos_lane(task(lambda: 1), c, p, **HOW)),
        "fine": with_dag(),
        "accepted": lambda: build(
            lambda s, c, p: chaos_lane(s, c, p, **HOW, accept_longer_runs=True), dagrun_timeout=timedelta(hours=1)
        ),
    }
    said = {}
    for name, call in cases.items():
        try:
            call()
            said[name] = ""
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


with contextlib.redirect_stdout(sys.stderr):
    answer = {"parsed": PARSED, "facts": facts(), "off": off(), "setups": setups(), "groups": groups()}
    answer["said"], answer["up_by_rule"], answer["keys"] = refusals(), rules(), keys()
    answer["heavy"] = sorted(m for m in ("pandas", "pyarrow", "numpy", "scipy", "pandera") if m in sys.modules)
print("=" + json.dumps(answer))
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory, airflow_environment):
    place = tmp_path_factory.mktemp("structure")
    env = airflow_environment(place / "home")
    (place / "program.py").write_text(PROGRAM)  # Airflow keeps the source of callbacks, so there must be one
    done = subprocess.run(
        [sys.executable, "program.py"], env=env, cwd=place, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])


CLONES = ["chaos_stage.check__base", "chaos_stage.check__i0_null_mcar"]
MINE = [*CLONES, "chaos_stage.copies", "chaos_stage.score", "chaos_stage.end"]


def test_off_means_off_byte_for_byte(found):
    words = ["none", "false", "unset", "off", "0", "", "perhaps"]
    assert found["off"] == {
        **dict.fromkeys([kind + w for kind in ("", "mapped ") for w in words], True),
        **dict.fromkeys(["ON", "mapped ON"], False),
    }


def test_a_lane_tells_nobody_tries_once_and_outranks_nothing(found):
    tasks, mapped = found["facts"]["tasks"], found["facts"]["mapped"]
    assert set(tasks) == {"stage", "check", "publish", *MINE}
    assert set(mapped) == set(MINE)
    for name, t in [*((n, tasks[n]) for n in MINE), *mapped.items()]:
        assert (t["callbacks"], t["retries"], t["outlets"], t["past"], t["weight"]) == (0, 0, 0, False, 0), name
        assert t["hooks"] == [False, False]
        assert t["result"], "the score and its readers need it"
        assert (t["pool"], t["queue"]) == ("small", "gpu"), "where the team said its tasks run"
    assert tasks["check"]["callbacks"] == 5, "the team's own task keeps what it has"
    assert tasks["check"]["result"] is False
    assert (tasks["check"]["retries"], tasks["check"]["outlets"], tasks["check"]["weight"]) == (3, 1, 9)


def test_clones_are_the_teams_tasks_with_their_time_limit(found):
    tasks = found["facts"]["tasks"]
    for name in CLONES:
        assert tasks[name]["kind"] == "LanePythonOperator"
        assert tasks[name]["seconds"] == 7
        assert tasks[name]["up"] == ["chaos_stage.copies"]
        assert tasks[name]["rule"] == "none_failed", "the team's own, which waits for the copies too"
        assert (found["facts"]["mapped"][name]["kind"], found["facts"]["mapped"][name]["up"]) == (
            "LaneMappedOperator",
            ["chaos_stage.copies"],
        )
    assert found["up_by_rule"] == {"one_success": "all_success", "always": "all_success", "all_done": "all_done"}


def test_the_score_knows_the_key_that_its_batch_is_read_by(found):
    assert found["keys"] == {"lane": ["a"], "table": ["b"], "both": ["a"], "none": []}


def test_the_only_new_leaf_cannot_fail(found):
    without, with_lane = found["facts"]["leaves"]
    assert without == ["publish"]
    assert with_lane == ["chaos_stage.end", "publish"]
    end = found["facts"]["tasks"]["chaos_stage.end"]
    assert (end["kind"], end["rule"], end["up"]) == ("EmptyOperator", "all_done", ["chaos_stage.score"])
    assert found["facts"]["tasks"]["chaos_stage.score"]["rule"] == "all_done"
    assert set(found["facts"]["tasks"]["chaos_stage.score"]["up"]) == {*CLONES, "chaos_stage.copies"}


def test_the_teams_own_tasks_stay_as_they_were(found):
    assert found["facts"]["team_same"]
    assert found["facts"]["shared"] == []
    assert found["facts"]["back"]


def test_a_clone_stands_between_setup_and_teardown(found):
    assert found["setups"] == {"up": ["chaos_stage.copies", "open_it"], "down": ["chaos_stage.score", "close_it"]}


def test_a_stage_in_a_task_group_has_a_lane_outside_it(found):
    mine = ["chaos_g_stage.copies", "chaos_g_stage.end", "chaos_g_stage.score"]
    clones = [f"chaos_g_stage.g_check__{label}" for label in ("base", "i0_null_mcar")]
    assert found["groups"] == sorted([*mine, *clones, "g.stage", "g.check", "g.publish"])


def test_parsing_imports_nothing_heavy(found):
    assert found["parsed"] == []
    assert found["heavy"] == []


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("fail_fast", "ConfigError: DAG 'd' has fail_fast"),
        ("time limit", "ConfigError: DAG 'd' has a time limit or a deadline"),
        ("waiting", "ConfigError: 'check' has wait_for_downstream"),
        ("mapped group", "ConfigError: 'daily.stage' is in a mapped task group"),
        ("mapped chain", "ConfigError: validator 'second' takes the output of validator 'first'"),
        ("a human", "ConfigError: 'check' is of class ApprovalOperator, which asks people"),
        ("another DAG", "ConfigError: 'check' is of class TriggerDagRunOperator, which judges in another DAG"),
        ("chain", "ConfigError: validator 'second' takes the output of validator 'first'"),
        ("teardown as consumer", "ConfigError: consumer 'end' comes after 'chaos_stage.check__base'"),
        ("nothing", "ConfigError: no injection is named"),
        ("misspelt", "UnknownNameError: unknown key 'column' in an injection: did you mean 'columns'?"),
        ("no fault", "ConfigError: injection {'columns': 'x'} names no fault"),
        ("too many", "ConfigError: 100 injections and a control for each of 1 validators are 101 tasks"),
        ("rejects as text", "ConfigError: rejects is 'ValueError': give a list, ['ValueError']"),
        ("key as text", "ConfigError: key is 'id': give a list, ['id']"),
        ("rejects as class", "ConfigError: rejects is 'ValueError': give a list, ['ValueError']"),
        ("key of a table", "ConfigError: key of the table is 'id': give a list, ['id']"),
        ("relative switch", "ConfigError: halt_file must be absolute, not 'halt'"),
        ("no mapping", "ConfigError: injection 'null.mcar' is no mapping: give {'fault': 'null.mcar'"),
        ("one name", "ConfigError: validators 'c.a' and 'c_a' would have clones of one name, 'c_a'"),
        ("no time", "ConfigError: max_rows, max_batches and max_seconds must be above 0"),
        ("twice", "ConfigError: stage 'stage' has a lane already"),
        ("no validator", "ConfigError: a validator is missing"),
        ("same task", "ConfigError: 'check' is given as a validator and as stage or consumer"),
        ("not after", "ConfigError: validator 'publish' does not come right after 'stage'; it comes after check"),
        ("no task", "ConfigError: the stage is _TaskDecorator: give a task"),
    ],
)
def test_where_a_lane_could_not_be_kept_apart_it_is_refused(found, case, text):
    assert found["said"][case].startswith(text)


@pytest.mark.parametrize("case", ["fine", "accepted", "mapped", "just enough"])
def test_where_it_can_it_is_not(found, case):
    assert found["said"][case] == ""
