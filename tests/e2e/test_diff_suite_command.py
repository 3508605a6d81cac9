"""`pipechaos diff-suite` from end to end: files, revisions, exit codes, and a work tree that is left alone."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from pipechaos.cli.diff_suite import command
from pipechaos.errors import PipechaosError

DAYS = [f"2024-03-{day:02}" for day in range(1, 11)]
ODD_DAYS = DAYS[4:6]  # their notes are of another kind: a strict suite rejects them

OLD = """
def orders(frame):
    return (frame["amount"] >= 0) & frame["order_id"].notna() & frame["amount"].notna()

orders.columns = ["amount"]
"""
WEAK = OLD.replace('(frame["amount"] >= 0) & ', "")
STRICT = OLD.replace("return ", 'return (frame["note"] != "odd") & ')
BLIND = "def orders(frame):\n    return True\n"
DEAF = "def orders(frame):\n    raise RuntimeError('no verdict')\n"
NERVOUS = OLD.replace(
    "    return", '    if (frame["amount"] < 0).any():\n        raise RuntimeError("nerves")\n    return'
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Ten days of a shop as the working directory, and a folder for temporary files that must end empty."""
    place = tmp_path / "shop"
    for day in DAYS:
        file = place / "lake" / f"{day}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        first = 1000 * int(day[-2:])
        table = {
            "order_id": list(range(first, first + 40)),
            "amount": [10.0 + i for i in range(40)],
            "note": ["odd" if day in ODD_DAYS and i == 0 else f"n{i % 5}" for i in range(40)],
        }
        pq.write_table(pa.table(table), file)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(place)
    write_experiment(place / "orders.yaml")
    return place


def write_experiment(path, **changes):
    base = {
        "name": "orders",
        "batches": ["lake/*.parquet"],
        "key": ["order_id"],
        "history": {"count": 2},
        "validators": [{"name": "shop", "spec": "callable:checks:orders"}],
        "faults": [{"fault": "value.sign", "columns": ["amount"]}, {"fault": "null.mcar", "columns": ["amount"]}],
        "severities": [5],
        "block": 1,
        "controls": {"repeats": 1},
    }
    Path(path).write_text(yaml.safe_dump({**base, **changes}))


def write(folder, text, name="checks.py"):
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / name).write_text(text)
    return f"{folder}/{name}"


def call(*arguments):
    """Exit code, stdout and stderr, as the whole program gives them."""
    done = CliRunner().invoke(command, ["orders.yaml", *map(str, arguments), "--jobs", "1"])
    if isinstance(done.exception, PipechaosError):
        return done.exception.exit_code, done.stdout, str(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def diff(old, new, *more):
    code, out, err = call("--base", f"{old}:orders", "--head", f"{new}:orders", "--json", "-", *more)
    return code, json.loads(out), err


def git(*arguments):
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *settings, *arguments], capture_output=True, text=True, check=True).stdout


def test_two_files_of_one_name(home):
    write("old", OLD)
    write("new", WEAK)
    code, found, err = diff("old/checks.py", "new/checks.py", "--markdown", "pr.md")
    assert code == 1
    (lost,) = [w for w in found["result"]["weaknesses"] if w["movement"] == "lost"]
    assert (lost["fault"], lost["columns"], lost["kept"], lost["lost"], lost["won"]) == (
        "value.sign",
        ["amount"],
        0,
        8,
        0,
    )
    assert lost["test"]["p"] == 2 / 2**8
    (same,) = [w for w in found["result"]["weaknesses"] if w["movement"] == "same"]
    assert (same["fault"], same["kept"]) == ("null.mcar", 8)
    assert found["result"]["fnr"]["before"]["estimate"] == 0
    assert found["result"]["fnr"]["difference"] == 0.5
    assert found["result"]["natural"]["change"]["pairs"] == 8
    assert found["first"]["exit_code"] == 1
    said = "This change loses `value.sign` on `amount` (numbers with the sign flipped; 8 of 8 no longer caught)."
    assert said in Path("pr.md").read_text()
    assert said.replace("`", "") in " ".join(err.split())
    # and the loss can be seen again, from what was left behind
    assert f"pipechaos replay --experiment orders.diff/head.yaml {lost['lost_trials'][0]}" in " ".join(err.split())
    again = subprocess.run(
        [
            *(sys.executable, "-m", "pipechaos", "replay", lost["lost_trials"][0]),
            *("--experiment", "orders.diff/head.yaml", "--json", "-"),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    seen = json.loads(again.stdout)
    assert (seen["outcome"], seen["same_batch"], seen["same_suite"]) == ("fn", True, True)


def test_two_revisions_beside_a_work_tree_that_is_neither(home, monkeypatch):
    git("init", "-q", "-b", "main")
    write(".", OLD)
    git("add", "checks.py", "orders.yaml")
    git("commit", "-q", "-m", "old")
    git("tag", "v1")
    write(".", WEAK)
    git("commit", "-q", "-am", "weak")
    write(".", "raise RuntimeError('the work tree must not be loaded')\n")
    Path("loose").write_text("untracked")
    git("add", "loose")
    monkeypatch.syspath_prepend(str(home))  # as `python -m pipechaos` does
    before = git("status", "--porcelain"), Path(".git/index").read_bytes(), list(sys.path)
    code, out, err = call("--base", "v1", "--head", "HEAD", "--json", "-", "--quiet")
    assert code == 1, err
    found = json.loads(out)
    assert [w["fault"] for w in found["result"]["weaknesses"] if w["movement"] == "lost"] == ["value.sign"]
    assert found["base"]["commit"] == git("rev-parse", "v1").strip()
    assert (found["base"]["validator"], found["head"]["asked"]) == ("shop", "HEAD")
    # nothing of it is left, and nothing was touched
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    after = git("status", "--porcelain").replace("?? orders.diff/\n", "")
    assert (after, Path(".git/index").read_bytes(), list(sys.path)) == before


def test_the_work_tree_is_a_version_too_and_wins_fail_nothing(home):
    git("init", "-q", "-b", "main")
    write(".", WEAK)
    git("add", "checks.py")
    git("commit", "-q", "-m", "weak")
    write(".", OLD)
    code, out, err = call("--base", "main", "--head", "WORKTREE", "--validator", "shop", "--markdown", "-")
    assert code == 0, err
    assert "This change loses nothing in 16 paired trials and adds no false alarm" in out
    assert "and wins `value.sign` on `amount` (numbers with the sign flipped; 8 of 8 caught only now)." in out


def test_false_alarms_fail_unless_losses_are_allowed(home):
    write("old", OLD)
    write("new", STRICT)
    code, found, err = diff("old/checks.py", "new/checks.py")
    assert code == 1
    assert [a["batch"] for a in found["result"]["natural"]["added"]] == ODD_DAYS
    assert found["result"]["apart"] == {"base_bad_added": 4}
    assert "This change adds 2 false alarms (2 of 8 untouched batches)." in " ".join(err.split())
    code, found, _ = diff("old/checks.py", "new/checks.py", "--allow-losses")
    assert (code, found["first"]["exit_code"], found["first"]["lost"]) == (0, 0, True)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (OLD, BLIND, "the new version is blind: it rejected no canary"),
        (BLIND, OLD, "the old version is blind: it rejected no canary"),
        (OLD, DEAF, "the new version gave no verdict on any untouched batch"),
    ],
)
def test_a_version_that_judges_nothing_is_no_result(home, old, new, reason):
    write("old", old)
    write("new", new)
    code, found, err = diff("old/checks.py", "new/checks.py")
    assert code == 3
    assert reason in found["first"]["could_not_run"]
    assert reason in " ".join(err.split())


