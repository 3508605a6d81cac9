"""Set cover, subsumption and unique kills against brute force over small tables of checks and detected trials."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipechaos.score.checks import check_ledger
from pipechaos.score.cover import dominators, greedy_cover, smallest_cover
from pipechaos.score.records import FindingRef, Outcome, Trial, TrialKind, Why
from pipechaos.score.worth import suite_worth
from pipechaos.validate.verdict import Check, FindingKind, Subject

CHECKS = "abcdefgh"
WEAKNESSES = [f"w{i}" for i in range(12)]

matrices = st.lists(st.sets(st.sampled_from(CHECKS), min_size=1), max_size=12)
# two or three checks each: little can be reduced, so the solver is asked
cyclic = st.lists(st.sets(st.sampled_from(CHECKS), min_size=2, max_size=3), min_size=3, max_size=12)


def fewest(rows):
    """By trying every set of checks, the smallest first."""
    for size in range(len(CHECKS) + 1):
        for chosen in combinations(CHECKS, size):
            if all(row & set(chosen) for row in rows):
                return size
    raise AssertionError("not even all checks")


@given(matrices | cyclic)
@settings(max_examples=300, deadline=None)
def test_no_smaller_set_of_checks_catches_as_much(rows):
    found = smallest_cover(rows)
    assert found.proven
    assert all(row & set(found.checks) for row in rows)
    assert len(found.checks) == fewest(rows)
    assert list(found.checks) == sorted(set(found.checks))
    assert smallest_cover(reversed(rows)) == found


@given(matrices | cyclic)
def test_a_greedy_cover_covers_and_holds_nothing_needless(rows):
    chosen = greedy_cover(rows)
    assert all(row & chosen for row in rows)
    for check in chosen:
        assert not all(row & (chosen - {check}) for row in rows)


SUITES = [set(some) for size in range(len(CHECKS) + 1) for some in combinations(CHECKS, size)]


def hardest(days):
    """By definition, over every set of checks: what keeps one weakness whole keeps the one it subsumes."""
    whole = {w: [all(day & suite for day in days[w]) for suite in SUITES] for w in days}

    def subsumed(mine, other):
        return all(kept for kept, if_kept in zip(whole[mine], whole[other], strict=True) if if_kept)

    kept = set()
    for w in days:
        others = [o for o in days if o != w and subsumed(w, o)]
        if all(subsumed(o, w) and w < o for o in others):  # twins alone, of which it is the first
            kept.add(w)
    return tuple(sorted(kept))


some_days = st.lists(st.sets(st.sampled_from(CHECKS), min_size=1), min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from(WEAKNESSES), some_days, max_size=6))
@settings(deadline=None)
def test_dominators_by_definition(days):
    assert dominators(days) == hardest(days)


def finding(check):
    return FindingRef(check=check, columns=("x",), kind=FindingKind.FAIL, subject=Subject.VALUE, why=Why.DIRECT)


def trial(weakness, at, checks):
    return Trial(
        trial_id=f"{weakness}-{at}",
        kind=TrialKind.FAULT,
        validator="v",
        batch=f"d{at}",
        weakness_id=weakness,
        outcome=Outcome.TP if checks else Outcome.FN,
        findings=tuple(finding(c) for c in sorted(checks)),
    )


tables = st.dictionaries(
    st.sampled_from(WEAKNESSES), st.lists(st.sets(st.sampled_from(CHECKS)), min_size=1, max_size=3)
)


@given(tables)
@settings(deadline=None)
def test_worth_is_what_removing_checks_would_show(table):
    """Redundant: without it no trial is lost. Never killed: without it nothing changes. Smallest: no trial is lost."""
    checks = [Check(id=c, columns=("x",), subject=Subject.VALUE) for c in CHECKS]
    trials = [trial(w, at, said) for w, days in table.items() for at, said in enumerate(days)]
    worth = suite_worth(trials, "v", checks)

    def caught(kept):
        return {(w, at) for w, days in table.items() for at, said in enumerate(days) if said & set(kept)}

    def without(check):
        return caught(set(CHECKS) - {check})

    everything = caught(CHECKS)
    useful = [c for c in CHECKS if caught({c})]
    assert worth.weaknesses == len({w for w, _ in everything})
    assert worth.never_killed == tuple(c for c in CHECKS if c not in useful)
    assert worth.never_fired == worth.never_killed
    assert worth.redundant == tuple(c for c in useful if without(c) == everything)
    assert caught(worth.smallest) == everything
    assert not any(caught(some) == everything for some in combinations(CHECKS, max(0, len(worth.smallest) - 1))) or (
        not worth.smallest
    )
    for score in check_ledger(trials, "v", checks):
        assert set(score.guarded) == {w for w, _ in everything - without(score.check)}
    assert worth.dominators == hardest({w: [d for d in days if d] for w, days in table.items() if any(days)})
    assert worth.distinct == len(worth.dominators)
