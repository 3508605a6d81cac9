"""What a store keeps of a run, and what reports read back of past ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["RatePoint", "RunRecord", "RunStatus"]


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
