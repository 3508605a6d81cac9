"""``pipechaos drill`` over small data."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from pipechaos.cli.drill import command
from pipechaos.drill.schedule import DrillsPausedError
from pipechaos.errors import ConfigError
from pipechaos.safety.switch import Halted

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

SUITE = """
def whole(frame):
    return list(frame.columns) == ["id", "x"] and bool(frame["x"].notna().all())
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for day in range(1, 7):
        rng = np.random.default_rng(day)
        pq.write_table(pa.table({"id": range(30), "x": rng.normal(0, 1, 30)}), tmp_path / "data" / f"day-{day}.parquet")
    (tmp_path / "drill_command_suite.py").write_text(SUITE)
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "history": {"count": 2},
        "validators": [{"name": "whole", "spec": "callable:drill_command_suite:whole"}],
        "faults": [{"fault": "null.mcar", "columns": ["id", "x"]}],
        "severities": [4],
        "controls": {"repeats": 0, "benign": 0},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    result = CliRunner().invoke(command, [*arguments, "--store", "runs.db"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_drill_and_its_status(home):
    found = call("run", "small.yaml", "--period-days", "2", "--controls", "3", "--json", "-", "--quiet", "--jobs", "1")
    data = json.loads(found.stdout)
    assert found.exit_code == 0
    assert (data["experiment"], data["bases"], data["tried"]) == ("small", ["day-6"], 1)
    assert data["coverage"] == {
        "pairs": 2,
        "within": 1,
        "never": 1,
        "oldest": data["started"],
        "period_days": 2.0,
    }
    assert (home / "small.drills" / data["run_id"] / "scorecard.json").is_file()
    status = call("status", "small.yaml", "--period-days", "2", "--controls", "3")
    assert status.exit_code == 0
    assert status.stdout.startswith("drills of small: 1, the last one ")
    assert data["next_due"][0] in status.stdout


def test_the_same_id_again_is_the_same_drill(home):
    arguments = ["run", "small.yaml", "--run-id", "mine", "--json", "-", "--quiet", "--jobs", "1"]
    assert json.loads(call(*arguments).stdout) == json.loads(call(*arguments).stdout)


def test_the_kill_switch_stops_a_drill_before_anything_and_lifted_it_goes_on(home, monkeypatch):
    monkeypatch.setenv("PIPECHAOS_KILL_SWITCH", str(home / "halt"))
    arguments = ["run", "small.yaml", "--run-id", "mine", "--json", "-", "--quiet", "--jobs", "1"]
    (home / "halt").touch()
    with pytest.raises(Halted):
        call(*arguments)
    assert not (home / "small.drills").exists()
    (home / "halt").unlink()
    assert json.loads(call(*arguments).stdout)["trials"] > 0


def test_paused_drills_are_refused_released_and_shown(home):
    good = (home / "drill_command_suite.py").read_text()
    (home / "drill_command_suite.py").write_text("raise RuntimeError\n")
    with pytest.raises(Exception, match="drill_command_suite"):
        call("run", "small.yaml", "--pause-after", "1", "--quiet", "--jobs", "1")
    (home / "drill_command_suite.py").write_text(good)
    with pytest.raises(DrillsPausedError, match="--resume-drills"):
        call("run", "small.yaml", "--pause-after", "1", "--quiet", "--jobs", "1")
    status = call("status", "small.yaml", "--pause-after", "1")
    assert status.exit_code == 3
    assert "drills are paused: the last 1 could not run" in status.stdout
    again = call("run", "small.yaml", "--pause-after", "1", "--resume-drills", "--quiet", "--jobs", "1")
    assert again.exit_code == 0
    assert call("status", "small.yaml", "--pause-after", "1").exit_code == 0


@pytest.mark.parametrize("target", ["small.yaml", "data/day-1.parquet", "drill_command_suite.py"])
def test_the_result_is_written_on_nothing_that_a_drill_reads(home, target):
    before = (home / target).read_bytes()
    with pytest.raises(ConfigError):
        call("run", "small.yaml", "--json", target)
    assert (home / target).read_bytes() == before
