"""The worker: a validator that hangs, dies or shouts costs one trial and nothing else."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.errors import UnknownNameError, ValidatorLoadError
from pipechaos.validate import worker as worker_module
from pipechaos.validate.verdict import FindingKind, VerdictStatus
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

SUITE = '''
import os, pathlib, signal, subprocess, sys, tempfile, time
import pandas as pd

HERE = pathlib.Path(__file__).parent


def act(frame):
    """Do what the first cell says."""
    what = str(frame["what"].iloc[0]) if len(frame) else ""
    if what == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (HERE / "grandchild").write_text(str(child.pid))
        (pathlib.Path(tempfile.gettempdir()) / "left").write_text("a row")
        (HERE / "scratch").write_text(tempfile.gettempdir())
        time.sleep(600)
    if what == "exit":
        os._exit(3)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sys.exit":
        sys.exit(0)
    if what == "shout":
        print("to stdout", flush=True)
        os.system("echo to stdout from a child; echo to stderr from a child >&2")
    if what == "fail":
        return frame["what"] != "fail"
    return True


def vandal(frame):
    frame["what"] = "ruined"
    return True


def fresh(frame):
    return list(frame["what"]) != ["ruined"]


def not_null(frame):
    return frame["x"].notna()


def read(path):
    mode = oct(path.parent.stat().st_mode & 0o777)
    (HERE / "read").write_text(f"{path.parent} {mode} {path.name}")
    if (HERE / "loader-breaks").exists():
        raise ValueError("unreadable")
    return pd.read_parquet(path).assign(loaded=True)


def was_loaded(frame):
    return "loaded" in frame.columns
'''


def payload(**columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def specs(*names):
    return tuple(ValidatorSpec(name=n, spec=f"callable:worker_suite:{n}") for n in names)


def gone(pid):
    """Whether a process has ended; a zombie that waits for its reaper has."""
    for _ in range(1200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("worker")
    (path / "worker_suite.py").write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def worker(root):
    spec = WorkerSpec(validators=specs("act", "vandal", "fresh", "not_null"), roots=(str(root),))
    with Worker(spec, limit_seconds=120) as worker:
        yield worker


def say(worker, what):
    return worker.validate("act", payload(what=[what]))


def test_verdicts_come_back_with_rows_and_digests(worker):
    verdict = worker.validate("not_null", payload(x=[1.0, None, 2.0, None]))
    (finding,) = verdict.findings
    assert (verdict.validator, verdict.status) == ("not_null", VerdictStatus.REJECTED)
    assert finding.rows.tolist() == [1, 3]
    assert len(verdict.ordered_digest) == len(verdict.multiset_digest) == 32


def test_a_file_is_judged_like_the_table_it_holds(worker, tmp_path):
    table = {"what": ["x"], "n": [None]}
    pq.write_table(pa.table(table), tmp_path / "b.parquet")
    verdicts = [worker.validate("act", p) for p in (tmp_path / "b.parquet", payload(**table))]
    assert verdicts[0].ordered_digest == verdicts[1].ordered_digest


def test_a_frame_that_one_validator_ruined_reaches_no_other(worker):
    batch = payload(what=["x"])
    assert [worker.validate(n, batch).status.value for n in ("vandal", "fresh")] == ["accepted"] * 2


def test_empty_frames_are_judged(worker):
    assert worker.validate("act", payload(what=pa.array([], pa.string()))).status is VerdictStatus.ACCEPTED
    nothing = worker.validate("not_null", payload())
    assert (nothing.status, nothing.findings[0].check) == (VerdictStatus.ERRORED, "<crash>")


@pytest.mark.parametrize("what", ["exit", "killed"])
def test_a_process_that_dies_costs_one_trial(worker, what):
    dead = say(worker, what)
    assert (dead.status, dead.checks_declared, dead.checks_ran) == (VerdictStatus.ERRORED, 1, 0)
    assert [(f.check, f.kind) for f in dead.findings] == [("<crash>", FindingKind.ERROR)]
    assert say(worker, "fine").status is VerdictStatus.ACCEPTED


def test_a_validator_that_ends_its_interpreter_politely_is_an_error(worker):
    verdict = say(worker, "sys.exit")
    assert (verdict.status, verdict.findings[0].check) == (VerdictStatus.ERRORED, "<crash>")


def test_a_hang_is_killed_with_its_children_and_its_files(worker, root, monkeypatch):
    say(worker, "fine")
    monkeypatch.setattr(worker, "_limit", 5.0)
    hung = say(worker, "hang")
    monkeypatch.undo()
    assert (hung.status, hung.findings, hung.checks_declared) == (VerdictStatus.TIMED_OUT, (), 1)
    assert gone(int((root / "grandchild").read_text()))
    assert not Path((root / "scratch").read_text()).exists()
    assert say(worker, "fail").status is VerdictStatus.REJECTED


def test_nothing_reaches_our_stdout_or_stderr(worker, capfd):
    assert say(worker, "shout").status is VerdictStatus.ACCEPTED
    assert capfd.readouterr() == ("", "")


def test_what_libraries_print_can_go_to_a_log(root, tmp_path):
    with Worker(WorkerSpec(validators=specs("act"), roots=(str(root),)), log=tmp_path / "log") as worker:
        say(worker, "shout")
    assert "to stdout from a child" in (tmp_path / "log").read_text()


def test_checks_and_digest_are_described_by_the_child(worker):
    described = worker.describe()
    assert list(described) == ["act", "vandal", "fresh", "not_null"]
    assert [c.id for c in described["act"].checks] == ["act"]
    assert len(described["act"].suite_digest) == 32


def test_an_unknown_validator_is_a_mistake_of_the_caller(worker):
    with pytest.raises(UnknownNameError, match="did you mean 'act'"):
        worker.validate("akt", payload(what=["x"]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("callable:worker_suite:nothing", "no attribute 'nothing'"),
        ("pandera:worker_suite:act", "is a function; expected"),
        ("callable:worker_dies:f", "died while it loaded 'bad' .exit code 7"),
    ],
)
def test_what_cannot_be_loaded_says_so_at_the_start(root, spec, message):
    (root / "worker_dies.py").write_text("import os; os._exit(7)")
    worker = Worker(WorkerSpec(validators=(ValidatorSpec(name="bad", spec=spec),), roots=(str(root),)))
    for call in (worker.start, worker.describe, lambda: worker.validate("bad", b"")):
        with pytest.raises(ValidatorLoadError, match=message):
            call()
        if "dies" in spec:
            break


def test_a_loader_reads_from_a_private_file_that_goes_away(root):
    spec = WorkerSpec(validators=specs("was_loaded"), roots=(str(root),), loader="worker_suite:read")
    with Worker(spec) as worker:
        assert worker.validate("was_loaded", payload(a=[1])).status is VerdictStatus.ACCEPTED
        directory, mode, file = (root / "read").read_text().split()
        assert (mode, file, Path(directory).exists()) == ("0o700", "batch.parquet", False)
        (root / "loader-breaks").touch()
        broken = worker.validate("was_loaded", payload(a=[1]))
        (root / "loader-breaks").unlink()
        assert (broken.status, broken.findings[0].check) == (VerdictStatus.ERRORED, "<loader>")
        assert "unreadable" in broken.findings[0].message
        assert worker.validate("was_loaded", payload(a=[1])).status is VerdictStatus.ACCEPTED


def test_workers_of_several_threads_do_not_meet(root):
    spec = WorkerSpec(validators=specs("not_null"), roots=(str(root),))
    found = {}

    def judge(k):
        with Worker(spec) as worker:
            found[k] = [
                worker.validate("not_null", payload(x=[None] * k + [1.0])).findings[0].rows.tolist() for _ in range(5)
            ]

    threads = [threading.Thread(target=judge, args=(k,)) for k in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {1: [[0]] * 5, 2: [[0, 1]] * 5}


def test_pandera_switched_off_by_the_environment_accepts_nothing(root, monkeypatch):
    (root / "worker_schema.py").write_text(
        "import pandera.pandas as pa\nSchema = pa.DataFrameSchema({'x': pa.Column(float)})\n"
    )
    monkeypatch.setenv("PANDERA_VALIDATION_ENABLED", "TRUE")  # which means False
    spec = WorkerSpec(validators=(ValidatorSpec(name="s", spec="pandera:worker_schema:Schema"),), roots=(str(root),))
    with Worker(spec) as worker:
        verdict = worker.validate("s", payload(x=[1.0]))
    assert (verdict.status, verdict.findings[0].check) == (VerdictStatus.ERRORED, "<validation disabled>")


CUSTOM = """
import pathlib, time
import great_expectations.expectations as gxe
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial

