"""The operator for drills, executed in one process that has Airflow."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

SUITE = """
import pathlib

HERE = pathlib.Path(__file__).parent


def whole(frame):
    with (HERE / "calls").open("a") as file:
        file.write("x")
    return list(frame.columns) == ["id", "x"] and bool(frame["x"].notna().all())


def blind(frame):
    return True


def stops(frame):
    if 0 < frame.isna().mean().max() < 1:  # the first fault
        (HERE / "stop").touch()
    return whole(frame)
"""

CHILD = """
import json, sys
from pathlib import Path
from types import SimpleNamespace

import pipechaos.airflow.drill as module
from pipechaos.errors import PipechaosError

heavy = [m for m in ("pandas", "pyarrow", "numpy", "scipy", "pipechaos.drill.execute") if m in sys.modules]
home = Path(sys.argv[1])
data = json.loads((home / "experiment.json").read_text())
answers = {"heavy": heavy}


def execute(name, task_id="drill", run_id="scheduled__1", try_number=1, map_index=-1, kill=False, **more):
    pushed, told = {}, []
    ti = SimpleNamespace(
        dag_id="nightly",
        run_id=run_id,
        task_id=task_id,
        try_number=try_number,
        map_index=map_index,
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    arguments = {"experiment": data, "root": str(home), "out": str(home / "drills"), "notify": told.append, "jobs": 1}
    place = {} if "store_conn_id" in more else {"store": str(home / "runs.db")}
    operator = module.DrillOperator(task_id=task_id, **{**arguments, **place, **more})
    if kill:
        def end(*_):
            operator.on_kill()
        operator.notify = [end]
    try:
        found = {"result": operator.execute({"ti": ti})}
    except BaseException as error:
        found = {"error": type(error).__name__, "message": str(error)}
    calls = home / "calls"
    answers[name] = {
        **found, "pushed": pushed, "told": told, "link": operator.report_link,
        "calls": len(calls.read_text()) if calls.exists() else 0,
    }


two = {"period_days": "2", "controls": 3, "until": "", "trials": "None"}
execute("first", settings=two)
execute("again", settings=two, try_number=3)
execute("mapped", settings=two, map_index=4)
execute("other", settings=two, run_id="scheduled__2", release="False")
execute("wrong", settings={"perod_days": 2}, run_id="scheduled__3")
validators = [{"name": "v", "spec": "callable:drill_operator_suite:blind"}]
execute("blind", experiment={**data, "name": "b", "validators": validators}, settings=two, run_id="b1")
nothing = [{"name": "v", "spec": "callable:drill_operator_suite:nothing"}]
stuck = {"experiment": {**data, "name": "s", "validators": nothing}, "settings": {**two, "pause_after": 1}}
execute("cannot", run_id="s1", **stuck)
execute("paused", run_id="s2", **stuck)
execute("released", run_id="s2", release="True", **stuck)
loose = {**data, "name": "k", "faults": [{"fault": "null.mcar", "columns": ["id"]}]}
execute("killed", experiment=loose, settings={**two, "period_days": 1}, run_id="k1", kill=True)
unknown = {"settings": two, "halt_variable": "nobody_set_it"}
execute("halted", run_id="h1", **unknown)
execute("on", run_id="h2", settings=two, halt_variable="is_on")
(home / "halt").touch()
execute("file", run_id="h3", settings=two, halt_file=str(home / "halt"))
(home / "halt").unlink()
stops = {**data, "name": "m", "validators": [{"name": "v", "spec": "callable:drill_operator_suite:stops"}]}
midway = {"experiment": stops, "run_id": "m1", "settings": {**two, "period_days": 1}, "halt_file": str(home / "stop")}
execute("midway", **midway)
(home / "stop").unlink()
execute("midway_cleared", **midway)
free = {"halt_variable": "is_off", "halt_file": str(home / "halt"), "settings": two}
execute("free", run_id="h1", store_conn_id="drills", report_url="https://x/{run_id}/{experiment}", **free)
execute("other_type", run_id="h4", store_conn_id="elsewhere", settings=two)
for name, places in {"twice": {"store": "a.db", "store_conn_id": "b"}, "nowhere": {}}.items():
    try:
        module.DrillOperator(task_id=name, experiment=data, out="x", **places)
    except PipechaosError as error:
        answers[name] = str(error)
print("=" + json.dumps(answers, allow_nan=False))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory, airflow_environment):
    home = tmp_path_factory.mktemp("drill-operator")
    (home / "data").mkdir()
    for day in range(1, 7):
        table = pa.table({"id": list(range(30)), "x": [float(day + i) for i in range(30)]})
        pq.write_table(table, home / "data" / f"day-{day}.parquet")
    (home / "drill_operator_suite.py").write_text(SUITE)
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "history": {"count": 2},
        "validators": [{"name": "whole", "spec": "callable:drill_operator_suite:whole"}],
        "faults": [{"fault": "null.mcar", "columns": ["id", "x"]}],
        "severities": [4],
        "controls": {"repeats": 0, "benign": 0},
    }
    (home / "experiment.json").write_text(json.dumps(data))
    command = [sys.executable, "-c", CHILD, str(home)]
    place = json.dumps({"conn_type": "sqlite", "host": str(home / "other.db")})
    elsewhere = json.dumps({"conn_type": "mysql", "host": "h", "login": "u", "password": "pw-of-the-store"})
    env = airflow_environment(
        home / "airflow",
        AIRFLOW_VAR_IS_ON="on",
        AIRFLOW_VAR_IS_OFF="off",
        AIRFLOW_CONN_DRILLS=place,
        AIRFLOW_CONN_ELSEWHERE=elsewhere,
    )
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])


