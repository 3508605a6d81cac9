"""The report of a run small enough to be worked out by hand, and of one whose every name is hostile."""

import dataclasses
import datetime as dt
import io
import math
import re

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import Dose, Explanation, NearMiss, Sketch, Suggestion
from pipechaos.campaign.replay import Replay
from pipechaos.report.content import build_content
from pipechaos.report.markdown import render_markdown
from pipechaos.report.numbers import over_batches, percent
from pipechaos.report.replay import render_replay
from pipechaos.report.survivors import wanted_examples
from pipechaos.report.terminal import render_terminal
from pipechaos.score.baseline import Accepted, Baseline, against
from pipechaos.score.gates import Gate, Metric
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Rate, Trial, TrialKind, Why
from pipechaos.score.scorecard import About, ValidatorInfo, build
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict, VerdictStatus

HIT = FindingRef(check="x:in_range", columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)
ASIDE = FindingRef(check="y:mean", columns=("y",), kind=FindingKind.FAIL, subject=Subject.AGGREGATE, why=Why.ELSEWHERE)
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
    versions={"pipechaos": "0.1.0"},
    sample={
        "weaknesses": 1,
        "distinct_bases": 10,
        "trials": 20,
        "full_cross": 200,
        "bases": 10,
        "bases_each": 10,
        "weight": 1.0,
        "left_out": ["rows.drop on the whole batch", "null.mcar on y"],
        "notes": [],
    },
    history={"batches": 4, "first": "a0", "last": "a3"},
    incidents=[{"batch": "d10", "reason": "the feed was down"}],
)


def fault(validator, at, outcome, finding=None, **more):
    values = {
        "trial_id": f"{validator}-f{at}",
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
        "weakness_id": f"{validator}-w",
        "injection_id": f"i{at}",
        "after_digest": f"a{at}",
        "findings": (finding,) if finding else (),
        "why": finding.why if finding else None,
        "dose": 0.2,
    }
    return Trial(**(values | more))


def control(validator, kind, at, outcome, **more):
    values = {"batch": f"d{at}", "block": at, "injection_id": f"{kind}{at}"}
    return Trial(trial_id=f"{validator}-{kind}{at}", kind=kind, validator=validator, outcome=outcome, **(values | more))


def trials():
    """Ten batches, each its own block. "alpha" misses 3 of 10, points at the fault in 5 and is lucky in 2.

    "beta" misses all ten. Neither rejects an untouched batch; alpha alarms on the one allowed change.
    """
    out = []
    for at in range(10):
        caught = HIT if at < 5 else ASIDE if at < 7 else None
        out.append(fault("alpha", at, Outcome.TP if caught else Outcome.FN, caught))
        out.append(fault("beta", at, Outcome.FN))
        out += [control(v, TrialKind.NATURAL, at, Outcome.TN) for v in ("alpha", "beta")]
    change = {"fault": "benign.reencode", "findings": (dataclasses.replace(HIT, check="x:dtype", why=None),)}
    out.append(control("alpha", TrialKind.BENIGN, 0, Outcome.ALARM, **change))
    out.append(control("beta", TrialKind.BENIGN, 0, Outcome.ACCEPTED, fault="benign.reencode"))
    for v in ("alpha", "beta"):
        for at, name in enumerate(("canary.all_null", "canary.all_text", "canary.no_columns")):
            out.append(control(v, TrialKind.CANARY, at, Outcome.ALARM, fault=name))
    return out


def card(found=None, about=ABOUT, checks=CHECKS, names=("alpha", "beta"), **more):
    info = [ValidatorInfo(name=n, spec=f"pandera:suite:{n}", suite_digest="ab" * 16, checks=checks) for n in names]
    return build(trials() if found is None else found, about=about, validators=info, **more)


def example(cells=("12.5", "125.0"), columns=("id", "x"), note="1 cell changed of 9 rows"):
    before, after = cells
    return Example(columns=columns, before=(("7", before),), after=(("7", after),), note=note)


def explained(shown=None, **more):
    return Explanation(trial_id="", example=shown, **more)


def terminal(content, width=100, **more):
    out = io.StringIO()
    render_terminal(content, Console(file=out, width=width, markup=False, emoji=False), **more)
    return out.getvalue()


