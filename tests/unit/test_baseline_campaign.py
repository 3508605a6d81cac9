"""A baseline over real small campaigns: another seed changes nothing; the commands write, drop and explain."""

import datetime as dt
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipechaos.campaign.baseline_file import read_baseline, write_baseline
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import rescore, scorecard_of, write_result
from pipechaos.campaign.run import run_campaign
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.campaign.trials_io import read_trials
from pipechaos.cli.baseline import command, last_day
from pipechaos.errors import CannotRunError, ConfigError, ExperimentError, UnknownNameError
from pipechaos.score.baseline import Standing
from pipechaos.score.gates import ExitCode, GateVerdict
from pipechaos.score.records import Outcome, TrialKind

TODAY = dt.date(2026, 6, 15)
HOSTILE = "y[red]\x1b[31m|<b>"
DAYS = 7
SUITE = '''
TAG = "%s"


def usual(frame):
    """Never looks at the third column."""
    return frame["x"].notna() & frame["id"].notna() & (len(frame.columns) == 3)


def better(frame):
    return usual(frame) & frame.iloc[:, 2].notna()


def blind(frame):
    return True
'''


@pytest.fixture
def root(tmp_path, request):
    (tmp_path / "data").mkdir()
    for day in range(1, DAYS + 1):
        rng = np.random.default_rng(day)
        table = pa.table({"id": range(60), "x": rng.normal(10, 3, 60), HOSTILE: rng.normal(0, 1, 60)})
        pq.write_table(table, tmp_path / "data" / f"2013-06-{day:02}.parquet")
    (tmp_path / "baseline_suite.py").write_text(SUITE % request.node.name)
    return tmp_path


def experiment(suite="usual", **more):
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "key": ["id"],
        "validators": [{"name": "orders", "spec": f"callable:baseline_suite:{suite}"}],
        "faults": [{"fault": "null.mcar", "columns": ["x", HOSTILE]}, {"fault": "value.sign", "columns": ["x"]}],
        "severities": [3],
        "controls": {"repeats": 0, "benign": 0},
        "limit_seconds": 120,
    }
    return parse_experiment(data | more)


def ran(root, name, suite="usual", **more):
    """A run's folder."""
    asked = experiment(suite, **more)
    result = run_campaign(asked, root, jobs=1)
    write_result(root / name, asked, scorecard_of(result), result.trials)
    return root / name


