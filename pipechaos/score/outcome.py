"""What one trial came to, and why (SCORING.md sections 1 to 3): every table as a function, first row that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pipechaos.errors import ConfigError
from pipechaos.faults.spec import Family
from pipechaos.ledger.records import Status
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Review, Trial, TrialKind, Why
from pipechaos.score.truth import Truth
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus, same_verdict

__all__ = [
    "Judgement",
    "blind",
    "flaky",
    "judge",
    "judge_benign",
    "judge_canary",
    "judge_injected",
    "judge_natural",
    "new_findings",
    "paranoid",
    "why_found",
]

_SHAPE = (Subject.DTYPE, Subject.SCHEMA)
_NO_EFFECT = (Status.NO_EFFECT, Status.NOT_APPLICABLE)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a trial came to.

    Attributes
    ----------
    outcome
        The row of the table that held.
    error_cause
        For an ERROR.
    error_only
        Detected only because a check raised on a column that the fault dropped, renamed or retyped.
    why
        For a TP.
    review
        A person's word, for an FP.
    new_findings
        Findings of kind fail and error that the base's verdict has not, in the order of the suite.
    """

    outcome: Outcome
    error_cause: ErrorCause | None = None
    error_only: bool = False
    why: Why | None = None
    review: Review = Review.UNREVIEWED
    new_findings: tuple[FindingRef, ...] = ()


def judge(
    *,
    ledger_status: Status,
    base: Verdict | None,
    verdict: Verdict | None,
    truth: Truth | None,
    same_frame: bool = False,
) -> Judgement:
    """Outcome of a faulty trial.

    Parameters
    ----------
    ledger_status
        Of the injection.
    base
        The same validator's verdict on the untouched batch.
    verdict
        Its verdict on the corrupted one.
    truth
        What the ledger says changed.
    same_frame
        Whether the frame handed over equals the base's: an equivalent mutant.

    Verdicts and truth may be None where a row of the table above them holds already: then nobody had to be asked.

    Raises
    ------
    ConfigError
        A verdict or the truth is missing though the outcome hangs on it.
    """
    if ledger_status is Status.FAILED:
        return Judgement(outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION)
    if base is None:
        raise ConfigError("a faulty trial needs its base: judge the untouched batch with the same validator first")
    if base.status is not VerdictStatus.ACCEPTED:
        return Judgement(outcome=Outcome.BASE_BAD)
    if ledger_status in _NO_EFFECT or same_frame:
        return Judgement(outcome=Outcome.NOOP)
    if verdict is None or truth is None:
        raise ConfigError("an applied fault needs the validator's verdict and the truth of its ledger to be judged")
    new = new_findings(verdict, base)
    refs = tuple(_credited(f, truth) for f in new)
    if verdict.status is VerdictStatus.REJECTED:
        return Judgement(outcome=Outcome.TP, why=_best(refs), new_findings=refs)
    if verdict.status is VerdictStatus.ACCEPTED:
        return Judgement(outcome=Outcome.FN, new_findings=refs)
    if verdict.status is VerdictStatus.ERRORED and any(_noticed(f, truth) for f in new):
        return Judgement(outcome=Outcome.TP, error_only=True, why=_best(refs), new_findings=refs)
    return Judgement(outcome=Outcome.ERROR, error_cause=_cause(verdict), new_findings=refs)


def new_findings(verdict: Verdict, base: Verdict) -> tuple[Finding, ...]:
    """Findings of kind fail and error whose (check, columns) the base's verdict has not in that kind.

    A finding that was *tolerated* on the base and fails here is new: only now does it say no.
    """
    known = {(*f.key, f.kind) for f in base.findings}
    return tuple(f for f in verdict.findings if f.kind is not FindingKind.TOLERATED and (*f.key, f.kind) not in known)


