"""Outcomes against a naive reading of SCORING.md section 2, on random verdicts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipechaos.ledger.records import Status
from pipechaos.score.outcome import judge
from pipechaos.score.records import Outcome, Truth, Why
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, decide

COLUMNS = ["a", "b", "c", "k"]
columns = st.lists(st.sampled_from(COLUMNS), max_size=2, unique=True).map(tuple)
rows = st.none() | st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(sorted)


@st.composite
def findings(draw):
    subject = draw(st.sampled_from(list(Subject)))
    given_rows = draw(rows)
    return Finding(
        check=draw(st.sampled_from(["p", "q", "<crash>"])),
        columns=draw(columns),
        kind=draw(st.sampled_from(list(FindingKind))),
        subject=subject,
        rows=None if given_rows is None else np.array(given_rows, np.int64),
    )


@st.composite
def verdicts(draw, calm=False):
    found = tuple(draw(st.lists(findings(), max_size=0 if calm else 3)))
    ran = 3 if calm else draw(st.sampled_from([3, 3, 3, 2]))
    late = not calm and draw(st.integers(0, 9)) == 0
    return Verdict(validator="v", status=decide(found, declared=3, ran=ran, timed_out=late), findings=found)


@st.composite
def truths(draw):
    changed = draw(st.dictionaries(st.sampled_from(COLUMNS), st.sets(st.integers(0, 5), max_size=3), max_size=2))
    names = st.frozensets(st.sampled_from(COLUMNS), max_size=1)
    dropped, retyped, new = draw(names), draw(names), draw(names)
    renamed = draw(st.sampled_from([(), (("a", "z"),), (("z", "b"),)]))
    added = sorted(draw(st.sets(st.integers(0, 5), max_size=2)))
    return Truth(
        changed={c: np.array(sorted(r), np.int64) for c, r in changed.items()},
        dropped=dropped,
        retyped=retyped,
        added_columns=new,
        renamed=renamed,
        added=np.array(added, np.int64),
        touches_rows=bool(added) or draw(st.booleans()),
        touches_schema=bool(dropped or retyped or new or renamed),
        touches_key="k" in changed,
    )


def naive_why(f, truth):
    cells = {(c, int(r)) for c, positions in truth.changed.items() for r in positions}
    cells |= {(c, int(r)) for c in [*COLUMNS, "z"] for r in truth.added}
    gone = set(truth.dropped) | set(truth.retyped) | {n for pair in truth.renamed for n in pair}
    ledger_columns = gone | set(truth.added_columns) | set(truth.changed)
    if f.subject in (Subject.DTYPE, Subject.SCHEMA) and not truth.touches_schema:
        return "side_effect"
    named = any(c in ledger_columns for c in f.columns)
    if f.subject is Subject.ROW_COUNT and truth.touches_rows:
        return "direct"
    if f.subject is Subject.UNIQUENESS:
        if truth.touches_rows or named:
            return "direct"
        if truth.touches_key and f.columns == ():
            return "direct"
    if f.subject is Subject.SCHEMA and (named or f.columns == ()):
        return "direct"
    if f.rows is None:
        if f.columns == ():
            return "unattributed"
        return "direct" if named or len(truth.added) else "elsewhere"
    if any(c in gone or c in truth.added_columns for c in f.columns):
        return "direct"
    for column, row in cells:
        if row in f.rows.tolist() and (f.columns == () or column in f.columns):
            return "direct"
    return "elsewhere"


def naive(status, base, verdict, truth, same):
    if status.value == "failed":
        return "error", "injection", False, None
    if base.status.value != "accepted":
        return "base_bad", None, False, None
    if status.value in ("no_effect", "not_applicable") or same:
        return "noop", None, False, None
    old = [(f.check, f.columns, f.kind.value) for f in base.findings]
    fresh = [f for f in verdict.findings if (f.check, f.columns, f.kind.value) not in old]
    fails = [f for f in fresh if f.kind.value == "fail"]
    broken = set(truth.dropped) | set(truth.retyped) | {n for pair in truth.renamed for n in pair}
    noticed = [f for f in fresh if f.kind.value == "error" and set(f.columns) & broken]
    reasons = [naive_why(f, truth) for f in fails + noticed]
    best = next((w for w in ("direct", "side_effect", "elsewhere", "unattributed") if w in reasons), None)
    if verdict.status.value == "rejected" and fails:
        return "tp", None, False, best
    if verdict.status.value == "errored" and noticed:
        return "tp", None, True, best
    if verdict.status.value == "timed_out":
        return "error", "timed_out", False, None
    if verdict.status.value == "errored":
        errors = [f for f in verdict.findings if f.kind.value == "error"]
        cause = "not_run" if not errors else "crash" if any(f.check[0] == "<" for f in errors) else "check"
        return "error", cause, False, None
    return "fn", None, False, None


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([Status.APPLIED] * 6 + list(Status)),
    verdicts(calm=True) | verdicts(),
    verdicts(),
    truths(),
    st.sampled_from([False] * 5 + [True]),
)
def test_judge_is_the_table(status, base, verdict, truth, same):
    found = judge(ledger_status=status, base=base, verdict=verdict, truth=truth, same_frame=same)
    cause = None if found.error_cause is None else found.error_cause.value
    why = None if found.why is None else found.why.value
    assert (found.outcome.value, cause, found.error_only, why) == naive(status, base, verdict, truth, same)
    if found.outcome is not Outcome.TP:
        assert found.why is None
    if found.why is Why.DIRECT:
        assert any(f.why is Why.DIRECT for f in found.new_findings)
