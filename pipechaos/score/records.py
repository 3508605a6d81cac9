"""The records of scoring: what is true, what one trial came to, and a rate that carries its own doubt."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from pipechaos.ledger.records import Status
from pipechaos.score.truth import RowScores, Truth
from pipechaos.validate.verdict import FindingKind, Subject, VerdictStatus

__all__ = [
    "ErrorCause",
    "FindingRef",
    "Outcome",
    "Rate",
    "Review",
    "RowScores",
    "Trial",
    "TrialKind",
    "Truth",
    "Why",
    "jsonable",
]


class TrialKind(StrEnum):
    """What was judged."""

    FAULT = "fault"
    NATURAL = "natural"
    BENIGN = "benign"
    CANARY = "canary"


class Outcome(StrEnum):
    """What one trial came to (SCORING.md sections 2 and 3).

    TP, FN, NOOP and BASE_BAD are for faulty trials, TN and FP for natural controls, ERROR for all. Benign controls and
    canaries stand in none of those rates, so theirs are words of their own: ACCEPTED and ALARM (BASE_BAD too, benign).
    """

    TP = "tp"
    FN = "fn"
    FP = "fp"
    TN = "tn"
    ERROR = "error"
    NOOP = "noop"
    BASE_BAD = "base_bad"
    ACCEPTED = "accepted"
    ALARM = "alarm"


class ErrorCause(StrEnum):
    """Why a trial gave no judgement."""

    INJECTION = "injection"  # ours: the fault could not be applied; the run exits 3
    TIMED_OUT = "timed_out"
    CRASH = "crash"  # the suite as a whole stopped
    CHECK = "check"  # single checks raised instead of judging
    NOT_RUN = "not_run"  # nothing was said, but fewer checks ran than the suite file holds


class Why(StrEnum):
    """Why a fault was caught, the best reason first."""

    DIRECT = "direct"
    SIDE_EFFECT = "side_effect"
    ELSEWHERE = "elsewhere"
    UNATTRIBUTED = "unattributed"


class Review(StrEnum):
    """A person's word on a natural control's alarm."""

    UNREVIEWED = "unreviewed"
    TRUE = "true"  # the batch was bad: it leaves the denominator
    FALSE = "false"


@dataclass(frozen=True, kw_only=True)
class FindingRef:
    """A finding as a trial keeps it: without the rows themselves.

    Attributes
    ----------
    check, columns, kind, subject
        As the validator gave them.
    n_rows
        How many rows it named; None when it named none.
    why
        What it is credited as; None where it earns no credit (an error, a finding on a control).
    """

    check: str
    columns: tuple[str, ...]
    kind: FindingKind
    subject: Subject
    n_rows: int | None = None
    why: Why | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        plain: dict[str, Any] = jsonable(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FindingRef:
        """Inverse of :meth:`to_json`."""
        return cls(
            check=data["check"],
            columns=tuple(data["columns"]),
            kind=FindingKind(data["kind"]),
            subject=Subject(data["subject"]),
            n_rows=data["n_rows"],
            why=None if data["why"] is None else Why(data["why"]),
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One row of the trials table: a batch, an injection or control, a validator, and what came of it.

    Attributes
    ----------
    trial_id, kind, validator
        Which one.
    batch
        Name of the base batch: the cluster of the FNR.
    block
        Index of the block of consecutive batches that it lies in: the cluster of the FPR.
    fault, family, fault_version, columns, placement, params, resolved, fraction, severity, seed, repeat
        The injection; empty for a natural control. ``resolved`` is what history or source gave (ENGINE.md section 5).
        ``severity`` 0 is a dose off the ladder.
    moves, rungs
        Parameter that the fault's ladder moves, and how many rungs it has.
    weakness_id, injection_id
        Names (ENGINE.md section 8).
    ledger_status, ledger_reason, eligible, changed, dose
        What the injection really did.
    source_digest, after_digest, frame_digest
        Ordered digests of the base, of the corrupted batch, and of the frame as the validator got it.
    base_status, status
        Verdict on the untouched batch and on this one; None where it was not judged.
    findings
        New findings of kind fail and error; on a natural control all of them.
    outcome, error_cause, error_only, why
        The judgement.
    subnatural
        The summary the fault moves stayed inside its historic range.
    flaky
        This validator's verdict on the base differed when repeated: the trial leaves every rate.
    review
        A person's word on an alarm of a natural control.
    rows
        Row level counts, where there are any.
    checks_declared, checks_ran, seconds
        Of the verdict.
    """

    trial_id: str
    kind: TrialKind
    validator: str
    batch: str
    outcome: Outcome
    block: int = 0
    fault: str = ""
    family: str = ""
    fault_version: int = 0
    columns: tuple[str, ...] = ()
    placement: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    fraction: float = 0.0
    severity: int = 0
    seed: int = 0
    repeat: int = 0
    moves: str = "fraction"
    rungs: int = 1
    weakness_id: str = ""
    injection_id: str = ""
    ledger_status: Status | None = None
    ledger_reason: str = ""
    eligible: int = 0
    changed: int = 0
    dose: float | None = None
    source_digest: str = ""
    after_digest: str = ""
    frame_digest: str = ""
    base_status: VerdictStatus | None = None
    status: VerdictStatus | None = None
    findings: tuple[FindingRef, ...] = ()
    error_cause: ErrorCause | None = None
    error_only: bool = False
    why: Why | None = None
    subnatural: bool = False
    flaky: bool = False
    review: Review = Review.UNREVIEWED
    rows: RowScores | None = None
    checks_declared: int = 0
    checks_ran: int = 0
    seconds: float = 0.0

    def to_row(self) -> dict[str, Any]:
        """Flat row of scalars; what is nested becomes JSON text."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _NESTED:
            row[name] = None if row[name] is None else json.dumps(jsonable(row[name]), sort_keys=True)
        plain = (str, int, bool, type(None))  # most of them: what jsonable would give back as it is
        return {k: v if type(v) in plain else jsonable(v) for k, v in row.items()}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Trial:
        """Inverse of :meth:`to_row`; columns that this version does not know are left out."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in row.items() if k in known}
        for name in _NESTED:
            if values.get(name) is not None:
                values[name] = json.loads(values[name])
        values["columns"] = tuple(values.get("columns") or ())
        values["findings"] = tuple(FindingRef.from_json(f) for f in values.get("findings") or ())
        values["rows"] = RowScores(**values["rows"]) if values.get("rows") else None
        for name, kind in _ENUMS.items():
            if values.get(name) is not None:
                values[name] = kind(values[name])
        return cls(**values)


