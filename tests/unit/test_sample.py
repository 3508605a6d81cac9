"""What a campaign tries when its budget does not reach for everything."""

from collections import Counter
from itertools import pairwise

import pytest

from pipechaos.campaign.sample import MIN_DISTINCT, draw_sample, severities_of
from pipechaos.errors import PlanError
from pipechaos.faults import registry
from pipechaos.plan.presets import Pair

BASES = [f"2013-{m:02}-{d:02}" for m in range(4, 13) for d in range(1, 29)]  # 252
PAIRS = [Pair(fault="null.mcar", columns=(c,)) for c in "abcdef"] + [
    Pair(fault="value.scale", columns=("a",)),
    Pair(fault="schema.drop_column", columns=("a",)),  # one rung
    Pair(fault="rows.drop"),
]
COUNT = 8 * 5 + 1  # weaknesses of PAIRS at five severities


def sample(
    pairs=PAIRS, bases=BASES, *, severities=(1, 2, 3, 4, 5), repeats=1, validators=2, budget=None, seed=7, **more
):
    return draw_sample(
        pairs, bases, severities=severities, repeats=repeats, validators=validators, budget=budget, seed=seed, **more
    )


def cells(found):
    return [(str(m.pair), m.severity, b) for m in found.mutants for b in m.bases]


@pytest.mark.parametrize("budget", [None, COUNT * 252 * 2, COUNT * 252 * 2 + 1])
def test_the_full_cross_when_it_fits(budget):
    found = sample(budget=budget)
    assert len(cells(found)) == len(set(cells(found))) == COUNT * 252
    assert (found.trials, found.full_trials) == (COUNT * 252 * 2, COUNT * 252 * 2)
    assert (found.bases_each, found.distinct_bases, found.weight) == (252, 252, 1.0)
    assert found.dropped == found.notes == ()
    for mutant in found.mutants:
        assert mutant.bases == tuple(BASES)


@pytest.mark.parametrize("budget", [COUNT * 252 * 2 - 1, 2000, 1440, 300, COUNT * 3 * 2])
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_sample_keeps_to_its_budget_and_gives_every_weakness_as_many_bases(budget, repeats):
    found = sample(budget=budget, repeats=repeats)
    sizes = {len(m.bases) for m in found.mutants}
    assert sizes == {found.bases_each}
    assert found.bases_each >= 3
    assert found.trials == len(cells(found)) * repeats * 2 <= budget
    assert found.distinct_bases == len({b for _, _, b in cells(found)}) >= MIN_DISTINCT or found.notes
    assert all(len(set(m.bases)) == len(m.bases) for m in found.mutants)
    assert found.weight == 252 / found.bases_each
    assert found.full_trials == COUNT * 252 * 2 * repeats
    # as many as there is room for: one more base each would be too many
    assert (found.bases_each + 1) * len(found.mutants) * repeats * 2 > budget


def test_a_budget_of_the_demos_size_drops_nothing():
    found = sample(budget=COUNT * 3 * 2)
    assert found.dropped == ()
    assert len(found.mutants) == COUNT


def test_below_three_bases_whole_pairs_are_dropped_and_named():
    found = sample(budget=COUNT * 3 * 2 - 1)
    kept = {str(m.pair) for m in found.mutants}
    assert len(found.dropped) == 1
    assert kept | set(found.dropped) == {str(p) for p in PAIRS}
    assert not kept & set(found.dropped)
    rungs = Counter(str(m.pair) for m in found.mutants)
    assert all(n == (1 if "drop_column" in name else 5) for name, n in rungs.items())  # a ladder is whole or gone


def test_what_was_left_out_before_is_named_and_counted_in_the_full_cross():
    gone = Pair(fault="text.typo", columns=("z",))
    found = sample(budget=400, left_out=[gone])
    assert found.dropped == ("text.typo on z",)
    assert found.full_trials == (COUNT + 5) * 252 * 2


def test_a_smaller_budget_drops_a_superset():
    dropped = [set(sample(budget=b).dropped) for b in (246, 200, 150, 100, 60)]
    assert all(a <= b for a, b in pairwise(dropped))
    assert len(dropped[-1]) > len(dropped[0])


def test_faults_are_thinned_evenly():
    found = sample(budget=2 * 3 * 21)  # room for 21 weaknesses: the single rung and four ladders
    faults = Counter(m.pair.fault for m in found.mutants)
    assert faults == {"null.mcar": 10, "value.scale": 5, "rows.drop": 5, "schema.drop_column": 1}


