"""A campaign's task is ended by Airflow: its processes go, its store can be gone on from, a retry finds the same."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipechaos.airflow.campaign import run_campaign_task
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunStatus

pytestmark = pytest.mark.airflow
RUNNER = Path(__file__).with_name("task_runner.py")


@pytest.fixture
def start(toy, tmp_path, airflow_environment):
    """Start a try of the task."""
    begun = []

    def go(how="none", tried=1, **more):
        given = {"experiment": toy.file, "out": str(toy.place / "out"), "store": toy.store, "jobs": 2, "fail_on": []}
        process = subprocess.Popen(
            [sys.executable, str(RUNNER), json.dumps({**given, "how": how, "try": tried, **more})],
            env=airflow_environment(tmp_path / "home"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield go
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def answer(process):
    """Lines of JSON that it printed, the last one first."""
    out, err = process.communicate(timeout=240)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert lines, err[-3000:]
    return lines[::-1]


def wait_for(toy, process, calls):
    deadline = time.monotonic() + 240
    while len(toy.calls()) < calls:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "error"), [("term", "Cancelled"), ("timeout", "AirflowTaskTimeout")])
def test_an_ended_task_leaves_no_process_and_a_retry_finds_the_same(toy, start, gone, scorecard, how, error):
    toy.slow.touch()
    process = start(how)
    wait_for(toy, process, 42)  # canaries and controls take less: the faults have begun
    process.send_signal(signal.SIGTERM)
    (said, *_) = answer(process)
    assert said["error"] == error
    workers = set(toy.calls())
    assert len(workers) == 2
    assert all(gone(pid) for pid in workers)
    with open_store(toy.store) as store:
        (record,) = store.runs()
        assert record.status is RunStatus.RUNNING
        before = store.trials(record.run_id)
    assert 0 < len(before) < 62
    toy.slow.unlink()
    asked = len(toy.calls())
    (said, *_) = answer(start(tried=2))
    assert said["result"]["run_id"] == record.run_id
    assert said["result"]["resumed_tasks"] > 0
    assert len(toy.calls()) - asked == 2 * (31 - said["result"]["resumed_tasks"])  # nothing committed is asked again
    with open_store(toy.store) as store:
        after = {t.trial_id: t for t in store.trials(record.run_id) if t.kind != "natural"}
    assert all(after[t.trial_id] == t for t in before if t.kind != "natural")
    run_campaign_task(toy.file, out=str(toy.place / "whole"), jobs=1)
    assert scorecard(toy.place / "out") == scorecard(toy.place / "whole")


def test_a_failed_gate_fails_for_good_and_its_result_is_there(toy, start):
    said, pushed = answer(start(fail_on="gate_failed"))
    assert said["error"] == "AirflowFailException"
    assert said["message"] == "campaign 'toy': a gate failed: fnr of weak: at least 77.91%, allowed 50.00%"
    assert pushed == {"pushed": "return_value", "exit_code": 1}
    with open_store(toy.store) as store:
        (record,) = store.runs()
    assert said["link"] == f"/pipechaos/report?id={record.run_id}"


@pytest.mark.parametrize("file", ["halt", "gone/halt"])  # there; and in a folder that is lost
def test_an_engaged_switch_skips_the_task_before_anything(toy, start, file):
    (toy.place / "halt").touch()
    (said, *_) = answer(start(halt_file=str(toy.place / file)))
    assert said["error"] == "AirflowSkipException", said
    assert toy.calls() == []


@pytest.mark.parametrize(
    ("mend", "error"),
    [
        ({"experiment": "none.yaml"}, "AirflowFailException"),  # no try mends what is written wrong
        ({"store": "postgresql://nobody@127.0.0.1:1/none"}, "AirflowException"),  # a store may come back
    ],
)
def test_what_could_not_run_is_tried_again_only_where_that_may_help(start, mend, error):
    (said, *_) = answer(start(**mend))
    assert said["error"] == error, said


@pytest.mark.slow
def test_a_validator_that_hangs_does_not_keep_an_ended_task_waiting(toy, start, gone):
    toy.suite.write_text(toy.suite.read_text().replace("time.sleep(0.05)", "time.sleep(3600)"))
    endless = {**toy.experiment, "limit_seconds": 3000}
    toy.slow.touch()
    process = start("term", experiment=endless, root=str(toy.place))
    wait_for(toy, process, 2)
    process.send_signal(signal.SIGTERM)
    (said, *_) = answer(process)  # long before the limit of one validation
    assert said["error"] == "Cancelled"
    assert all(gone(pid) for pid in toy.calls())