def golden_content():
    known = explained(example())
    return build_content(card(), {"alpha-f7": known, "beta-f0": known}, experiment="tiny.yaml")


# by hand: Clopper-Pearson of 0, 3, 5 and 10 of 10 as binom.test gives them; 1 of 1 is 2.5 to 100, 0 of 1 is 0 to 97.5
GOLDEN = """\
tiny (tiny.yaml): 2 validators, 1 weakness tried on 10 batches, 48 trials
No validator is blind, paranoid or flaky; every injection worked.

              FNR           strict FNR    escape        error       FPR         benign alarm
────────────────────────────────────────────────────────────────────────────────────────────
alpha         30.0 %        50.0 %        30.0 %        0.0 %       0.0 %       100.0 %
              (6.7-65.2)    (18.7-81.3)   (6.7-65.2)    (0.0-30.8)  (0.0-30.8)  (2.5-100.0)
              3 of 10       5 of 10       3 of 10       0 of 10     0 of 10     1 of 1
              10 batches    10 batches    10 batches    10 batches  10 blocks   1 batch, few
beta          100.0 %       100.0 %       100.0 %       0.0 %       0.0 %       0.0 %
              (69.2-100.0)  (69.2-100.0)  (69.2-100.0)  (0.0-30.8)  (0.0-30.8)  (0.0-97.5)
              10 of 10      10 of 10      10 of 10      0 of 10     0 of 10     0 of 1
              10 batches    10 batches    10 batches    10 batches  10 blocks   1 batch, few
all together  30.0 %        50.0 %        30.0 %        0.0 %       0.0 %       100.0 %
              (6.7-65.2)    (18.7-81.3)   (6.7-65.2)    (0.0-30.8)  (0.0-30.8)  (2.5-100.0)
              3 of 10       5 of 10       3 of 10       0 of 10     0 of 10     1 of 1
              10 batches    10 batches    10 batches    10 batches  10 blocks   1 batch, few
Two-sided 95 % intervals, counts (of trials; for the FPR of untouched batches) and clusters. FNR
  to error are means over weaknesses: a fault on its columns at one dose. strict: caught only if a
  finding points at the fault.
few: fewer than 10 batches or blocks, so no gate decides on it.

Gates  none declared: no rate decides on the exit code

Missed by family  FNR, its 95 % interval, missed/judged; · nothing missed, █ everything
family   alpha                      beta                          all together
───────────────────────────────────────────────────────────────────────────────────────────
missing  ░  30.0 % (6.7-65.2) 3/10  █ 100.0 % (69.2-100.0) 10/10  ░  30.0 % (6.7-65.2) 3/10

Survivors  all 1, worst first

 1. null.mcar on x, severity 3 of 5 (fraction 0.2)
    alpha missed 3 of 10; beta missed 10 of 10; past every validator
    id  x
    ─────────────────
    7   12.5 -> 125.0
    1 cell changed of 9 rows
    alpha: 2 checks looked at it: x:in_range, x:dtype; 1 of the whole table
    beta: 2 checks looked at it: x:in_range, x:dtype; 1 of the whole table
    pipechaos replay beta-f0 --experiment tiny.yaml

Checks  what each earned in this run
  alpha: 2 of 4 checks never caught anything (1 of them never spoke at all); none caused a false
    alarm
    2 of the 2 that caught something guard trials of 1 of 1 weakness alone
    2 checks would detect the same trials of 1 weakness (no smaller set does): x:in_range, y:mean
    1 of 1 detected weakness is distinct: FNR over the distinct and the survivors 30.0 %
      (6.7-65.2), 3 of 10 trials, 10 batches, beside 30.0 % (6.7-65.2), 3 of 10 trials, 10 batches
      over all
    catch alone: x:in_range (1), y:mean (1)
    caught nothing: x:dtype, rows
  beta: 4 of 4 checks never caught anything (none of them spoke at all); none caused a false alarm
    caught nothing: x:dtype, x:in_range, y:mean, rows

Controls  untouched batches, allowed changes, canaries
  alpha: caught 3 of 3 canaries; accepted every untouched batch
    benign.reencode: alarm on 1 batch (d0): x:dtype
  beta: caught 3 of 3 canaries; accepted every untouched batch
  1 batch set apart before the run:
    d10: the feed was down

About this run
  20 of 200 trials of the full cross were tried: every weakness on 10 of 10 bases, each standing
    for 1.0
  2 fault-column pairs had no room and were left out: rows.drop on the whole batch, null.mcar on y
  History: 4 batches, a0 to a3
  alpha: pandera:suite:alpha, 4 checks, digest abababababababababababababababab
  beta: pandera:suite:beta, 4 checks, digest abababababababababababababababab
  Experiment 0123456789abcdef, seed 5
  pipechaos 0.1.0
  Intervals: two-sided 95 %, at least 0.2 correlation assumed within a batch, blocks of 7 batches
    for the FPR
  The same experiment, seed and versions give the same scorecard to the byte

What this does not say
  Given this catalogue of faults, not the risk in production: faults are chosen, not sampled, so a
    low rate does not say that data is safe, and a survivor matters only if the fault can happen to
    you.

In short
  alpha missed 3 of 10 corrupted copies, rejected 0 of 10 untouched batches
  beta missed 10 of 10 corrupted copies, rejected 0 of 10 untouched batches
  all together missed 3 of 10 corrupted copies, rejected 0 of 10 untouched batches
  alpha alone caught everything that was caught
"""