def why_found(finding: Finding, truth: Truth) -> Why:
    """What a new finding is credited as.

    Direct when it meets the ledger by column (and by row, where it names rows), or is a finding about the whole table
    that fits the fault. An added row is new in every column, so it is met through any of them. A new *uniqueness*
    finding on a changed column is direct whichever twin it names: only the change can have made the pair.
    """
    if finding.subject in _SHAPE and not truth.touches_schema:
        return Why.SIDE_EFFECT
    if _fits(finding, truth) or _meets(finding, truth):
        return Why.DIRECT
    if finding.columns or finding.rows is not None:
        return Why.ELSEWHERE
    return Why.UNATTRIBUTED


def judge_natural(verdict: Verdict, reviewed: Review = Review.UNREVIEWED) -> Judgement:
    """Outcome of an untouched batch; a reviewed alarm stays an FP here, and rates leave out what was truly bad.

    Parameters
    ----------
    verdict
        On the untouched batch.
    reviewed
        A person's word on the alarm; says nothing where this validator raised none.
    """
    refs = tuple(_plain(f) for f in verdict.findings if f.kind is not FindingKind.TOLERATED)
    if verdict.status is VerdictStatus.ACCEPTED:
        return Judgement(outcome=Outcome.TN, new_findings=refs)
    if verdict.status is VerdictStatus.REJECTED:
        return Judgement(outcome=Outcome.FP, review=reviewed, new_findings=refs)
    return Judgement(outcome=Outcome.ERROR, error_cause=_cause(verdict), new_findings=refs)


def judge_benign(base: Verdict, verdict: Verdict | None, ledger_status: Status = Status.APPLIED) -> Judgement:
    """Outcome of a change that the contract allows: base bad, else accepted, alarm or error; never a no-op.

    Parameters
    ----------
    base, verdict
        On the untouched and on the changed batch.
    ledger_status
        A failed injection is an error of ours.
    """
    if ledger_status is Status.FAILED:
        return Judgement(outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION)
    if base.status is not VerdictStatus.ACCEPTED:
        return Judgement(outcome=Outcome.BASE_BAD)
    if verdict is None:
        raise ConfigError("a benign control needs the validator's verdict on the changed batch")
    refs = tuple(_plain(f) for f in new_findings(verdict, base))
    return _control(verdict, refs)


def judge_canary(verdict: Verdict | None, truth: Truth | None, ledger_status: Status = Status.APPLIED) -> Judgement:
    """Outcome of a ruin that any validator must catch; ALARM is good here.

    An error is no rejection, except where all columns are gone and a check raised on one of them.
    """
    if ledger_status is Status.FAILED:
        return Judgement(outcome=Outcome.ERROR, error_cause=ErrorCause.INJECTION)
    if verdict is None or truth is None:
        raise ConfigError("a canary needs the validator's verdict and the truth of its ledger")
    refs = tuple(_plain(f) for f in verdict.findings if f.kind is not FindingKind.TOLERATED)
    errored = verdict.status is VerdictStatus.ERRORED
    if errored and any(truth.dropped.intersection(f.columns) for f in verdict.errors):
        return Judgement(outcome=Outcome.ALARM, error_only=True, new_findings=refs)
    return _control(verdict, refs)


def judge_injected(
    family: Family, ledger_status: Status, *, base: Verdict, verdict: Verdict, truth: Callable[[], Truth]
) -> Judgement:
    """Judge a copy by what was injected: on a benign change a rejection is an alarm, on a fault it is a hit.

    Parameters
    ----------
    family
        Of the fault.
    ledger_status
        Of its injection.
    base, verdict
        On the untouched batch, and on the copy.
    truth
        Gives what really changed; not asked of a benign change.
    """
    if family is Family.BENIGN:
        return judge_benign(base, verdict, ledger_status)
    if family is Family.CANARY:
        return judge_canary(verdict, truth(), ledger_status)
    same = bool(verdict.ordered_digest) and verdict.ordered_digest == base.ordered_digest
    return judge(ledger_status=ledger_status, base=base, verdict=verdict, truth=truth(), same_frame=same)