def test_a_crash_instead_of_a_detection_is_a_loss(home):
    write("old", OLD)
    write("new", NERVOUS)
    code, found, err = diff("old/checks.py", "new/checks.py")
    assert (code, found["result"]["apart"]) == (1, {"silenced": 8})
    (lost,) = [w for w in found["result"]["weaknesses"] if w["movement"] == "lost"]
    assert (lost["fault"], lost["silenced"], lost["lost"]) == ("value.sign", 8, 0)
    said = "loses value.sign on amount (numbers with the sign flipped; 8 of 8 caught before, no verdict now)"
    assert said in " ".join(err.split())
    assert f"pipechaos replay --experiment orders.diff/head.yaml {lost['silenced_trials'][0]}" in " ".join(err.split())
    code, _, err = diff("old/checks.py", "new/checks.py", "--allow-losses")
    assert code == 4
    assert "the new version alone gave no judgement on 8 of 16 pairs" in " ".join(err.split())


def test_errors_of_the_new_version_alone_leave_it_open(home):
    write("old", WEAK)
    write("new", NERVOUS)
    code, found, err = diff("old/checks.py", "new/checks.py")
    assert (code, found["result"]["apart"]) == (4, {"error_added": 8})
    assert "the new version alone gave no judgement on 8 of 16 pairs" in " ".join(err.split())


def test_two_versions_that_are_one(home):
    write("old", OLD)
    write("new", OLD)
    code, found, err = diff("old/checks.py", "new/checks.py")
    assert (code, found["first"]["identical"]) == (0, True)
    assert "Both versions are the same suite, byte for byte" in " ".join(err.split())


def test_two_validators_of_the_experiment(home):
    write(".", OLD + WEAK.replace("orders", "lax"))
    write_experiment(
        "orders.yaml",
        validators=[{"name": n, "spec": f"callable:checks:{f}"} for n, f in (("a", "orders"), ("b", "lax"))],
        gates=[{"metric": "fnr", "limit": 0.1, "validator": "a"}],
        controls={"repeats": 1, "reviewed": [{"batch": DAYS[3], "alarm": "false", "reason": "r", "validator": "a"}]},
    )
    code, out, err = call("--base", "a", "--head", "b", "--json", "-", "--budget", "6")
    assert code == 1, err
    found = json.loads(out)
    assert (found["base"]["validator"], found["head"]["validator"]) == ("a", "b")
    assert (found["sample"]["trials"], found["sample"]["bases_each"]) == (6, 3)


def test_a_version_that_cannot_be_loaded_says_which(home):
    write("old", OLD)
    write("new", "import nothing_of_the_kind\n")
    code, _, err = call("--base", "old/checks.py:orders", "--head", "new/checks.py:orders")
    assert code == 3
    assert err.startswith("the new version, new/checks.py:orders, cannot be loaded:")


def test_one_stream_is_not_for_two(home):
    code, _, err = call("--base", "shop", "--head", "shop", "--json", "-", "--markdown", "-")
    assert code == 2
    assert "--markdown and --json both name -" in err


def test_results_never_lie_around_the_batches(home):
    write(".", OLD)
    code, _, err = call("--base", "shop", "--head", "shop", "--out", ".")
    assert code == 2
    assert "lies in the folder of results" in err