def test_golden_report_in_a_terminal():
    assert terminal(golden_content()) == GOLDEN


def test_colour_adds_nothing_but_colour():
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system="standard", markup=False, emoji=False)
    render_terminal(golden_content(), console)
    assert "\x1b[" in out.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()) == GOLDEN


def test_golden_numbers_in_markdown():
    text = render_markdown(golden_content())
    assert (
        "| **alpha** | 30.0 % (6.7-65.2)<br>3 of 10 trials, 10 batches | 50.0 % (18.7-81.3)<br>5 of 10 trials, " in text
    )
    assert (
        "| 0.0 % (0.0-30.8)<br>0 of 10 batches, 10 blocks | 100.0 % (2.5-100.0)<br>1 of 1 trial, 1 batch (few) |"
        in text
    )
    assert "| 1 | `null.mcar` | `x` | severity 3 of 5 (fraction 0.2) |" in text
    assert "**12.5 -> 125.0**" in text
    assert "`pipechaos replay beta-f0 --experiment tiny.yaml`" in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_console(width):
    assert max(map(len, terminal(golden_content(), width).splitlines())) <= width


def test_every_rate_stands_with_its_counts():
    for row in golden_content().validators:
        for rate in (row.fnr, row.strict_fnr, row.escape, row.error, row.fpr, row.benign):
            assert re.fullmatch(r"\d+ of \d+ (trials?|batch(es)?)", rate.hits)
            assert re.fullmatch(r"\d+ (batch(es)?|blocks?)", rate.clusters)
    text = render_markdown(golden_content())
    cells = [c for line in text.splitlines() if line.startswith("| ") for c in line.split(" | ") if "<br>" in c]
    assert len(cells) == 3 * 6 + 3  # rates of three rows, and one family
    assert all(re.search(r"%.*<br>\d+ of \d+", c) for c in cells)


def test_undefined_rates_are_not_applicable_and_say_why():
    only_controls = [t for t in trials() if t.kind is not TrialKind.FAULT]
    content = build_content(card(only_controls))
    assert content.validators[0].fnr.text == "n/a (no trials)"
    shown = terminal(content)
    assert "n/a" in shown
    assert "(no trials)" in shown
    assert "nan" not in shown.lower()
    assert "n/a (no trials)<br>0 of 0 trials" in render_markdown(content)


def test_one_cluster_has_an_estimate_without_an_interval():
    rate = over_batches(Rate(estimate=0.5, hits=1, trials=2, clusters=1, reason="fewer than 2 clusters"))
    assert rate.line == "50.0 % (fewer than 2 clusters), 1 of 2 trials, 1 batch (few)"


def test_what_is_not_quite_nothing_is_not_printed_as_nothing():
    assert percent(0.0004) == "<0.1 %"
    assert percent(0.0) == "0.0 %"
    assert percent(0.99999) == ">99.9 %"
    assert percent(1.0) == "100.0 %"
    assert percent(math.nan) == "n/a"


