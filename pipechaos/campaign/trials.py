"""From what was observed to trials: pairing, equivalence of frames, subnatural doses, names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipechaos import counter
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.tasks import Task
from pipechaos.ledger.records import Ledger, Status
from pipechaos.score.attribution import Groups, row_scores
from pipechaos.score.natural import NaturalRanges
from pipechaos.score.outcome import Judgement, judge, judge_benign, judge_canary, judge_natural, new_findings
from pipechaos.score.records import Review, RowScores, Trial, TrialKind
from pipechaos.score.truth import Truth
from pipechaos.validate.verdict import Verdict

__all__ = ["Judge", "Observed", "review_of", "subnatural"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """What one task gave: the frame that was judged, and every validator's verdict on it.

    Attributes
    ----------
    task
        What was done.
    source_digest, after_digest
        Ordered digests of the base and of the batch that was judged.
    ledger
        Of the injection; None for a natural control.
    subnatural
        Whether the summary that the fault moves stayed inside its historic range.
    verdicts
        By validator; empty when nobody had to be asked.
    groups
        Group of every row for the columns of each uniqueness finding: rows that share the value afterwards.
    """

    task: Task
    source_digest: str
    after_digest: str
    ledger: Ledger | None = None
    subnatural: bool = False
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Turns observations into trials.

    Attributes
    ----------
    experiment
        The file.
    suites
        Digest of each validator's suite.
    blocks
        Block of consecutive batches that each control lies in.
    bases
        (validator, batch) -> verdict on the untouched batch; filled while controls are judged.
    unstable
        (validator, batch) whose verdict differed when repeated.
    """

    experiment: Experiment
    suites: Mapping[str, str]
    blocks: Mapping[str, int]
    bases: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    unstable: set[tuple[str, str]] = field(default_factory=set)

    def trials(self, observed: Observed) -> list[Trial]:
        """One trial for each validator."""
        return [self._trial(observed, v.name) for v in self.experiment.validators]

    def _trial(self, observed: Observed, validator: str) -> Trial:
        verdict = observed.verdicts.get(validator)
        task, ledger = observed.task, observed.ledger
        phase = task.injection.spec.phase if task.injection else None
        truth = Truth.of(ledger, phase, tuple(self.experiment.key)) if ledger is not None else None
        judgement = self._judgement(observed, validator, verdict, truth)
        return Trial(
            kind=task.kind,
            validator=validator,
            batch=task.base,
            block=self.blocks.get(task.base, 0),
            outcome=judgement.outcome,
            error_cause=judgement.error_cause,
            error_only=judgement.error_only,
            why=judgement.why,
            review=judgement.review,
            findings=judgement.new_findings,
            source_digest=observed.source_digest,
            after_digest=observed.after_digest,
            subnatural=observed.subnatural,
            flaky=(validator, task.base) in self.unstable,
            rows=self._rows(observed, truth, validator),
            **self._names(task, validator, observed.source_digest),
            **_of_ledger(ledger),
            **self._of_verdict(verdict, validator, task.base),
        )

    def _judgement(self, observed: Observed, validator: str, verdict: Verdict | None, truth: Truth | None) -> Judgement:
        task = observed.task
        if task.kind is TrialKind.NATURAL:
            return judge_natural(_given(verdict), review_of(self.experiment, task.base, validator))
        status = observed.ledger.status if observed.ledger is not None else Status.FAILED
        base = self.bases.get((validator, task.base))
        if task.kind is TrialKind.CANARY:
            return judge_canary(verdict, truth, status)
        if task.kind is TrialKind.BENIGN:
            return judge_benign(_given(base), verdict, status)
        same = verdict is not None and base is not None and self._same_frame(base, verdict)
        return judge(ledger_status=status, base=base, verdict=verdict, truth=truth, same_frame=same)

    def _same_frame(self, base: Verdict, verdict: Verdict) -> bool:
        """Whether two frames are equal as far as the contract looks: in any order where rows may come in any order."""
        if self.experiment.contract.row_order:
            return bool(verdict.multiset_digest) and verdict.multiset_digest == base.multiset_digest
        return bool(verdict.ordered_digest) and verdict.ordered_digest == base.ordered_digest

    def _rows(self, observed: Observed, truth: Truth | None, validator: str) -> RowScores | None:
        verdict, base = observed.verdicts.get(validator), self.bases.get((validator, observed.task.base))
        if observed.task.kind is not TrialKind.FAULT or truth is None or verdict is None or base is None:
            return None
        return row_scores(truth, new_findings(verdict, base), observed.groups)

    def _names(self, task: Task, validator: str, source_digest: str) -> dict[str, Any]:
        injection = task.injection
        suite = self.suites.get(validator, "")
        if injection is None:
            name = "natural-again" if task.again else "natural"
            return {"trial_id": counter.digest_id("trial", name, source_digest, validator, suite)}
        spec = injection.spec
        injection_id = injection.injection_id(task.base)
        return {
            "trial_id": counter.digest_id("trial", injection_id, source_digest, validator, suite),
            "fault": injection.fault,
            "family": spec.family.value,
            "fault_version": spec.version,
            "columns": injection.columns,
            "placement": injection.placement.canonical(),
            "params": injection.parameters,
            "fraction": injection.fraction,
            "severity": injection.severity,
            "seed": injection.seed,
            "repeat": injection.repeat,
            "moves": spec.ladder.moves,
            "rungs": len(spec.ladder.rungs),
            "weakness_id": injection.weakness_id(validator),
            "injection_id": injection_id,
        }

    def _of_verdict(self, verdict: Verdict | None, validator: str, batch: str) -> dict[str, Any]:
        base = self.bases.get((validator, batch))
        out: dict[str, Any] = {"base_status": base.status if base else None}
        if verdict is None:
            return out
        return out | {
            "status": verdict.status,
            "frame_digest": verdict.ordered_digest,
            "checks_declared": verdict.checks_declared,
            "checks_ran": verdict.checks_ran,
            "seconds": verdict.seconds,
        }


def review_of(experiment: Experiment, batch: str, validator: str) -> Review:
    """A person's word on an alarm of this validator on this untouched batch."""
    for review in experiment.controls.reviewed:
        if review.batch == batch and review.validator in (None, validator):
            return Review(review.alarm)
    return Review.UNREVIEWED


def _of_ledger(ledger: Ledger | None) -> dict[str, Any]:
    if ledger is None:
        return {}
    record = ledger.injections[0]
    return {
        "ledger_status": ledger.status,
        "ledger_reason": record.reason,
        "eligible": record.eligible,
        "changed": record.changed,
        "dose": record.dose,
        "resolved": record.resolved,
    }


def _given(verdict: Verdict | None) -> Verdict:
    if verdict is None:
        raise AssertionError("controls are judged by every validator before anything is paired with them")
    return verdict


def subnatural(ranges: NaturalRanges, task: Task, after: Any) -> bool:
    """Whether no check could tell the corrupted batch from an ordinary day by the summary its fault moves."""
    injection = task.injection
    if injection is None or injection.spec.moves is None:
        return False
    column = injection.columns[0] if injection.columns else None
    return ranges.inside(injection.spec.moves, column, after)
