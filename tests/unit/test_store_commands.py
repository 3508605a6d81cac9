"""``pipechaos history``, ``compare`` and ``export``."""

import datetime as dt
import json

import click
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipechaos.cli import compare, export, history
from pipechaos.cli.stores import default_store, opened_store, store_option
from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.score.records import Outcome, Trial, TrialKind
from pipechaos.store.opening import open_store
from pipechaos.store.records import RunRecord, RunStatus

DAY = dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)
HOSTILE = "x|`<b>\x1b[31m"


def trial(n, outcome, weakness, **more):
    given = {"columns": ("x",), "params": {"sigma": 2.0}, "moves": "sigma", "severity": 2, "rungs": 5, "fraction": 0.2}
    return Trial(
        trial_id=f"t{n}",
        kind=TrialKind.FAULT,
        validator="gx",
        batch=f"b{n}",
        outcome=outcome,
        weakness_id=weakness,
        fault="value.noise",
        after_digest=f"a{n}",
        **given | more,
    )


def card(missed, faulty, alarms=1):
    fnr = {"estimate": missed / faulty, "low": 0.05, "high": 0.5, "hits": missed, "trials": faulty}
    fpr = {"estimate": alarms / 20, "low": 0.001, "high": 0.2, "hits": alarms, "trials": 20}
    none = {"estimate": None, "low": None, "high": None, "hits": 0, "trials": 0}

    def score(name, digest, fnr, fpr):
        return {"name": name, "suite_digest": digest, "faults": {"fnr": fnr}, "natural": {"fpr": fpr}}

    return {"validators": [score("gx", "aa", fnr, fpr)], "stack": score("(any validator)", None, none, none)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = str(tmp_path_factory.mktemp("store") / "runs.db")
    old = [trial(1, Outcome.TP, "lost"), trial(2, Outcome.FN, "won"), trial(3, Outcome.FN, "still")]
    old.append(trial(4, Outcome.TP, "only old"))
    new = [trial(1, Outcome.FN, "lost"), trial(2, Outcome.TP, "won"), trial(3, Outcome.FN, "still")]
    new.append(trial(5, Outcome.FN, "only new", columns=(HOSTILE,), placement={"kind": "own_value", "side": "high"}))
    with open_store(place) as store:
        for n, (name, trials, seed) in enumerate([("monday", old, 1), ("tuesday", new, 2)]):
            started = DAY + dt.timedelta(days=n)
            store.begin(
                RunRecord(
                    run_id=name,
                    experiment="flights",
                    experiment_digest="d",
                    seed=seed,
                    started=started,
                    suites={"gx": f"suite-{n}"},
                    revision="abc",
                )
            )
            store.add_trials(name, trials)
            store.finish(name, card(2 + n, 10), exit_code=n, finished=started)
        late = DAY + dt.timedelta(days=3)
        store.begin(RunRecord(run_id="killed", experiment=HOSTILE, experiment_digest="d", seed=1, started=late))
    return place


def call(command, *arguments, code=0):
    done = CliRunner().invoke(command, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def test_history_is_a_table_on_stdout(place):
    lines = call(history.command, "--store", place).stdout.splitlines()
    assert "FNR" in lines[0]
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == ["killed", "tuesday", "monday"]
    (tuesday,) = [line for line in lines if line.startswith("tuesday")]
    for part in ("2024-03-02 06:00", "flights", "30.0 % (5.0-50.0)", "3 of 10", "5.0 % (0.1-20.0)", "1 of 20"):
        assert part in tuesday
    assert tuesday.split()[-2:] == ["3", "1"]  # survivors, exit code
    stack = lines[lines.index(tuesday) + 1]
    assert stack.split()[:2] == ["all", "together"]
    assert stack.count("n/a") == 2
    (killed,) = [line for line in lines if line.startswith("killed")]
    assert killed.rstrip().endswith("has not ended")
    assert "\x1b" not in "".join(lines)
    assert "\\x1b[31m" in killed


def test_history_as_json_and_of_one_experiment(place):
    found = json.loads(call(history.command, "--store", place, "--experiment", "flights", "--json", "-").stdout)
    assert [r["run_id"] for r in found] == ["tuesday", "monday"]
    assert found[0]["started"] == "2024-03-02T06:00:00+00:00"
    assert [(r["validator"], r["missed"], r["survivors"]) for r in found[0]["rates"]] == [
        ("gx", 3, 3),
        ("(any validator)", 0, None),
    ]
    assert found[0]["rates"][0]["fnr"] == 0.3
    assert found[0]["rates"][1]["fnr"] is None
    newest = json.loads(call(history.command, "--store", place, "--most", "1", "--json", "-").stdout)
    assert [(r["run_id"], r["status"], r["rates"]) for r in newest] == [("killed", RunStatus.RUNNING.value, [])]
    with pytest.raises(UnknownNameError, match="did you mean 'flights'"):
        call(history.command, "--store", place, "--experiment", "flight")


def test_history_of_nothing(tmp_path):
    place = str(tmp_path / "new.db")
    open_store(place).close()
    done = call(history.command, "--store", place)
    assert done.stdout == ""
    assert "no run is kept yet" in done.stderr


def test_compare_says_what_was_lost_and_won_and_what_else_differs(place):
    found = json.loads(call(compare.command, "monday", "tue", "--store", place, "--json", "-").stdout)
    ids = {
        name: [(w["before"]["weakness_id"], w["before"]["missed"], w["after"]["missed"]) for w in found[name]]
        for name in ("newly", "no_longer", "still")
    }
    assert ids == {"newly": [("lost", 0, 1)], "no_longer": [("won", 1, 0)], "still": [("still", 1, 1)]}
    assert [w["weakness_id"] for w in found["only_before"]] == ["only old"]
    assert [w["weakness_id"] for w in found["only_after"]] == ["only new"]
    assert found["warnings"] == ["other draws: seed 1 and 2", "other suites: gx (suite-0 -> suite-1)"]
    assert (found["rates"]["gx"]["before"]["fnr"], found["rates"]["gx"]["after"]["fnr"]) == (0.2, 0.3)


def test_compare_as_text_and_as_markdown(place):
    text = call(compare.command, "monday", "tuesday", "--store", place).stdout
    assert "1 newly surviving, 1 no longer, 1 in both runs" in text
    for part in (
        "20.0 % (5.0-50.0), 2 of 10",
        "severity 2 of 5 (sigma 2, fraction 0.2)",
        "own value",
        "seed 1 and 2",
        "revision abc",
    ):
        assert part in text
    assert "\x1b[31m" not in text
    done = call(compare.command, "monday", "tuesday", "--store", place, "--format", "markdown").stdout
    rows = [line for line in done.splitlines() if "value.noise" in line]
    assert len(rows) == 4
    (hostile,) = [row for row in rows if "own value" in row]
    assert "<b>" not in hostile
    assert "\x1b" not in done
    assert hostile.count("|") == 7  # of the table alone
    assert "| not judged | 1 of 1 |" in hostile


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        (("monday", "killed"), "run 'killed' has not ended"),
        (("monday", "last"), "run 'killed' has not ended"),
        (("monday", "mon"), "are the same run 'monday'"),
        (("monday", "tuesdya"), "did you mean 'tuesday'"),
    ],
)
def test_what_cannot_be_compared(place, runs, says):
    with pytest.raises(ConfigError, match=says):
        call(compare.command, *runs, "--store", place)


