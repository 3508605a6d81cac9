"""What the checks of a suite are worth together (SCORING.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass

from pipechaos.score.records import Rate

__all__ = ["SuiteWorth"]


@dataclass(frozen=True, kw_only=True)
class SuiteWorth:
    """One suite in a run.

    Attributes
    ----------
    validator, declared
        Name, and checks that the suite file holds.
    never_fired
        Declared checks that spoke on no faulty batch and on no natural control.
    never_killed
        Declared checks without a single weakness detected by a new finding of theirs; holds ``never_fired``.
    redundant
        Checks that kill something, and nothing that no other check kills: any one of them could go.
    smallest
        A smallest set of checks that detects the same weaknesses, sorted; the proof that none is smaller is in
        ``smallest_proven``.
    smallest_proven
        False where only a greedy cover was found in the time allowed.
    alarms, loudest, loudest_alarms
        Falsely rejected natural controls, the check that took part in most of them (empty: none), and in how many.
    weaknesses, distinct
        Detected weaknesses, and those that are left when each weakness subsumed by another is dropped (the dominators).
    dominators
        Ids of those, sorted.
    dominator_fnr
        FNR over the dominators and the survivors only: beside the raw one, which easy weaknesses flatter.
    pseudo_tested
        Columns whose complete ruin survives: a ladder tells nothing more about them.
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
