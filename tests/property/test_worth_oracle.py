"""Set cover, subsumption and unique kills against brute force over small matrices of checks and weaknesses."""

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

matrices = st.dictionaries(st.sampled_from(WEAKNESSES), st.sets(st.sampled_from(CHECKS), min_size=1), max_size=12)
# two or three checks each: little can be reduced, so the solver is asked
cyclic = st.lists(st.sets(st.sampled_from(CHECKS), min_size=2, max_size=3), min_size=3, max_size=12).map(
    lambda rows: dict(zip(WEAKNESSES, rows, strict=False))
)


def fewest(killers):
    """By trying every set of checks, the smallest first."""
    for size in range(len(CHECKS) + 1):
        for chosen in combinations(CHECKS, size):
            if all(killers[w] & set(chosen) for w in killers):
                return size
    raise AssertionError("not even all checks")


@given(matrices | cyclic)
@settings(max_examples=300, deadline=None)
def test_no_smaller_set_of_checks_catches_as_much(killers):
    found = smallest_cover(killers)
    assert found.proven
    assert all(killers[w] & set(found.checks) for w in killers)
    assert len(found.checks) == fewest(killers)
    assert list(found.checks) == sorted(set(found.checks))
    assert smallest_cover(dict(reversed(killers.items()))) == found


@given(matrices | cyclic)
def test_a_greedy_cover_covers_and_holds_nothing_needless(killers):
    chosen = greedy_cover(killers.values())
    assert all(killers[w] & chosen for w in killers)
    for check in chosen:
        assert not all(killers[w] & (chosen - {check}) for w in killers)


@given(matrices)
def test_dominators_by_definition(killers):
    def subsumed(mine, other):
        """Whatever catches the other catches this one too."""
        return other != mine and killers[other] <= killers[mine]

    kept = set()
    for w in killers:
        strictly = any(subsumed(w, o) and not subsumed(o, w) for o in killers)
        earlier_twin = any(subsumed(w, o) and subsumed(o, w) and o < w for o in killers)
        if not strictly and not earlier_twin:
            kept.add(w)
    assert dominators(killers) == tuple(sorted(kept))


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
    """Redundant: without it nothing is lost. Never killed: without it nothing changes. Smallest: nothing is lost."""
    checks = [Check(id=c, columns=("x",), subject=Subject.VALUE) for c in CHECKS]
    trials = [trial(w, at, said) for w, days in table.items() for at, said in enumerate(days)]
    worth = suite_worth(trials, "v", checks)

    def caught(kept):
        return {w for w, days in table.items() if any(said & set(kept) for said in days)}

    def without(check):
        return caught(set(CHECKS) - {check})

    everything = caught(CHECKS)
    useful = [c for c in CHECKS if caught({c})]
    assert worth.weaknesses == len(everything)
    assert worth.never_killed == tuple(c for c in CHECKS if c not in useful)
    assert worth.never_fired == worth.never_killed
    assert worth.redundant == tuple(c for c in useful if without(c) == everything)
    assert caught(worth.smallest) == everything
    assert not any(caught(some) == everything for some in combinations(CHECKS, max(0, len(worth.smallest) - 1))) or (
        not worth.smallest
    )
    for score in check_ledger(trials, "v", checks):
        assert set(score.guarded) == everything - without(score.check)
    assert len(worth.dominators) == worth.distinct <= worth.weaknesses
