"""What a plan does to a DAG while it is parsed, and that it is as it was wherever the plan must not be used."""

import ast
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = '''
import json, logging, os, sys
from pathlib import Path

cases = json.loads(Path(sys.argv[1]).read_text())
import airflow.sdk
try:
    from airflow.dag_processing.dagbag import DagBag
except ModuleNotFoundError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag
from airflow.serialization import serialized_objects

DagSerialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
said = []


class Told(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("pipechaos").addHandler(Told(logging.WARNING))


def parsed(folder):
    """The DAG as Airflow stores it, and as the DAG bag has it."""
    bag = DagBag(folder)
    assert not bag.import_errors, bag.import_errors
    dag = bag.dags["stranger"]
    stored = DagSerialization.to_dict(dag)
    DagSerialization.from_dict(stored)
    return dag, json.dumps(stored, sort_keys=False).replace(folder, "FOLDER")


def ours():
    return sorted(m for m in sys.modules if m.startswith("pipechaos"))


found = {}
for name, case in cases.items():
    for variable in [v for v in os.environ if v.startswith("PIPECHAOS_") or v == "STRICT"]:
        del os.environ[variable]
    os.environ.update(case["env"])
    said.clear()
    dag, stored = parsed(case["folder"])
    found[name] = {
        "stored": stored, "said": list(said), "tasks": sorted(dag.task_ids), "modules": ours(),
        "kinds": {t.task_id: t.task_type for t in dag.tasks},
        "retries": {t.task_id: getattr(t, "retries", 0) for t in dag.tasks},
        "calls": {t.task_id: len(getattr(t, "on_failure_callback", ())) for t in dag.tasks},
        "owners": {t.task_id: t.owner for t in dag.tasks},
        "used": sorted(map(str, dag.task_group.used_group_ids)),
    }
heavy = ("pandas", "pyarrow", "numpy", "scipy", "pandera", "great_expectations")
print("=" + json.dumps({"found": found, "heavy": [m for m in heavy if m in sys.modules]}))
'''

# the deployment has policies of its own: one that calls somebody, and one that is strict with what it does not know
LOCAL = """
import os
from airflow.exceptions import AirflowClusterPolicyViolation


def task_policy(task):
    if os.environ.get("STRICT") == "calls":
        task.retries, task.on_failure_callback = 5, [print]
    if os.environ.get("STRICT") == "refuses" and task.task_id.startswith("chaos_load"):
        raise AirflowClusterPolicyViolation("who made this task?")
"""

CALL = """
from pipechaos.airflow.lane import chaos_lane

with the_dag:
    HOW = {"injections": INJECTIONS, "shadow": "/shadow", "key": ("id",), "enabled": True}
    chaos_lane(path, checked, published, **HOW)
    chaos_lane(loaded, classic, deliver, rejects=["ValueError"], **HOW)
"""


