"""A live stage when the worst happens while its copy is made: it hands over its own output, or the whole copy."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = """
import json, os, sys
from airflow.sdk import DAG, BaseOperator

from pipechaos.airflow import lane_copies
from pipechaos.airflow.failures import AirflowTaskTimeout
from pipechaos.airflow.policy_live import make_live
from pipechaos.airflow.policy_plan import read_plan

file = sys.argv[1]
(stretch,) = read_plan(os.environ["PIPECHAOS_POLICY"]).stretches


class Stage(BaseOperator):
    def execute(self, context):
        return file

    def after(self, context, event):
        return event


class Instance:
    pushed = None

    def xcom_push(self, key, value):
        self.pushed = {key: value}


class Deaf(Instance):
    def xcom_push(self, key, value):
        raise OSError("the API server is away")


with DAG("etl"):
    stage = Stage(task_id="load")
make_live(stage, stretch)
make_live(stage, stretch)  # parsed again
good, found = lane_copies.make_copies, {}


def run(name, how=None, ti=Instance, call=lambda s, c: s.execute(c)):
    lane_copies.make_copies = how or good
    ti = ti()
    try:
        found[name] = [call(stage, {"ti": ti}), ti.pushed]
    except BaseException as error:
        found[name] = [type(error).__name__, ti.pushed]


def raising(error):
    def make(*args, **kwargs):
        raise error
    return make


def late(*args, **kwargs):
    made = good(*args, **kwargs)
    open(os.environ["HALT"], "w").close()
    return made


run("first")
run("again")
run("deferred", call=lambda s, c: s.resume_execution("after", {"event": file}, c))
run("timeout", raising(AirflowTaskTimeout("over")))
run("crash", raising(KeyError("the value 4711 of Jane")))
run("told to end", raising(SystemExit(1)))
run("deaf", ti=Deaf)
run("halted late", late)
print("=" + json.dumps({"found": found, "classes": [c.__name__ for c in type(stage).__mro__][:3]}))
"""


@pytest.fixture(scope="module")
def found(place, plans, airflow_environment, tmp_path_factory):
    work = tmp_path_factory.mktemp("live")
    (work / "switch").mkdir()
    halt = str(work / "switch" / "halt")
    live = plans.live(place.home, "load", dag="etl", halt_file=halt)
    plan = plans.write(work / "plan.yaml", [live], environment="test")
    more = {
        "PIPECHAOS_POLICY": plan,
        "PIPECHAOS_POLICY_ALLOW": "etl.load",
        "PIPECHAOS_ENVIRONMENT": "test",
        "HALT": halt,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, place.file],
        env=airflow_environment(work / "home", **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("=")]
    return json.loads(line[1:])


def test_a_retry_hands_over_the_identical_copy(found, place):
    handed, record = found["found"]["first"]
    assert hashlib.sha256(Path(handed).read_bytes()).hexdigest() != place.digest
    assert record["pipechaos_live"]["injected"] is True
    assert found["found"]["again"] == found["found"]["first"]
    assert found["found"]["deferred"] == found["found"]["first"], "also where it comes back from the triggerer"
    assert hashlib.sha256(Path(place.file).read_bytes()).hexdigest() == place.digest


def test_parsed_again_it_is_live_once(found):
    assert found["classes"] == ["LiveStage", "_Live", "Stage"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("timeout", "the task's time was over while the copy was made"),
        ("crash", "an error (KeyError)"),  # its message may quote data
    ],
)
def test_an_error_of_ours_is_not_the_stages(found, place, case, reason):
    handed, record = found["found"][case]
    assert handed == place.file
    assert record == {"pipechaos_live": {"injected": False, "reason": reason}}


def test_what_cannot_be_written_down_is_not_handed_over(found, place):
    assert found["found"]["deaf"] == [place.file, None]


def test_a_halt_that_comes_while_the_copy_is_made_holds(found, place):
    handed, record = found["found"]["halted late"]
    assert handed == place.file
    assert record["pipechaos_live"]["injected"] is False
    assert record["pipechaos_live"]["reason"].startswith("halted (file ")


def test_a_task_that_is_told_to_end_ends(found):
    assert found["found"]["told to end"] == ["SystemExit", None]
