"""Laws of a comparison of two versions, over arbitrary outcomes."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipechaos.score.pair_records import Movement
from pipechaos.score.paired import compare
from pipechaos.score.records import Outcome, Trial, TrialKind

JUDGED = (Outcome.TP, Outcome.FN)
ANY = st.sampled_from([*JUDGED, *JUDGED, Outcome.NOOP, Outcome.BASE_BAD, Outcome.ERROR])
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), ANY, ANY, st.booleans()), max_size=25)


def trial(at, batch, severity, outcome, flaky):
    return Trial(
        trial_id=f"{at}",
        kind=TrialKind.FAULT,
        validator="v",
        batch=f"b{batch}",
        outcome=outcome,
        fault="value.scale",
        columns=("x",),
        severity=severity,
        rungs=3,
        repeat=at,
        injection_id=f"i{at}",
        source_digest=f"s{batch}",
        after_digest=f"a{at}",
        flaky=flaky,
    )


def both(pairs):
    rows = list(enumerate(pairs))
    base = [trial(at, b, s, one, flaky and at % 3 == 0) for at, (b, s, one, _, flaky) in rows]
    head = [trial(at, b, s, other, False) for at, (b, s, _, other, _) in rows]
    return base, head


@given(PAIRS)
def test_every_pair_is_counted_once(pairs):
    found = compare(*both(pairs))
    assert sum(w.pairs for w in found.weaknesses) + sum(found.apart.values()) == len(pairs)
    counting = [p for at, p in enumerate(pairs) if {p[2], p[3]} <= set(JUDGED) and not (p[4] and at % 3 == 0)]
    assert found.fnr.pairs == len(counting)
    assert found.fnr.worse == sum(p[2:4] == (Outcome.TP, Outcome.FN) for p in counting)
    assert found.fnr.better == sum(p[2:4] == (Outcome.FN, Outcome.TP) for p in counting)
    gone = [p for at, p in enumerate(pairs) if p[2:4] == (Outcome.TP, Outcome.ERROR) and not (p[4] and at % 3 == 0)]
    assert sum(w.silenced for w in found.weaknesses) == found.apart.get("silenced", 0) == len(gone)


@given(PAIRS)
def test_the_difference_is_that_of_the_rates(pairs):
    found = compare(*both(pairs)).fnr
    if found.pairs:
        assert found.difference == pytest.approx(found.after.estimate - found.before.estimate, abs=1e-12)
    else:
        assert math.isnan(found.difference)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_trials_says_nothing(pairs, random):
    base, head = both(pairs)
    expected = compare(base, head)
    random.shuffle(base)
    random.shuffle(head)
    assert repr(compare(base, head)) == repr(expected)


@given(PAIRS)
def test_the_way_back_wins_what_was_lost(pairs):
    """Among judgements: a verdict that is gone is a loss, one that comes where there was none is no win."""
    base, head = both([p for p in pairs if Outcome.ERROR not in p])
    there, back = compare(base, head), compare(head, base)
    assert {w.weakness_id for w in there.moved(Movement.LOST)} == {w.weakness_id for w in back.moved(Movement.WON)}
    assert {w.weakness_id for w in there.moved(Movement.MIXED)} == {w.weakness_id for w in back.moved(Movement.MIXED)}
    assert repr(there.fnr.test.p) == repr(back.fnr.test.p)
    assert there.fnr.test.total == -back.fnr.test.total


@given(PAIRS)
def test_a_version_against_itself_moves_nothing(pairs):
    base, _ = both(pairs)
    found = compare(base, [replace(t, validator="copy") for t in base])
    assert {w.movement for w in found.weaknesses} <= {Movement.SAME}
    assert found.fnr.worse == found.fnr.better == 0
    assert math.isnan(found.fnr.test.p)