def cases(place, plans):
    """Environments and plans, by name."""
    home = place.home
    lanes = [
        {**plans.lane(home, "features", "validate", "publish"), "shadow": "/shadow"},
        {**plans.lane(home, "load", ["by_code", "whole"], "deliver", rejects="ValueError"), "shadow": "/shadow"},
    ]
    live = plans.live(home, "plain")
    calling = home / "calling"
    calling.mkdir()
    source = (place.home / "dags" / "stranger.py").read_text()
    (calling / "stranger.py").write_text(source + CALL.replace("INJECTIONS", repr(plans.three)))
    allow = "stranger.features, stranger.load,stranger.plain,stranger.missing,stranger.mapped,stranger.torn"
    folder = str(home / "dags")
    made = {"unset": {"folder": folder, "env": {}}}

    def case(name, stretches, *, env=None, text=None, **top):
        file = home / f"{name.replace(' ', '_')}.yaml"
        if stretches is not None:
            plans.write(file, stretches, **top)
        if text is not None:
            file.write_text(text)
        given = {"PIPECHAOS_POLICY": str(file), "PIPECHAOS_POLICY_ALLOW": allow, **(env or {})}
        made[name] = {"folder": folder, "env": {k: v for k, v in given.items() if v is not None}}

    case("allow unset", lanes, env={"PIPECHAOS_POLICY_ALLOW": None})
    case("plan unset", lanes, env={"PIPECHAOS_POLICY": None})
    case("allow another", lanes, env={"PIPECHAOS_POLICY_ALLOW": "stranger.load2,stranger,other.features,*"})
    case("expired", lanes, expires="2020-01-01T00:00:00+01:00")
    case("naive", lanes, expires="2999-01-01T00:00:00")
    case("no expiry", lanes, text=json.dumps({"stretches": lanes}))
    case("missing file", None)
    case("empty", None, text="")
    case("no stretch", [])
    case("malformed", None, text="expires: [2999")
    case("unknown key", [{**lanes[0], "validator": "validate"}])
    case("unknown top", lanes, enviroment="test")
    case("other environment", lanes, environment="test", env={"PIPECHAOS_ENVIRONMENT": "prod"})
    case("no such stage", [{**lanes[0], "stage": "missing"}])
    case("no such validator", [{**lanes[0], "validators": ["validat"]}])
    case("mapped stage", [{**lanes[0], "stage": "mapped"}])
    case("bad argument", [{**lanes[0], "max_rows": "many"}])
    case("bad injection", [{**lanes[0], "injections": [{"fault": "null.mcar", "column": "x"}]}])
    # seen only when the lane stands already: its consumer comes after it
    case("late refusal", [{**lanes[0], "stage": "torn", "validators": "check_torn", "consumer": "clean"}])
    case("other dag", [{**lanes[0], "dag": "another"}])
    case("live elsewhere", [live], environment="test", env={"PIPECHAOS_ENVIRONMENT": "prod"})
    case("live unsaid", [live], environment="test")
    case("live without", [live], env={"PIPECHAOS_ENVIRONMENT": "test"})
    case("live empty", [live], environment="", env={"PIPECHAOS_ENVIRONMENT": ""})
    case("live mapped", [{**live, "stage": "mapped"}], environment="t", env={"PIPECHAOS_ENVIRONMENT": "t"})
    case("policy", lanes)
    case("live", [live], environment="test", env={"PIPECHAOS_ENVIRONMENT": "test"})
    case("one is wrong", [{**lanes[0], "stage": "missing"}, lanes[1]])
    case("called", lanes, env={"STRICT": "calls"})
    case("refused", lanes, env={"STRICT": "refuses"})
    made["calling"] = {"folder": str(calling), "env": {}}
    return made


