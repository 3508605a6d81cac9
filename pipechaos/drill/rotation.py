"""Whose turn it is: whoever was never tried, then whoever was tried longest ago. Pure; no chance, no clock."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Turn", "in_order", "least_budget", "next_turns"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Something that takes turns.

    Attributes
    ----------
    key
        Its id: decides among those that waited equally long.
    cost
        Trials that one turn takes, at least 1.
    last
        When it was last tried; None where it never was.
    """

    key: str
    cost: int
    last: dt.datetime | None = None


def in_order(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Sorted by whose turn it is.

    Examples
    --------
    >>> day = lambda n: dt.datetime(2024, 3, n, tzinfo=dt.UTC)
    >>> tried = [Turn(key="a", cost=1, last=day(2)), Turn(key="b", cost=1, last=day(1))]
    >>> [t.key for t in in_order([*tried, Turn(key="c", cost=1)])]
    ['c', 'b', 'a']
    """
    never, tried = [t for t in turns if t.last is None], [t for t in turns if t.last is not None]
    return (*sorted(never, key=lambda t: t.key), *sorted(tried, key=lambda t: (t.last, t.key)))


def next_turns(turns: Sequence[Turn], budget: int) -> tuple[Turn, ...]:
    """The first in order, as far as the budget goes; nobody overtakes one that does not fit any more.

    Parameters
    ----------
    turns
        All of them.
    budget
        Most trials.
    """
    found, spent = [], 0
    for turn in in_order(turns):
        spent += turn.cost
        if spent > budget:
            break
        found.append(turn)
    return tuple(found)


def least_budget(costs: Sequence[int], drills: int) -> int:
    """Trials that a drill needs so that everything has its turn within so many drills, in whatever order they stand.

    A drill leaves less unspent than the dearest turn costs, and everything is a multiple of the greatest common divisor
    of the costs. Where all turns cost the same this is the least budget that will do; otherwise it is enough.

    Parameters
    ----------
    costs
        Of each turn, at least one.
    drills
        How many, at least 1.

    Examples
    --------
    >>> least_budget([5] * 10, 3)  # four turns a drill
    20
    >>> least_budget([5, 1], 1)
    6
    """
    step, dearest, whole = math.gcd(*costs), max(costs), sum(costs)
    if drills == 1:
        return whole
    each = -(-(whole + drills * (dearest - step)) // (drills * step)) * step
    return min(max(each, dearest), whole)
