"""What a store keeps of a run, and what reports read back of past ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipechaos.errors import CannotRunError
from pipechaos.score.records import Trial
from pipechaos.validate.verdict import Verdict

__all__ = [
    "BaseVerdict",
    "Journal",
    "RatePoint",
    "Regression",
    "RunIdentity",
    "RunRecord",
    "RunStatus",
    "StoreError",
    "WeaknessRow",
]


class StoreError(CannotRunError):
    """The store cannot be used as it is: unreachable, of a newer version, or in contradiction to what is written."""


class RunStatus(StrEnum):
    """How far a run came."""

    RUNNING = "running"  # or killed: nobody was left to say so
    FINISHED = "finished"
    STOPPED = "stopped"  # at its budget


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Attributes
    ----------
    run_id
        Given by who runs: a retry writes under the same one.
    experiment, experiment_digest, seed
        What was run.
    suites
        Digest of each validator's suite, by name.
    versions
        Of pipechaos and the libraries.
    revision
        Of the team's repository, where there is one; empty otherwise.
    started, finished
        UTC; None while it is not finished.
    status, exit_code
        How it ended.
    scorecard
        Its document (``pipechaos.scorecard/1``); None while it is not finished.
    history
        Digest over the clean batches that scales and ranges are made from; empty where nobody took it.
    """

    run_id: str
    experiment: str
    experiment_digest: str
    seed: int
    started: dt.datetime
    suites: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    finished: dt.datetime | None = None
    status: RunStatus = RunStatus.RUNNING
    exit_code: int | None = None
    scorecard: Mapping[str, Any] | None = None
    history: str = ""


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """Headline rates of one validator in one past run, as its scorecard has them.

    Attributes
    ----------
    run_id, started, validator, suite_digest, revision
        Which one; ``started`` in UTC. The stack of all validators has an empty ``suite_digest``.
    fnr, fnr_low, fnr_high, missed, faulty
        False-negative rate, its two-sided 95 % interval, misses and judged faulty trials; None where undefined.
    fpr, fpr_low, fpr_high, alarms, natural
        The same of the false-positive rate over untouched batches.
    """

    run_id: str
    started: dt.datetime
    validator: str
    suite_digest: str = ""
    revision: str = ""
    fnr: float | None = None
    fnr_low: float | None = None
    fnr_high: float | None = None
    missed: int = 0
    faulty: int = 0
    fpr: float | None = None
    fpr_low: float | None = None
    fpr_high: float | None = None
    alarms: int = 0
    natural: int = 0


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What a run is made of: a run that was killed goes on only where all of it is still the same.

    Attributes
    ----------
    experiment, experiment_digest, seed, suites, versions
        As in :class:`RunRecord`.
    history
        Digest over the clean batches that scales and ranges are made from.
    """

    experiment: str
    experiment_digest: str
    seed: int
    suites: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    history: str = ""


@dataclass(frozen=True, kw_only=True)
class BaseVerdict:
    """One validator's verdict on an untouched batch: everything that is paired with it needs it again.

    Attributes
    ----------
    batch, source_digest
        Name and ordered digest of the batch.
    again
        Whether it is the second look.
    verdict
        Without messages, which may quote data.
    """

    batch: str
    source_digest: str
    again: bool
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What a run that was killed had committed."""

    verdicts: tuple[BaseVerdict, ...] = ()
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WeaknessRow:
    """What became of one weakness in one run: its trials that stand in the rates.

    Attributes
    ----------
    run_id, validator, weakness_id, fault, family, columns, placement, params, moves, fraction, severity, rungs
        Which one. ``placement`` is its canonical form; ``moves`` is the parameter that the fault's ladder moves.
    missed, detected, errors
        Trials in the rates; flaky, subnatural and equivalent ones and duplicates are left out.
    """

    run_id: str
    validator: str
    weakness_id: str
    fault: str
    family: str
    columns: tuple[str, ...]
    placement: Mapping[str, Any]
    params: Mapping[str, Any]
    moves: str
    fraction: float
    severity: int
    rungs: int
    missed: int
    detected: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A weakness that survives now and was caught the last time it was tried.

    Attributes
    ----------
    now
        In this run.
    previous_run
        The last earlier run of the experiment that judged it; every trial of it was detected there.
    previous_detected
        How many that were.
    """

    now: WeaknessRow
    previous_run: str
    previous_detected: int
