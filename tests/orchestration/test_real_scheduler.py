"""A real scheduler: triggered, retried, halted and read by REST; and the pages in its UI.

One test, so that workers that share out the tests start one Airflow between them: it takes half a minute to start. What
is tried stands in functions of its own; one that fails stops none of the others.
"""

import contextlib
import importlib.util
import json
import shutil
import socket
import time
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.airflow.campaign import TaskKey
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunIdentity
from pipechaos.testing.airflow_server import airflow_server, processes_of, still_running

# the start alone takes minutes on a busy machine
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
ROWS = 200
SUITE = '''
import os, pathlib, time


def positive(frame):
    """x is positive."""
    return frame["x"] > 0


def hangs(frame):
    waiting = pathlib.Path(__file__).with_name(".hangs")
    waiting.write_text(str(os.getpid()))
    waiting.rename(waiting.with_name("hangs"))
    time.sleep(600)
'''


USERS = {"admin": "admin", "reader": "viewer", "nobody": ""}
DAG_RUN = "manual__2024-03-01T06:00:00+00:00"  # as Airflow names them: a plus sign must survive the address
BY_HAND = "20240301T060000Z-abcd"
BY_TASK = TaskKey(dag_id="quiet", run_id=DAG_RUN, task_id="campaign").store_id(
    RunIdentity(experiment="tiny", experiment_digest="d", seed=5)
)
PLUGIN = "from pipechaos.airflow.plugin import PipechaosPlugin\n"


@pytest.fixture
def place(tmp_path):
    """A data set of two days, a suite and the DAGs over them."""
    home = tmp_path / "real"
    for day, first in (("2013-06-03", 1), ("2013-06-04", 1001)):
        file = home / "lake" / "features" / f"date={day}" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        ids = list(range(first, first + ROWS))
        pq.write_table(pa.table({"id": ids, "x": [float(i) for i in ids]}), file)
    (home / "suite").mkdir()
    (home / "suite" / "demo_suite.py").write_text(SUITE)
    (home / "dags").mkdir()
    shutil.copy(Path(__file__).with_name("scheduler_dags.py"), home / "dags")
    if not entry_points(group="airflow.plugins", name="pipechaos"):  # run from a checkout that is not installed
        (home / "airflow" / "plugins").mkdir(parents=True)
        (home / "airflow" / "plugins" / "of_pipechaos.py").write_text(PLUGIN)
    spec = importlib.util.spec_from_file_location("ui_store_real", Path(__file__).with_name("ui_store.py"))
    kept = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kept)
    with open_store(home / "runs.db") as store:
        kept.keep(store, BY_HAND, kept.sample.trials())
        kept.keep(store, BY_TASK, kept.sample.trials(), day=1, name="<b>drill</b>")
        kept.keep(store, "unfinished", [], day=2, end=False)
    return home


def test_a_real_airflow(place):
    env = {"PYTHONPATH": str(ROOT), "PIPECHAOS_STORE": str(place / "runs.db")}
    with (
        pytest.raises(ZeroDivisionError),
        airflow_server(place / "dags", home=place / "airflow", users=USERS, env=env) as server,
    ):
        for dag in ("retried", "halted_judging", "halted_writing", "quiet"):
            server.wait_for_dag(dag)
        failures = list(filter(None, [failure_of(f, server, place) for f in TRIED]))
        working = leave_a_validator_at_work(server, place)
        raise ZeroDivisionError  # as a test that fails
    left = still_running(working) | processes_of(server.leaders)
    assert left == frozenset(), "processes were left behind"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(server.url).port)) != 0
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(TRIED)} failed", failures)


TRIED = []


def tried(function):
    TRIED.append(function)
    return function


def failure_of(function, *given):
    """What a function raises; whatever it does, nothing where consumers read is changed or added."""
    before = tree(given[1] / "lake")
    try:
        function(*given)
        assert tree(given[1] / "lake") == before
    except Exception as error:  # noqa: BLE001 - raised at the end
        error.add_note(f"in {function.__name__}")
        return error


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def leave_a_validator_at_work(server, place):
    """All processes of a server that is stopped in the middle of a task, in the middle of a validator."""
    hangs = place / "suite" / "hangs"
    hangs.unlink(missing_ok=True)
    server.trigger("halted_judging")
    wait_for(hangs.exists)
    working = processes_of(server.leaders)
    assert int(hangs.read_text()) in {pid for pid, _ in working}
    assert still_running(working)
    return working