@pytest.fixture(scope="module")
def found(place, plans, tmp_path_factory, airflow_environment):
    work = tmp_path_factory.mktemp("structure")
    (work / "home" / "config").mkdir(parents=True)
    (work / "home" / "config" / "airflow_local_settings.py").write_text(LOCAL)
    (work / "cases.json").write_text(json.dumps(cases(place, plans)))
    environment = airflow_environment(work / "home", PLACE=str(place.home))
    environment = {k: v for k, v in environment.items() if not k.startswith("PIPECHAOS_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(work / "cases.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("=")]
    return json.loads(line[1:])


LANES = {"chaos_features", "chaos_load"}

REFUSED = {
    "allow unset": "PIPECHAOS_POLICY_ALLOW names no stage",
    "allow another": "stranger.features is not allowed here: add it to PIPECHAOS_POLICY_ALLOW",
    "expired": "the plan expired at 2020-01-01T00:00:00+01:00",
    "naive": "expires must be a date and time with a zone",
    "no expiry": "expires must be a date and time with a zone, such as 2026-12-24T18:00:00+01:00; got 'nothing'",
    "missing file": "there is no such file",
    "empty": "it must hold a mapping with expires, environment, exclusions, stretches, not NoneType",
    "no stretch": "it has no stretches",
    "malformed": "it cannot be read as YAML",
    "unknown key": "unknown key 'validator' in stretch 1 (shadow): did you mean 'validators'?",
    "unknown top": "unknown key 'enviroment' in the plan: did you mean 'environment'?",
    "other environment": "the plan is for the environment 'test', and PIPECHAOS_ENVIRONMENT is 'prod'",
    "no such stage": "unknown task 'missing' in DAG 'stranger'",
    "no such validator": "unknown task 'validat' in DAG 'stranger': did you mean 'validate'?",
    "mapped stage": "nothing is injected after stranger.mapped",
    "bad argument": "stretch 1: max_rows is a number above 0, not 'many'",
    "bad injection": "unknown key 'column' in an injection: did you mean 'columns'?",
    "late refusal": "consumer 'clean' comes after 'chaos_torn.check_torn__base' of the lane",
    "live elsewhere": "the plan is for the environment 'test', and PIPECHAOS_ENVIRONMENT is 'prod'",
    "live unsaid": "the plan is for the environment 'test', and PIPECHAOS_ENVIRONMENT is ''",
    "live without": "mode live needs `environment` in the plan",
    "live empty": "mode live needs `environment` in the plan",
    "live mapped": "stage 'mapped' is mapped",
}


@pytest.mark.parametrize("case", [*REFUSED, "plan unset", "other dag"])
def test_the_dag_is_as_it_was_byte_for_byte(found, case):
    assert found["found"][case]["stored"] == found["found"]["unset"]["stored"]
    assert found["found"][case]["used"] == found["found"]["unset"]["used"]


@pytest.mark.parametrize("case", REFUSED)
def test_and_the_log_says_why(found, case):
    said = found["found"][case]["said"]
    assert said
    assert REFUSED[case] in said[0]


@pytest.mark.parametrize("case", ["unset", "plan unset", "other dag", "policy", "live", "called"])
def test_nothing_is_said_where_nothing_is_wrong(found, case):
    assert found["found"][case]["said"] == []


def test_with_nothing_configured_nothing_is_imported_or_read(found):
    mine = {m.removeprefix("pipechaos.") for m in found["found"]["unset"]["modules"]}
    assert "airflow.policy" in mine
    # the provider and the plug-in of the UI are loaded by Airflow for reasons of their own
    for_the_ui = {"airflow.plugin", "airflow.provider", "airflow.addresses"}
    assert mine - for_the_ui == {"pipechaos", "airflow", "airflow.policy"}
    page = ast.parse(Path(find_spec("pipechaos").submodule_search_locations[0], "airflow/policy.py").read_text())
    named = {
        n.module if isinstance(n, ast.ImportFrom) else n.names[0].name
        for n in page.body
        if "Import" in type(n).__name__
    }
    assert named == {"__future__", "os", "collections.abc", "typing", "airflow.policies"}


def test_parsing_with_a_plan_imports_nothing_heavy(found):
    assert "pipechaos.airflow.policy_plan" in found["found"]["policy"]["modules"]
    assert found["heavy"] == []


def test_a_lane_by_policy_is_the_lane_of_one_call(found):
    """But for the owner of our own tasks, which a plan takes from the stage."""
    assert found["found"]["policy"]["stored"] == found["found"]["calling"]["stored"]
    assert {t.partition(".")[0] for t in found["found"]["policy"]["tasks"] if t.startswith("chaos_")} == LANES


def test_the_rest_of_a_plan_is_done_where_one_stretch_is_wrong(found):
    case = found["found"]["one is wrong"]
    assert {t.partition(".")[0] for t in case["tasks"] if t.startswith("chaos_")} == {"chaos_load"}
    assert len(case["said"]) == 1


def test_a_live_stage_is_to_be_seen_as_one(found):
    kinds, before = found["found"]["live"]["kinds"], found["found"]["unset"]["kinds"]
    assert (before["plain"], kinds["plain"]) == ("PythonOperator", "LivePythonOperator")
    assert {**kinds, "plain": "PythonOperator"} == before
    assert "Broken on purpose" in found["found"]["live"]["stored"]
    assert "Broken on purpose" not in found["found"]["unset"]["stored"]


def test_the_deployments_own_policies_do_not_make_a_lane_loud(found):
    case = found["found"]["called"]
    lane = [t for t in case["tasks"] if t.startswith("chaos_")]
    assert len(lane) == (3 + 4) + (3 + 8)
    assert {(case["retries"][t], case["calls"][t]) for t in lane} == {(0, 0)}
    assert {(case["retries"][t], case["calls"][t]) for t in ("features", "validate", "load")} == {(5, 1)}


def test_a_lane_that_another_policy_refuses_is_taken_out_again(found):
    case, alone = found["found"]["refused"], found["found"]["unset"]
    assert {t.partition(".")[0] for t in case["tasks"] if t.startswith("chaos_")} == {"chaos_features"}
    assert len(case["said"]) == 1
    assert "gets no lane 'chaos_load': a policy of this deployment refused its task" in case["said"][0]

    def tasks(stored, name):
        (found,) = [t["__var"] for t in json.loads(stored)["dag"]["tasks"] if t["__var"]["task_id"] == name]
        return found

    assert tasks(case["stored"], "load") == tasks(alone["stored"], "load")
    assert [u for u in case["used"] if "chaos_load" in u] == []


def test_our_tasks_belong_to_whom_the_stage_belongs(found):
    assert set(found["found"]["policy"]["owners"].values()) == {"features-team"}