def blind(trials: Iterable[Trial], validator: str) -> bool | None:
    """Whether a validator rejects no canary; None when none was tried on it.

    Parameters
    ----------
    trials
        Of a run.
    validator
        Name.
    """
    canaries = [t for t in trials if t.kind is TrialKind.CANARY and t.validator == validator]
    if not canaries:
        return None
    return not any(t.outcome is Outcome.ALARM for t in canaries)


def paranoid(trials: Iterable[Trial], validator: str) -> bool:
    """Whether a validator rejects more than half of the natural controls; truly bad batches are left out."""
    judged = {
        t.batch: t
        for t in trials
        if t.kind is TrialKind.NATURAL and t.validator == validator and t.review is not Review.TRUE
    }
    alarms = sum(t.outcome is Outcome.FP for t in judged.values())
    return 2 * alarms > len(judged)


def flaky(first: Verdict, second: Verdict) -> bool:
    """Whether two looks at the same untouched batch disagree: every trial paired with it leaves the rates."""
    return not same_verdict(first, second)


def _control(verdict: Verdict, refs: tuple[FindingRef, ...]) -> Judgement:
    if verdict.status is VerdictStatus.ACCEPTED:
        return Judgement(outcome=Outcome.ACCEPTED, new_findings=refs)
    if verdict.status is VerdictStatus.REJECTED:
        return Judgement(outcome=Outcome.ALARM, new_findings=refs)
    return Judgement(outcome=Outcome.ERROR, error_cause=_cause(verdict), new_findings=refs)


def _fits(finding: Finding, truth: Truth) -> bool:
    """Whether a finding about the table as a whole is one that this fault would cause."""
    named = bool(truth.columns.intersection(finding.columns))
    match finding.subject:
        case Subject.ROW_COUNT:
            return truth.touches_rows
        case Subject.UNIQUENESS:
            return truth.touches_rows or named or (truth.touches_key and not finding.columns)
        case Subject.SCHEMA:
            return truth.touches_schema and (named or not finding.columns)
        case _:
            return False


def _meets(finding: Finding, truth: Truth) -> bool:
    if finding.rows is None:
        return bool(truth.columns.intersection(finding.columns) or (finding.columns and len(truth.added)))
    if truth.whole.intersection(finding.columns):
        return True
    columns = truth.changed.keys() & finding.columns if finding.columns else truth.changed.keys()
    return any(np.isin(finding.rows, rows).any() for rows in [truth.added, *(truth.changed[c] for c in columns)])


def _noticed(finding: Finding, truth: Truth) -> bool:
    return finding.kind is FindingKind.ERROR and bool(truth.broken.intersection(finding.columns))


def _credited(finding: Finding, truth: Truth) -> FindingRef:
    earns = finding.kind is FindingKind.FAIL or _noticed(finding, truth)
    return _plain(finding, why_found(finding, truth) if earns else None)


def _plain(finding: Finding, why: Why | None = None) -> FindingRef:
    return FindingRef(
        check=finding.check,
        columns=finding.columns,
        kind=finding.kind,
        subject=finding.subject,
        n_rows=None if finding.rows is None else len(finding.rows),
        why=why,
    )


def _best(refs: tuple[FindingRef, ...]) -> Why:
    found = {r.why for r in refs}
    return next((w for w in Why if w in found), Why.UNATTRIBUTED)


def _cause(verdict: Verdict) -> ErrorCause:
    if verdict.status is VerdictStatus.TIMED_OUT:
        return ErrorCause.TIMED_OUT
    if not verdict.errors:
        return ErrorCause.NOT_RUN
    ours = any(f.check.startswith("<") for f in verdict.errors)  # "<crash>": the suite, not one of its checks
    return ErrorCause.CRASH if ours else ErrorCause.CHECK