CALLS = []


class Slow(ColumnMapMetricProvider):
    condition_metric_name = "column_values.slow_details"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column, **kw):
        CALLS.append(1)
        if column.max() > 10:  # the first pass is quick, the one for details never ends
            while len(CALLS) > 1:
                time.sleep(1)
        return column < 5


class ExpectColumnValuesToBeSlow(ColumnMapExpectation):
    map_metric = "column_values.slow_details"
    success_keys = ("mostly",)
"""


def test_a_rejection_stands_when_only_its_details_are_killed(root, monkeypatch):
    (root / "worker_custom.py").write_text(CUSTOM)
    suite = {
        "name": "s",
        "expectations": [
            {"type": "expect_column_values_to_be_slow", "kwargs": {"column": "x"}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "max_value": 100}},
        ],
    }
    (root / "s.json").write_text(json.dumps(suite))
    gx = ValidatorSpec(name="gx", spec="gx:s.json", imports=("worker_custom",))
    stages, receive = [], worker_module._Child.receive

    def short_after_the_first_stage(child, seconds):
        answer = receive(child, 1.0 if stages else seconds)
        stages.extend([answer] * isinstance(answer, worker_module.Stage))
        return answer

    with Worker(WorkerSpec(validators=(gx,), roots=(str(root),)), limit_seconds=120) as worker:
        checks = worker.describe()["gx"].checks
        monkeypatch.setattr(worker_module._Child, "receive", short_after_the_first_stage)
        killed = worker.validate("gx", payload(x=[1, 50]))
        assert worker._child is None
    assert len(stages) == 1  # the first pass, and nothing after it
    assert [c.columns for c in checks] == [("x",), ("x",)]
    assert (killed.status, killed.checks_ran, len(killed.ordered_digest)) == (VerdictStatus.REJECTED, 2, 32)
    assert [(f.check, f.columns, f.rows) for f in killed.findings] == [("values_to_be_slow(x)", (), None)]


PARENT = """
import sys
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

spec = ValidatorSpec(name="act", spec="callable:worker_suite:act")
worker = Worker(WorkerSpec(validators=(spec,), roots=(sys.argv[1],)))
worker.start()
print(worker._child._process.pid, flush=True)
worker.validate("act", sys.argv[2])
"""


def test_a_hung_worker_does_not_outlive_a_parent_that_was_killed(root, tmp_path):
    pq.write_table(pa.table({"what": ["hang"]}), tmp_path / "b.parquet")
    (root / "grandchild").unlink(missing_ok=True)
    command = [sys.executable, "-c", PARENT, str(root), str(tmp_path / "b.parquet")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as parent:
        worker = int(parent.stdout.readline())
        while not (root / "scratch").exists() or not (root / "grandchild").exists():
            time.sleep(0.05)
        parent.kill()
    assert gone(worker)
    assert gone(int((root / "grandchild").read_text()))


def test_the_parent_stays_light():
    code = "import sys, pipechaos.validate.worker; print({'pandas', 'pyarrow', 'pandera'} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "set()"
