"""``pipechaos halt``, ``recover`` and ``sweep``."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipechaos.batch.ref import BatchRef
from pipechaos.cli import halt, recover, sweep
from pipechaos.errors import ConfigError, ShadowError, UnknownNameError
from pipechaos.inject.shadow import corrupt
from pipechaos.plan.injection import Injection
from pipechaos.safety.disk import digest_of
from pipechaos.safety.journal import Journal
from pipechaos.safety.switch import Halted
from pipechaos.safety.undo import Undo

HOSTILE = "x\x1b[31m[bold]\n"


def call(module, *args, code=0):
    done = CliRunner().invoke(module.command, list(map(str, args)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    home = tmp_path / "project"
    (home / "deep").mkdir(parents=True)
    (home / "pyproject.toml").touch()
    monkeypatch.chdir(home / "deep")
    monkeypatch.delenv("PIPECHAOS_KILL_SWITCH", raising=False)
    return home


# --- halt -------------------------------------------------------------------------------------------------------------


def test_on_status_off_from_anywhere_in_the_project(project):
    assert "not halted" in call(halt, "status").stderr
    assert "halted by ops" in call(halt, "on", "--reason", "incident 7", "--who", "ops").stderr
    assert json.loads((project / ".pipechaos" / "halt").read_text())["reason"] == "incident 7"
    assert "incident 7" in call(halt, "status", code=3).stderr
    with pytest.raises(Halted, match="`pipechaos halt off`"):
        halt.kill_switch().check()
    assert "stays as it is" in call(halt, "on", "--reason", "other").stderr
    found = json.loads(call(halt, "status", "--json", "-", code=3).stdout)
    assert (found["halted"], found["order"]["reason"], found["order"]["who"]) == (True, "incident 7", "ops")
    assert "released" in call(halt, "off").stderr
    halt.kill_switch().check()
    assert json.loads(call(halt, "status", "--json", "-").stdout)["halted"] is False
    assert "there was no halt file" in call(halt, "off").stderr


def test_whoever_runs_it_is_named_when_nobody_is(project):
    call(halt, "on", "--reason", "r")
    assert json.loads((project / ".pipechaos" / "halt").read_text())["who"]


def test_the_environment_names_the_file_and_its_folder_must_be_there(tmp_path, monkeypatch):
    place = tmp_path / "mount" / "halt"
    monkeypatch.setenv("PIPECHAOS_KILL_SWITCH", str(place))
    with pytest.raises(Halted, match="is not there"):
        halt.kill_switch().check()
    call(halt, "status", code=3)
    call(halt, "off", code=3)
    place.parent.mkdir()
    halt.kill_switch().check()
    call(halt, "on", "--reason", "r")
    assert place.is_file()
    monkeypatch.setenv("PIPECHAOS_KILL_SWITCH", " ")
    with pytest.raises(ConfigError, match="names no file"):
        halt.kill_switch()


def test_a_file_of_ones_own(tmp_path):
    call(halt, "on", "--reason", "r", "--file", tmp_path / "stop")
    with pytest.raises(Halted):
        halt.kill_switch(str(tmp_path / "stop")).check()
    halt.kill_switch().check()
    call(halt, "off", "--file", tmp_path / "stop")


def test_what_others_wrote_is_escaped(tmp_path):
    (tmp_path / "stop").write_text(json.dumps({"reason": HOSTILE, "who": HOSTILE}))
    done = call(halt, "status", "--file", tmp_path / "stop", code=3)
    assert "\x1b" not in done.stderr
    assert "[bold]" in done.stderr


def test_the_switch_costs_no_heavy_import():
    heavy = ["numpy", "pandas", "pyarrow", "pydantic", "sqlalchemy", "airflow"]
    script = (
        "import sys\nfrom pipechaos.safety import journal, live, lock, recover, switch, windows\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# --- recover ----------------------------------------------------------------------------------------------------------


def broken(home, *, lease=1e-3, what="change a.parquet", name="a.parquet"):
    """A file that was changed and whose lease has run out."""
    file, backup = home / name, home / f"{name}.before"
    file.write_bytes(b"original")
    backup.write_bytes(b"original")
    journal = Journal(home / ".pipechaos" / "journal.jsonl", owner="drill")
    undo = Undo.restore_file(file, backup=backup, digest=digest_of(file))
    entry_id = journal.begin(undo, what=what, target=name, lease_seconds=lease)
    file.write_bytes(b"corrupt")
    return file, entry_id


def test_recover_undoes_and_then_has_nothing_to_do(project):
    file, entry_id = broken(project)
    dry = call(recover, "--dry-run", "--json", "-")
    assert [e["id"] for e in json.loads(dry.stdout)["due"]] == [entry_id]
    assert file.read_bytes() == b"corrupt"
    done = call(recover, "--json", "-")
    assert [e["id"] for e in json.loads(done.stdout)["undone"]] == [entry_id]
    assert f"undone: change a.parquet [{entry_id}" in done.stderr
    assert file.read_bytes() == b"original"
    again = call(recover, "--json", "-")
    assert json.loads(again.stdout) == {"undone": [], "failed": [], "waiting": []}
    assert "nothing to undo" in again.stderr


def test_recover_says_what_it_could_not_undo_and_ends_with_3(project):
    file, entry_id = broken(project, what=HOSTILE)
    file.with_name("a.parquet.before").unlink()
    done = call(recover, code=3)
    assert "NOT undone" in done.stderr
    assert "backup" in done.stderr
    assert "\x1b" not in done.stderr
    assert file.read_bytes() == b"corrupt"
    call(recover, "--leave", entry_id)
    assert "nothing to undo" in call(recover).stderr
    assert file.read_bytes() == b"corrupt"


def test_recover_leaves_alone_what_is_at_work(project):
    file, entry_id = broken(project, lease=1e6)
    assert "left alone" in call(recover).stderr
    assert file.read_bytes() == b"corrupt"
    with pytest.raises(ConfigError, match="is at work"):
        call(recover, "--leave", entry_id)
    with pytest.raises(UnknownNameError, match="open entry"):
        call(recover, "--leave", "nothing")


def test_recover_without_a_journal(project, tmp_path):
    assert "nothing to undo" in call(recover).stderr
    assert not (project / ".pipechaos").exists()
    with pytest.raises(ConfigError, match="there is no journal"):
        call(recover, "--journal", tmp_path / "none.jsonl")


# --- sweep ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copies(tmp_path):
    """Two corrupted copies: two hours and two days old."""
    lake = tmp_path / "lake"
    lake.mkdir()
    for n, (name, age) in enumerate({"young": 7200, "old": 2 * 86400}.items()):
        pq.write_table(
            pa.table({"id": list(range(50)), "x": [float(i + n) for i in range(50)]}), lake / f"{name}.parquet"
        )
        made = corrupt(
            BatchRef.of(lake / f"{name}.parquet"), [Injection.of("null.mcar", "x", seed=1)], tmp_path / "shadow"
        )
        marker = tmp_path / "shadow" / name / made.ledger.injections[0].injection_id / "_pipechaos_shadow"
        then = marker.stat().st_mtime - age
        os.utime(marker, (then, then))
    return tmp_path / "shadow"


def held(shadow):
    return sorted(p.name for p in shadow.iterdir() if p.is_dir())


def test_sweep_says_and_then_deletes_what_is_old(copies):
    dry = call(sweep, copies, "--dry-run", "--json", "-")
    assert [n.split("/")[0] for n in json.loads(dry.stdout)["old"]] == ["old"]
    assert json.loads(dry.stdout)["deleted"] == []
    assert held(copies) == ["old", "young"]
    assert "deleted: old/" in call(sweep, copies).stderr
    assert held(copies) == ["young"]
    assert "nothing is old enough" in call(sweep, copies, "--older-than", "3h").stderr
    call(sweep, copies, "--older-than", "119m")
    assert held(copies) == []


@pytest.mark.parametrize("age", ["1", "d", "-1d", "1w", "1.5h", "", "1 d"])
def test_ages_that_are_none(copies, age):
    assert "is no age" in call(sweep, copies, f"--older-than={age}", code=2).stderr
    assert held(copies) == ["old", "young"]


def test_a_folder_that_is_no_shadow(tmp_path):
    with pytest.raises(ShadowError, match="nothing was deleted"):
        call(sweep, tmp_path)


def test_the_examples_of_the_page_run(project):
    page = (Path(__file__).parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "docs/safety.md", "exec"), {})  # noqa: S102 - our own page
    assert (project / "deep" / "lake" / "day.csv").is_file()
