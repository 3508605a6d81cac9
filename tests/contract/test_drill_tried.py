"""When weaknesses were last tried, on either database; and drills that could not run, as the store keeps them."""

import datetime as dt

import pytest

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.drill.schedule import nights, overdue, paused, record_failure
from pipechaos.drill.settings import DrillSettings
from pipechaos.score.records import Outcome, Trial, TrialKind
from pipechaos.store.database import Store
from pipechaos.store.records import RunRecord, RunStatus
from pipechaos.store.tried import last_tries

FIRST = dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
CARD = {"validators": [], "stack": None}


@pytest.fixture
def store(address):
    with Store.open(address) as opened:
        yield opened


def begin(store, run_id, night, name="small.drill"):
    store.begin(RunRecord(run_id=run_id, experiment=name, experiment_digest="d", seed=0, started=FIRST + night * DAY))


def end(store, run_id, night, code=0, status=RunStatus.FINISHED):
    store.finish(run_id, CARD, exit_code=code, finished=FIRST + night * DAY + HOUR, status=status)


def trial(weakness, outcome=Outcome.FN, kind=TrialKind.FAULT, validator="v"):
    return Trial(
        trial_id=f"t-{weakness}-{kind}",
        kind=kind,
        validator=validator,
        batch="b",
        outcome=outcome,
        weakness_id=weakness,
        fault="null.mcar",
        columns=("x",),
    )


def tries(store, night, **more):
    return last_tries(store, "small.drill", ended_by=FIRST + night * DAY, **more)


def test_the_last_try_of_each_weakness_in_runs_that_ended(store):
    begin(store, "n0", 0)
    store.add_trials("n0", [trial("a"), trial("b", Outcome.NOOP), trial("c", Outcome.ERROR)])
    end(store, "n0", 0)
    begin(store, "n1", 1)
    store.add_trials("n1", [trial("b", Outcome.NOOP), trial("a", Outcome.ERROR)])
    end(store, "n1", 1, status=RunStatus.STOPPED)
    found = tries(store, 2)
    assert {name: (t.started, t.judged) for name, t in found.items()} == {
        "a": (FIRST + DAY, True),  # judged once, and tried later
        "b": (FIRST + DAY, False),
        "c": (FIRST, False),
    }
    assert tries(store, 1) == {name: t for name, t in tries(store, 1).items() if t.started == FIRST}
    assert set(tries(store, 1)) == {"a", "b", "c"}
    assert tries(store, 0) == {}  # n0 ended an hour later
    assert tries(store, 2, apart_from="n1")["a"].started == FIRST


def test_what_is_no_try(store):
    begin(store, "running", 0)
    store.add_trials("running", [trial("a")])
    begin(store, "bad", 0)
    store.add_trials("bad", [trial("b", Outcome.BASE_BAD), trial("c", Outcome.ALARM, TrialKind.BENIGN)])
    end(store, "bad", 0)
    begin(store, "whole", 0, name="small")
    store.add_trials("whole", [trial("d")])
    end(store, "whole", 0)
    assert tries(store, 9) == {}


def test_one_validator_whose_base_was_bad_does_not_undo_the_others_try(store):
    begin(store, "n0", 0)
    store.add_trials("n0", [trial("a", Outcome.BASE_BAD, validator="v"), trial("b", validator="w")])
    end(store, "n0", 0)
    assert set(tries(store, 1)) == {"b"}


def experiment():
    return parse_experiment(
        {
            "name": "small",
            "batches": ["x/*"],
            "validators": [{"name": "v", "spec": "callable:m:f"}],
            "faults": [{"fault": "rows.drop"}],
        }
    )


def fail(store, run_id, night, at=0):
    record_failure(store, experiment(), run_id, started=FIRST + night * DAY, at=FIRST + night * DAY + at * HOUR)


def test_nights_that_failed_those_that_were_killed_and_those_that_were_tried_again(store):
    begin(store, "n0", 0)
    end(store, "n0", 0)
    fail(store, "n1", 1)
    fail(store, "n1", 1, at=3)  # a second try
    begin(store, "n2", 2)  # killed for good
    begin(store, "n3", 3)
    end(store, "n3", 3, code=3)
    fail(store, "n4", 4)
    begin(store, "n4", 4)
    end(store, "n4", 4, code=1)  # a gate fails: it could run
    found = [(n.run_id, n.failed) for n in nights(store, "small")]
    assert found == [("n4", False), ("n3", True), ("n2", True), ("n1", True), ("n0", False)]
    without = nights(store, "small", apart_from="n4")
    settings = DrillSettings(pause_after=3)
    assert "the last 3 could not run (2024-03-04, 2024-03-03, 2024-03-02)" in paused(without, settings)
    assert paused(without, DrillSettings(pause_after=4)) == ""
    assert paused(nights(store, "small"), DrillSettings(pause_after=1)) == ""


@pytest.mark.parametrize(
    ("days", "every", "text"),
    [
        (1, 1, ""),
        (1.49, 1, ""),
        (1.5, 1, "the last drill was 1.5 days ago, expected every day"),
        (3, 1, "the last drill was 3 days ago, expected every day"),
        (10, 7, ""),
        (11, 7, "the last drill was 11 days ago, expected every 7 days"),
    ],
)
def test_a_missed_schedule_is_told(store, days, every, text):
    begin(store, "n0", 0)
    end(store, "n0", 0)
    settings = DrillSettings(every_days=every, period_days=28)
    assert overdue(nights(store, "small"), settings, FIRST + days * DAY) == text


def test_a_night_that_could_not_run_is_a_missed_one(store):
    settings = DrillSettings()
    assert overdue(nights(store, "small"), settings, FIRST) == ""  # nothing was expected yet
    fail(store, "n0", 0)
    assert overdue(nights(store, "small"), settings, FIRST) == "no drill has run yet, expected every day"
    begin(store, "n1", 1)
    end(store, "n1", 1)
    fail(store, "n2", 2)
    assert overdue(nights(store, "small"), settings, FIRST + 3 * DAY).startswith("the last drill was 2 days ago")
