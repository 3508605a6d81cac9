"""Turns of drills: everything is tried within the period, whatever is missed or fails half way."""

import datetime as dt
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipechaos.drill.rotation import Turn, in_order, least_budget, next_turns
from pipechaos.drill.settings import DrillSettings
from pipechaos.errors import ConfigError

START = dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC)


def night(number):
    return START + dt.timedelta(days=number)


def hold(costs, last, budget):
    """What a drill tries, by name, in order."""
    return [t.key for t in next_turns([Turn(key=k, cost=c, last=last.get(k)) for k, c in costs.items()], budget)]


catalogues = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 6), min_size=1, max_size=12)


@given(data=st.data(), costs=catalogues, drills=st.integers(1, 8))
def test_every_pair_is_tried_within_any_period_without_a_missed_night(data, costs, drills):
    budget = least_budget(list(costs.values()), drills) + data.draw(st.integers(0, 5))
    last = {k: night(-data.draw(st.integers(1, 40))) for k in costs if data.draw(st.booleans())}
    tried = []
    for number in range(3 * drills):
        chosen = hold(costs, last, budget)
        assert sum(costs[k] for k in chosen) <= budget
        last.update(dict.fromkeys(chosen, night(number)))
        tried.append(set(chosen))
    for first in range(2 * drills + 1):
        assert set().union(*tried[first : first + drills]) == set(costs)


@given(
    costs=catalogues,
    budget=st.integers(6, 30),
    nights=st.lists(st.sampled_from(["held", "missed", "half"]), min_size=1, max_size=30),
    data=st.data(),
)
def test_nights_that_were_missed_or_broke_off_cost_no_more_than_what_they_did_not_do(costs, budget, nights, data):
    """Over any stretch in which as much was done as there is, everything was tried at least once."""
    last, done = {}, []
    for number, what in enumerate(nights):
        chosen = [] if what == "missed" else hold(costs, last, budget)
        if what == "half":
            chosen = chosen[: data.draw(st.integers(0, len(chosen)))]
        last.update(dict.fromkeys(chosen, night(number)))
        done.append(chosen)
    for first, past in itertools.combinations(range(len(done) + 1), 2):
        stretch = [k for chosen in done[first:past] for k in chosen]
        if len(stretch) >= len(costs):
            assert set(stretch) == set(costs)


@pytest.mark.parametrize("drills", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_brute_force_every_order_of_a_small_catalogue_fits_and_less_does_not(count, drills):
    costs = {f"k{i}": 3 for i in range(count)}
    budget = least_budget(list(costs.values()), drills)
    assert budget == 3 * math.ceil(count / drills)

    def whole(amount, order):
        last = {k: night(at - 100) for at, k in enumerate(order)}
        for number in range(drills):
            last.update(dict.fromkeys(hold(costs, last, amount), night(number)))
        return all(moment >= night(0) for moment in last.values())

    orders = list(itertools.permutations(costs))
    assert all(whole(budget, order) for order in orders)
    assert not any(whole(budget - 1, order) for order in orders)


@pytest.mark.parametrize("costs", [[1, 2], [5, 1, 1], [2, 10, 4, 4], [3, 3, 6, 1, 1]])
@pytest.mark.parametrize("drills", [1, 2, 3])
def test_brute_force_turns_of_different_cost_fit_in_every_order(costs, drills):
    budget = least_budget(costs, drills)
    named = {f"k{i}": c for i, c in enumerate(costs)}
    assert max(costs) <= budget <= sum(costs)
    for order in itertools.permutations(named):
        last = {k: night(at - 100) for at, k in enumerate(order)}
        for number in range(drills):
            last.update(dict.fromkeys(hold(named, last, budget), night(number)))
        assert all(moment >= night(0) for moment in last.values())


def test_never_tried_comes_first_then_longest_ago_then_the_key():
    turns = [
        Turn(key="b", cost=1, last=night(2)),
        Turn(key="a", cost=1, last=night(2)),
        Turn(key="z", cost=1, last=night(1)),
        Turn(key="n", cost=1),
        Turn(key="m", cost=1),
    ]
    for order in itertools.permutations(turns):
        assert [t.key for t in in_order(order)] == ["m", "n", "z", "a", "b"]


def test_nobody_overtakes_one_that_does_not_fit():
    turns = [Turn(key="a", cost=2), Turn(key="b", cost=5), Turn(key="c", cost=1)]
    assert [t.key for t in next_turns(turns, 4)] == ["a"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"period_days": 0}, "above 0"),
        ({"every_days": float("nan")}, "above 0"),
        ({"minutes": float("inf")}, "above 0"),
        ({"trials": 0}, "at least 1"),
        ({"pause_after": 0}, "at least 1"),
        ({"period_days": 1, "every_days": 7}, "cannot try everything within 1"),
        ({"controls": 2, "bases": 3}, "cannot break 3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        DrillSettings(**wrong)


@pytest.mark.parametrize(("period", "every", "drills"), [(14, 1, 14), (14, 7, 2), (0.3, 0.1, 3), (10, 3, 3)])
def test_drills_within_a_period(period, every, drills):
    assert DrillSettings(period_days=period, every_days=every).drills == drills