@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:2]])
def test_rungs_of_a_ladder_share_their_bases_where_that_leaves_enough(pairs):
    found = sample(pairs, budget=2 * 5 * len(pairs) * 15)
    for pair in pairs:
        assert len({m.bases for m in found.mutants if m.pair == pair}) == 1


def test_one_ladder_alone_is_spread_over_bases_of_its_own_rungs():
    found = sample(PAIRS[:1], budget=2 * 5 * 6)  # six bases a rung: thirty in all
    assert found.distinct_bases == 30
    assert found.notes == ()


def test_too_few_distinct_bases_are_said_with_the_budget_that_would_do():
    found = sample(PAIRS[:1], budget=2 * 5 * 5)
    assert found.distinct_bases == 25
    assert found.notes == ("only 25 distinct bases, 30 are wanted: raise budget.trials to 60",)
    assert sample(PAIRS[:1], budget=60).notes == ()


def test_few_bases_need_no_thirty():
    found = sample(PAIRS, BASES[:4], budget=COUNT * 3 * 2)
    assert found.distinct_bases == 4
    assert found.notes == ()
    two = sample(PAIRS, BASES[:2], budget=COUNT * 2 * 2)
    assert {m.bases for m in two.mutants} == {tuple(BASES[:2])}


def test_the_seed_alone_draws():
    assert sample(budget=400) == sample(budget=400)
    assert sample(budget=400) == sample(bases=BASES[::-1], budget=400)
    other = sample(budget=400, seed=8)
    assert cells(other) != cells(sample(budget=400))
    assert Counter((a, b) for a, b, _ in cells(other)) == Counter((a, b) for a, b, _ in cells(sample(budget=400)))


def test_bases_are_used_evenly():
    uses = Counter(b for _, _, b in cells(sample([Pair(fault="rows.drop")], budget=2 * 5 * 252, severities=(1,))))
    assert set(uses.values()) == {1}
    many = [Pair(fault="null.mcar", columns=(f"c{i}",)) for i in range(84)]
    uses = Counter(b for _, _, b in cells(sample(many, budget=84 * 3 * 2, severities=(1,))))
    assert uses == dict.fromkeys(BASES, 1)  # 84 x 3 = 252


@pytest.mark.parametrize(("budget", "need"), [(1, 30), (29, 30)])
def test_a_budget_too_small_says_what_it_takes(budget, need):
    with pytest.raises(PlanError, match=f"raise budget.trials to {need}"):
        sample(PAIRS[:1], budget=budget)
    assert sample(PAIRS[:1], budget=need).bases_each == 3


def test_the_smallest_budget_keeps_the_cheapest_order_of_pairs():
    with pytest.raises(PlanError, match="no room for 3 bases"):
        sample(PAIRS, budget=5)


def test_no_base_and_no_pair():
    with pytest.raises(PlanError, match="no batch is left to break"):
        sample(bases=[])
    with pytest.raises(PlanError, match="nothing is left to inject"):
        sample([], budget=10)


@pytest.mark.parametrize(
    ("pair", "asked", "rungs"),
    [
        (Pair(fault="null.mcar", columns=("x",)), (1, 3, 5, 9), (1, 3, 5)),
        (Pair(fault="null.mcar", columns=("x",)), (3, 3, 1), (3, 1)),
        (Pair(fault="null.mcar", columns=("x",), severities=(2,)), (1, 3), (2,)),
        (Pair(fault="schema.drop_column", columns=("x",)), (4, 5), (1,)),
        (Pair(fault="value.noise", columns=("x",), params={"sigma": 3.0}), (1, 2), (0,)),
        (Pair(fault="value.outlier", columns=("x",), params={"side": "high"}), (1, 2), (1, 2)),
    ],
)
def test_rungs_that_are_tried(pair, asked, rungs):
    assert severities_of(pair, asked) == rungs


def test_rungs_that_no_ladder_has():
    with pytest.raises(
        PlanError, match=r"null.mcar on x: severities \[6\] are not on its ladder, which has rungs 1 to 5"
    ):
        severities_of(Pair(fault="null.mcar", columns=("x",)), [6])


def test_the_rung_counts_this_file_is_built_on():
    assert [len(registry.get(c).ladder.rungs) for c in ("null.mcar", "value.scale", "rows.drop")] == [5, 5, 5]
    assert len(registry.get("schema.drop_column").ladder.rungs) == 1
