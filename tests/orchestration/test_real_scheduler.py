"""A real scheduler: triggered, retried, halted and read by REST; the pages in its UI; a plan of the policy plug-in.

One test, so that workers that share out the tests start one Airflow between them: it takes half a minute to start. What
is tried stands in functions of its own; one that fails stops none of the others.
"""

import importlib.util
import socket
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow.parquet as pq
import pytest

from pipechaos.airflow.campaign import TaskKey
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunIdentity
from pipechaos.testing.airflow_server import airflow_server, processes_of, still_running

# the start alone takes minutes on a busy machine
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1800)]

USERS = {"admin": "admin", "reader": "viewer", "nobody": ""}
DAG_RUN = "manual__2024-03-01T06:00:00+00:00"  # as Airflow names them: a plus sign must survive the address
BY_HAND = "20240301T060000Z-abcd"
BY_TASK = TaskKey(dag_id="quiet", run_id=DAG_RUN, task_id="campaign").store_id(
    RunIdentity(experiment="tiny", experiment_digest="d", seed=5)
)
PLUGIN = "from pipechaos.airflow.plugin import PipechaosPlugin\n"


def beside(name):
    spec = importlib.util.spec_from_file_location(f"{name}_real", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared, planned = beside("scheduler_tried"), beside("planned_tried")


@pytest.fixture
def place(tmp_path):
    """The data, the suite and the DAGs that all schedulers have, and a store with runs to show."""
    home = shared.furnish(tmp_path / "real", planned.DAG_FILE)
    if not entry_points(group="airflow.plugins", name="pipechaos"):  # run from a checkout that is not installed
        (home / "airflow" / "plugins").mkdir(parents=True)
        (home / "airflow" / "plugins" / "of_pipechaos.py").write_text(PLUGIN)
    kept = beside("ui_store")
    with open_store(home / "runs.db") as store:
        kept.keep(store, BY_HAND, kept.sample.trials())
        kept.keep(store, BY_TASK, kept.sample.trials(), day=1, name="<b>drill</b>")
        kept.keep(store, "unfinished", [], day=2, end=False)
    return home


def test_a_real_airflow(place):
    store = str(place / "tiny.db")

    def their_store_holds_them(airflow, place):
        shared.check_store(store, airflow)

    env = {**shared.environment(place, store=store), "PIPECHAOS_STORE": str(place / "runs.db")}
    env |= planned.environment(place)
    with (
        pytest.raises(ZeroDivisionError),
        airflow_server(place / "dags", home=place / "airflow", users=USERS, env=env) as server,
    ):
        for dag in ("retried", "drill", "patient"):
            server.wait_for_dag(dag)
        shared.start_early(server)
        tried = [*TRIED, *shared.TRIED, their_store_holds_them, the_tab_says_what_a_lane_missed, *planned.TRIED]
        failures = shared.failures_of(tried, server, place)
        working = shared.leave_a_validator_at_work(server, place)
        raise ZeroDivisionError  # as a test that fails
    left = still_running(working) | processes_of(server.leaders)
    assert left == frozenset(), "processes were left behind"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(server.url).port)) != 0
    if failures:
        raise ExceptionGroup(f"{len(failures)} of what was tried failed", failures)


TRIED = []


def tried(function):
    TRIED.append(function)
    return function


# --- the pages in the UI --------------------------------------------------------------------------------------------

PAGES = [
    "/pipechaos/",
    "/pipechaos/runs",
    f"/pipechaos/report?id={BY_HAND}",
    f"/pipechaos/dag-run?dag_id=quiet&run_id={quote(DAG_RUN, safe='')}",
]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@tried
def a_page_is_for_who_may_see_dags(airflow, place):
    for page in PAGES:
        behind_the_login(airflow, page)


def behind_the_login(airflow, page):
    assert airflow.ask("GET", page).status == 401
    assert airflow.ask("GET", page, headers={"Cookie": "_token=e30.e30.e30"}).status in (401, 403)
    assert airflow.ask("GET", page, headers=bearer("e30.e30.e30")).status in (401, 403)
    assert airflow.ask("GET", page, headers=bearer(airflow.token("nobody"))).status == 403
    by_token = airflow.ask("GET", page, headers=bearer(airflow.token("reader")))
    by_cookie = airflow.ask("GET", page, headers={"Cookie": f"_token={airflow.token('reader')}"})
    assert (by_token.status, by_cookie.status) == (200, 200)
    assert by_token.body == by_cookie.body
    assert by_token.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'self'" in by_token.headers["content-security-policy"]
    assert by_token.headers["x-content-type-options"] == "nosniff"
    assert by_token.headers["cache-control"] == "no-store"