def wait_for(what, seconds=180):
    for _ in range(seconds * 10):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def as_published(place):
    return pq.ParquetFile(place / "published.parquet").read().sort_by("id").to_pydict()


UNTOUCHED = [*range(1, 1 + ROWS), *range(1001, 1001 + ROWS)]


@tried
def a_retry_injects_the_identical_fault_and_the_scores_come_back(airflow, place):
    run = airflow.trigger("retried")
    assert airflow.wait_for_run("retried", run) == "success"
    tasks = airflow.tasks("retried", run)
    assert tasks["corrupt"]["try_number"] == 2
    first, second = [json.loads((place / f"try-{n}.json").read_text()) for n in (1, 2)]
    assert first == second, "another digest, ledger or byte"
    assert {name.rpartition(".")[2] for name in first["files"]} >= {"parquet", "json"}
    assert airflow.xcom("retried", run, "corrupt")["batch"] == second["result"]["batch"]
    assert second["result"]["changed"] == sum(x is None for x in broken_x(second["result"]))

    score = airflow.xcom("retried", run, "score")
    assert score["counts"] == {"v": {"tp": 1}}  # null > 0 is not true
    assert [(o["validator"], o["outcome"]) for o in score["outcomes"]] == [("v", "tp")]
    assert airflow.xcom("retried", run, "publish") == 2 * ROWS
    assert as_published(place) == {"id": UNTOUCHED, "x": [float(i) for i in UNTOUCHED]}


def broken_x(result):
    return pq.ParquetFile(result["batch"]["uri"]).read()["x"].to_pylist()


@tried
def a_run_halted_while_a_validator_works(airflow, place):
    (place / "suite" / "hangs").unlink(missing_ok=True)
    run = airflow.trigger("halted_judging")
    wait_for((place / "suite" / "hangs").exists)
    worker = int((place / "suite" / "hangs").read_text())
    assert worker in {pid for pid, _ in processes_of(airflow.leaders)}
    airflow.halt("halted_judging", run)
    gone_in_time(worker)
    airflow.wait_for_run("halted_judging", run)
    tasks = airflow.tasks("halted_judging", run)
    assert tasks["publish"]["state"] not in ("success", "running")
    assert tasks["validate_broken"]["state"] != "success"


@tried
def a_run_halted_in_the_middle_of_a_corrupted_file(airflow, place):
    run = airflow.trigger("halted_writing")
    wait_for((place / "half-way").exists)
    shadow = place / "other-shadow"
    half = [p for p in shadow.rglob("*") if p.is_file() and p.read_bytes()[:4] == b"PAR1"]
    assert half, "it was not in the middle of a file"
    airflow.halt("halted_writing", run)
    airflow.wait_for_run("halted_writing", run)
    gone_in_time(writer_of(airflow, "halted_writing", run))
    assert list(shadow.rglob("data/*.parquet")) == [], "a corrupted file under a name that a reader globs"
    assert airflow.tasks("halted_writing", run)["publish"]["state"] not in ("success", "running")


def writer_of(airflow, dag, run):
    return airflow.tasks(dag, run)["corrupt"]["pid"]


def gone_in_time(pid):
    assert pid, "no process to look for"
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in status(pid))


def status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"


@tried
def it_listens_on_loopback_only(airflow, place):
    sockets = {name for pid, _ in processes_of(airflow.leaders) for name in opened_by(pid)}
    listening = [line.split() for net in ("tcp", "tcp6") for line in Path(f"/proc/net/{net}").read_text().splitlines()]
    mine = [line[1] for line in listening if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]
    assert mine == [f"0100007F:{urlsplit(airflow.url).port:04X}"]


def opened_by(pid):
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed since
            yield link.readlink().name


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
    assert "1 gate failed" in page
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
    for run in (DAG_RUN, other):
        airflow.wait_for_run("quiet", run)


@tried
def airflow_knows_the_views(airflow, place):
    (plugin,) = [p for p in airflow.rest("GET", "/plugins")["plugins"] if p["name"] == "pipechaos"]
    assert [(v["name"], v["destination"], v["href"]) for v in plugin["external_views"]] == [
        ("Chaos runs", "nav", "/pipechaos/runs"),
        ("Chaos", "dag_run", "/pipechaos/dag-run?dag_id={DAG_ID}&run_id={RUN_ID}"),
    ]
    assert airflow.rest("GET", "/plugins/importErrors")["import_errors"] == []
