"""What a campaign tries: the full cross of weaknesses and bases, or a deterministic stratified sample of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pipechaos import counter
from pipechaos.errors import PlanError
from pipechaos.faults import registry
from pipechaos.plan.presets import Pair, thin

__all__ = ["Mutant", "Sample", "draw_sample", "severities_of"]

MIN_BASES = 3  # bases a weakness needs
MIN_DISTINCT = 30  # distinct bases a sample needs over all, where there are so many


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A pair at one severity, and the bases it is tried on."""

    pair: Pair
    severity: int
    bases: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pair} at severity {self.severity}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is tried, and how it stands to the full cross.

    Attributes
    ----------
    mutants
        In catalogue order.
    full_trials, trials
        Trials of the full cross and of this sample (injections x validators).
    bases, bases_each, distinct_bases
        Bases there are, bases each weakness is tried on, and distinct bases over all.
    weight
        How many bases each tried base stands for.
    dropped
        Weaknesses that the budget left no room for, or that ``pairs`` left out, by name.
    notes
        What a reader should know.
    """

    mutants: tuple[Mutant, ...]
    full_trials: int
    trials: int
    bases: int
    bases_each: int
    distinct_bases: int
    weight: float
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def severities_of(pair: Pair, severities: Sequence[int]) -> tuple[int, ...]:
    """Rungs to try: those asked for that the fault's ladder has.

    A single rung is always 1, and 0 stands for a dose of one's own: the parameter that the ladder moves is given.

    Raises
    ------
    PlanError
        The ladder has none of those asked for.
    """
    ladder = registry.get(pair.fault).ladder
    rungs = len(ladder.rungs)
    if ladder.moves in pair.params:
        return (0,)
    wanted = pair.severities or tuple(severities)
    found = (1,) if rungs == 1 else tuple(dict.fromkeys(s for s in wanted if 1 <= s <= rungs))
    if not found:
        raise PlanError(f"{pair}: severities {list(wanted)} are not on its ladder, which has rungs 1 to {rungs}")
    return found


def draw_sample(
    pairs: Sequence[Pair],
    bases: Sequence[str],
    *,
    severities: Sequence[int],
    repeats: int,
    validators: int,
    budget: int | None,
    seed: int,
    left_out: Sequence[Pair] = (),
) -> Sample:
    """Spread a budget of trials evenly over weaknesses, and these over bases.

    Parameters
    ----------
    pairs
        Faults on columns, in catalogue order.
    bases
        Names of the untouched batches that may be broken.
    severities, repeats
        Rungs and draws of each.
    validators
        How many judge each injection.
    budget
        Most trials (injection x validator); None for the full cross.
    seed
        Which bases are drawn.
    left_out
        Pairs that were left out before, to be named.

    Raises
    ------
    PlanError
        There is no base or nothing to inject, or the budget has no room for one pair.
    """
    if not pairs:
        raise PlanError("nothing is left to inject: name faults that apply to the columns, or a preset")
    if not bases:
        raise PlanError(
            "no batch is left to break: all are history or incidents. Give later batches or a shorter history."
        )
    room = None if budget is None else budget // (validators * repeats)
    least = min(MIN_BASES, len(bases))
    kept, more = _that_fit(pairs, severities, None if room is None else room // least)
    if not kept:
        need = least * _weaknesses(thin(pairs, 1)[0], severities) * validators * repeats
        raise PlanError(
            f"a budget of {budget} trials has no room for {least} bases of one fault: raise budget.trials to {need}"
        )
    dropped = (*left_out, *more)
    count = _weaknesses(kept, severities)
    each = len(bases) if room is None else max(least, min(len(bases), room // count))
    ranked = sorted(bases, key=lambda name: counter.digest_id("base", seed, name))
    mutants = tuple(_assign(kept, severities, ranked, each))
    distinct = len({b for m in mutants for b in m.bases})
    notes: tuple[str, ...] = ()
    if distinct < min(MIN_DISTINCT, len(bases)):
        notes = (
            f"only {distinct} distinct bases, {MIN_DISTINCT} are wanted: raise budget.trials to "
            f"{-(-MIN_DISTINCT // count) * count * validators * repeats}",
        )
    return Sample(
        mutants=mutants,
        full_trials=(count + _weaknesses(dropped, severities)) * len(bases) * repeats * validators,
        trials=sum(len(m.bases) for m in mutants) * repeats * validators,
        bases=len(bases),
        bases_each=each,
        distinct_bases=distinct,
        weight=len(bases) / each,
        dropped=tuple(str(p) for p in dropped),
        notes=notes,
    )


def _that_fit(
    pairs: Sequence[Pair], severities: Sequence[int], most: int | None
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """As many pairs as have at most so many weaknesses, and those left out."""
    if most is None or _weaknesses(pairs, severities) <= most:
        return tuple(pairs), ()
    sizes = range(1, len(pairs) + 1)
    return thin(pairs, bisect_right(sizes, most, key=lambda n: _weaknesses(thin(pairs, n)[0], severities)))


def _weaknesses(pairs: Sequence[Pair], severities: Sequence[int]) -> int:
    return sum(len(severities_of(p, severities)) for p in pairs)


def _assign(pairs: Sequence[Pair], severities: Sequence[int], ranked: Sequence[str], each: int) -> list[Mutant]:
    # one set of bases for a whole ladder keeps its rungs comparable, unless that leaves too few distinct bases
    together = len(pairs) * each >= min(MIN_DISTINCT, len(ranked))
    out: list[Mutant] = []
    at = 0
    for pair in pairs:
        for severity in severities_of(pair, severities):
            bases = tuple(sorted(ranked[(at + i) % len(ranked)] for i in range(each)))
            out.append(Mutant(pair=pair, severity=severity, bases=bases))
            at += 0 if together else each
        at += each if together else 0
    return out
