"""A campaign that is killed goes on from the store: nothing lost, nothing doubled, the same scorecard."""

import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign import journal
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import scorecard_of, without_values
from pipechaos.campaign.run import run_campaign
from pipechaos.errors import ConfigError
from pipechaos.score.records import TrialKind
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import recorder, resumable
from pipechaos.store.records import RunStatus

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
VALIDATORS = ["strict", "weak"]

SUITE = """
import pathlib

CALLS = pathlib.Path(__file__).parent / "calls"


def called(frame):
    with CALLS.open("a") as file:
        file.write(f"{len(frame)}\\n")


def strict(frame):
    called(frame)
    return list(frame.columns) == ["id", "x", "s"] and bool(frame["x"].notna().all())


def weak(frame):
    called(frame)
    return "x" in frame and bool(frame["x"].notna().any())


def moody(frame):
    '''Says yes and no in turn on one untouched day.'''
    called(frame)
    if frame["s"].iloc[0] != "day-05" or frame["x"].isna().any():
        return bool(frame["x"].notna().all())
    looks = pathlib.Path(__file__).parent / "looks"
    with looks.open("a") as file:
        file.write("x")
    return len(looks.read_text()) % 2 == 1
"""

CHILD = """
import json, os, signal, sys
from pathlib import Path

import test_resume_world as world

root, address, run_id, jobs, mode, at = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:]
seen = {"controls": 0, "faults": 0, "trials": 0}


def count(what):
    seen[what] += 1
    if what == mode and seen[what] == int(at):
        os.kill(os.getpid(), signal.SIGKILL)


class Dying(world.StoreRecorder):
    def trials(self, found):
        super().trials(found)
        count("trials")


world.run(root, address, run_id, jobs=jobs, kind=Dying, progress=lambda p: count(p.phase))
"""

WORLD = """
import datetime as dt, json

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.run import run_campaign
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import StoreRecorder


def run(root, address, run_id, *, jobs, kind, progress):
    made = parse_experiment(json.loads((root / "experiment.json").read_text()))
    with open_store(address) as store:
        keeper = kind(store, run_id, started=dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC))
        run_campaign(made, root, jobs=jobs, recorder=keeper, progress=progress)
"""


def table(day):
    rng = np.random.default_rng(day)
    return pa.table({"id": range(40), "x": rng.normal(10, 3, 40).round(3), "s": [f"day-{day:02}"] * 40})


def make_root(home, validators=VALIDATORS, **more):
    (home / "data").mkdir(parents=True)
    for day in range(1, 10):
        pq.write_table(table(day), home / "data" / f"day-{day:02}.parquet")
    (home / "resume_suite.py").write_text(SUITE)
    (home / "test_resume_world.py").write_text(WORLD)
    (home / "child.py").write_text(CHILD)
    data = {
        "name": "small",
        "batches": ["data/*.parquet"],
        "key": ["id"],
        "history": {"count": 3},
        "contract": {"row_order": True, "extra_columns": True},
        "validators": [{"name": v, "spec": f"callable:resume_suite:{v}"} for v in validators],
        "faults": [{"fault": "null.mcar", "columns": ["x"]}, {"fault": "drift.mean", "columns": ["x"]}],
        "severities": [1, 5],
        "controls": {"repeats": 2, "benign": 2},
        **more,
    }
    (home / "experiment.json").write_text(json.dumps(data))
    return home


def experiment(root, **more):
    return parse_experiment(json.loads((root / "experiment.json").read_text()) | more)


