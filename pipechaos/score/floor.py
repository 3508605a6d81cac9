"""Detection floor: the smallest dose from which a validator reliably sees a fault (SCORING.md section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipechaos import counter
from pipechaos.errors import ConfigError
from pipechaos.score.rates import RHO, proportion
from pipechaos.score.records import ErrorCause, Outcome, Rate, Trial, TrialKind

__all__ = ["RELIABLE", "Floor", "FloorStatus", "floor_of", "floors"]

RELIABLE = 0.8


class FloorStatus(StrEnum):
    """What is known about a floor."""

    ESTABLISHED = "established"
    NEVER = "never"
    NOT_ESTABLISHED = "not_established"


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Detection floor of one fault on its columns and placement.

    Attributes
    ----------
    validator, fault, columns, placement, params
        Which ladder; ``params`` without the one that the ladder moves.
    status
        Whether there is a floor.
    severity
        Smallest severity that is reliably seen, with every larger tested one; None without a floor.
    fraction, moved
        Fraction at that severity, and the value of the parameter that the ladder moves; None without a floor.
    detect
        P(detect) at each tested severity.
    """

    validator: str
    fault: str
    columns: tuple[str, ...]
    placement: Mapping[str, Any]
    params: Mapping[str, Any]
    status: FloorStatus
    severity: int | None
    fraction: float | None
    moved: Any
    detect: Mapping[int, Rate]


def floor_of(detect: Mapping[int, Rate]) -> tuple[FloorStatus, int | None]:
    """Status and severity of a floor from P(detect) by severity.

    Parameters
    ----------
    detect
        At least one tested severity.

    Examples
    --------
    >>> floor_of({1: Rate(lower=0.2, upper=0.6), 2: Rate(lower=0.81, upper=1), 3: Rate(lower=0.9, upper=1)})
    (<FloorStatus.ESTABLISHED: 'established'>, 2)
    """
    if not detect:
        raise ConfigError("a detection floor needs at least one tested severity")
    found: int | None = None
    for severity in sorted(detect, reverse=True):
        if not detect[severity].lower >= RELIABLE:  # NaN ends the run too
            break
        found = severity
    if found is not None:
        return FloorStatus.ESTABLISHED, found
    never = detect[max(detect)].upper < RELIABLE
    return (FloorStatus.NEVER if never else FloorStatus.NOT_ESTABLISHED), None


def floors(trials: Iterable[Trial], rho: float = RHO) -> tuple[Floor, ...]:
    """Floors of every fault, columns and placement, sorted.

    An error is no detection. Subnatural trials are in: a dose that looks like an ordinary day is below the floor.
    Doses off the ladder (severity 0), no-ops, bad bases and flaky trials are not.

    Parameters
    ----------
    trials
        Of a run; kinds other than faults are left alone.
    rho
        Smallest correlation within a batch, where a severity has several trials on one.
    """
    ladders: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        if _tested(trial):
            ladders.setdefault(_key(trial), []).append(trial)
    return tuple(_floor(ladders[key], rho) for key in sorted(ladders))


def _tested(trial: Trial) -> bool:
    return (
        trial.kind is TrialKind.FAULT
        and trial.severity > 0
        and not trial.flaky
        and trial.error_cause is not ErrorCause.INJECTION
        and trial.outcome in (Outcome.TP, Outcome.FN, Outcome.ERROR)
    )


def _key(trial: Trial) -> tuple[str, ...]:
    place, params = counter.canonical_json(trial.placement), counter.canonical_json(_fixed(trial))
    return trial.validator, trial.fault, "\0".join(trial.columns), place.decode(), params.decode()


def _fixed(trial: Trial) -> dict[str, Any]:
    return {k: v for k, v in trial.params.items() if k != trial.moves}


def _floor(group: list[Trial], rho: float) -> Floor:
    first = group[0]
    detect = {
        severity: proportion(_rows([t for t in group if t.severity == severity]), rho)
        for severity in sorted({t.severity for t in group})
    }
    status, severity = floor_of(detect)
    at = next((t for t in group if t.severity == severity), None)
    return Floor(
        validator=first.validator,
        fault=first.fault,
        columns=first.columns,
        placement=first.placement,
        params=_fixed(first),
        status=status,
        severity=severity,
        fraction=at.fraction if at else None,
        moved=at.params.get(at.moves) if at else None,
        detect=detect,
    )


def _rows(trials: list[Trial]) -> list[tuple[bool, str, str, str]]:
    seen: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda t: (t.batch, t.repeat, t.trial_id)):
        seen.setdefault(trial.after_digest or trial.trial_id, trial)
    return [(t.outcome is Outcome.TP, t.batch, t.batch, "ladder") for t in seen.values()]