def test_blind_paranoid_flaky_and_failed_come_before_any_rate():
    found = []
    for t in trials():
        if t.validator == "beta" and t.kind is TrialKind.CANARY:
            t = dataclasses.replace(t, outcome=Outcome.ACCEPTED)
        if t.validator == "alpha" and t.kind is TrialKind.NATURAL:
            t = dataclasses.replace(t, outcome=Outcome.FP, findings=(HIT,), flaky=t.batch == "d9")
        if t.trial_id == "alpha-f0":
            t = dataclasses.replace(t, outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION)
        found.append(t)
    content = build_content(card(found, about=dataclasses.replace(ABOUT, stopped="the budget was reached")))
    for shown in (terminal(content), render_markdown(content)):
        at = shown.index("strict FNR")
        for word in ("BLIND: beta", "PARANOID: alpha", "FLAKY: alpha", "FAILED: 1 injection", "CUT SHORT: the budget"):
            assert 0 <= shown.find(word) < at, word
        assert "10 alarms on untouched batches" in shown
    assert "x:in_range" in "".join(content.controls[0].natural)
    assert content.checks[0].alarms == (("x:in_range", "9 of 9"),)
    assert content.checks[0].summary.endswith("one causes every false alarm (9 of 9)")


def test_gates_say_what_they_decided():
    gates = (Gate(metric=Metric.FNR, limit=0.5, validator="beta"), Gate(metric=Metric.FPR, limit=0.3, validator="beta"))
    shown = terminal(build_content(card(gates=gates)))
    assert "FAIL FNR of beta: at least 74.11%, allowed 50.00% (10 of 10 trials, 10 batches)" in shown
    assert "PASS FPR of beta: at most 25.89%, allowed 30.00% (0 of 10 batches, 10 blocks)" in shown


ENTRY = Accepted(
    weakness_id="alpha-w",
    validator="alpha",
    fault="null.mcar",
    reason="known",
    owner="Ops",
    expires=dt.date(2026, 1, 1),
    missed=1,
    tried=1,
)


def held(lines, today):
    found = trials()
    result = against(Baseline(file="b.json", accepted=lines), found, validators=("alpha", "beta"), today=today)
    gate = Gate(metric=Metric.FPR, limit=0.3, validator="beta", max_error=0)
    return build_content(card(found, gates=(gate,), baseline=result))


def test_the_baseline_comes_first_among_gates():
    content = held((ENTRY,), dt.date(2026, 1, 2))
    shown = " ".join(terminal(content).split())
    summed = "FAIL survivors against the baseline b.json: 1 new, 0 accepted, 1 expired, 0 stale, 0 untried"
    new = "FAIL new beta-w beta: null.mcar on x, severity 3 of 5 (missed 10 of 10 trials): survives, and nobody"
    old = "FAIL expired alpha-w alpha: null.mcar on x, severity 3 of 5 (missed 3 of 10 trials): expired on 2026-01-01"
    places = [shown.index(text) for text in (summed, new, old, "PASS FPR of beta")]
    assert places == sorted(places)
    text = render_markdown(content)
    assert "- **FAIL** survivors against the baseline b.json" in text
    both = held((ENTRY, dataclasses.replace(ENTRY, weakness_id="beta-w", validator="beta")), dt.date(2026, 1, 1))
    assert "PASS survivors against the baseline b.json: 0 new, 2 accepted" in terminal(both)
    assert [g.verdict.value for g in both.gates] == ["pass", "pass"]


def test_a_baseline_that_cannot_pass_says_why():
    both = (ENTRY, dataclasses.replace(ENTRY, weakness_id="beta-w", validator="beta"))
    lines = Baseline(file="b.json", accepted=both)
    known = {"validators": ("alpha", "beta"), "today": dt.date(2026, 1, 1)}
    content = build_content(card(baseline=against(lines, trials(), **known, stopped="the budget was reached")))
    shown = " ".join(terminal(content).split())
    assert "INCONCLUSIVE survivors against the baseline b.json: 0 new, 2 accepted, 0 expired" in shown
    assert "0 untried; the budget was reached" in shown
    assert "- **INCONCLUSIVE** survivors against" in render_markdown(content)


