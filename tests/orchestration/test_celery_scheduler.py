"""A real scheduler on PostgreSQL with Celery and Redis; and its workers, killed in the middle of a corruption.

One test, as for the one on SQLite, whose functions it shares: an Airflow takes half a minute to start.
"""

import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipechaos.airflow.tasks import corrupt_batch
from pipechaos.cli import recover
from pipechaos.safety.journal import EntryState, Journal
from pipechaos.testing.airflow_server import WORKER, airflow_server, processes_of, still_running
from pipechaos.testing.local_servers import redis_server

# the start alone takes minutes on a busy machine
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1800)]

LIVE = [f"live_{end}" for end in ("killed", "with_its_worker", "half_written", "terminated", "timed_out", "halted")]
NULLS = {"fault": "null.mcar", "columns": "x", "fraction": 0.3, "key": ["id"]}
SOON = {
    "AIRFLOW__CORE__PARALLELISM": "5",  # some tasks do nothing but wait to be killed
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # 300 by default
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


def beside(name):
    spec = importlib.util.spec_from_file_location(f"{name}_celery", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = beside("scheduler_tried")


@pytest.fixture
def place(tmp_path):
    """What all schedulers have, and files for live changes."""
    home = shared.furnish(tmp_path / "real", "killed_dags.py")
    numbers = list(range(shared.ROWS))
    shared.write(home / "original.parquet", {"id": numbers, "x": [float(n) for n in numbers]})
    for name in LIVE:
        live(home, name).parent.mkdir(exist_ok=True)
        live(home, name).write_bytes(original(home))
    (home / "marks").mkdir()
    return home


def test_a_real_airflow_with_celery(place, new_database):
    database, results = new_database(), new_database()
    store = results.replace(":secret@", ":${CHAOS_PASSWORD}@")
    env = {**shared.environment(place, store=store), **SOON, "CHAOS_PASSWORD": "secret"}
    given = {"home": place / "airflow", "env": env, "database_url": database}

    def their_store_holds_them(airflow, place):
        shared.check_store(results, airflow)

    with redis_server() as broker, airflow_server(place / "dags", broker_url=broker, **given) as server:
        for dag in ("retried", "drill", "lane_with_its_worker"):
            server.wait_for_dag(dag)
        failures = shared.failures_of([a_worker_killed_with_all_its_tasks], server, place)
        for dag in [*KILLED, "live_terminated", "live_timed_out", "live_halted"]:
            server.trigger(dag, run_id=shared.EARLY)
        shared.start_early(server)
        failures += shared.failures_of([*TRIED, *shared.TRIED, their_store_holds_them, *LAST], server, place)
        leaders, all_of_it = server.leaders, processes_of(server.leaders)
    left = still_running(all_of_it) | processes_of(leaders)
    assert left == frozenset(), "processes were left behind"
    if failures:
        raise ExceptionGroup(f"{len(failures)} of what was tried failed", failures)


# --- steps ------------------------------------------------------------------------------------------------------------


def reached(place, name):
    """What the task said when it was in the middle."""
    shared.wait_for((place / "marks" / name).exists)
    return json.loads((place / "marks" / name).read_text())


def let_go(place, name):
    (place / "marks" / name).touch()


def live(place, name):
    return place / "live" / f"{name}.parquet"


def original(place):
    return (place / "original.parquet").read_bytes()


def entries(place, name):
    return Journal(place / "journals" / f"{name}.jsonl").entries()


def recovered(place, name):
    """What `pipechaos recover` undid, by the ids of entries; it is run once more, and then does nothing."""
    undone = []
    for _ in range(2):
        journal = str(place / "journals" / f"{name}.jsonl")
        done = CliRunner().invoke(recover.command, ["--journal", journal, "--json", "-"])
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert (said["failed"], said["waiting"]) == ([], [])
        undone.append([entry["id"] for entry in said["undone"]])
    assert undone[1] == [], "it is not idempotent"
    return undone[0]


def the_copy_is_taken_back_once(place, name, said):
    """A task that was killed with its file changed: readers see the copy as a whole, until it is recovered."""
    (entry,) = entries(place, name)
    assert (entry.state, entry.holder.pid, entry.holder.gone()) == (EntryState.OPEN, said["pid"], True)
    assert shared.digest(live(place, name)) == said["seen"] == entry.undo.arguments["after"]
    assert recovered(place, name) == [entry.entry_id]
    assert live(place, name).read_bytes() == original(place)
    let_go(place, f"{name}.recovered")


def the_retry_changes_the_same_and_takes_it_back(airflow, place, name, said):
    assert airflow.wait_for_run(name, shared.EARLY) == "success"
    assert airflow.tasks(name, shared.EARLY)["change"]["try_number"] == 2
    assert airflow.xcom(name, shared.EARLY, "change") == said["seen"]
    assert {entry.state for entry in entries(place, name)} == {EntryState.UNDONE}
    assert live(place, name).read_bytes() == original(place)


def half_a_file_and_no_copy(shadow):
    """What is left of a copy is under no name that a reader globs."""
    (half,) = [p for p in shadow.rglob("data/*") if p.is_file()]
    assert (half.suffix, half.read_bytes()[:4]) == (".tmp", b"PAR1")


def undisturbed(place, name):
    """The same injection as a process makes it that nobody ends."""
    return corrupt_batch(str(place / shared.BATCH), **NULLS, shadow=str(place / "undisturbed" / name))


def same_copy(uri, other):
    return Path(uri).read_bytes() == Path(other["batch"]["uri"]).read_bytes()


# --- the whole worker -------------------------------------------------------------------------------------------------

WITH_WORKER = ["live_with_its_worker", "live_half_written", "lane_with_its_worker"]


def a_worker_killed_with_all_its_tasks(airflow, place):
    """SIGKILL for the worker and whatever came of it, while it corrupts three batches; then a new one is started."""
    changed, unwritten = "live_with_its_worker", "live_half_written"
    for dag in WITH_WORKER:
        airflow.trigger(dag, run_id=shared.EARLY)
    said = {dag: reached(place, dag) for dag in WITH_WORKER}
    shared.wait_for(lambda: airflow.tasks("lane_with_its_worker", shared.EARLY)["publish"]["state"] == "success")
    killed = processes_of([airflow.process_ids()[WORKER]])
    assert {found["pid"] for found in said.values()} <= {pid for pid, _ in killed}
    for pid, _ in killed:
        os.kill(pid, signal.SIGKILL)
    shared.wait_for(lambda: not still_running(killed))
    airflow.restart(WORKER)

    half_a_file_and_no_copy(place / "killed-lane")
    assert entries(place, unwritten) == (), "nothing was begun: the original was never out of its place"
    assert live(place, unwritten).read_bytes() == original(place)
    let_go(place, f"{unwritten}.recovered")
    the_copy_is_taken_back_once(place, changed, said[changed])


def the_scheduler_gave_the_dead_workers_tasks_up_and_tried_them_again(airflow, place):
    changed, unwritten, lane = WITH_WORKER
    the_retry_changes_the_same_and_takes_it_back(airflow, place, changed, reached(place, changed))
    assert airflow.wait_for_run(unwritten, shared.EARLY) == "success"
    assert airflow.xcom(unwritten, shared.EARLY, "change") == reached(place, unwritten)["seen"], "the same draws"
    assert [e.state for e in entries(place, unwritten)] == [EntryState.UNDONE]
    assert missed_heartbeats(airflow) >= {(changed, "change"), (unwritten, "change"), (lane, "chaos_features.copies")}

    assert airflow.wait_for_run(lane, shared.EARLY) == "success"  # its own tasks were through
    states = {name: task["state"] for name, task in airflow.tasks(lane, shared.EARLY).items()}
    assert (states["chaos_features.copies"], states["chaos_features.end"]) == ("failed", "success")
    assert airflow.xcom(lane, shared.EARLY, "publish") == shared.digest(place / shared.BATCH)


def missed_heartbeats(airflow):
    found = airflow.rest("GET", "/eventLogs?limit=500&event=heartbeat%20timeout")["event_logs"]
    return {(line["dag_id"], line["task_id"]) for line in found}


def a_lane_whose_worker_was_killed_is_cleared(airflow, place):
    lane, copies = "lane_with_its_worker", "chaos_features.copies"
    wanted = {"dag_run_id": shared.EARLY, "task_ids": [copies], "include_downstream": True, "only_failed": False}
    airflow.rest("POST", f"/dags/{lane}/clearTaskInstances", {**wanted, "dry_run": False, "reset_dag_runs": True})
    assert airflow.wait_for_run(lane, shared.EARLY) == "success"
    made = airflow.xcom(lane, shared.EARLY, copies)["trials"]["i0_null_mcar"]["given"]
    assert same_copy(made, undisturbed(place, lane))
    assert airflow.xcom(lane, shared.EARLY, "chaos_features.score")["counts"] == {"validate": {"tp": 1}}


# --- one task ---------------------------------------------------------------------------------------------------------

KILLED = ["writing_killed", "writing_timed_out", "live_killed"]


def tasks_killed_in_the_middle(airflow, place):
    """SIGKILL for the task's process alone: its supervisor tells the scheduler at once."""
    writing, changed = "writing_killed", "live_killed"
    said = {name: reached(place, name) for name in (writing, changed)}
    for found in said.values():
        os.kill(found["pid"], signal.SIGKILL)
        shared.gone_in_time(found["pid"])
    the_copy_is_taken_back_once(place, changed, said[changed])
    the_retry_changes_the_same_and_takes_it_back(airflow, place, changed, said[changed])
    the_retry_writes_the_same(airflow, place, writing)
    assert len(half_files(place / "shadow-killed")) == 1, "it stays until it is swept"


def the_retry_writes_the_same(airflow, place, name):
    assert airflow.wait_for_run(name, shared.EARLY) == "success"
    assert airflow.tasks(name, shared.EARLY)["corrupt"]["try_number"] == 2
    copy, other = airflow.xcom(name, shared.EARLY, "corrupt"), undisturbed(place, name)
    assert (copy["changed"], copy["batch"]["digest"]) == (other["changed"], other["batch"]["digest"])
    assert same_copy(copy["batch"]["uri"], other)
    assert shared.tree(Path(copy["ledger"])) == shared.tree(Path(other["ledger"]))


def a_task_whose_time_is_over_takes_its_change_back_itself(airflow, place):
    name, writing = "live_timed_out", "writing_timed_out"
    said = reached(place, name)
    shared.gone_in_time(said["pid"])
    assert [e.state for e in entries(place, name)] == [EntryState.UNDONE]
    assert recovered(place, name) == []
    let_go(place, f"{name}.recovered")
    the_retry_changes_the_same_and_takes_it_back(airflow, place, name, said)
    the_retry_writes_the_same(airflow, place, writing)
    assert half_files(place / "shadow-timed_out") == []


def half_files(shadow):
    return list(shadow.rglob("data/*.tmp"))


def a_task_that_is_only_asked_to_end_goes_on_and_takes_its_change_back(airflow, place):
    """Airflow's handler of SIGTERM calls ``on_kill`` and returns."""
    name = "live_terminated"
    said = reached(place, name)
    os.kill(said["pid"], signal.SIGTERM)
    assert [e.state for e in entries(place, name)] == [EntryState.OPEN]
    let_go(place, f"{name}.go")
    assert airflow.wait_for_run(name, shared.EARLY) == "success"
    assert airflow.tasks(name, shared.EARLY)["change"]["try_number"] == 1
    assert [e.state for e in entries(place, name)] == [EntryState.UNDONE]


def a_run_set_to_failed_with_a_change_under_way(airflow, place):
    """SIGTERM, and SIGKILL five seconds later: no ``finally`` is run, and the journal takes it back."""
    name = "live_halted"
    said = reached(place, name)
    airflow.halt(name, shared.EARLY)
    shared.gone_in_time(said["pid"])
    assert airflow.wait_for_run(name, shared.EARLY) == "failed"
    the_copy_is_taken_back_once(place, name, said)


TRIED = [
    tasks_killed_in_the_middle,
    a_task_whose_time_is_over_takes_its_change_back_itself,
    a_task_that_is_only_asked_to_end_goes_on_and_takes_its_change_back,
    a_run_set_to_failed_with_a_change_under_way,
]
LAST = [
    the_scheduler_gave_the_dead_workers_tasks_up_and_tried_them_again,
    a_lane_whose_worker_was_killed_is_cleared,
]
