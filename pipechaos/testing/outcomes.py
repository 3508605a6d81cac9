"""What must_reject and must_accept found out, and the errors that carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipechaos.campaign.explain import Example
from pipechaos.campaign.explanation import NearMiss
from pipechaos.errors import PlanError
from pipechaos.ledger.records import Status
from pipechaos.report.escape import visible
from pipechaos.score.outcome import Judgement
from pipechaos.score.records import Outcome
from pipechaos.validate.verdict import Verdict

if TYPE_CHECKING:
    from pipechaos.plan.injection import Injection

__all__ = ["AcceptResult", "Draw", "MissedFaultError", "NothingChangedError", "Result", "UnexpectedVerdictError"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """One broken copy and what came of it.

    Attributes
    ----------
    repeat
        Which draw.
    judgement
        Outcome, why it was caught, new findings.
    status, reason
        Of the injection.
    changed, eligible
        Cells (rows for row faults) that differ, of those that could.
    example
        Rows before and after.
    digest
        Of the broken copy: two draws with one digest count once.
    subnatural
        Whether the dose leaves the batch looking like an ordinary one of the history.
    near
        Of a draw that was missed: declared limits that it came near to, the nearest first.
    """

    repeat: int
    judgement: Judgement
    status: Status
    reason: str = ""
    changed: int = 0
    eligible: int = 0
    example: Example | None = None
    digest: str = ""
    subnatural: bool = False
    near: tuple[NearMiss, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What it came to."""
        return self.judgement.outcome

    @property
    def dose(self) -> float | None:
        """Realised share; None when nothing was eligible."""
        return self.changed / self.eligible if self.eligible else None


_WORST_FIRST = (Outcome.BASE_BAD, Outcome.FN, Outcome.ERROR, Outcome.TP, Outcome.NOOP)
_EFFECTIVE = (Outcome.TP, Outcome.FN, Outcome.ERROR)


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What one validator made of one fault on one batch.

    Attributes
    ----------
    validator, batch
        Names.
    injection
        The fault with everything filled in; its first draw.
    base
        Verdict on the untouched batch.
    draws
        One for each repeat, copies that are the same counted once; none where the untouched batch was not accepted.
    """

    validator: str
    batch: str
    injection: Injection
    base: Verdict
    draws: tuple[Draw, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of its draws."""
        found = {d.outcome for d in self.draws} or {Outcome.BASE_BAD}
        return next(o for o in _WORST_FIRST if o in found)

    @property
    def rejected(self) -> int:
        """Draws that were detected."""
        return sum(d.outcome is Outcome.TP for d in self.draws)

    @property
    def effective(self) -> int:
        """Draws that changed something for this validator: detected, missed or without a verdict."""
        return sum(d.outcome in _EFFECTIVE for d in self.draws)

    @property
    def fault(self) -> str:
        """Fault, columns and severity, as in the id of a test."""
        i = self.injection
        where = f"[{','.join(i.columns)}]" if i.columns else ""
        return visible(f"{i.fault}{where}" + (f"@{i.severity}" if i.severity else ""))


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceptResult:
    """What one validator made of untouched batches.

    Attributes
    ----------
    validator
        Name.
    verdicts
        (name of the batch, verdict), in order.
    """

    validator: str
    verdicts: tuple[tuple[str, Verdict], ...]

    @property
    def accepted(self) -> int:
        """How many were accepted."""
        from pipechaos.validate.verdict import VerdictStatus

        return sum(v.status is VerdictStatus.ACCEPTED for _, v in self.verdicts)


class UnexpectedVerdictError(AssertionError):
    """A validator did not say what a test wants of it; ``result`` holds everything that was found out."""

    def __init__(self, message: str, result: Result | AcceptResult) -> None:
        super().__init__(message)
        self.result = result


class MissedFaultError(UnexpectedVerdictError):
    """A broken batch was accepted: what a known survivor is expected to raise, and nothing else."""


class NothingChangedError(PlanError):
    """The fault changed nothing for this validator, so nothing was tested: neither a pass nor a miss."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result
