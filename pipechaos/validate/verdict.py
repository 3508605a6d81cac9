"""What a validator said about one frame: checks, findings, verdict (SCORING.md section 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Check", "Finding", "FindingKind", "Subject", "Verdict", "VerdictStatus", "decide", "same_verdict"]


class FindingKind(StrEnum):
    """What one finding means for the verdict."""

    FAIL = "fail"
    ERROR = "error"
    TOLERATED = "tolerated"


class Subject(StrEnum):
    """What a check looks at; it decides what a finding can be credited for."""

    VALUE = "value"  # cells of the named columns, nulls included
    AGGREGATE = "aggregate"  # one number made of a column: mean, null share, distinct values
    DTYPE = "dtype"
    SCHEMA = "schema"  # presence, order and set of columns
    ROW_COUNT = "row_count"
    UNIQUENESS = "uniqueness"
    TABLE = "table"  # anything else about the whole table, and crashes


class VerdictStatus(StrEnum):
    """The four answers of a validator."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERRORED = "errored"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check a suite declares.

    Attributes
    ----------
    id
        Stable within the suite and unique in it, for instance ``"dep_delay:in_range(-60, 2000)"``.
    columns
        Columns it looks at; empty when it looks at the whole table or that is unknown.
    subject
        What it looks at.
    """

    id: str
    columns: tuple[str, ...]
    subject: Subject


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """One thing a validator said.

    Attributes
    ----------
    check
        Id of the check (``Check.id``), or a name of ours in angle brackets, such as ``"<crash>"``.
    columns
        Columns named; empty when the validator named none.
    kind
        fail, error or tolerated.
    subject
        What the check looks at.
    rows
        Sorted positions in the frame as handed over, int64; None when the validator gave no rows.
    message
        One line for people; may quote data, so it is left out where values are.
    """

    check: str
    columns: tuple[str, ...]
    kind: FindingKind
    subject: Subject
    rows: npt.NDArray[np.int64] | None = None
    message: str = ""

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What makes a finding "the same" on another frame: check and columns (SCORING.md section 2)."""
        return (self.check, self.columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """The verdict of one validator on one frame.

    Attributes
    ----------
    validator
        Name of the validator in the experiment.
    status
        accepted, rejected, errored or timed_out.
    findings
        In the order of the suite.
    checks_declared, checks_ran
        How many checks the suite **file** holds, and how many were evaluated.
    ordered_digest, multiset_digest
        Of the frame as the validator got it; empty when it never got one.
    seconds
        Wall time of the validation alone.
    """

    validator: str
    status: VerdictStatus
    findings: tuple[Finding, ...] = field(default=())
    checks_declared: int = 0
    checks_ran: int = 0
    ordered_digest: str = ""
    multiset_digest: str = ""
    seconds: float = 0.0

    @property
    def fails(self) -> tuple[Finding, ...]:
        """Findings of kind *fail*."""
        return tuple(f for f in self.findings if f.kind is FindingKind.FAIL)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings of kind *error*."""
        return tuple(f for f in self.findings if f.kind is FindingKind.ERROR)


def decide(
    findings: tuple[Finding, ...], *, declared: int, ran: int, crashed: bool = False, timed_out: bool = False
) -> VerdictStatus:
    """Status from findings: the first that holds of timed_out, rejected, errored, accepted.

    Parameters
    ----------
    findings
        All findings of the validation.
    declared, ran
        Checks in the suite file, checks evaluated.
    crashed, timed_out
        Whether the validator raised something that is no verdict, or was killed at its limit.

    Examples
    --------
    >>> decide((), declared=3, ran=2)
    <VerdictStatus.ERRORED: 'errored'>
    """
    if timed_out:
        return VerdictStatus.TIMED_OUT
    kinds = {f.kind for f in findings}
    if FindingKind.FAIL in kinds:
        return VerdictStatus.REJECTED
    if crashed or FindingKind.ERROR in kinds or ran < declared:
        return VerdictStatus.ERRORED
    return VerdictStatus.ACCEPTED


def same_verdict(a: Verdict, b: Verdict) -> bool:
    """Whether two verdicts on equal frames agree: status, findings and their rows (time apart)."""

    def shape(v: Verdict) -> tuple[VerdictStatus, frozenset[tuple[object, ...]]]:
        return v.status, frozenset(
            (f.check, f.columns, f.kind, None if f.rows is None else f.rows.tobytes()) for f in v.findings
        )

    return shape(a) == shape(b)
