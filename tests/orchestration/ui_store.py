"""Runs in a store, for the tests of the UI: worked out by hand, with everything that decides an exit code."""

import datetime as dt
import importlib.util
from dataclasses import replace
from pathlib import Path

from pipechaos.score.baseline import Accepted, Baseline, against
from pipechaos.score.gates import Gate, Metric
from pipechaos.score.scorecard import ValidatorInfo, build
from pipechaos.store.records import RunRecord

DAY = dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)
NAMES = ("alpha", "beta")
_FILE = Path(__file__).resolve().parents[1] / "browser" / "sample_report.py"
_spec = importlib.util.spec_from_file_location("sample_for_ui", _FILE)
sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sample)


def card(trials, stopped="", **about):
    """Scorecard with two gates, one of which fails, and a baseline."""
    accepted = Accepted(weakness_id="beta-w", validator="beta", fault="null.mcar", columns=("x",), expires=DAY.date())
    return build(
        trials,
        about=replace(sample.ABOUT, stopped=stopped, **about),
        validators=[ValidatorInfo(name=n, spec=f"s:{n}", suite_digest=n, checks=sample.CHECKS) for n in NAMES],
        gates=[
            Gate(metric=Metric.FNR, limit=0.9),
            Gate(metric=Metric.FNR, limit=0.01, validator="beta", fault="null.mcar", max_error=0.5),
        ],
        baseline=against(
            Baseline(file="accepted.yaml", accepted=(accepted,)), trials, validators=NAMES, today=DAY.date()
        ),
        runtime={"seconds": {"total": 1.5}, "jobs": 2},
    )


def keep(store, run_id, trials, *, day=0, name="tiny", end=True):
    """Write a run into a store."""
    started = DAY + dt.timedelta(days=day)
    store.begin(RunRecord(run_id=run_id, experiment=name, experiment_digest="d", seed=5, started=started))
    store.add_trials(run_id, trials)
    if end:
        made = card(trials, name=name)
        store.finish(run_id, made.to_dict(), exit_code=int(made.exit_code), finished=started)