def test_where_nothing_survives_it_is_said_whether_anything_was_judged():
    def said(found, **about):
        content = build_content(card(found, about=dataclasses.replace(ABOUT, **about)))
        shown, text = terminal(content), render_markdown(content)
        return next(x for x in shown.splitlines() if x.startswith("Survivors")), text.partition("### Survivors\n\n")[2]

    caught = [fault(v, at, Outcome.TP, HIT) for v in ("alpha", "beta") for at in range(3)]
    shown, text = said(caught)
    assert shown == "Survivors  none: every weakness that counts was caught every time"
    assert text.startswith("None: every weakness that counts was caught every time.")
    errors = [dataclasses.replace(t, outcome=Outcome.ERROR, error_cause=ErrorCause.CRASH, findings=()) for t in caught]
    for found in (errors, []):
        shown, text = said(found)
        assert shown.startswith("Survivors  nothing was judged: ")
        assert text.startswith("Nothing was judged: ")
        assert "caught every time" not in text
    _, text = said([t for t in caught if t.validator == "alpha"])
    assert text.startswith("None in what was judged, but beta judged nothing.")
    _, text = said(caught, stopped="the budget was reached")
    assert text.startswith("None: every weakness that counts was caught every time before the run was cut short.")


def test_the_title_names_what_was_tried_and_not_what_was_planned():
    plan = {**ABOUT.sample, "weaknesses": 286, "distinct_bases": 144}
    about = dataclasses.replace(ABOUT, sample=plan, stopped="the budget of 5 minutes was reached")
    content = build_content(card(about=about))
    assert content.title == "tiny: 2 validators, 1 of 286 weaknesses tried on 10 batches, 48 trials"
    assert content.first[0].text.startswith("CUT SHORT: the budget of 5 minutes was reached")
    assert content.sample[0].startswith("20 of 200 trials of the full cross were planned")
    assert build_content(card([], about=about)).title == (
        "tiny: 2 validators, 0 of 286 weaknesses tried on 0 batches, 0 trials"
    )


def test_no_untouched_batch_is_no_accepted_one():
    content = build_content(card([t for t in trials() if t.kind is not TrialKind.NATURAL]))
    for shown in (terminal(content), render_markdown(content)):
        assert "no untouched batch was tried" in shown
        assert "accepted every untouched batch" not in shown


def test_what_an_error_alone_caught_is_no_check_s_worth():
    error = {"error_only": True, "findings": ()}
    content = build_content(card([fault("alpha", at, Outcome.TP, **error) for at in range(3)]))
    assert content.checks[0].worth == ()


def test_many_new_survivors_are_counted():
    found = [dataclasses.replace(t, weakness_id=f"{t.weakness_id}{t.batch}") for t in trials()]
    result = against(Baseline(file="b.json"), found, validators=("alpha", "beta"), today=dt.date(2026, 1, 1))
    shown = terminal(build_content(card(found, baseline=result)))
    assert shown.count("FAIL new ") == 8  # of 3 and 10
    assert "FAIL and 5 more" in shown


def test_a_ledger_is_one_look_with_what_checks_are_worth():
    ruin = {"fraction": 1.0, "severity": 5, "eligible": 10, "changed": 10}
    found = [dataclasses.replace(t, **ruin) if t.kind is TrialKind.FAULT else t for t in trials()]
    rows = dataclasses.replace(HIT, check="rows", columns=())
    easy = {"weakness_id": "alpha-e", "findings": (HIT, rows)}
    also = [fault("alpha", at, Outcome.TP, HIT, after_digest=f"e{at}", **easy) for at in range(2)]
    content = build_content(card([*found, *also]))
    alpha, beta = content.checks
    assert [w.text for w in alpha.worth[:3]] == [
        "2 of the 3 that caught something guard trials of 1 of 2 weaknesses alone",
        "1 of 3 redundant, nothing is lost where any one of them goes",
        "2 checks would detect the same trials of 2 weaknesses (no smaller set does)",
    ]
    assert [w.names for w in alpha.worth[:3]] == [(), ("rows",), ("x:in_range", "y:mean")]
    # what keeps the detected trials of the survivor, missed in 3 of 10, keeps both of the easy one
    assert alpha.worth[3].text.startswith("1 of 2 detected weaknesses is distinct, the others lose nothing where those")
    assert "survivors 30.0 % (" in alpha.worth[3].text
    assert "3 of 10 trials" in alpha.worth[3].text
    assert "beside 15.0 % (" in alpha.worth[3].text
    assert alpha.worth[4].text == "no column is pseudo-tested: of 1 ruined whole, each was caught at least once"
    (pseudo,) = beta.worth
    assert (pseudo.text, pseudo.names) == (
        "1 of 1 column ruined whole went unnoticed every time (pseudo-tested)",
        ("x",),
    )
    shown, text = " ".join(terminal(content).split()), render_markdown(content)
    assert "beta: 4 of 4 checks never caught anything" in shown
    assert "1 of 1 column ruined whole went unnoticed every time (pseudo-tested): x" in shown
    assert "- 1 of 3 redundant, nothing is lost where any one of them goes: `rows`" in text


