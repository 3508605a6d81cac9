"""What the tests of the Airflow room share: Airflow itself only ever runs in other processes."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]

SUITE = '''
import os, pathlib, time

HERE = pathlib.Path(__file__).parent


def accepts(frame):
    (HERE / "judged-by").write_text(str(os.getpid()))
    return True


def positive(frame):
    """x is positive: the first column any of the faults here touches."""
    return frame["x"] > 0


def breaks(frame):
    raise ValueError("no verdict")


def hangs(frame):
    (HERE / ".hangs").write_text(str(os.getpid()))
    (HERE / ".hangs").rename(HERE / "hangs")
    time.sleep(600)
'''


def pytest_collection_modifyitems(items):
    """Without Airflow, what needs it is left out."""
    if find_spec("airflow") is None:
        for item in items:
            if item.get_closest_marker("airflow"):
                item.add_marker(pytest.mark.skip(reason="needs Airflow"))


def _environment(home, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
    path = os.pathsep.join([str(ROOT), *(p for p in [os.environ.get("PYTHONPATH")] if p)])
    return {**kept, "PYTHONPATH": path, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **more}


@pytest.fixture(scope="session")
def airflow_environment():
    """Environment for a child process that imports Airflow, its home in a given folder."""
    return _environment


@pytest.fixture(scope="session")
def operators(tmp_path_factory):
    """Execute one operator: ``operators(name, context, **arguments)`` gives its result or what it raised."""
    place = tmp_path_factory.mktemp("operators")
    server = Path(__file__).with_name("operator_server.py")
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(server)],
            env=_environment(place / "home"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def call(operator, context=None, **arguments):
        request = {"operator": operator, "context": context or {}, "arguments": arguments}
        process.stdin.write(json.dumps(request, default=str) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("="):
                return json.loads(line[1:])
        raise AssertionError((place / "log").read_text()[-2000:])

    yield call
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
def data(tmp_path):
    """A data set of two days in ``features/``, and a suite of validators in ``suite/``."""
    for day, first in (("2013-06-03", 1), ("2013-06-04", 1001)):
        file = tmp_path / "features" / f"date={day}" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        ids = list(range(first, first + 200))
        pq.write_table(pa.table({"id": ids, "x": [float(i) for i in ids], "s": [f"s{i % 7}" for i in ids]}), file)
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "demo_suite.py").write_text(SUITE)
    return tmp_path


@pytest.fixture(scope="session")
def tree():
    """Bytes of every file below a folder, by relative path."""

    def look(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(Path(root).rglob("*")) if p.is_file()}

    return look


@pytest.fixture(scope="session")
def gone():
    """Whether a process ends within some seconds; a zombie that waits for its reaper has."""

    def check(pid):
        for _ in range(1200):
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return True
            except (FileNotFoundError, ProcessLookupError):
                return True
            time.sleep(0.05)
        return False

    return check
