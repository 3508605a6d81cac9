"""The records of a comparison: what each pair of trials came to, and what became of weaknesses and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipechaos.score.records import Rate
from pipechaos.score.sign_flip import SignFlip

__all__ = ["Alarm", "ControlChange", "Movement", "PairFate", "Paired", "RateChange", "WeaknessChange"]


class PairFate(StrEnum):
    """What became of a pair. Only the first four are in rates and tests; the fifth is a loss of its weakness too."""

    KEPT = "kept"  # detected by both; on a control: accepted by both
    LOST = "lost"  # the old version caught it, the new one missed it; on a control: a false alarm added
    WON = "won"
    MISSED = "missed"  # missed by both; on a control: a false alarm of both
    SILENCED = "silenced"  # the old version caught it, the new one gave no verdict
    UNPAIRED = "unpaired"  # only one version was asked
    OTHER_FRAME = "other_frame"  # the data changed while the versions were compared
    INJECTION = "injection"  # ours: the fault could not be applied
    FLAKY = "flaky"
    BASE_BAD_ADDED = "base_bad_added"  # the new version alone no longer accepts the untouched batch
    BASE_BAD = "base_bad"
    NOOP = "noop"
    SUBNATURAL = "subnatural"
    ERROR_ADDED = "error_added"  # the new version alone gave no judgement, on what the old one had not caught
    ERROR = "error"
    DUPLICATE = "duplicate"
    TRUE_ALARM = "true_alarm"  # a control that a review found truly bad: in no rate


class Movement(StrEnum):
    """Where a weakness went, by its counts alone: how sure that is, its test says."""

    LOST = "lost"  # more losses than wins; a detection that became an error is a loss
    WON = "won"
    MIXED = "mixed"  # as many losses as wins
    SAME = "same"


@dataclass(frozen=True, kw_only=True)
class RateChange:
    """A rate of both versions over the same pairs.

    Attributes
    ----------
    before, after
        Of the old and the new version.
    difference
        After - before; for an FNR the equal-weight mean over weaknesses. NaN when there is no pair.
    worse, better
        Pairs that were judged well before alone, and afterwards alone: losses and wins, alarms added and removed.
    pairs
        Pairs that count.
    test
        Over clusters: batches for faults and benign controls, blocks for untouched batches.
    """

    before: Rate
    after: Rate
    difference: float
    worse: int
    better: int
    pairs: int
    test: SignFlip


@dataclass(frozen=True, kw_only=True)
class WeaknessChange:
    """One weakness (fault x columns x placement x severity) under both versions.

    Attributes
    ----------
    weakness_id
        As of a weakness whose validator has no name: both versions share it.
    fault, family, columns, placement, params, fraction, severity, rungs
        Which one.
    kept, missed, lost, won
        Its pairs.
    silenced
        Pairs that the old version caught and on which the new one gave no verdict: losses that are in no rate.
    batches
        Distinct base batches among all of them.
    movement, test
        Where it went, and how surely; the test is about ``lost`` and ``won`` alone.
    lost_trials, won_trials, silenced_trials
        Ids of the new version's trials, the largest dose first.
    caught_by
        Checks that spoke only before (on losses of either kind) or only now (on wins), most often first.
    """

    weakness_id: str
    fault: str
    family: str
    columns: tuple[str, ...]
    placement: Mapping[str, Any]
    params: Mapping[str, Any]
    fraction: float
    severity: int
    rungs: int
    kept: int
    missed: int
    lost: int
    won: int
    silenced: int
    batches: int
    movement: Movement
    test: SignFlip
    lost_trials: tuple[str, ...]
    won_trials: tuple[str, ...]
    silenced_trials: tuple[str, ...]
    caught_by: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """Pairs that count."""
        return self.kept + self.missed + self.lost + self.won

    @property
    def gone(self) -> int:
        """Pairs that were caught before alone: missed now, or without a verdict now."""
        return self.lost + self.silenced


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A false alarm that one version alone raises.

    Attributes
    ----------
    batch, fault
        Where; ``fault`` is the harmless change, empty on an untouched batch.
    checks
        That spoke.
    """

    batch: str
    fault: str
    checks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ControlChange:
    """Untouched or harmlessly changed batches under both versions.

    Attributes
    ----------
    change
        Of the rate of false alarms.
    added, removed
        False alarms of the new version alone, and of the old one alone.
    apart
        Pairs that do not count, by fate.
    true_alarms_lost
        Untouched batches that a review found truly bad, rejected before and accepted now.
    """

    change: RateChange
    added: tuple[Alarm, ...]
    removed: tuple[Alarm, ...]
    apart: Mapping[str, int]
    true_alarms_lost: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Two versions of a suite, compared.

    Attributes
    ----------
    fnr
        Over all pairs of faulty trials that count.
    weaknesses
        All that have such a pair or a silenced one: lost ones first, the most losses on top; then won, mixed, same.
    apart
        Pairs of faulty trials that are in no rate, by fate.
    subnatural_lost, subnatural_won
        Among pairs on which no check could tell the batch from an ordinary day: in no rate.
    natural, benign
        ControlChange, never pooled.
    """

    fnr: RateChange
    weaknesses: tuple[WeaknessChange, ...]
    apart: Mapping[str, int]
    subnatural_lost: int
    subnatural_won: int
    natural: ControlChange
    benign: ControlChange

    def moved(self, movement: Movement) -> tuple[WeaknessChange, ...]:
        """Weaknesses that went one way."""
        return tuple(w for w in self.weaknesses if w.movement is movement)