def test_missed_on_an_ordinary_day_stands_apart():
    found = [dataclasses.replace(t, subnatural=t.kind is TrialKind.FAULT) for t in trials()]
    shown = terminal(build_content(card(found)))
    apart = shown.index("Like an ordinary day")
    assert shown.index("Survivors  nothing was judged") < apart
    assert "null.mcar on x, severity 3 of 5 (fraction 0.2): alpha missed 3 of 10" in shown[apart:]


def test_rungs_of_one_ladder_are_one_entry_and_the_worst_leads():
    strong = {"severity": 5, "fraction": 0.9, "weakness_id": "alpha-s"}
    found = trials() + [
        fault("alpha", at, Outcome.FN, trial_id=f"s{at}", injection_id=f"s{at}", after_digest=f"s{at}", **strong)
        for at in range(10)
    ]
    scored = card(found)
    content = build_content(scored)
    assert [e.dose for e in content.survivors] == ["severity 3 of 5 (fraction 0.2)"]  # past both, so it leads
    assert content.survivors[0].other_doses == ("severity 5 (fraction 0.9): alpha 10 of 10",)
    assert wanted_examples(scored, 5) == ("beta-f0",)
    assert build_content(card([t for t in found if t.validator == "alpha"], names=("alpha",))).survivors[0].dose == (
        "severity 5 of 5 (fraction 0.9)"
    )


def test_validators_that_missed_alike_are_named_together():
    found = [
        dataclasses.replace(t, outcome=Outcome.FN, findings=(), why=None) if t.fault == "null.mcar" else t
        for t in trials()
    ]
    assert build_content(card(found)).survivors[0].missed == ("alpha and beta each missed 10 of 10",)


def test_what_another_validator_caught_stands_beside_the_miss():
    found = [t for t in trials() if t.trial_id not in ("alpha-f7", "alpha-f8", "alpha-f9")]
    assert build_content(card(found)).survivors[0].caught == ("alpha caught 7 of 7",)


def test_only_the_worst_are_shown_and_the_rest_is_counted():
    found = trials() + [
        fault("beta", at, Outcome.FN, trial_id=f"z{c}", columns=(c,), weakness_id=c, injection_id=c, after_digest=c)
        for at, c in enumerate("abcdef")
    ]
    shown = terminal(build_content(card(found)), most=2)
    assert "Survivors  the worst 2 of 7" in shown
    assert shown.count("pipechaos replay") == 2


def test_a_column_that_no_check_looks_at_is_said_so():
    shown = terminal(build_content(card(checks=CHECKS[3:])))
    assert "alpha: no check looked at it; 1 of the whole table" in shown


def test_wide_characters_are_counted_as_they_are_shown():
    wide = example(("\u6570" * 30, "\u636e" * 30), ("\u5217" * 30, "x"))
    shown = terminal(build_content(card(), {"beta-f0": explained(wide)}))
    assert max(map(cell_len, shown.splitlines())) <= 100


def test_rows_that_went_and_came_are_marked_in_words():
    gone = Example(columns=("id",), before=(("1",), None), after=(None, ("2",)), note="rows changed")
    shown = terminal(build_content(card(), {"beta-f0": explained(gone)}))
    assert re.search(r"removed +1\n", shown)
    assert re.search(r"added +2\n", shown)


SKETCH = Sketch(
    column="x",
    labels=("0 to 1", "1 to 2"),
    before=(0.25, 0.5),
    after=(0.0, 0.5),
    null_before=0.25,
    null_after=0.5,
    summary="9 rows, nulls 25.0 % -> 50.0 %",
)
NEAR = NearMiss(
    validator="beta",
    check="x:in_range(0, 200)",
    column="x",
    statistic="maximum",
    limit=200.0,
    observed=125.0,
    untouched=100.0,
    used=0.25,
)
REASONS = {
    "sketches": (SKETCH,),
    "near": (NEAR, dataclasses.replace(NEAR, check="x:idle", used=0.0)),
    "suggestion": Suggestion(text="a budget of nulls in x", code="pa.Check(1)"),
}


