"""Check ledger, by hand on a small matrix of checks and weaknesses."""

import dataclasses
import math

from pipechaos.score.checks import check_ledger
from pipechaos.score.rates import control_rates
from pipechaos.score.records import FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.validate.verdict import Check, FindingKind, Subject

CHECKS = [Check(id=c, columns=("x",), subject=Subject.VALUE) for c in ("range", "nulls", "mean", "idle", "silent")]


def said(check, why=Why.DIRECT, kind=FindingKind.FAIL):
    return FindingRef(check=check, columns=("x",), kind=kind, subject=Subject.VALUE, why=why)


def fault(weakness, *findings, outcome=Outcome.TP, n=0, **more):
    return Trial(
        trial_id=f"{weakness}{n}",
        kind=TrialKind.FAULT,
        validator="v",
        batch=f"d{n}",
        weakness_id=weakness,
        outcome=outcome,
        findings=findings,
        **more,
    )


def day(n, *checks, **more):
    return Trial(
        trial_id=f"n{n}",
        kind=TrialKind.NATURAL,
        validator="v",
        batch=f"d{n}",
        outcome=Outcome.FP if checks else Outcome.TN,
        findings=tuple(said(c, None) for c in checks),
        **more,
    )


TRIALS = [
    fault("w1", said("range")),
    fault("w1", said("range"), said("nulls"), n=1),
    fault("w1", said("nulls"), n=2),  # nulls alone saw this one
    fault("w2", said("range", Why.ELSEWHERE)),
    fault("w3", said("nulls"), said("idle", None, FindingKind.ERROR)),
    fault("w4", outcome=Outcome.FN),
    fault("w5", said("mean"), flaky=True),
    fault("w6", said("mean"), subnatural=True),
    day(1, "mean", "range"),
    day(2, "mean"),
    day(3, "idle", review=Review.TRUE),
    day(4),
]


def ledger(trials=TRIALS):
    return {s.check: s for s in check_ledger(trials, "v", CHECKS)}


def test_kills():
    found = ledger()
    assert {c: (s.kills, s.unique_kills, s.direct_kills, s.guarded) for c, s in found.items()} == {
        "range": (2, 2, 1, ("w1", "w2")),
        "nulls": (2, 2, 2, ("w1", "w3")),
        "mean": (0, 0, 0, ()),
        "idle": (0, 0, 0, ()),
        "silent": (0, 0, 0, ()),
    }


def test_never_fired():
    assert [c for c, s in ledger().items() if not s.fired] == ["silent"]


def test_a_word_on_an_allowed_change_is_one_and_a_tolerated_finding_is_none():
    quiet = said("silent", None, FindingKind.TOLERATED)
    assert not ledger([fault("w", quiet, outcome=Outcome.FN), day(1)])["silent"].fired
    change = fault("", said("silent", None), outcome=Outcome.ALARM)
    assert ledger([dataclasses.replace(change, kind=TrialKind.BENIGN)])["silent"].fired
    assert not ledger([dataclasses.replace(change, kind=TrialKind.CANARY)])["silent"].fired


def test_an_alarm_is_counted_once_for_the_same_content_as_in_the_rate():
    """A batch delivered again under another name is the same batch: it makes no second alarm."""
    days = [day(1, "mean", source_digest="s"), day(2, "mean", "range", source_digest="s"), day(3, source_digest="t")]
    mean = ledger(days)["mean"]
    assert (mean.false_alarms, mean.false_alarm_share) == (1, 1.0)
    fpr = control_rates(days).fpr
    assert (fpr.hits, fpr.trials) == (1, 2)
    assert ledger(days)["range"].false_alarms == 0


def test_false_alarms_leave_out_days_that_were_bad():
    found = ledger()
    assert {c: s.false_alarms for c, s in found.items() if s.false_alarms} == {"range": 1, "mean": 2}
    assert {c: s.false_alarm_share for c, s in found.items() if s.false_alarms} == {"range": 0.5, "mean": 1.0}
    assert all(math.isnan(s.false_alarm_share) for s in ledger(TRIALS[:8]).values())


def test_another_validator_is_another_ledger():
    assert all(not s.fired for s in check_ledger(TRIALS, "w", CHECKS))


def test_names_no_suite_declares_are_shown_last():
    crash = fault("w7", said("<crash>", None, FindingKind.ERROR), outcome=Outcome.ERROR)
    last = check_ledger([*TRIALS, crash], "v", CHECKS)[-1]
    assert (last.check, last.declared, last.kills, last.fired) == ("<crash>", False, 0, True)
