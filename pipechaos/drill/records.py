"""What a drill found, and how drills stand."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipechaos.score.gates import ExitCode
from pipechaos.score.records import jsonable
from pipechaos.store.records import RunStatus

__all__ = ["Coverage", "DrillResult", "DrillStatus", "FailedGate", "NewSurvivor", "Newness"]


class Newness(StrEnum):
    """Why a survivor is new."""

    REGRESSION = "regression"  # it was caught the last time a drill tried it
    FIRST_SEEN = "first_seen"  # no run of the experiment had judged it before
    UNACCEPTED = "unaccepted"  # it survives, and the baseline does not know it


@dataclass(frozen=True, kw_only=True)
class NewSurvivor:
    """A weakness that survives and is news.

    Attributes
    ----------
    why
        What is new about it.
    validator, fault, columns, severity, weakness_id
        Which one; ``severity`` 0 is a dose of its own.
    missed, tried
        Trials of tonight.
    """

    why: Newness
    validator: str
    fault: str
    columns: tuple[str, ...]
    severity: int
    weakness_id: str
    missed: int
    tried: int


@dataclass(frozen=True, kw_only=True)
class FailedGate:
    """A gate that failed for a validator over the last period; ``scope`` is empty where it is about everything."""

    validator: str
    metric: str
    limit: float
    scope: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of the catalogue was drilled of late.

    Attributes
    ----------
    pairs
        Faults on columns that the experiment has.
    within
        Of these, tried within the last period.
    never
        Of these, never tried by a drill.
    oldest
        Last try of the one that has waited longest, of those that were tried; None where none was.
    period_days
        The period.
    """

    pairs: int
    within: int
    never: int
    oldest: dt.datetime | None
    period_days: float


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """What a drill found.

    Attributes
    ----------
    experiment, run_id, started, finished, status
        Which drill of which experiment, and how far it came.
    exit_code
        Of the drill and of the gates (SCORING.md section 5), the first of 3, 1, 4 and 0 that either has.
    stopped, halted
        Why it ended early; empty when it did not. Whether it was the kill switch.
    bases
        Names of the batches that were broken.
    tried
        Faults on columns that were its part.
    trials, judged
        Faulty trials, and how many of them were caught or missed.
    base_bad
        Validators that did not accept an untouched base: what they say of its broken copies counts for nothing.
    blind
        Validators that let a canary through.
    injection_errors
        Injections that failed: the exit code is 3 then, as with a blind validator.
    gates_failed, gates_open
        The experiment's gates over all drills of the last period: which failed, and how many are inconclusive.
    new_survivors
        Regressions first.
    coverage
        After it.
    next_due, next_at
        The first faults on columns of the next drill, and when that is expected.
    late
        That drills were missed before this one, in words.
    report
        Path of the page for people; empty where there is none.
    """

    experiment: str
    run_id: str
    started: dt.datetime
    finished: dt.datetime | None
    status: RunStatus
    exit_code: int
    bases: tuple[str, ...]
    tried: int
    trials: int
    judged: int
    coverage: Coverage
    next_at: dt.datetime
    stopped: str = ""
    halted: bool = False
    blind: tuple[str, ...] = ()
    injection_errors: int = 0
    base_bad: tuple[str, ...] = ()
    gates_failed: tuple[FailedGate, ...] = ()
    gates_open: int = 0
    new_survivors: tuple[NewSurvivor, ...] = ()
    next_due: tuple[str, ...] = ()
    late: str = ""
    report: str = ""

    @property
    def alarming(self) -> bool:
        """Whether somebody is to be told: a gate failed, a survivor is new, or nothing was judged."""
        bad = (ExitCode.GATE_FAILED, ExitCode.COULD_NOT_RUN)
        return bool(
            self.exit_code in bad or self.gates_failed or self.new_survivors or not (self.judged or self.halted)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; moments in ISO format."""
        return _plain(self) | {"alarming": self.alarming}


@dataclass(frozen=True, kw_only=True)
class DrillStatus:
    """How the drills of an experiment stand.

    Attributes
    ----------
    experiment, drills
        Which one, and how many drills the store knows.
    last, last_exit_code
        When the last one that could run began, and how it ended; None where there is none.
    overdue, paused
        In words; empty where all is well.
    coverage, next_due, next_at
        As in :class:`DrillResult`; ``next_at`` is None before the first drill.
    trials_each
        Most faulty trials of a drill.
    """

    experiment: str
    drills: int
    last: dt.datetime | None
    last_exit_code: int | None
    overdue: str
    paused: str
    coverage: Coverage
    next_due: tuple[str, ...]
    next_at: dt.datetime | None
    trials_each: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; moments in ISO format."""
        return _plain(self)


def _plain(record: Any) -> dict[str, Any]:
    plain: dict[str, Any] = _written(jsonable(record))
    return plain


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _written(v) for k, v in value.items()}
    return value.isoformat() if isinstance(value, dt.datetime) else value
