"""`pipechaos diff-suite` on real days of flights: one limit of the demo's pandera schema weakened in a commit."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipechaos.cli.diff_suite import command

pytest.importorskip("pandera")

EXPECTATIONS = Path(__file__).resolve().parents[2] / "expectations"
LIMIT = 'measure("air_time", 10, 900, nulls=0.35)'


def git(*arguments):
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *settings, *arguments], capture_output=True, check=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two untouched days, and the suite before and after the change."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "days").mkdir()
    for day in ("ordinary", "stormy"):
        shutil.copy(EXPECTATIONS / "fixtures" / f"{day}.parquet", tmp_path / "days")
    schema = tmp_path / "expectations" / "pandera_schemas" / "flights.py"
    schema.parent.mkdir(parents=True)
    text = (EXPECTATIONS / "pandera_schemas" / "flights.py").read_text()
    assert text.count(LIMIT) == 1
    experiment = {
        "name": "flights",
        "batches": ["days/*.parquet"],
        "key": ["time_hour", "carrier", "flight", "origin"],
        "time": "time_hour",
        "roots": ["expectations"],
        "validators": [{"name": "pandera", "spec": "pandera:pandera_schemas.flights:flights_schema"}],
        "preset": "value",
        "severities": [5],
        "controls": {"repeats": 0},
    }
    (tmp_path / "flights.yaml").write_text(yaml.safe_dump(experiment))
    git("init", "-q", "-b", "main")
    for name, version in (("old", text), ("weak", text.replace(LIMIT, LIMIT.replace("900", "90000")))):
        schema.write_text(version)
        git("add", "expectations")
        git("commit", "-q", "-m", name)
    return tmp_path


def test_a_weakened_limit_is_aimed_at_and_its_loss_named(repository):
    done = CliRunner().invoke(
        command,
        ["flights.yaml", "--base", "HEAD~1", "--head", "HEAD", "--budget", "12", "--jobs", "1", "--json", "-"],
    )
    assert done.exit_code == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["checks"] == {
        "added": ["air_time:air_time_bounds(10, 90000)"],
        "removed": ["air_time:air_time_bounds(10, 900)"],
    }
    # minutes read as tenths of minutes: between 900 and 90,000; signs and outliers are still caught
    (lost,) = [w for w in found["result"]["weaknesses"] if w["movement"] != "same"]
    assert (lost["fault"], lost["columns"], lost["lost"], lost["kept"]) == ("value.scale", ["air_time"], 2, 0)
    assert lost["caught_by"] == ["air_time:air_time_bounds(10, 900)"]
    aimed = [w["fault"] for w in found["result"]["weaknesses"] if w["columns"] == ["air_time"]]
    assert {"value.scale", "value.sign", "value.outlier"} <= set(aimed)
    assert found["sample"]["trials"] <= 12
    assert found["result"]["natural"]["change"]["worse"] == 0
