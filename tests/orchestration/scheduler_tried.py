"""What is tried under every real scheduler, whatever its executor and database; loaded by their tests.

Each function takes a running Airflow and the folder that :func:`furnish` has filled. One that fails stops no other.
"""

import contextlib
import hashlib
import json
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pipechaos.store.opening import open_store
from pipechaos.testing.airflow_server import processes_of, still_running

ROOT = Path(__file__).resolve().parents[2]
BATCH = "lake/features/date=2013-06-03/part-0.parquet"
ROWS = 200
UNTOUCHED = [*range(1, 1 + ROWS), *range(1001, 1001 + ROWS)]
EARLY = "early"  # id of the runs that go on while other things are tried
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


def weak(frame):
    """Some x is there."""
    return list(frame.columns) == ["id", "x"] and bool(frame["x"].notna().any())
'''
TINY = {
    "name": "tiny",
    "seed": 7,
    "batches": ["tiny/date=*"],
    "key": ["id"],
    "history": {"count": 2},
    "validators": [{"name": "weak", "spec": "callable:demo_suite:weak"}],
    "roots": ["suite"],
    "faults": [{"fault": "null.mcar", "columns": ["x"], "severities": [2]}],
    "controls": {"repeats": 0, "benign": 0},
    "gates": [{"metric": "fnr", "limit": 0.5}],
}


def furnish(home, *dag_files):
    """Two days of features, fourteen of a tiny data set, a suite, a spy, and the DAGs over them."""
    for day, first in (("2013-06-03", 1), ("2013-06-04", 1001)):
        ids = list(range(first, first + ROWS))
        columns = {"id": ids, "x": [float(i) for i in ids], "s": [f"s{i % 7}" for i in ids]}
        write(home / "lake" / "features" / f"date={day}" / "part-0.parquet", columns)
    for day in range(1, 15):
        numbers = [float(day + i % 17) for i in range(40)]
        write(home / "tiny" / f"date=2013-06-{day:02}" / "part-0.parquet", {"id": list(range(40)), "x": numbers})
    (home / "tiny.yaml").write_text(json.dumps(TINY))
    (home / "suite").mkdir()
    (home / "suite" / "demo_suite.py").write_text(SUITE)
    (home / "spy").mkdir()
    shutil.copy(Path(__file__).with_name("storage_spy.py"), home / "spy" / "sitecustomize.py")
    (home / "dags").mkdir()
    for name in ("scheduler_dags.py", *dag_files):
        shutil.copy(Path(__file__).with_name(name), home / "dags")
    return home


def write(file, columns):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)


def environment(home, *, store):
    """Of Airflow's processes."""
    return {
        "PYTHONPATH": f"{home / 'spy'}:{ROOT}",
        "STORAGE_SPY": str(home / "spied"),
        "TINY_STORE": store,
    }


def start_early(airflow):
    """Begin the long runs."""
    for dag in ("stranger", "campaign", "drill"):
        airflow.trigger(dag, run_id=EARLY)


def failures_of(functions, airflow, place):
    """What the functions raise; how each went and how long it took is printed, and shown where the test fails."""
    found = []
    for function in functions:
        begun = time.monotonic()
        found.append(failure_of(function, airflow, place))
        print(f"{time.monotonic() - begun:6.1f} s {function.__name__}: {found[-1]!r:.400}", flush=True)
    return list(filter(None, found))


def failure_of(function, airflow, place):
    """What a function raises; whatever it does, nothing where consumers read is changed or added."""
    before = tree(place / "lake")
    try:
        function(airflow, place)
        assert tree(place / "lake") == before, "the lake was changed"
    except Exception as error:  # noqa: BLE001 - raised at the end
        error.add_note(f"in {function.__name__}")
        return error


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def wait_for(what, seconds=400):
    for _ in range(seconds * 10):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def leave_a_validator_at_work(airflow, place):
    """All processes of a server that is stopped in the middle of a task, in the middle of a validator."""
    hangs = place / "suite" / "hangs"
    hangs.unlink(missing_ok=True)
    airflow.trigger("halted_judging")
    wait_for(hangs.exists)
    working = processes_of(airflow.leaders)
    assert int(hangs.read_text()) in {pid for pid, _ in working}
    assert still_running(working)
    return working


def digest(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


# --- retry, halt -----------------------------------------------------------------------------------------------------


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
    published = pq.ParquetFile(place / "published.parquet").read(["id", "x"]).sort_by("id").to_pydict()
    assert published == {"id": UNTOUCHED, "x": [float(i) for i in UNTOUCHED]}


def broken_x(result):
    return pq.ParquetFile(result["batch"]["uri"]).read()["x"].to_pylist()


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


def a_run_halted_in_the_middle_of_a_corrupted_file(airflow, place):
    run = airflow.trigger("halted_writing")
    wait_for((place / "half-way").exists)
    shadow = place / "other-shadow"
    half = [p for p in shadow.rglob("*") if p.is_file() and p.read_bytes()[:4] == b"PAR1"]
    assert half, "it was not in the middle of a file"
    airflow.halt("halted_writing", run)
    airflow.wait_for_run("halted_writing", run)
    gone_in_time(airflow.tasks("halted_writing", run)["corrupt"]["pid"])
    assert list(shadow.rglob("data/*.parquet")) == [], "a corrupted file under a name that a reader globs"
    assert airflow.tasks("halted_writing", run)["publish"]["state"] not in ("success", "running")


def gone_in_time(pid):
    assert pid, "no process to look for"
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in status(pid))


def status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"


# --- lanes, campaign, drill: begun by start_early ---------------------------------------------------------------------


def a_lane_round_a_strangers_dag(airflow, place):
    state = airflow.wait_for_run("stranger", EARLY)
    states = {name: task["state"] for name, task in airflow.tasks("stranger", EARLY).items()}
    score = airflow.xcom("stranger", EARLY, "chaos_features.score")
    assert [(o["columns"], o["outcome"]) for o in score["outcomes"]] == [(["x"], "tp"), (["s"], "fn")]
    assert [c["outcome"] for c in score["controls"]] == ["tn"]

    # a rejection is a task in success, our own failure is one that fails: neither is the run's
    team = {name: found for name, found in states.items() if not name.startswith("chaos_")}
    assert (state, set(team.values())) == ("success", {"success"})
    assert {found for name, found in states.items() if name.startswith("chaos_features.")} == {"success"}
    assert states["chaos_other.copies"] == "failed"
    assert states["chaos_other.end"] == "success"

    source = {"file": str(place / BATCH), "digest": digest(place / BATCH)}
    assert spied(place, "deliver") == spied(place, "validate") == [source]
    (clone,) = spied(place, "chaos_features.validate__i0_null_mcar")
    assert clone["digest"] != source["digest"], "the spy sees what is handed over"
    assert airflow.xcom("stranger", EARLY, "deliver") == ROWS


def spied(place, task):
    return [json.loads(line) for line in (place / "spied" / f"stranger.{EARLY}.{task}").read_text().splitlines()]


def a_campaign_whose_failed_gate_wakes_another_dag(airflow, place):
    assert airflow.wait_for_run("campaign", EARLY) == "failed"
    states = {name: task["state"] for name, task in airflow.tasks("campaign", EARLY).items()}
    assert states == {"campaign": "success", "gate": "failed"}
    result = airflow.xcom("campaign", EARLY, "campaign")
    assert (result["verdict"], result["trials"] > 10) == ("gate_failed", True)
    assert [(g["metric"], g["verdict"]) for g in result["gates"]] == [("fnr", "fail")]
    assert result["validators"]["weak"]["fnr"]["estimate"] == 1.0  # it minds only a column that is all null
    assert result["validators"]["weak"]["fpr"]["estimate"] == 0.0

    wait_for(lambda: airflow.rest("GET", "/dags/alarm/dagRuns")["dag_runs"])
    (woken,) = airflow.rest("GET", "/dags/alarm/dagRuns")["dag_runs"]
    assert airflow.wait_for_run("alarm", woken["dag_run_id"]) == "success"
    (told,) = airflow.xcom("alarm", woken["dag_run_id"], "ticket")
    assert {k: told[k] for k in ("run_id", "verdict", "survivors")} == {
        k: result[k] for k in ("run_id", "verdict", "survivors")
    }
    assert told["survivors"] == 1


def a_drill_under_the_scheduler(airflow, place):
    assert airflow.wait_for_run("drill", EARLY) == "success"
    result = airflow.xcom("drill", EARLY, "drill")
    assert result["run_id"] == f"drill/{EARLY}/drill"
    assert (result["bases"], result["tried"], result["judged"]) == (["2013-06-14"], 1, 1)
    assert (result["gates_failed"], result["gates_open"]) == ([], 1)  # one night is too little to decide
    assert [(s["fault"], s["columns"]) for s in result["new_survivors"]] == [("null.mcar", ["x"])]
    assert Path(result["report"]).is_relative_to(place / "drills"), result["report"]


def check_store(address, airflow):
    """The campaign and the drill are in their store, as finished runs."""
    ids = [airflow.xcom(name, EARLY, name)["run_id"] for name in ("campaign", "drill")]
    with open_store(address) as store:
        assert all(store.run(run_id).finished for run_id in ids)


# --- what the machine shows -------------------------------------------------------------------------------------------


def it_listens_on_loopback_only(airflow, place):
    sockets = {name for pid, _ in processes_of(airflow.leaders) for name in opened_by(pid)}
    listening = [line.split() for net in ("tcp", "tcp6") for line in Path(f"/proc/net/{net}").read_text().splitlines()]
    mine = [line[1] for line in listening if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]
    assert mine == [f"0100007F:{urlsplit(airflow.url).port:04X}"]


def opened_by(pid):
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed since
            yield link.readlink().name


TRIED = [
    a_retry_injects_the_identical_fault_and_the_scores_come_back,
    a_run_halted_while_a_validator_works,
    a_run_halted_in_the_middle_of_a_corrupted_file,
    it_listens_on_loopback_only,
    a_lane_round_a_strangers_dag,
    a_campaign_whose_failed_gate_wakes_another_dag,
    a_drill_under_the_scheduler,
]