def test_nothing_heavy_is_imported_with_it(answers):
    assert answers["heavy"] == []


def test_a_retry_is_the_same_drill_and_judges_nothing_again(answers):
    first, again = answers["first"], answers["again"]
    assert first["result"]["run_id"] == "nightly/scheduled__1/drill"
    assert again["result"] == first["result"]
    assert first["calls"] > 0
    assert again["calls"] == first["calls"]
    assert first["link"] == again["link"] == "/pipechaos/report?id=nightly%2Fscheduled__1%2Fdrill"
    assert first["told"] == again["told"] == [first["result"]["message"]]


def test_another_run_or_mapped_task_is_another_drill(answers):
    ids = [answers[name]["result"]["run_id"] for name in ("mapped", "other")]
    assert ids == ["nightly/scheduled__1/drill/4", "nightly/scheduled__2/drill"]
    assert answers["mapped"]["calls"] > answers["again"]["calls"]


def test_a_wrong_setting_fails_for_good_and_says_what_is_allowed(answers):
    assert answers["wrong"]["error"] == "AirflowFailException"
    assert "did you mean 'period_days'" in answers["wrong"]["message"]


def test_a_blind_validator_fails_the_task_for_good_with_its_result_for_others(answers):
    blind = answers["blind"]
    assert blind["error"] == "AirflowFailException"
    assert blind["pushed"]["return_value"]["blind"] == ["v"]
    assert blind["told"][0].startswith("drill of b: ")


def test_a_drill_that_cannot_run_may_be_tried_again_and_a_paused_one_may_not(answers):
    assert answers["cannot"]["error"] == "AirflowException"
    assert answers["cannot"]["told"][0].startswith("drill of s: could not run (ValidatorLoadError)")
    assert answers["paused"]["error"] == "AirflowFailException"
    assert "drills are paused" in answers["paused"]["message"]
    assert answers["released"]["error"] == "AirflowException"  # it is tried, and the validator is still not there


def test_a_task_that_airflow_ends_stops_at_once(answers):
    assert answers["killed"]["error"] == "Cancelled"


@pytest.mark.parametrize("how", ["halted", "on", "file"])
def test_a_switch_that_is_on_or_cannot_be_read_skips_the_drill_before_anything_is_judged(answers, how):
    assert answers[how]["error"] == "AirflowSkipException"
    assert answers[how]["told"] == []
    assert answers[how]["calls"] == answers["killed"]["calls"]


def test_a_switch_that_is_turned_on_in_the_middle_skips_the_drill_and_cleared_it_goes_on(answers):
    midway, cleared = answers["midway"], answers["midway_cleared"]
    assert (midway["error"], cleared.get("error")) == ("AirflowSkipException", None)
    result = midway["pushed"]["return_value"]
    assert (result["halted"], result["status"], result["trials"]) == (True, "stopped", 1)
    assert "stop" in result["stopped"]
    assert cleared["calls"] == midway["calls"] + 1
    assert (cleared["result"]["halted"], cleared["result"]["status"], cleared["result"]["trials"]) == (
        False,
        "finished",
        2,
    )


def test_a_switch_that_says_off_lets_it_run_in_the_store_of_a_connection(answers):
    free = answers["free"]
    assert free["calls"] > answers["file"]["calls"]
    assert free["result"]["coverage"]["never"] == 1  # the other store's drills are not known here
    assert free["link"] == "https://x/nightly%2Fh1%2Fdrill/small"


def test_a_store_is_named_once_and_of_a_kind_that_can_be_one(answers):
    assert answers["other_type"]["error"] == "AirflowFailException"
    assert "connection 'elsewhere' is of type 'mysql'" in answers["other_type"]["message"]
    assert "pw-of-the-store" not in json.dumps(answers)
    assert answers["twice"].startswith("store and store_conn_id are both given")
    assert answers["nowhere"].startswith("no store is named")
