"""Reports for the tests of the HTML page: worked out by hand, hostile in every name, and large."""

import datetime as dt
from dataclasses import replace

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Dose, Explanation, NearMiss, Sketch, Suggestion
from pipechaos.report.content import build_content
from pipechaos.report.inputs import Report
from pipechaos.score.baseline import Accepted, BaselineEntry, BaselineResult, Standing
from pipechaos.score.gates import Gate, Metric
from pipechaos.score.records import FindingRef, Outcome, Trial, TrialKind, Why
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.store.records import RatePoint
from pipechaos.validate.verdict import Check, FindingKind, Subject

HIT = FindingRef(check="x:in_range", columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)
ALARM = replace(HIT, check="y:mean", columns=("y",), subject=Subject.AGGREGATE, why=None)
CHECKS = (
    Check(id="x:dtype", columns=("x",), subject=Subject.DTYPE),
    Check(id="x:in_range", columns=("x",), subject=Subject.VALUE),
    Check(id="y:mean", columns=("y",), subject=Subject.AGGREGATE),
    Check(id="rows", columns=(), subject=Subject.ROW_COUNT),
)
ABOUT = About(
    name="tiny",
    digest="0123456789abcdef",
    seed=5,
    versions={"pipechaos": "0.1.0", "pandas": "3.1.1"},
    sample={"weaknesses": 1, "distinct_bases": 10, "left_out": ["null.mcar on y"]},
    history={"batches": 4, "first": "a0", "last": "a3"},
    incidents=[{"batch": "d99", "reason": "the feed was down"}],
)
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "'><svg onload=window.pwned=1>",
    "\x1b[31mred\u202egnp.exe\u2066\x00\n",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>*{display:none}</style>",
)


def fault(validator, at, outcome, **more):
    caught = outcome is Outcome.TP
    values = {
        "trial_id": f"{validator}-f{at}",
        "kind": TrialKind.FAULT,
        "validator": validator,
        "batch": f"d{at:02}",
        "outcome": outcome,
        "fault": "null.mcar",
        "family": "missing",
        "columns": ("x",),
        "fraction": 0.2,
        "severity": 3,
        "rungs": 5,
        "weakness_id": f"{validator}-w",
        "injection_id": f"i{at}",
        "after_digest": f"a{at}",
        "findings": (HIT,) if caught else (),
        "why": Why.DIRECT if caught else None,
        "dose": 0.2,
    }
    return Trial(**(values | more))


def control(validator, kind, at, outcome, **more):
    values = {"batch": f"d{at:02}", "block": at, "injection_id": f"{kind}{at}"}
    return Trial(trial_id=f"{validator}-{kind}{at}", kind=kind, validator=validator, outcome=outcome, **(values | more))


def canaries(validator, outcome=Outcome.ALARM):
    names = ("canary.all_null", "canary.all_text", "canary.no_columns")
    return [control(validator, TrialKind.CANARY, at, outcome, fault=name) for at, name in enumerate(names)]


def trials():
    """Ten batches, each its own block: "alpha" misses 3 of 10 and alarms on d04; "beta" misses all ten."""
    out = []
    for at in range(10):
        out.append(fault("alpha", at, Outcome.TP if at < 7 else Outcome.FN))
        out.append(fault("beta", at, Outcome.FN))
        loud = {"outcome": Outcome.FP, "findings": (ALARM,)} if at == 4 else {"outcome": Outcome.TN}
        out.append(replace(control("alpha", TrialKind.NATURAL, at, Outcome.TN), **loud))
        out.append(control("beta", TrialKind.NATURAL, at, Outcome.TN))
    return [*out, *canaries("alpha"), *canaries("beta")]