def killed(root, address, mode, at, *, jobs=1):
    command = [sys.executable, root / "child.py", root, address, "killed", str(jobs), mode, str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (root / "calls").unlink()


def calls(root):
    return len((root / "calls").read_text().splitlines())


def judged(trials):
    return sum(t.status is not None for t in trials)  # a fault without effect is shown to nobody


def go(root, store, run_id, *, jobs=1, made=None, **options):
    keeper = recorder(store, run_id, started=NOW)
    return run_campaign(made or experiment(root), root, jobs=jobs, recorder=keeper, **options)


def scored(result):
    found = scorecard_of(result).to_dict()
    found.pop("runtime")
    return json.dumps(found, sort_keys=True)


def rows(trials):
    return [json.dumps(t.to_row() | {"seconds": 0}, sort_keys=True) for t in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same campaign, left alone and without any store."""
    root = make_root(tmp_path_factory.mktemp("whole"))
    return run_campaign(experiment(root), root, jobs=1)


def test_the_world_of_these_tests(whole):
    assert Counter(t.kind for t in whole.trials) == {
        TrialKind.CANARY: 2 * 3,
        TrialKind.NATURAL: 2 * (6 + 2),
        TrialKind.BENIGN: 2 * 2 * 2,
        TrialKind.FAULT: 2 * 2 * 2 * 6,
    }
    assert len({t.outcome for t in whole.trials}) >= 5


@pytest.mark.parametrize(
    ("address", "mode", "at", "jobs", "naturals", "injected"),
    [
        ("sqlite", "controls", 6, 1, 2, 0),  # 3 canaries and 3 untouched batches are judged, the last not yet committed
        ("sqlite", "controls", 11, 2, 7, 0),  # in the second looks
        ("sqlite", "trials", 1, 1, 8, 3),  # all controls are committed, not one fault
        ("sqlite", "faults", 9, 1, 8, 3 + 8),
        ("sqlite", "trials", 16, 2, 8, 3 + 15),
        ("postgresql", "faults", 9, 1, 8, 3 + 8),
    ],
    indirect=["address"],
)
def test_a_killed_campaign_goes_on_to_the_same_scorecard(tmp_path, address, whole, mode, at, jobs, naturals, injected):
    root = make_root(tmp_path / "root")
    killed(root, address, mode, at, jobs=jobs)
    with open_store(address) as store:
        held = store.trials("killed")
        assert len(store.verdicts("killed")) == naturals * 2
        assert sum(t.kind is not TrialKind.NATURAL for t in held) == injected * 2
        assert store.run("killed").status is RunStatus.RUNNING
        assert resumable(store, "last", "small").run_id == "killed"

        result = go(root, store, "killed", jobs=jobs)
        assert result.resumed == naturals + injected
        injected_then = [t for t in held if t.kind is not TrialKind.NATURAL]
        assert calls(root) == judged(result.trials) - naturals * 2 - judged(injected_then)  # nobody was asked again
        assert scored(result) == scored(whole)
        assert rows(result.trials) == rows(whole.trials)  # in the same order, none lost, none doubled
        assert sorted(rows(store.trials("killed"))) == sorted(rows(whole.trials))
        kept = {(t.trial_id, t.batch, t.seconds) for t in store.trials("killed")}
        assert {(t.trial_id, t.batch, t.seconds) for t in held} <= kept  # what was committed is untouched


def test_killed_twice_and_again_in_the_first_phase(tmp_path, whole):
    root, address = make_root(tmp_path / "root"), str(tmp_path / "runs.db")
    for at in (5, 8):
        killed(root, address, "controls", at)
    killed(root, address, "faults", 3)
    with open_store(address) as store:
        result = go(root, store, "killed")
        assert scored(result) == scored(whole)
        assert sorted(rows(store.trials("killed"))) == sorted(rows(whole.trials))


def test_a_flaky_base_stays_flaky(tmp_path):
    root, address = make_root(tmp_path / "root", ["moody"], controls={"repeats": 6}), str(tmp_path / "runs.db")
    killed(root, address, "faults", 4)
    with open_store(address) as store:
        result = go(root, store, "killed")
        assert {t.batch for t in result.trials if t.flaky} == {"day-05"}
        assert sum(t.flaky and t.kind is TrialKind.FAULT for t in result.trials) == 4
        assert sorted(rows(store.trials("killed"))) == sorted(rows(result.trials))


def test_a_run_that_reached_its_minutes_may_go_on_with_all_of_them_again(tmp_path, whole):
    root, address = make_root(tmp_path / "root", budget={"minutes": 5}), str(tmp_path / "runs.db")
    ticks = iter(range(0, 10_000, 10))
    with open_store(address) as store:
        result = go(root, store, "r", clock=lambda: float(next(ticks)))
        assert result.stopped == "the budget of 5 minutes was reached"
        card = scorecard_of(result)
        recorder(store, "r", started=NOW).finish(card.to_dict(), exit_code=0, finished=NOW, stopped=result.stopped)
        assert resumable(store, "last", "small").status is RunStatus.STOPPED
        done = len(result.trials)
        again = go(root, store, "r")
        assert 0 < again.resumed == done / 2 < again.plan.tasks
        assert again.stopped == ""
        assert rows(again.trials) == rows(whole.trials)
        recorder(store, "r", started=NOW).finish(scorecard_of(again).to_dict(), exit_code=0, finished=NOW)
        assert store.run("r").status is RunStatus.FINISHED
        with pytest.raises(ConfigError, match=r"no run of experiment 'small' in .* is unfinished"):
            resumable(store, "last", "small")
        with pytest.raises(ConfigError, match="run 'r' has finished"):
            resumable(store, "r", "small")
        with pytest.raises(ConfigError, match="is one of experiment 'small', not of 'other'"):
            resumable(store, "r", "other")


def test_two_batches_of_the_same_content_are_two_trials(tmp_path):
    root, address = make_root(tmp_path / "root"), str(tmp_path / "runs.db")
    for day in (7, 8):
        pq.write_table(table(6), root / "data" / f"day-{day:02}.parquet")
    with open_store(address) as store:
        result = go(root, store, "r")
        assert len({t.trial_id for t in result.trials}) < len({(t.trial_id, t.batch) for t in result.trials})
        assert sorted(rows(store.trials("r"))) == sorted(rows(result.trials))


def test_no_value_of_the_data_is_kept_where_none_may_be(tmp_path):
    swap = [{"fault": "category.swap", "columns": ["s"]}, {"fault": "null.mcar", "columns": ["x"]}]
    root, address = make_root(tmp_path / "root", faults=swap), str(tmp_path / "runs.db")
    with open_store(address) as store:
        keeper = recorder(store, "r", started=NOW, kept=without_values)
        result = run_campaign(experiment(root), root, jobs=1, recorder=keeper)
        told = [t for t in result.trials if t.fault == "category.swap" and "day-" in json.dumps(dict(t.resolved))]
        assert told
        assert not [t for t in store.trials("r") if "day-" in json.dumps(dict(t.resolved))]


# --- a run goes on only where it is still the same --------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped_short(tmp_path_factory):
    home = tmp_path_factory.mktemp("short")
    root = make_root(home / "root")
    killed(root, str(home / "runs.db"), "trials", 5)
    return home


@pytest.fixture
def short(stopped_short, tmp_path):
    shutil.copytree(stopped_short, tmp_path / "copy")
    return tmp_path / "copy"


def refused(home, *, made=None):
    root = home / "root"
    with open_store(home / "runs.db") as store:
        before = rows(store.trials("killed"))
        with pytest.raises(ConfigError) as caught:
            go(root, store, "killed", made=made)
        assert rows(store.trials("killed")) == before
    assert not (root / "calls").exists()  # nothing was judged
    assert "tart a new run" in str(caught.value)
    return str(caught.value)


def test_another_seed_or_another_experiment(short):
    says = refused(short, made=experiment(short / "root", seed=5))
    assert "the seed (0 -> 5)" in says
    assert "what the experiment says" in says
    says = refused(short, made=experiment(short / "root", severities=[1]))
    assert "what the experiment says" in says
    assert "the seed" not in says


def test_another_suite(short):
    suite = short / "root" / "resume_suite.py"
    suite.write_text(suite.read_text() + "\n# stricter from now on\n")
    says = refused(short)
    assert says.count("->") == 2  # both validators come from that file
    assert "the suites (strict " in says


def test_another_version(short, monkeypatch):
    versions = journal.library_versions()
    monkeypatch.setattr(journal, "library_versions", lambda: versions | {"pandas": "99.0"})
    assert f"the versions (pandas {versions['pandas']} -> 99.0)" in refused(short)


def test_another_history(short):
    pq.write_table(table(77), short / "root" / "data" / "day-02.parquet")
    assert "the history (" in refused(short)


def test_a_batch_that_changed(short):
    pq.write_table(table(77), short / "root" / "data" / "day-06.parquet")
    assert "batches have changed ('day-06')" in refused(short)


def test_a_batch_that_is_gone(short):
    (short / "root" / "data" / "day-06.parquet").unlink()
    assert "batches came or went" in refused(short)


def test_a_batch_that_came_is_tried_too(short, tmp_path):
    pq.write_table(table(20), short / "root" / "data" / "day-20.parquet")
    fresh = make_root(tmp_path / "fresh")
    pq.write_table(table(20), fresh / "data" / "day-20.parquet")
    with open_store(short / "runs.db") as store:
        result = go(short / "root", store, "killed")
        assert result.resumed == 8 + 3 + 4  # what was committed stands: the plan has only grown
    whole = run_campaign(experiment(fresh), fresh, jobs=1)
    assert len(whole.controls) == 7
    assert scored(result) == scored(whole)