def test_reasons_stand_with_a_survivor_and_the_suggestion_is_marked():
    content = build_content(card(), {"beta-f0": explained(example(), **REASONS)})
    shown = terminal(content)
    assert "    x: ▄█ -> ·█, 9 rows, nulls 25.0 % -> 50.0 %\n" in shown
    said = "nearest to failing: beta x:in_range(0, 200) used 25 % of its room (maximum 100 -> 125, limit 200)"
    assert said in " ".join(shown.split())
    assert "    Suggestion: a budget of nulls in x\n      pa.Check(1)\n" in shown
    text = render_markdown(content)
    assert "**Suggestion:** a budget of nulls in x\n\n`pa.Check(1)`" in text
    assert "- x: ▄█ -\\> ·█" in text or "- x: ▄█ -> ·█" in text


def test_limits_that_nothing_came_near_to_are_counted():
    idle = explained(near=(dataclasses.replace(NEAR, used=0.0), dataclasses.replace(NEAR, used=math.nan)))
    assert "none of 2 declared limits came any nearer to failing" in terminal(build_content(card(), {"beta-f0": idle}))
    nothing = terminal(build_content(card(), {"beta-f0": explained()}))
    assert "limit" not in nothing.partition("Checks")[0]
    assert "Suggestion" not in nothing


HOSTILE = "x|`<script>\x1b[31m\n[link](http://e.example)\u202e</details>**b**"


def hostile_content():
    found = [
        dataclasses.replace(
            t,
            columns=(HOSTILE,) if t.columns else (),
            batch=t.batch + HOSTILE,
            findings=tuple(dataclasses.replace(f, check=HOSTILE) for f in t.findings),
        )
        for t in trials()
    ]
    about = dataclasses.replace(
        ABOUT,
        name=HOSTILE,
        incidents=[{"batch": HOSTILE, "reason": HOSTILE}],
        sample=dict(ABOUT.sample) | {"left_out": [HOSTILE], "notes": [HOSTILE]},
        versions={HOSTILE: HOSTILE},
    )
    checks = (Check(id=HOSTILE, columns=(HOSTILE,), subject=Subject.VALUE),)
    shown = example((HOSTILE, HOSTILE + "2"), ("id", HOSTILE), HOSTILE)
    late = dataclasses.replace(ENTRY, owner=HOSTILE, reason=HOSTILE)
    known = Baseline(file=HOSTILE, accepted=(late,))
    held_against = against(known, found, validators=("alpha", "beta"), today=dt.date(2026, 1, 2))
    scored = card(found, about=about, checks=checks, baseline=held_against)
    return build_content(scored, {"beta-f0": hostile_explanation(shown)}, experiment=HOSTILE, replay=HOSTILE)


def hostile_explanation(shown):
    words = {"column": HOSTILE, "labels": (HOSTILE, HOSTILE), "summary": HOSTILE}
    return explained(
        shown,
        sketches=(dataclasses.replace(SKETCH, **words),),
        near=(dataclasses.replace(NEAR, validator=HOSTILE, check=HOSTILE, column=HOSTILE),),
        doses=(Dose(severity=3, columns=(HOSTILE, "b"), missed=True),),
        suggestion=Suggestion(text=HOSTILE, code=HOSTILE),
    )


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_hostile_names_do_nothing_in_a_terminal(width):
    shown = terminal(hostile_content(), width)
    assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in shown)
    assert "\\x1b[31m\\n" in shown.replace("\n", "")
    assert max(map(len, shown.splitlines())) <= width