def explanation(trial_id="alpha-f7"):
    return Explanation(
        trial_id=trial_id,
        example=Example(
            columns=("id", "x"), before=(("7", "12.5"), ("8", "3")), after=(("7", "null"), ("8", "3")), note="1 cell"
        ),
        sketches=(
            Sketch(
                column="x",
                labels=("0 to 5", "5 to 20"),
                before=(0.25, 0.75),
                after=(0.25, 0.55),
                null_before=0.0,
                null_after=0.2,
                summary="nulls 0 % -> 20 %",
            ),
        ),
        near=(
            NearMiss(
                validator="alpha",
                check="x:in_range",
                column="x",
                statistic="null share",
                limit=0.25,
                observed=0.2,
                untouched=0.0,
                used=0.8,
            ),
        ),
        doses=tuple(Dose(severity=s, columns=("x",), missed=s < 4) for s in range(1, 6)),
        suggestion=Suggestion(text="a null-share budget of 5 % on x", code="Check(\n    null_share < 0.05)"),
    )


def baseline():
    line = Accepted(
        weakness_id="old",
        validator="beta",
        fault="text.typo",
        columns=("y",),
        reason="upstream's business",
        owner="team data",
        expires=dt.date(2026, 1, 31),
    )
    entry = BaselineEntry(standing=Standing.NEW, weakness_id="w1", label="beta: null.mcar on x", missed=10, tried=10)
    old = replace(entry, standing=Standing.EXPIRED, weakness_id="old", label="beta: text.typo on y", accepted=line)
    known = replace(old, standing=Standing.ACCEPTED, weakness_id="known", label="beta: rows.drop")
    return BaselineResult(file="baseline.yaml", entries=(entry, replace(old, text="expired on 2026-01-31"), known))


def many_new(count=80):
    """A baseline that does not hold at all."""
    first = baseline().entries[0]
    entries = (replace(first, weakness_id=f"w{i}", label=f"beta: fault.kind_{i} on feature_{i}") for i in range(count))
    return BaselineResult(file="baseline.yaml", entries=tuple(entries))


def trend():
    """Two runs of alpha: FNR 40 % then 30 %, the suite changed between."""
    first = RatePoint(
        run_id="r1",
        started=dt.datetime(2026, 5, 1, 4, 30, tzinfo=dt.UTC),
        validator="alpha",
        suite_digest="aaaaaaaaaaaa",
        fnr=0.4,
        fnr_low=0.2,
        fnr_high=0.6,
        missed=4,
        faulty=10,
        fpr=0.1,
        fpr_low=0.01,
        fpr_high=0.4,
        alarms=1,
        natural=10,
    )
    later = dt.datetime(2026, 5, 2, 4, 30, tzinfo=dt.UTC)
    return (first, replace(first, run_id="r2", started=later, suite_digest="bbbbbbbbbbbb", fnr=0.3, missed=3))


def long_trend(runs=45, validators=("alpha", "beta", "(any validator)")):
    """A run a day."""
    start, first = dt.datetime(2026, 5, 1, tzinfo=dt.UTC), trend()[0]
    return tuple(
        replace(first, run_id=f"run-{i}", started=start + dt.timedelta(days=i), validator=v)
        for i in range(runs)
        for v in validators
    )


def card_of(found, checks=CHECKS, names=("alpha", "beta"), about=ABOUT, **more):
    info = [ValidatorInfo(name=n, spec=f"pandera:suite:{n}", suite_digest="ab" * 16, checks=checks) for n in names]
    return build(found, about=about, validators=info, **more)


def report_of(card, found, explanations=None, **more):
    known = explanations or {}
    content = build_content(card, known, experiment="tiny.yaml")
    return Report(card=card, content=content, trials=tuple(found), explanations=known, **more)


def bare(found=None, **more):
    """A report without anything optional."""
    found = trials() if found is None else found
    return report_of(card_of(found, **more), found)


def full():
    """A report with everything optional."""
    found = trials()
    gates = [Gate(metric=Metric.FNR, limit=0.7), Gate(metric=Metric.FNR, limit=0.5, validator="beta")]
    card = card_of(found, gates=gates)
    return report_of(card, found, {"alpha-f7": explanation()}, trend=trend(), baseline=baseline(), run_id="r2")


