"""One report, small enough to be worked out by hand, that holds everything a format has a word for.

alpha (4 weaknesses): misses 3 of 10 of "alpha-w1", catches "alpha-w2", crashes on "alpha-w3", and "alpha-w4" changes
nothing. Of ten untouched batches it rejects d0, and d1, which was bad; it alarms on one allowed change.
beta (2 weaknesses): misses all 10 of "beta-w1", which is accepted, and both of "beta-w2", on a column that no check
looks at. It crashes on the untouched batch d9.
"""

import dataclasses
import datetime as dt

import pytest

from pipechaos.report.content import build_content
from pipechaos.report.inputs import Location, Report
from pipechaos.score.baseline import Accepted, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import Gate, GateResult, GateVerdict, Metric
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Rate, Review, Trial, TrialKind, Why
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.validate.verdict import Check, FindingKind, Subject

HIT = FindingRef(check="x:in_range", columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)
ASIDE = FindingRef(check="y:mean", columns=("y",), kind=FindingKind.FAIL, subject=Subject.AGGREGATE, why=Why.ELSEWHERE)
CHECKS = (
    Check(id="x:in_range", columns=("x",), subject=Subject.VALUE),
    Check(id="y:mean", columns=("y",), subject=Subject.AGGREGATE),
    Check(id="rows", columns=(), subject=Subject.ROW_COUNT),
)
SCALE = {"fault": "value.scale", "family": "value", "severity": 2}


def fault(weakness, at, outcome, finding=None, **more):
    validator = weakness.partition("-")[0]
    values = {
        "trial_id": f"{weakness}-{at}",
        "kind": TrialKind.FAULT,
        "validator": validator,
        "batch": f"d{at}",
        "outcome": outcome,
        "fault": "null.mcar",
        "family": "missing",
        "columns": ("x",),
        "fraction": 0.2,
        "severity": 3,
        "rungs": 5,
        "weakness_id": weakness,
        "injection_id": f"{weakness.partition('-')[2]}-i{at}",
        "after_digest": f"a{at}",
        "findings": (finding,) if finding else (),
        "why": finding.why if finding else None,
        "dose": 0.1 + at / 100,
        "seconds": 0.5,
    }
    return Trial(**(values | more))


def control(validator, kind, at, outcome, **more):
    values = {"batch": f"d{at}", "block": at, "injection_id": f"{kind}{at}"}
    return Trial(trial_id=f"{validator}-{kind}{at}", kind=kind, validator=validator, outcome=outcome, **(values | more))


def all_trials():
    out = []
    for at in range(10):
        caught = HIT if at < 5 else ASIDE if at < 7 else None
        out.append(fault("alpha-w1", at, Outcome.TP if caught else Outcome.FN, caught))
        out.append(fault("beta-w1", at, Outcome.FN))
        alarm = Outcome.FP if at < 2 else Outcome.TN
        said = {"findings": (dataclasses.replace(HIT, why=None),)} if at < 2 else {}
        review = Review.TRUE if at == 1 else Review.UNREVIEWED
        out.append(control("alpha", TrialKind.NATURAL, at, alarm, review=review, **said))
        crashed = {"error_cause": ErrorCause.CRASH} if at == 9 else {}
        out.append(control("beta", TrialKind.NATURAL, at, Outcome.ERROR if crashed else Outcome.TN, **crashed))
    light = {"columns": ("y",), "severity": 1, "fraction": 0.01}
    out += [fault("alpha-w2", at, Outcome.TP, ASIDE, **light) for at in range(4)]
    for at in range(2):
        out.append(fault("alpha-w3", at, Outcome.ERROR, error_cause=ErrorCause.CRASH, **SCALE))
        out.append(fault("alpha-w4", at, Outcome.NOOP, fault="rows.drop", family="rows", columns=()))
        out.append(fault("beta-w2", at, Outcome.FN, columns=("z",), **SCALE))
    change = {"fault": "benign.reencode", "findings": (dataclasses.replace(HIT, why=None),)}
    out.append(control("alpha", TrialKind.BENIGN, 0, Outcome.ALARM, **change))
    out.append(control("beta", TrialKind.BENIGN, 0, Outcome.ACCEPTED, fault="benign.reencode"))
    for v in ("alpha", "beta"):
        for at, name in enumerate(("canary.all_null", "canary.all_text", "canary.no_columns")):
            out.append(control(v, TrialKind.CANARY, at, Outcome.ALARM, fault=name))
    return tuple(out)


def all_gates():
    def result(verdict, reason, **more):
        gate = Gate(metric=Metric.FNR, limit=0.25, **more)
        return GateResult(gate=gate, validator="alpha", verdict=verdict, rate=Rate(hits=3, trials=14), reason=reason)

    return (
        result(GateVerdict.PASS, "at most 20.00%, allowed 25.00%", column="y"),
        result(GateVerdict.FAIL, "at least 30.00%, allowed 25.00%"),
        result(GateVerdict.INCONCLUSIVE, "only 2 clusters, 10 are needed", fault="rows.drop"),
    )


def baseline():
    word = Accepted(
        weakness_id="beta-w1",
        validator="beta",
        fault="null.mcar",
        reason="upstream fills gaps",
        owner="dana",
        expires=dt.date(2027, 1, 31),
    )
    old = dataclasses.replace(word, weakness_id="alpha-w2", validator="alpha")
    rows = [
        (Standing.NEW, "alpha-w1", None, 3, 10, "nobody accepted it"),
        (Standing.NEW, "beta-w2", None, 2, 2, "nobody accepted it"),
        (Standing.STALE, "alpha-w2", old, 0, 4, "no longer survives: drop it"),
        (Standing.ACCEPTED, "beta-w1", word, 10, 10, ""),
    ]
    entries = tuple(
        BaselineEntry(standing=s, weakness_id=w, label=f"label of {w}", accepted=a, missed=m, tried=n, text=t)
        for s, w, a, m, n, t in rows
    )
    return BaselineResult(file="pipechaos-baseline.yaml", entries=entries)


def scored(trials, about=None, checks=CHECKS, gates=()):
    names = dict.fromkeys(t.validator for t in trials)
    info = [ValidatorInfo(name=n, spec=f"pandera:suite:{n}", suite_digest="ab" * 16, checks=checks) for n in names]
    about = about or About(name="tiny", digest="0123456789abcdef", seed=5, versions={"pipechaos": "0.1.0"})
    return dataclasses.replace(build(trials, about=about, validators=info), gates=gates)


PLACES = {
    ("alpha", ""): Location(file="suites/alpha.py", line=3),
    ("alpha", "x"): Location(file="suites/alpha.py", line=5),
    ("beta", ""): Location(file="suites/beta suite.json", line=1),
}


@pytest.fixture
def make_report():
    """A report from trials, with whatever else is given."""

    def make(trials=None, *, gates=(), about=None, checks=CHECKS, experiment="tiny.yaml", explanations=None, **more):
        trials = all_trials() if trials is None else tuple(trials)
        card = scored(trials, about, checks, gates)
        content = build_content(card, explanations or {}, experiment=experiment)
        return Report(card=card, content=content, trials=trials, **more)

    return make


@pytest.fixture
def report(make_report):
    """The whole of it."""
    return make_report(gates=all_gates(), baseline=baseline(), locations=PLACES, run_id="run-1")


@pytest.fixture
def plain(make_report):
    """Without baseline, gates and places."""
    return make_report()


@pytest.fixture
def new_fault():
    """Makes a faulty trial."""
    return fault


@pytest.fixture
def new_control():
    """Makes a control."""
    return control
