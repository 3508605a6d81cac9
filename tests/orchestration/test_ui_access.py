"""The application of the UI beside Airflow, without a server: routes, who sees what, what is said without a store."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipechaos.airflow.campaign import TaskKey
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunIdentity

pytestmark = pytest.mark.airflow

_spec = importlib.util.spec_from_file_location("ui_store_access", Path(__file__).with_name("ui_store.py"))
kept = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kept)

BY_HAND = "20240301T060000Z-abcd"
MINE, THEIRS = [
    TaskKey(dag_id=dag, run_id="r", task_id="t").store_id(RunIdentity(experiment="e", experiment_digest="d", seed=5))
    for dag in ("mine", "theirs")
]

SCRIPT = """
import contextlib, inspect, json, os, sys
from types import SimpleNamespace
from pipechaos.airflow import ui

place, ids = json.loads(sys.argv[1])
said = {"routes": {r.path: sorted(r.methods) for r in ui.app.routes}, "needs": {}}
for route in ui.app.routes:
    asked = [inspect.getclosurevars(d.dependency).nonlocals for d in route.dependencies]
    said["needs"][route.path] = [[a["method"], str(a["access_entity"])] for a in asked]


results = [
    ("chaos_load.score", {"outcomes": [], "controls": [], "counts": {}, "reason": "halted by the test"}),
    ("other.score", "not ours"),
]


class Manager:
    def is_authorized_dag(self, *, method, user, access_entity, details):
        assert (method, access_entity.name, details.id) == ("GET", "XCOM", "mine")
        return user != "no xcoms"

    def get_authorized_dag_ids(self, *, user, method):
        assert method == "GET"
        return {"mine"} if user == "limited" else {"mine", "theirs"}


@contextlib.contextmanager
def session():
    def execute(query):
        names = [c.key for c in query.selected_columns]
        rows = results if "value" in names else [("t", -1)]
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows]

    yield SimpleNamespace(scalars=lambda query: SimpleNamespace(all=lambda: ["mine", "theirs"]), execute=execute)


ui.get_auth_manager, ui.create_session = Manager, session


def seen(answer):
    return [answer.status_code, answer.body.decode()]


os.environ["PIPECHAOS_STORE"] = place
for user in ("limited", "all"):
    said[user] = {"list": seen(ui.runs(user)), **{i: seen(ui.report(i, user)) for i in ids}}
    said[user]["tab"] = seen(ui.dag_run("mine", "r", user))
said["no xcoms"] = seen(ui.dag_run("mine", "r", "no xcoms"))
os.environ["PIPECHAOS_STORE"] = place + ".none"
said["missing"] = seen(ui.runs("all"))
os.environ["PIPECHAOS_STORE"] = "none"
said["off"] = seen(ui.report(ids[0], "all"))
said["lane without a store"] = seen(ui.dag_run("mine", "r", "all"))
said["nothing without a store"] = seen(ui.dag_run("mine", "r", "no xcoms"))
del os.environ["PIPECHAOS_STORE"]
said["unnamed"] = seen(ui.runs("all"))
os.environ["AIRFLOW__PIPECHAOS__STORE"] = place
said["configured"] = seen(ui.runs("all"))
import pipechaos.store.opening as opening
from pipechaos.errors import MissingExtraError


def no_extra(*_, **__):
    raise MissingExtraError("alembic", "store")


opening.open_store = no_extra
said["no extra"] = seen(ui.runs("all"))
from pipechaos.airflow.campaign import TaskKey
from pipechaos.drill.schedule import _FAILED

keys = [TaskKey(dag_id="d-1", run_id="manual__2024", task_id="t.u", map_index=n) for n in (-1, 0, 3)]
said["drills"] = [*(k.drill_id for k in keys), _FAILED]
print("=" + json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory, airflow_environment):
    home = tmp_path_factory.mktemp("access")
    with open_store(home / "runs.db") as store:
        for at, run in enumerate([BY_HAND, MINE, THEIRS]):
            kept.keep(store, run, kept.sample.trials(), day=at)
    request = json.dumps([str(home / "runs.db"), [BY_HAND, MINE, THEIRS]])
    env = airflow_environment(home / "home")
    done = subprocess.run([sys.executable, "-c", SCRIPT, request], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])


def test_there_are_these_routes_and_they_only_read(said):
    """Each is tried as nobody against the real server; a new one has to be added there."""
    assert said["routes"] == {path: ["GET"] for path in ("/", "/runs", "/report", "/dag-run")}


def test_each_route_needs_the_right_to_read_dags_and_the_tab_that_to_their_runs(said):
    general, of_runs = ["GET", "None"], ["GET", "DagAccessEntity.RUN"]
    needs = {path: [general] for path in ("/", "/runs", "/report")}
    assert said["needs"] == needs | {"/dag-run": [general, of_runs]}


def test_runs_of_a_dag_are_for_who_may_read_it(said):
    status, page = said["limited"]["list"]
    assert status == 200
    assert BY_HAND in page
    assert MINE in page
    assert THEIRS not in page
    assert [said["limited"][i][0] for i in (BY_HAND, MINE, THEIRS)] == [200, 200, 404]
    assert "there is no run" in said["limited"][THEIRS][1]
    assert THEIRS in said["all"]["list"][1]
    assert [said["all"][i][0] for i in (BY_HAND, MINE, THEIRS)] == [200, 200, 200]


def test_scores_of_lanes_are_for_who_may_read_xcoms_and_need_no_store(said):
    status, page = said["all"]["tab"]
    assert (status, MINE in page, "Lane chaos_load" in page, "halted by the test" in page) == (200, True, True, True)
    assert "other" not in page
    status, page = said["no xcoms"]
    assert (status, MINE in page, "Lane" in page) == (200, True, False)
    status, page = said["lane without a store"]
    assert (status, "Lane chaos_load" in page, "Store:" in page) == (200, True, False)
    assert said["nothing without a store"][0] == 503


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("missing", "there is no store"),
        ("off", "no store is named: set PIPECHAOS_STORE"),
        ("unnamed", "no store is named: set PIPECHAOS_STORE"),
        ("no extra", "alembic is not installed: pip install &#39;pipechaos[store]&#39;"),
    ],
)
def test_without_a_store_the_page_says_what_to_do(said, case, text):
    status, page = said[case]
    assert status == 503
    assert page.startswith("<!DOCTYPE html>")
    assert text in page


def test_airflows_configuration_may_name_the_store(said):
    assert said["configured"] == said["all"]["list"]


def test_drills_are_called_as_the_operator_calls_them(said):
    assert said["drills"] == [*(f"d-1/manual__2024/t.u{n}" for n in ("", "/0", "/3")), ".could-not-run"]
