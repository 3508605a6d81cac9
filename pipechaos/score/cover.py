"""Sets of checks over sets of weaknesses: which weaknesses are distinct, and the fewest checks that catch them all.

A weakness is *subsumed* by another when whatever catches the other catches it too; the weaknesses that nothing but
their like subsumes are the dominators (Ammann, Delamaro and Offutt, "Establishing theoretical minimal sets of mutants",
ICST 2014; Kurtz and others, "Mutant subsumption graphs", ICSTW 2014). The fewest checks are a minimum set cover:
reduced by the same relation, then solved by SciPy's HiGHS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np

__all__ = ["Cover", "dominators", "greedy_cover", "smallest_cover"]

_SECONDS = 20.0
_NODES = 200_000  # the limit that is the same on every machine


@dataclass(frozen=True, kw_only=True)
class Cover:
    """Checks that together catch everything.

    Attributes
    ----------
    checks
        Sorted.
    proven
        Whether no smaller set does it.
    """

    checks: tuple[str, ...]
    proven: bool


def dominators(killers: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Weaknesses that are left when each one subsumed by another is dropped, sorted.

    Parameters
    ----------
    killers
        Checks that catch each weakness. One that no check catches has no place here and is left out. Of weaknesses
        caught by the same checks the one with the smallest id stands for all.

    Examples
    --------
    >>> dominators({"easy": ["a", "b"], "hard": ["a"], "twin": ["a"]})
    ('hard',)
    """
    first: dict[frozenset[str], str] = {}
    for weakness in sorted(killers):
        first.setdefault(frozenset(killers[weakness]), weakness)
    first.pop(frozenset(), None)
    return tuple(sorted(name for who, name in first.items() if not any(other < who for other in first)))


def smallest_cover(killers: Mapping[str, Iterable[str]], *, seconds: float = _SECONDS, nodes: int = _NODES) -> Cover:
    """Fewest checks of which each weakness is caught by at least one.

    Parameters
    ----------
    killers
        Checks that catch each weakness; one that no check catches is left out.
    seconds, nodes
        What the search may cost; without a proof in that, a greedy cover is given.

    Examples
    --------
    >>> smallest_cover({"u": ["a", "b"], "v": ["b", "c"], "w": ["c"]}).checks
    ('b', 'c')
    """
    taken, left = _reduce({frozenset(killers[w]) for w in dominators(killers)})
    if not left:
        return Cover(checks=tuple(sorted(taken)), proven=True)
    solved = _solve(left, seconds, nodes)
    if solved is None:
        return Cover(checks=tuple(sorted(taken | greedy_cover(left))), proven=False)
    return Cover(checks=tuple(sorted(taken | solved)), proven=True)


def greedy_cover(rows: Iterable[Set[str]]) -> set[str]:
    """A cover by taking the check that catches most of what is left, then dropping those no longer needed."""
    rows = [frozenset(r) for r in rows]
    left, taken = list(rows), list[str]()
    while left:
        counts: dict[str, int] = {}
        for row in left:
            for check in row:
                counts[check] = counts.get(check, 0) + 1
        best = min(counts, key=lambda c: (-counts[c], c))
        taken.append(best)
        left = [r for r in left if best not in r]
    for check in list(taken):
        others = set(taken) - {check}
        if all(others & r for r in rows):
            taken.remove(check)
    return set(taken)


def _reduce(rows: set[frozenset[str]]) -> tuple[set[str], list[frozenset[str]]]:
    """Checks that every smallest cover may hold, and what they leave open; both reductions until neither helps."""
    taken: set[str] = set()
    while True:
        rows = {r for r in rows if not any(other < r for other in rows)}
        single = {next(iter(r)) for r in rows if len(r) == 1}
        taken |= single
        rows = {r for r in rows if not r & single}
        needless = _outdone(rows)
        if not single and not needless:
            return taken, sorted(rows, key=sorted)
        rows = {r - needless for r in rows}


def _outdone(rows: set[frozenset[str]]) -> set[str]:
    """Checks that catch nothing which another, kept one does not catch."""
    catches: dict[str, frozenset[frozenset[str]]] = {
        check: frozenset(r for r in rows if check in r) for check in sorted({c for r in rows for c in r})
    }
    return {
        check
        for check, mine in catches.items()
        if any(mine < theirs or (mine == theirs and other < check) for other, theirs in catches.items())
    }


def _solve(rows: list[frozenset[str]], seconds: float, nodes: int) -> set[str] | None:
    from scipy.optimize import Bounds, LinearConstraint, milp

    names = sorted({c for r in rows for c in r})
    matrix = np.array([[float(n in r) for n in names] for r in rows])
    found = milp(
        np.ones(len(names)),
        integrality=np.ones(len(names), dtype=np.int64),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, lb=1),
        options={"time_limit": seconds, "node_limit": nodes, "mip_rel_gap": 0.0},
    )
    if found.status != 0 or found.x is None:
        return None
    return {n for n, x in zip(names, found.x, strict=True) if x > 0.5}