def hostile():
    """Every name, value and text of a user is an attack."""
    script, image, svg, unseen, template, style = HOSTILE
    names = (script, unseen)
    checks = (
        Check(id=image, columns=(script,), subject=Subject.VALUE),
        Check(id=style, columns=(), subject=Subject.SCHEMA),
    )
    finding = FindingRef(check=image, columns=(script,), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)
    found = []
    for at in range(10):
        what = {"columns": (script, unseen), "fault": f"null.{svg}", "family": template, "batch": f"{at}{unseen}{svg}"}
        for v in names:
            hit = {"findings": (finding,)} if at < 3 else {}
            found.append(fault(v, at, Outcome.TP if at < 3 else Outcome.FN, **(what | hit)))
            found.append(control(v, TrialKind.NATURAL, at, Outcome.FP if at == 2 else Outcome.TN, batch=f"{at}{style}"))
    found = [replace(t, findings=(replace(finding, why=None),)) if t.outcome is Outcome.FP else t for t in found]
    for v in names:
        found += canaries(v, Outcome.ACCEPTED)
    about = replace(
        ABOUT,
        name=script,
        versions={image: style},
        incidents=[{"batch": svg, "reason": unseen}],
        sample={"left_out": [script], "notes": [image]},
        stopped=style,
    )
    lead = f"{script}-f3"
    known = explanation(lead)
    sketch = replace(known.sketches[0], column=image, labels=(script, unseen), summary=style)
    known = replace(
        known,
        example=Example(columns=(script, image), before=((svg, unseen),), after=((svg, script),), note=style),
        sketches=(sketch,),
        near=(replace(known.near[0], check=image, validator=script, statistic=svg),),
        suggestion=Suggestion(text=script, code=f"{image}\n{unseen}"),
    )
    accepted = replace(baseline().entries[1].accepted, reason=image, owner=svg)
    entry = replace(baseline().entries[1], label=script, text=unseen, accepted=accepted)
    points = tuple(replace(p, run_id=script, validator=image, suite_digest=style) for p in trend())
    card = card_of(
        found, checks=checks, names=names, about=about, gates=[Gate(metric=Metric.FNR, limit=0.5, column=script)]
    )
    held = BaselineResult(file=image, entries=(entry,))
    every = {t.trial_id: known for t in found if t.outcome is Outcome.FN}
    return report_of(card, found, every, trend=points, baseline=held, run_id=style)


def large(columns=60, batches=8, checks=400):
    """About a thousand trials for two validators, more survivors, checks and explanations than a page has room for."""
    found, known = [], {}
    for c in range(columns):
        for at in range(batches):
            for v in ("alpha", "beta"):
                missed = at % 2 == 0 or v == "beta"
                trial = fault(
                    v,
                    f"{c}-{at}",
                    Outcome.FN if missed else Outcome.TP,
                    fault=f"fault.kind_{c}",
                    columns=(f"feature_{c}",),
                    weakness_id=f"{v}-w{c}-{at % 5 + 1}",
                    severity=at % 5 + 1,
                    after_digest=f"{c}-{at}",
                    batch=f"2026-01-{at + 1:02}",
                )
                found.append(trial)
                if missed:
                    known[trial.trial_id] = explanation(trial.trial_id)
    for at in range(30):
        found += [control(v, TrialKind.NATURAL, at, Outcome.TN) for v in ("alpha", "beta")]
    declared = tuple(
        Check(id=f"feature_{i}:in_range(0, {i})", columns=(f"feature_{i}",), subject=Subject.VALUE)
        for i in range(checks)
    )
    card = card_of([*found, *canaries("alpha"), *canaries("beta")], checks=(*CHECKS, *declared))
    return report_of(card, found, known, trend=long_trend(), baseline=many_new())


def ladder():
    """Fourteen batches: "alpha" sees nothing at severity 1 and everything at 2 and 3, "beta" never anything."""
    found = []
    for severity in (1, 2, 3):
        for at in range(14):
            dose = {"severity": severity, "rungs": 3, "fraction": severity / 10, "after_digest": f"{severity}-{at}"}
            for v in ("alpha", "beta"):
                outcome = Outcome.TP if v == "alpha" and severity > 1 else Outcome.FN
                found.append(fault(v, at, outcome, **dose, weakness_id=f"{v}{severity}", trial_id=f"{v}{severity}{at}"))
    return bare([*found, *canaries("alpha"), *canaries("beta")])