@tried
def nothing_else_answers(airflow, place):
    """What a web framework adds by itself is outside the login: it has to be off."""
    for page in ["openapi.json", "docs", "redoc", "templates/runs.css", "%2e%2e/api/v2/dags", "x"]:
        assert airflow.ask("GET", f"/pipechaos/{page}").status in (401, 404), page
        assert airflow.ask("GET", f"/pipechaos/{page}", headers=bearer(airflow.token())).status == 404, page


@tried
def the_list_and_the_report(airflow, place):
    login = bearer(airflow.token("reader"))
    said = airflow.ask("GET", "/pipechaos/runs", headers=login)
    page = said.body
    assert page.index("unfinished") < page.index(f"report?id={BY_TASK}") < page.index(f"report?id={BY_HAND}")
    assert "&lt;b&gt;drill&lt;/b&gt;" in page
    assert "<b>drill" not in page
    assert "3 of 10 trials" in page
    assert "1: a gate failed" in page
    assert "default-src 'none'" in said.headers["content-security-policy"]
    report = airflow.ask("GET", f"/pipechaos/report?id={BY_HAND}", headers=login).body
    assert "Skip to the report" in report
    assert '<meta http-equiv="Content-Security-Policy"' in report


@tried
def only_ids_of_the_store_lead_to_a_report(airflow, place):
    for asked in ["../../../../etc/passwd", "%2e%2e%2fruns.db", "last", "2024", "", "unknown%00"]:
        said = airflow.ask("GET", f"/pipechaos/report?id={asked}", headers=bearer(airflow.token()))
        assert said.status == 404, asked
        assert "there is no run" in said.body, asked
        assert "root:" not in said.body, asked


@tried
def the_tab_of_a_dag_run_has_the_runs_of_its_tasks(airflow, place):
    airflow.trigger("quiet", run_id=DAG_RUN)
    login = bearer(airflow.token("reader"))
    tab = airflow.ask("GET", PAGES[-1], headers=login).body
    assert f"report?id={BY_TASK}" in tab
    assert BY_HAND not in tab
    other = airflow.trigger("quiet")
    empty = airflow.ask("GET", f"/pipechaos/dag-run?dag_id=quiet&run_id={quote(other, safe='')}", headers=login)
    assert "No task of this DAG run has kept a campaign" in empty.body
    assert "Lane" not in empty.body
    for run in (DAG_RUN, other):
        airflow.wait_for_run("quiet", run)


def the_tab_says_what_a_lane_missed(airflow, place):
    asked = f"/pipechaos/dag-run?dag_id=stranger&run_id={shared.EARLY}"
    page = " ".join(airflow.ask("GET", asked, headers=bearer(airflow.token("reader"))).body.split())
    assert "<h2>Lane chaos_features</h2>" in page
    assert "1 of 2 corrupted copies that were judged were missed." in page
    copy = airflow.xcom("stranger", shared.EARLY, "chaos_features.copies")["trials"]["i0_null_mcar"]["given"]
    nulls = pq.ParquetFile(copy).read()["x"].null_count
    assert f'<td class="words">x</td> <td>{nulls}</td><td class="">noticed</td>' in page
    assert '<td class="bad">MISSED</td>' in page
    assert "Nothing is scored: no copies could be made" in page  # the lane whose own task fails


@tried
def airflow_knows_the_views(airflow, place):
    (plugin,) = [p for p in airflow.rest("GET", "/plugins")["plugins"] if p["name"] == "pipechaos"]
    assert [(v["name"], v["destination"], v["href"]) for v in plugin["external_views"]] == [
        ("Chaos runs", "nav", "/pipechaos/runs"),
        ("Chaos", "dag_run", "/pipechaos/dag-run?dag_id={DAG_ID}&run_id={RUN_ID}"),
    ]
    assert airflow.rest("GET", "/plugins/importErrors")["import_errors"] == []