def test_hostile_names_do_nothing_in_markdown():
    text = render_markdown(hostile_content())
    assert "\x1b" not in text
    assert "\u202e" not in text
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    every = tokens + [c for t in tokens for c in t.children or ()]
    assert not [t for t in every if t.type in ("link_open", "image")]
    allowed = re.compile(r"(</?code>|<br>|<!-- -->|</?details>|<summary>[^<>]*(<!-- -->)?[^<>]*</summary>|\s)*")
    assert all(allowed.fullmatch(t.content) for t in every if t.type in ("html_inline", "html_block"))
    assert text.count("<details>") == text.count("\n</details>")
    widths = {}
    for line in (line for line in text.splitlines() if line.startswith("|")):
        widths.setdefault(len(re.findall(r"(?<!\\)\|", line)), []).append(line)
    assert set(widths) == {8, 5, 7, 3}  # rates, families, survivors, rows before and after or checks: no cell more


def test_a_report_over_the_limit_is_cut_at_whole_sections_and_says_so():
    found = trials() + [
        fault("beta", at % 10, Outcome.FN, trial_id=n, columns=(n,), weakness_id=n, injection_id=n, after_digest=n)
        for at, n in enumerate(f"column_{i:03}" for i in range(200))
    ]
    content = build_content(card(found))
    whole = render_markdown(content, most=200)
    cut = render_markdown(content, most=200, limit=40_000)
    assert len(whole.encode()) > 40_000 >= len(cut.encode())
    assert "_Cut to stay under 40,000 bytes: survivor " in cut
    assert "_Cut" not in whole
    assert "not the risk in production" in cut
    assert cut.count("<details>") == cut.count("</details>")
    blocks = set(whole.split("\n\n"))
    assert all(b in blocks for b in cut.strip().split("\n\n")[:-1])


def replayed(**more):
    found = {
        "trial": fault("alpha", 0, Outcome.FN),
        "explanation": explained(example()),
        "ledger": None,  # not shown
        "verdict": Verdict(
            validator="alpha",
            status=VerdictStatus.REJECTED,
            findings=(
                Finding(
                    check="x:in_range",
                    columns=("x",),
                    kind=FindingKind.FAIL,
                    subject=Subject.VALUE,
                    rows=np.array([2, 5]),
                    message="two values outside",
                ),
            ),
            checks_declared=4,
            checks_ran=4,
        ),
        "looked": CHECKS[:2],
        "same_batch": True,
        "same_suite": False,
    }
    return Replay(**(found | more))


REPLAYED = """\
null.mcar on x, severity 3 of 5 (fraction 0.2)
batch d0, validator alpha, in the run: missed
NOT the same suite as in the run: its files have changed

  id  x
  ─────────────────
  7   12.5 -> 125.0
  1 cell changed of 9 rows

Verdict now  rejected, 4 of 4 checks ran
  x:in_range (fail, 2 rows): two values outside

Checks that looked
  x:dtype
  x:in_range
"""


def test_golden_replay():
    out = io.StringIO()
    render_replay(replayed(), Console(file=out, width=100))
    assert out.getvalue() == REPLAYED


def test_a_hostile_replay_does_nothing():
    out = io.StringIO()
    trial = fault("alpha", 0, Outcome.FN, columns=(HOSTILE,), batch=HOSTILE)
    shown = example((HOSTILE, "2"), ("id", HOSTILE), HOSTILE)
    checks = (Check(id=HOSTILE, columns=(HOSTILE,), subject=Subject.VALUE),)
    found = replayed(trial=trial, explanation=hostile_explanation(shown), looked=checks)
    render_replay(found, Console(file=out, width=80))
    assert not any((ord(c) < 32 and c != "\n") or c == "\u202e" for c in out.getvalue())
    assert max(map(len, out.getvalue().splitlines())) <= 80


REASONED = """
How near they were
  beta x:in_range(0, 200) used 25 % of its room (maximum 100 -> 125, limit 200)

Doses  5 tried
  survives at severity 3 and at 1 of 5; caught at 2, 4
  smallest set of columns that still survives: y (1 set tried)

Suggestion: a budget of nulls in x
  pa.Check(1)
"""


def test_golden_reasons_of_a_replay():
    doses = [Dose(severity=s, columns=("x",), missed=s in (1, 3)) for s in (1, 2, 3, 4)]
    doses.append(Dose(severity=3, columns=("y",), missed=True))
    out = io.StringIO()
    render_replay(replayed(explanation=explained(doses=tuple(doses), **REASONS)), Console(file=out, width=100))
    assert out.getvalue().endswith(REASONED)
    assert "  x: ▄█ -> ·█, 9 rows" in out.getvalue()