def test_export(place, tmp_path):
    done = call(export.command, "--store", place, "--parquet", str(tmp_path / "out"))
    assert done.stdout == ""
    assert "trials.parquet" in done.stderr
    assert pq.read_table(tmp_path / "out" / "trials.parquet").num_rows == 8
    assert pq.read_table(tmp_path / "out" / "runs.parquet").num_rows == 3


def test_a_reading_command_makes_no_store(tmp_path):
    with pytest.raises(ConfigError, match="there is no store"):
        call(history.command, "--store", str(tmp_path / "none" / "runs.db"))
    assert list(tmp_path.iterdir()) == []


def test_the_project_s_own_store_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("PIPECHAOS_STORE")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert default_store() == "../.pipechaos/runs.db"
    with pytest.raises(ConfigError, match="there is no store"):
        call(history.command)
    assert not (tmp_path / ".pipechaos").exists()  # reading makes nothing
    with opened_store(None, create=True) as store:
        assert store.runs() == ()
    assert (tmp_path / ".pipechaos" / ".gitignore").read_text() == "*\n"
    call(history.command)


@pytest.mark.parametrize("given", [["--store", ""], ["--store", "none"]])
def test_no_store_is_named(given, monkeypatch):
    with pytest.raises(ConfigError, match="give --store PATH, set PIPECHAOS_STORE"):
        call(history.command, *given)


def test_where_the_store_option_is_read_from(monkeypatch):
    @click.group()
    def group():
        pass

    @group.command("history")
    @store_option
    def inner(store):
        click.echo(store)

    def said(*arguments):
        return CliRunner().invoke(group, list(arguments), default_map={"history": {"store": "file"}}).output.strip()

    monkeypatch.delenv("PIPECHAOS_STORE")
    assert said("history") == "file"
    monkeypatch.setenv("PIPECHAOS_STORE", "environment")
    assert said("history") == "environment"
    assert said("history", "--store", "flag") == "flag"