_NESTED = ("columns", "placement", "params", "resolved", "findings", "rows")
_ENUMS: Mapping[str, type[StrEnum]] = {
    "kind": TrialKind,
    "outcome": Outcome,
    "ledger_status": Status,
    "base_status": VerdictStatus,
    "status": VerdictStatus,
    "error_cause": ErrorCause,
    "why": Why,
    "review": Review,
}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A rate with its interval, its counts and its clusters.

    Attributes
    ----------
    estimate
        NaN when undefined.
    low, high
        Two-sided 95 % interval; NaN when undefined.
    lower, upper
        One-sided 95 % bounds: ends of the two-sided 90 % interval.
    hits, trials, clusters
        Counts: misses of trials for an FNR, alarms of controls for an FPR.
    batches
        Distinct base batches.
    effective_n
        Trials it is worth at the 95 % level, once clusters are taken into account.
    reason
        Why something is undefined; None otherwise.
    few_batches
        Fewer than 10 clusters: shown, but no gate decides on it.
    """

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    hits: int = 0
    trials: int = 0
    clusters: int = 0
    batches: int = 0
    effective_n: float = math.nan
    reason: str | None = None
    few_batches: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value: null with the reason where it is undefined, never 0 and never NaN."""
        plain: dict[str, Any] = jsonable(self)
        return plain


def jsonable(value: Any) -> Any:
    """Plain JSON value of a record, an enum, a number or a container; what is not finite becomes None.

    Examples
    --------
    >>> jsonable({"why": Why.DIRECT, "share": float("nan"), "columns": ("x",)})
    {'why': 'direct', 'share': None, 'columns': ['x']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    return value