def call(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def update(out, file, *more):
    return call("update", out, "--baseline", file, "--reason", "known since May", "--owner", "Ann", *more)


def stand(out, file):
    card = rescore(out, baseline=read_baseline(file), today=TODAY)
    return card, {(e.label.split()[1], e.standing) for e in card.baseline.entries}


def test_another_seed_changes_nothing(root):
    first, second = ran(root, "first"), ran(root, "second", seed=1)
    assert update(first, root / "b.json", "--expires", "2099-12-31").exit_code == 0
    accepted = read_baseline(root / "b.json").accepted
    assert {(a.fault, a.columns, a.missed, a.tried) for a in accepted} == {
        ("null.mcar", (HOSTILE,), DAYS, DAYS),
        ("value.sign", ("x",), DAYS, DAYS),
    }
    text = (root / "b.json").read_text()
    for out in (first, second):
        card, found = stand(out, root / "b.json")
        assert found == {("null.mcar", Standing.ACCEPTED), ("value.sign", Standing.ACCEPTED)}
        assert card.exit_code is ExitCode.OK
        done = update(out, root / "b.json", "--expires", "30d")
        assert (done.exit_code, (root / "b.json").read_text()) == (0, text)
        assert call("prune", out, "--baseline", root / "b.json").exit_code == 0
        assert (root / "b.json").read_text() == text
    seeds = [json.loads((out / "scorecard.json").read_text())["experiment"]["seed"] for out in (first, second)]
    assert seeds == [0, 1]


def test_a_better_suite_makes_an_entry_stale_and_prune_drops_it(root):
    before = ran(root, "before")
    update(before, root / "b.json", "--expires", "2099-12-31")
    after = ran(root, "after", "better", seed=5)
    card, found = stand(after, root / "b.json")
    assert found == {("null.mcar", Standing.STALE), ("value.sign", Standing.ACCEPTED)}
    assert card.exit_code is ExitCode.GATE_FAILED
    done = call("prune", after, "--baseline", root / "b.json")
    assert "dropped" in done.stderr
    assert "caught 7 of 7 times" in done.stderr
    assert [a.fault for a in read_baseline(root / "b.json").accepted] == ["value.sign"]
    assert stand(after, root / "b.json")[0].exit_code is ExitCode.OK
    # what was dropped is new to the old suite
    card, found = stand(before, root / "b.json")
    assert found == {("null.mcar", Standing.NEW), ("value.sign", Standing.ACCEPTED)}
    assert card.exit_code is ExitCode.GATE_FAILED


def test_a_run_and_its_folder_stand_alike(root):
    out = ran(root, "out")
    update(out, root / "b.json", "--expires", "2099-12-31")
    held = {"baseline": read_baseline(root / "b.json"), "today": TODAY}
    direct = scorecard_of(run_campaign(experiment(), root, jobs=1), **held)
    again = rescore(out, **held)
    assert direct.baseline == again.baseline
    assert [v.worth for v in direct.validators] == [v.worth for v in again.validators]
    assert direct.validators[0].worth.weaknesses == 1
    with pytest.raises(ConfigError, match="give today"):
        rescore(out, baseline=held["baseline"])


def test_expired_entries_are_left_alone_until_they_are_named(root):
    out, file = ran(root, "out"), root / "b.json"
    update(out, file, "--expires", "2099-12-31")
    old = [dt.date(2020, 1, 1), dt.date(2020, 1, 1)]
    write_baseline(file, [replace(a, expires=day) for a, day in zip(read_baseline(file).accepted, old, strict=True)])
    assert stand(out, file)[0].exit_code is ExitCode.GATE_FAILED
    done = update(out, file, "--expires", "2099-12-31")
    assert done.stderr.count("left as it is: expired") == 2
    assert [a.expires for a in read_baseline(file).accepted] == old
    name = read_baseline(file).accepted[0].weakness_id
    assert "1 renewed" in update(out, file, "--expires", "2099-12-31", "--only", name[:8]).stderr
    assert [a.expires for a in read_baseline(file).accepted] == [dt.date(2099, 12, 31), old[1]]


def test_explain_says_how_each_entry_stands_and_how_to_see_it(root):
    out, file = ran(root, "small.out"), root / "b.json"
    (root / "small.yaml").write_text("")
    name = next(
        s["weakness_id"]
        for s in json.loads((out / "scorecard.json").read_text())["validators"][0]["survivors"]
        if s["fault"] == "null.mcar"
    )
    update(out, file, "--expires", "2099-12-31", "--only", name)
    done = call("explain", out, "--baseline", file, "--json", "-")
    assert done.exit_code == 0
    assert "\x1b" not in done.stderr
    assert f"ACCEPTED {name} orders: null.mcar on y[red]\\x1b[31m|<b>, severity 3 of 5: missed 7 of 7" in done.stderr
    assert "Ann, until 2099-12-31: known since May (accepted with 7 of 7)" in done.stderr
    assert re.search(r"NEW [0-9a-f]{16} orders: value.sign on x", done.stderr)
    replays = re.findall(r"pipechaos replay ([0-9a-f]{16}) --experiment \S*small.yaml", done.stderr)
    told = json.loads(done.stdout)
    assert replays == [e["trial_id"] for e in told["entries"]]
    assert [e["standing"] for e in told["entries"]] == ["new", "accepted"]
    assert told["failed"]


def test_a_blind_run_is_no_basis(root):
    out = ran(root, "out", "blind")
    done = update(out, root / "b.json", "--expires", "90d")
    assert isinstance(done.exception, CannotRunError)
    assert "blind" in str(done.exception)
    assert not (root / "b.json").exists()


def test_an_entry_about_another_suite_is_an_error(root):
    out, file = ran(root, "out"), root / "b.json"
    update(out, file, "--expires", "2099-12-31")
    file.write_text(file.read_text().replace('"orders"', '"order"'))
    done = call("explain", out, "--baseline", file)
    assert isinstance(done.exception, UnknownNameError)
    assert "did you mean 'orders'" in str(done.exception)


def test_reason_owner_and_last_day_are_asked_for(root):
    for name in ("--reason", "--owner", "--expires"):
        given = {"--reason": "r", "--owner": "o", "--expires": "90d"}
        given.pop(name)
        done = call("update", root, "--baseline", root / "b.json", *[x for pair in given.items() for x in pair])
        assert done.exit_code == 2
        assert name in done.stderr


@pytest.mark.parametrize(
    ("text", "day"),
    [("90d", dt.date(2026, 9, 13)), ("0d", TODAY), ("2026-06-15", TODAY), ("2028-02-29", dt.date(2028, 2, 29))],
)
def test_a_last_day(text, day):
    assert last_day(text, TODAY) == day


@pytest.mark.parametrize("text", ["2026-06-14", "", "90", "-3d", "soon", "2026-13-01", "99999999d"])
def test_what_is_no_last_day(text):
    with pytest.raises(ConfigError, match="--expires"):
        last_day(text, TODAY)


# --- a gate about one weakness --------------------------------------------------------------------------------------


def weakness_of(out, outcome):
    trials = [t for t in read_trials(out / "trials.parquet") if t.kind is TrialKind.FAULT]
    return next(t.weakness_id for t in trials if t.outcome is outcome)


def gated(weakness, **more):
    return {"gates": [{"metric": "fnr", "limit": 0.5, "weakness": weakness}], **more}


def test_a_gate_about_one_weakness_is_checked_before_the_run_and_after(root):
    out = ran(root, "out")
    name = weakness_of(out, Outcome.FN)
    (result,) = rescore(out, experiment(**gated(name[:6]))).gates
    assert result.verdict is GateVerdict.INCONCLUSIVE  # seven batches are too few
    assert (result.rate.hits, result.rate.trials) == (DAYS, DAYS)
    batches = Batches(experiment(), root)
    assert plan_campaign(experiment(**gated(name)), batches).tasks > 0
    with pytest.raises(ExperimentError, match="none of the 3 weaknesses"):
        plan_campaign(experiment(**gated("0" * 16)), batches)
    with pytest.raises(UnknownNameError, match="weakness"):
        rescore(out, experiment(**gated("0" * 16)))


@pytest.mark.parametrize(
    ("weakness", "said"),
    [(1234567890123456, "in quotes"), (1.0e5, "in quotes"), ("12", "pattern"), ("XYZW", "pattern")],
)
def test_an_id_is_text(weakness, said):
    with pytest.raises(ExperimentError, match=said):
        experiment(**gated(weakness))


def test_no_weakness_of_a_control():
    with pytest.raises(ExperimentError, match="about controls"):
        experiment(gates=[{"metric": "fpr", "limit": 0.5, "weakness": "abcd"}])
