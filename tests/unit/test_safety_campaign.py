"""A halt ends a campaign in order: nothing is injected after it, nothing judged is lost, and the run goes on."""

import datetime as dt
import json
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipechaos.campaign import run as run_module
from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.output import scorecard_of
from pipechaos.campaign.run import run_campaign
from pipechaos.safety.switch import FileSource, Halted, HaltOrder, KillSwitch, engage
from pipechaos.score.records import TrialKind
from pipechaos.store.opening import open_store
from pipechaos.store.recorder import recorder, resumable

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
SUITE = """
def strict(frame):
    return list(frame.columns) == ["id", "x"] and bool(frame["x"].notna().all())
"""


@pytest.fixture
def root(tmp_path):
    home = tmp_path / "root"
    (home / "data").mkdir(parents=True)
    for day in range(1, 9):
        x = np.random.default_rng(day).normal(10, 3, 40).round(3)
        pq.write_table(pa.table({"id": range(40), "x": x}), home / "data" / f"day-{day:02}.parquet")
    (home / "halted_suite.py").write_text(SUITE)
    return home


def experiment():
    return parse_experiment(
        {
            "name": "small",
            "batches": ["data/*.parquet"],
            "key": ["id"],
            "history": {"count": 3},
            "contract": {"row_order": True},
            "validators": [{"name": "strict", "spec": "callable:halted_suite:strict"}],
            "faults": [{"fault": "null.mcar", "columns": ["x"]}, {"fault": "drift.mean", "columns": ["x"]}],
            "severities": [1, 5],
            "controls": {"repeats": 1, "benign": 2},
            "limit_seconds": 120,
        }
    )


@pytest.fixture
def injected(monkeypatch):
    """Kinds of all that is injected, as it is."""
    seen, real = [], run_module.inject_one

    def inject_one(injection, *args, **more):
        seen.append(injection.fault)
        return real(injection, *args, **more)

    monkeypatch.setattr(run_module, "inject_one", inject_one)
    return seen


class Switch:
    """Halts when it is asked for the n-th time."""

    def __init__(self, at):
        self.at, self.asked = at, 0

    def __call__(self):
        self.asked += 1
        if self.asked >= self.at:
            raise Halted(HaltOrder(source="test", reason="incident 7"))


def scored(result):
    found = scorecard_of(result).to_dict()
    found.pop("runtime")
    return json.dumps(found, sort_keys=True)


def rows(trials):
    return sorted(json.dumps(t.to_row() | {"seconds": 0}, sort_keys=True) for t in trials)


def test_it_is_asked_before_anything_and_before_every_task(root):
    switch = Switch(10**9)
    result = run_campaign(experiment(), root, jobs=1, halt=switch)
    assert switch.asked == 1 + result.plan.tasks
    assert (result.stopped, result.halted) == ("", False)


def test_a_halt_that_stands_lets_nothing_begin(root, tmp_path, injected, monkeypatch):
    monkeypatch.setattr(run_module, "Pool", None)  # no worker is started
    engage(tmp_path / "halt", reason="incident 7", who="ops", now=NOW)
    with pytest.raises(Halted, match="by ops since 2024-03-01T12:00:00"):
        run_campaign(experiment(), root, jobs=1, halt=KillSwitch(FileSource(path=tmp_path / "halt")).check)
    assert injected == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_halt_among_the_faults_keeps_what_was_judged_and_the_run_goes_on(root, tmp_path, injected, jobs):
    whole = run_campaign(experiment(), root, jobs=1)
    total, first = whole.plan.tasks, len(whole.plan.first)
    at = 1 + first + 4  # the fourth of the second phase is not begun
    injected.clear()
    with open_store(str(tmp_path / "runs.db")) as store:
        switch = Switch(at)
        result = run_campaign(experiment(), root, jobs=jobs, halt=switch, recorder=recorder(store, "r", started=NOW))
        assert result.halted
        assert result.stopped == "halted (test): incident 7"
        assert switch.asked == at  # once is enough: the others see that it stopped
        canaries = sum(t.injection is not None for t in result.plan.first)
        assert len(injected) == canaries + 3
        second = [t for t in result.trials if t.kind in (TrialKind.BENIGN, TrialKind.FAULT)]
        assert len(second) == 3
        assert rows(store.trials("r")) == rows(result.trials)
        card = scorecard_of(result)
        assert card.about.stopped == result.stopped
        assert result.stopped in card.voids
        recorder(store, "r", started=NOW).finish(card.to_dict(), exit_code=3, finished=NOW, stopped=result.stopped)
        assert resumable(store, "last", "small").run_id == "r"
        rest = run_campaign(
            experiment(), root, jobs=jobs, halt=Switch(10**9), recorder=recorder(store, "r", started=NOW)
        )
        assert rest.resumed == first + 3
        assert len(rest.trials) == len(whole.trials)
        assert rows(store.trials("r")) == rows(whole.trials)
    assert total > first + 4
    assert scored(rest) == scored(whole)


def test_a_halt_among_the_controls_ends_at_once_and_the_verdicts_stay(root, tmp_path):
    whole = run_campaign(experiment(), root, jobs=1)
    kinds = [t.kind for t in whole.plan.first]
    at = len(kinds)  # the last control but one was judged
    with open_store(str(tmp_path / "runs.db")) as store:
        with pytest.raises(Halted, match="incident 7"):
            run_campaign(experiment(), root, jobs=1, halt=Switch(1 + at), recorder=recorder(store, "r", started=NOW))
        assert len(store.journal("r").verdicts) == kinds[: at - 1].count(TrialKind.NATURAL) > 0
        rest = run_campaign(experiment(), root, jobs=1, recorder=recorder(store, "r", started=NOW))
    assert scored(rest) == scored(whole)


def test_two_workers_never_ask_at_once(root):
    inside, most = [], []

    def halt():
        inside.append(threading.get_ident())
        most.append(len(inside))
        inside.pop()

    run_campaign(experiment(), root, jobs=2, halt=halt)
    assert set(most) == {1}


def test_a_switch_that_breaks_ends_the_run(root, injected):
    def halt():
        if injected:
            raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        run_campaign(experiment(), root, jobs=1, halt=halt)
    assert len(injected) == 1
