"""Sets of checks over detected trials: which weaknesses are distinct, and the fewest checks that catch every trial.

A *kill set* is the checks that caught one trial: a suite of some of them catches the trial where it holds one. A
weakness is *subsumed* by another when every suite that catches all detected trials of the other catches all of its
own; the weaknesses that nothing but their like subsumes are the dominators (Ammann, Delamaro and Offutt,
"Establishing theoretical minimal sets of mutants", ICST 2014; Kurtz and others, "Mutant subsumption graphs", ICSTW
2014; there of single tests, here of trials). The fewest checks are a minimum set cover: reduced, then solved by SciPy's
HiGHS.
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
    """Checks that together catch every trial.

    Attributes
    ----------
    checks
        Sorted.
    proven
        Whether no smaller set does it.
    """

    checks: tuple[str, ...]
    proven: bool


def dominators(kill_sets: Mapping[str, Iterable[Iterable[str]]]) -> tuple[str, ...]:
    """Weaknesses that are left when each one subsumed by another is dropped, sorted.

    Parameters
    ----------
    kill_sets
        Of each weakness, those of its detected trials. An empty one, that no check can be asked for, is left out, and
        so is a weakness without any other. Of weaknesses that subsume each other the one with the smallest id stands
        for all.

    Examples
    --------
    >>> dominators({"easy": ["ab"], "hard": ["a"], "twin": ["a"]})
    ('hard',)
    >>> dominators({"two": ["a", "b"], "one": ["a"]})
    ('two',)
    """
    first: dict[frozenset[frozenset[str]], str] = {}
    for weakness in sorted(kill_sets):
        first.setdefault(_smallest({frozenset(k) for k in kill_sets[weakness] if k}), weakness)
    first.pop(frozenset(), None)
    hard = [mine for mine in first if not any(other != mine and _subsumes(other, mine) for other in first)]
    return tuple(sorted(first[mine] for mine in hard))


def _smallest(sets: Set[frozenset[str]]) -> frozenset[frozenset[str]]:
    """Those that hold no other: a suite that meets them meets all."""
    return frozenset(s for s in sets if not any(other < s for other in sets))


def _subsumes(hard: Set[frozenset[str]], easy: Set[frozenset[str]]) -> bool:
    """Whether a suite that meets every set of the one meets every set of the other.

    Each of the easy ones has to hold a hard one: the checks outside an easy set that holds none meet all the hard ones.
    """
    return all(any(h <= e for h in hard) for e in easy)


def smallest_cover(kill_sets: Iterable[Iterable[str]], *, seconds: float = _SECONDS, nodes: int = _NODES) -> Cover:
    """Fewest checks of which every detected trial is caught by at least one.

    Parameters
    ----------
    kill_sets
        Of all detected trials; an empty one is left out.
    seconds, nodes
        What the search may cost; without a proof in that, a greedy cover is given.

    Examples
    --------
    >>> smallest_cover(["ab", "bc", "c"]).checks
    ('a', 'c')
    """
    taken, left = _reduce({frozenset(k) for k in kill_sets} - {frozenset()})
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
        rows = set(_smallest(rows))
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
