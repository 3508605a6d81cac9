"""Rates against a naive reading of SCORING.md section 4, on random trials."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipechaos.score.rates import Slice, blocks, breakdown, control_rates, fault_rates
from pipechaos.score.records import ErrorCause, Outcome, Review, Trial, TrialKind, Why
from pipechaos.score.survivors import subnatural_survivors, survivors


@st.composite
def faulty(draw, at):
    outcome = draw(st.sampled_from([Outcome.TP, Outcome.FN] * 4 + [Outcome.ERROR, Outcome.NOOP, Outcome.BASE_BAD]))
    cause = draw(st.sampled_from([ErrorCause.INJECTION, ErrorCause.CRASH])) if outcome is Outcome.ERROR else None
    weakness = draw(st.integers(0, 4))
    return Trial(
        trial_id=f"t{at:03}",
        kind=TrialKind.FAULT,
        validator="v",
        batch=f"day{draw(st.integers(0, 14)):02}",
        fault=f"f{weakness % 3}",
        columns=[(), ("a",), ("a", "b")][weakness % 3],
        severity=weakness,
        weakness_id=f"w{weakness}",
        repeat=draw(st.integers(0, 1)),
        after_digest=draw(st.sampled_from(["", f"d{at}", f"d{at}", "shared1", "shared2"])),
        outcome=outcome,
        error_cause=cause,
        why=draw(st.sampled_from(list(Why))) if outcome is Outcome.TP else None,
        subnatural=draw(st.integers(0, 9)) == 0,
        flaky=draw(st.integers(0, 14)) == 0,
    )


@st.composite
def campaigns(draw):
    return [draw(faulty(i)) for i in range(draw(st.integers(0, 40)))]


def naive_interval(rows, level):
    """Rows of (y, weight, cluster); straight from the formulas, by other library calls."""
    n, c = len(rows), len({r[2] for r in rows})
    if c < 2:
        return math.nan, math.nan
    p = float(sum(r[0] * r[1] for r in rows) / sum(r[1] for r in rows))
    worth = worth_most = n / (1 + 0.2 * (n / c - 1))
    var = 0.0
    for cluster in {r[2] for r in rows}:
        var += float(sum(r[1] * (r[0] - Fraction(p)) for r in rows if r[2] == cluster)) ** 2
    var *= c / (c - 1) / float(sum(r[1] for r in rows)) ** 2
    if 0 < p < 1 and var > 1e-30:
        at = 1 - (1 - level) / 2
        worth = min(worth_most, p * (1 - p) / var * (stats.t.ppf(at, n - 1) / stats.t.ppf(at, c - 1)) ** 2)
    return naive_beta(worth * p, worth, level)


def naive_beta(x, n, level):
    tail = (1 - level) / 2
    low = 0.0 if x <= 0 else stats.beta.ppf(tail, x, n - x + 1)
    high = 1.0 if x >= n else stats.beta.ppf(1 - tail, x + 1, n - x)
    return low, high


def same(rate, hits, rows, plain=False):
    assert (rate.hits, rate.trials, rate.clusters) == (hits, len(rows), len({r[2] for r in rows}))
    assert rate.few_batches == (rate.clusters < 10)
    if not rows:
        assert math.isnan(rate.estimate)
        assert rate.reason == "no trials"
        return
    estimate = sum(r[0] * r[1] for r in rows) / sum(r[1] for r in rows)
    assert rate.estimate == pytest.approx(float(estimate), abs=1e-12)
    for ends, level in (((rate.low, rate.high), 0.95), ((rate.lower, rate.upper), 0.90)):
        wanted = naive_beta(hits, len(rows), level) if plain else naive_interval(rows, level)
        assert ends == pytest.approx(wanted, abs=1e-7, nan_ok=True)
    assert (rate.reason is None) == (not math.isnan(rate.low))


def naive_kept(trials):
    kept, digests = [], set()
    for t in sorted(trials, key=lambda t: (t.weakness_id, t.batch, t.repeat, t.trial_id)):
        if t.flaky or t.subnatural or t.error_cause is ErrorCause.INJECTION:
            continue
        if t.outcome.value not in ("tp", "fn", "error"):
            continue
        if t.after_digest != "":
            if (t.weakness_id, t.after_digest) in digests:
                continue
            digests.add((t.weakness_id, t.after_digest))
        kept.append(t)
    return kept


def check_faults(found, trials):
    kept = naive_kept(trials)
    judged = [t for t in kept if t.outcome is not Outcome.ERROR]

    def rows(of, hit):
        weight = {w: Fraction(1, sum(t.weakness_id == w for t in of)) for w in {t.weakness_id for t in of}}
        return [(int(hit(t)), weight[t.weakness_id], t.batch) for t in of]

    for rate, of, hit in (
        (found.fnr, judged, lambda t: t.outcome is Outcome.FN),
        (found.strict_fnr, judged, lambda t: not (t.outcome is Outcome.TP and t.why is Why.DIRECT)),
        (found.escape, kept, lambda t: t.outcome is Outcome.FN),
        (found.error, kept, lambda t: t.outcome is Outcome.ERROR),
    ):
        plain = len({t.weakness_id for t in of}) == 1 and len({t.batch for t in of}) == len(of)
        same(rate, sum(map(hit, of)), rows(of, hit), plain)
    c = found.counts
    bins = (c.detected, c.missed, c.errors, c.noop, c.base_bad, c.subnatural, c.flaky, c.duplicates, c.injection_errors)
    assert sum(bins) == len(trials)
    assert c.effective == len(kept)
    assert c.injection_errors == sum(t.error_cause is ErrorCause.INJECTION for t in trials)
    assert c.direct == sum(t.why is Why.DIRECT for t in kept)


@settings(max_examples=60, deadline=None)
@given(campaigns(), st.randoms(use_true_random=False))
def test_fault_rates_are_the_formulas_in_any_order(trials, shuffle):
    check_faults(fault_rates(trials), trials)
    other = trials[:]
    shuffle.shuffle(other)
    assert repr(fault_rates(other)) == repr(fault_rates(trials))


@settings(max_examples=60, deadline=None)
@given(campaigns())
def test_slices_are_rates_of_their_own(trials):
    by_column = breakdown(trials, Slice.COLUMN)
    for name, found in by_column.items():
        check_faults(found, [t for t in trials if name in (t.columns or ("(whole batch)",))])
    assert set(by_column) == {c for t in trials for c in t.columns or ("(whole batch)",)}
    for key, found in breakdown(trials, Slice.SEVERITY).items():
        check_faults(found, [t for t in trials if str(t.severity) == key])


@settings(max_examples=60, deadline=None)
@given(campaigns())
def test_survivors_are_weaknesses_with_a_miss_that_counts(trials):
    kept = naive_kept(trials)
    found = survivors(trials)
    assert {s.weakness_id for s in found} == {t.weakness_id for t in kept if t.outcome is Outcome.FN}
    assert [s.share for s in found] == sorted((s.share for s in found), reverse=True)
    for s in found:
        mine = [t for t in kept if t.weakness_id == s.weakness_id]
        assert s.missed == sum(t.outcome is Outcome.FN for t in mine) == len(s.missed_trials)
        assert s.detected == sum(t.outcome is Outcome.TP for t in mine)
        assert s.errors == sum(t.outcome is Outcome.ERROR for t in mine)
    ordinary = [t for t in trials if t.subnatural and not t.flaky and t.outcome is Outcome.FN]
    assert {s.weakness_id for s in subnatural_survivors(trials)} == {t.weakness_id for t in ordinary}


@st.composite
def controls(draw):
    out = []
    for i in range(draw(st.integers(0, 30))):
        outcome = draw(st.sampled_from([Outcome.TN] * 4 + [Outcome.FP, Outcome.FP, Outcome.ERROR]))
        review = draw(st.sampled_from(list(Review))) if outcome is Outcome.FP else Review.UNREVIEWED
        out.append(
            Trial(
                trial_id=f"n{i}",
                kind=TrialKind.NATURAL,
                validator="v",
                batch=f"day{i:02}",
                block=i // 3,
                source_digest=f"s{i}",
                outcome=outcome,
                review=review,
                flaky=draw(st.integers(0, 14)) == 0,
            )
        )
    for i in range(draw(st.integers(0, 20))):
        benign = draw(st.sampled_from([Outcome.ACCEPTED] * 3 + [Outcome.ALARM, Outcome.ERROR, Outcome.BASE_BAD]))
        fault = draw(st.sampled_from(["row_order", "encoding"]))
        out.append(
            Trial(
                trial_id=f"b{i}",
                kind=TrialKind.BENIGN,
                validator="v",
                batch=f"day{i % 12:02}",
                fault=fault,
                outcome=benign,
            )
        )
    return out


@settings(max_examples=60, deadline=None)
@given(controls())
def test_control_rates_are_the_formulas(trials):
    found = control_rates(trials)
    steady = [t for t in trials if t.kind is TrialKind.NATURAL and not t.flaky and t.review is not Review.TRUE]
    judged = [t for t in steady if t.outcome is not Outcome.ERROR]
    settled = [t for t in judged if not (t.outcome is Outcome.FP and t.review is Review.UNREVIEWED)]
    for rate, of, hit in (
        (found.fpr, judged, Outcome.FP),
        (found.fpr_reviewed, settled, Outcome.FP),
        (found.error, steady, Outcome.ERROR),
    ):
        rows = [(int(t.outcome is hit), Fraction(1), t.block) for t in of]
        same(rate, sum(r[0] for r in rows), rows)
    if not math.isnan(found.fpr_reviewed.estimate):
        assert found.fpr_reviewed.estimate <= found.fpr.estimate
    tried = [t for t in trials if t.kind is TrialKind.BENIGN and t.outcome is not Outcome.BASE_BAD]
    answered = [t for t in tried if t.outcome is not Outcome.ERROR]
    weight = {f: Fraction(1, max(1, sum(t.fault == f for t in answered))) for f in ("row_order", "encoding")}
    rows = [(int(t.outcome is Outcome.ALARM), weight[t.fault], t.batch) for t in answered]
    plain = len({t.fault for t in answered}) == 1 and len({t.batch for t in answered}) == len(answered)
    same(found.benign, sum(r[0] for r in rows), rows, plain)
    assert found.benign_error.hits == sum(t.outcome is Outcome.ERROR for t in tried)
    assert found.benign_error.trials == len(tried)


def test_the_same_batch_twice_counts_once():
    def day(name, digest):
        return Trial(
            trial_id=name, kind=TrialKind.NATURAL, validator="v", batch=name, source_digest=digest, outcome=Outcome.TN
        )

    assert control_rates([day("a", "s"), day("a", "s"), day("b", "s"), day("c", "t")]).fpr.trials == 2


def test_a_suite_that_crashes_does_not_look_good():
    def one(i, outcome, cause=None):
        return Trial(
            trial_id=f"t{i}",
            kind=TrialKind.FAULT,
            validator="v",
            batch=f"d{i}",
            weakness_id="w",
            outcome=outcome,
            error_cause=cause,
        )

    trials = [one(i, Outcome.ERROR, ErrorCause.CRASH) for i in range(18)] + [one(18, Outcome.TP), one(19, Outcome.TP)]
    found = fault_rates(trials)
    assert (found.fnr.estimate, found.error.estimate, found.escape.estimate) == (0.0, 0.9, 0.0)


def test_headline_weighs_weaknesses_alike():
    def one(i, weakness, outcome):
        return Trial(
            trial_id=f"t{i}", kind=TrialKind.FAULT, validator="v", batch=f"d{i}", weakness_id=weakness, outcome=outcome
        )

    trials = [one(i, "often", Outcome.TP) for i in range(9)] + [one(9, "rare", Outcome.FN)]
    assert fault_rates(trials).fnr.estimate == 0.5


def test_blocks_count_from_the_first_batch():
    names = [f"d{i}" for i in range(15)]
    assert list(blocks(names).values()) == [0] * 7 + [1] * 7 + [2]


def test_random_order_of_controls_is_no_matter():
    trials = [
        Trial(
            trial_id=f"n{i}",
            kind=TrialKind.NATURAL,
            validator="v",
            batch=f"d{i:03}",
            block=i // 7,
            outcome=Outcome.FP if i % 11 == 0 else Outcome.TN,
        )
        for i in range(100)
    ]
    wanted = repr(control_rates(trials))
    assert repr(control_rates(sorted(trials, key=lambda t: t.trial_id[::-1]))) == wanted
