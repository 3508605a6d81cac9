"""Examples in docstrings of the Airflow room hold; in a process of its own: most modules import Airflow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

ROOM = Path(__file__).parents[2] / "pipechaos" / "airflow"
CHILD = """
import contextlib, doctest, importlib, json, sys

found = {}
with contextlib.redirect_stdout(sys.stderr):
    for name in sys.argv[1:]:
        module = importlib.import_module(f"pipechaos.airflow.{name}")
        found[name] = list(doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE))
print("=" + json.dumps(found))
"""


def test_examples_hold(tmp_path, airflow_environment):
    names = [p.stem for p in sorted(ROOM.glob("*.py")) if ">>>" in p.read_text(encoding="utf-8")]
    command = [sys.executable, "-c", CHILD, *names]
    done = subprocess.run(
        command, env=airflow_environment(tmp_path), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("="))[1:])
    assert {name: failed for name, (failed, _) in found.items() if failed} == {}, done.stderr[-3000:]
    assert set(found) == set(names)
    assert sum(tried for _, tried in found.values()) > 20
