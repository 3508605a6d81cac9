"""Weaknesses with a missed trial, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipechaos.score.rates import counted
from pipechaos.score.records import Outcome, Trial, TrialKind, Why

__all__ = ["Survivor", "subnatural_survivors", "survivors"]


@dataclass(frozen=True, kw_only=True)
class Survivor:
    """A weakness that a validator missed at least once.

    Attributes
    ----------
    weakness_id, validator, fault, family, columns, placement, params, fraction, severity, rungs
        Which one.
    missed, detected, direct, errors
        Its trials in the rates; ``direct`` is part of ``detected``.
    missed_trials
        Ids to replay, the one with the largest realised dose first.
    largest_dose
        Largest realised share of eligible cells that was missed; None where there are no cells to count.
    """

    weakness_id: str
    validator: str
    fault: str
    family: str
    columns: tuple[str, ...]
    placement: Mapping[str, Any]
    params: Mapping[str, Any]
    fraction: float
    severity: int
    rungs: int
    missed: int
    detected: int
    direct: int
    errors: int
    missed_trials: tuple[str, ...]
    largest_dose: float | None

    @property
    def share(self) -> float:
        """Missed share of the trials that were judged."""
        return self.missed / (self.missed + self.detected)


def survivors(trials: Iterable[Trial]) -> tuple[Survivor, ...]:
    """Weaknesses with a missed trial that counts, worst first.

    Worst: the largest missed share, then the strongest dose on the fault's own ladder, then the most trials missed.
    """
    return _worst_first(counted(trials))


def subnatural_survivors(trials: Iterable[Trial]) -> tuple[Survivor, ...]:
    """Weaknesses missed where the batch still looked like an ordinary day: shown apart."""
    return _worst_first(
        t
        for t in trials
        if t.kind is TrialKind.FAULT and t.subnatural and not t.flaky and t.outcome in (Outcome.TP, Outcome.FN)
    )


def _worst_first(trials: Iterable[Trial]) -> tuple[Survivor, ...]:
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.validator, trial.weakness_id), []).append(trial)
    found = [_survivor(g) for g in groups.values() if any(t.outcome is Outcome.FN for t in g)]
    return tuple(
        sorted(
            found,
            key=lambda s: (-s.share, -s.severity / s.rungs, -s.missed, s.validator, s.fault, s.columns, s.weakness_id),
        )
    )


def _survivor(group: list[Trial]) -> Survivor:
    first = group[0]
    missed = sorted((t for t in group if t.outcome is Outcome.FN), key=lambda t: (-(t.dose or 0), t.trial_id))
    doses = [t.dose for t in missed if t.dose is not None]
    found = [t for t in group if t.outcome is Outcome.TP]
    return Survivor(
        weakness_id=first.weakness_id,
        validator=first.validator,
        fault=first.fault,
        family=first.family,
        columns=first.columns,
        placement=first.placement,
        params=first.params,
        fraction=first.fraction,
        severity=first.severity,
        rungs=first.rungs,
        missed=len(missed),
        detected=len(found),
        direct=sum(t.why is Why.DIRECT for t in found),
        errors=sum(t.outcome is Outcome.ERROR for t in group),
        missed_trials=tuple(t.trial_id for t in missed),
        largest_dose=max(doses, default=None),
    )
