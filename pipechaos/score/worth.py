"""What the checks of a suite are worth together (SCORING.md section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipechaos.faults.spec import Family
from pipechaos.score.checks import check_ledger, false_alarms, kill_sets
from pipechaos.score.cover import dominators, smallest_cover
from pipechaos.score.rates import RHO, counted, fault_rates
from pipechaos.score.records import Outcome, Rate, Trial
from pipechaos.validate.verdict import Check

__all__ = ["SuiteWorth", "ruined_columns", "suite_worth"]

_WHOLE = 0.9  # share of a column that complete ruin is asked to hit, and about what it must really change
_REALISED = 0.8  # below the asked share, as a cell may be hit and keep its value
_DECLARED = (Family.TYPE, Family.SCHEMA)  # these break what a column is declared to be, not what is in it


@dataclass(frozen=True, kw_only=True)
class SuiteWorth:
    """One suite in a run.

    Attributes
    ----------
    validator, declared
        Name, and checks that the suite file holds.
    never_fired
        Declared checks without a finding of kind fail or error on any faulty batch, natural or benign control.
    never_killed
        Declared checks without a single trial detected by a new finding of theirs; holds ``never_fired``, in the
        suite's order both.
    redundant
        Checks that kill something, and no trial that no other check catches: any one of them could go, and the FNR
        would stay as it is.
    smallest
        A smallest set of checks that detects the same trials, and so has the same FNR, sorted; the proof that none is
        smaller is in ``smallest_proven``.
    smallest_proven
        False where only a greedy cover was found in the time allowed.
    alarms, loudest, loudest_alarms
        Falsely rejected natural controls, the check that took part in most of them (empty: none), and in how many.
    weaknesses, distinct
        Weaknesses with a detected trial, and those that are left when each weakness subsumed by another is dropped
        (the dominators, :mod:`pipechaos.score.cover`). One that no named check caught, but an error alone, is subsumed
        by none.
    dominators
        Ids of those, sorted.
    dominator_fnr
        FNR over the dominators and the survivors only: beside the raw one, which easy weaknesses flatter.
    pseudo_tested
        Columns whose complete ruin survives: a ladder tells nothing more about them (:func:`ruined_columns`).
    ruined
        Columns whose complete ruin was judged at all.
    """

    validator: str
    declared: int
    never_fired: tuple[str, ...]
    never_killed: tuple[str, ...]
    redundant: tuple[str, ...]
    smallest: tuple[str, ...]
    smallest_proven: bool
    alarms: int
    loudest: str
    loudest_alarms: int
    weaknesses: int
    distinct: int
    dominators: tuple[str, ...]
    dominator_fnr: Rate
    pseudo_tested: tuple[str, ...]
    ruined: int = 0


def suite_worth(trials: Iterable[Trial], validator: str, checks: Sequence[Check], rho: float = RHO) -> SuiteWorth:
    """What the checks of one validator are worth together.

    Parameters
    ----------
    trials
        Of a run; those of other validators are left alone.
    validator
        Name.
    checks
        Every check the suite file declares.
    rho
        Smallest correlation within a batch that the interval of ``dominator_fnr`` assumes.
    """
    mine = [t for t in trials if t.validator == validator]
    ledger = check_ledger(mine, validator, checks)
    caught_by = kill_sets(mine)
    nameless = [w for w, found in caught_by.items() if not any(found)]
    distinct = tuple(sorted([*dominators(caught_by), *nameless]))
    cover = smallest_cover(who for found in caught_by.values() for who in found)
    alarms = false_alarms(mine)
    loud = Counter(check for spoke in alarms.values() for check in spoke)
    loudest = min(loud, key=lambda c: (-loud[c], c), default="")
    effective = counted(mine)
    survive = {t.weakness_id for t in effective if t.outcome is Outcome.FN}
    ruined = ruined_columns(effective)
    return SuiteWorth(
        validator=validator,
        declared=len(checks),
        never_fired=tuple(c.check for c in ledger if c.declared and not c.fired),
        never_killed=tuple(c.check for c in ledger if c.declared and not c.kills),
        redundant=tuple(c.check for c in ledger if c.kills and not c.unique_kills),
        smallest=cover.checks,
        smallest_proven=cover.proven,
        alarms=len(alarms),
        loudest=loudest,
        loudest_alarms=loud[loudest],
        weaknesses=len(caught_by),
        distinct=len(distinct),
        dominators=distinct,
        dominator_fnr=fault_rates((t for t in effective if t.weakness_id in survive.union(distinct)), rho).fnr,
        pseudo_tested=tuple(c for c, missed in ruined.items() if missed),
        ruined=len(ruined),
    )


def ruined_columns(effective: Iterable[Trial]) -> Mapping[str, bool]:
    """Columns of one validator whose complete ruin was judged, sorted, and whether all of it was missed every time.

    Complete ruin is a weakness of that column alone, put at random on at least 0.9 of its cells, at the strongest rung
    of its ladder (or a dose of one's own), that really changed at least 0.8 of the eligible cells over its trials.
    Faults of type and schema are none: they leave the values as they were. The idea is that of the pseudo-tested method
    (Niedermayr, Juergens and Wagner, "Will my tests tell me if I break this code?", CSED 2016).

    Parameters
    ----------
    effective
        Trials that stand in the headline rates; an error among them is neither caught nor missed.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in (t for t in effective if t.outcome is not Outcome.ERROR):
        alone = len(trial.columns) == 1 and not trial.placement and trial.family not in _DECLARED
        if alone and trial.fraction >= _WHOLE and trial.severity in (0, trial.rungs):
            groups.setdefault(trial.weakness_id, []).append(trial)
    found: dict[str, bool] = {}
    for group in groups.values():
        eligible, changed = sum(t.eligible for t in group), sum(t.changed for t in group)
        if eligible and changed >= _REALISED * eligible:
            column = group[0].columns[0]
            found[column] = found.get(column, True) and all(t.outcome is Outcome.FN for t in group)
    return {column: found[column] for column in sorted(found)}
