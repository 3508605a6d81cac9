"""What README.md says is run: its Python blocks, its commands and its links."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipechaos.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.splitlines()[-1][:40])
def test_python_blocks_run(block, tmp_path):
    if "airflow" in block and find_spec("airflow") is None:
        pytest.skip("Airflow is not installed here")
    home = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, env=home)
    assert done.returncode == 0, done.stderr


def test_commands_and_links_exist():
    assert len(BLOCKS) >= 2
    named = set(re.findall(r"`pipechaos ([a-z-]+)", TEXT)) | set(re.findall(r"\$ pipechaos ([a-z]+)", TEXT))
    assert named == set(COMMANDS) - {"demo"}
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    targets = set(re.findall(r"\$ make ([a-z-]+)", TEXT))
    assert targets == {"demo", "test"}
