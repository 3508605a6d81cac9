"""All validators of an experiment as one: what the stack lets through is missed by every one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipechaos import counter
from pipechaos.score.records import ErrorCause, Outcome, Review, Trial, TrialKind, Why

__all__ = ["STACK", "stacked"]

STACK = "(any validator)"

# first that any validator came to; an error outweighs a miss, because what it would have said is unknown
_ORDER = (
    Outcome.BASE_BAD,
    Outcome.TP,
    Outcome.FP,
    Outcome.ALARM,
    Outcome.ERROR,
    Outcome.FN,
    Outcome.TN,
    Outcome.ACCEPTED,
    Outcome.NOOP,
)


def stacked(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Trials of a validator that rejects what any of the validators rejects.

    One trial for each injection, or natural control, that every validator judged; its base is bad when any of them
    rejects the base. Findings are left out: they belong to the validators.
    """
    everything = list(trials)
    names = {t.validator for t in everything}
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in everything:
        if trial.kind is not TrialKind.CANARY:
            groups.setdefault((trial.kind.value, trial.injection_id, trial.batch), []).append(trial)
    whole = (g for _, g in sorted(groups.items()) if {t.validator for t in g} == names)
    return tuple(_combine(g) for g in whole)


def _combine(group: Sequence[Trial]) -> Trial:
    first = min(group, key=lambda t: t.validator)
    injection = any(t.error_cause is ErrorCause.INJECTION for t in group)
    outcome = Outcome.ERROR if injection else next(o for o in _ORDER if any(t.outcome is o for t in group))
    decisive = [t for t in group if t.outcome is outcome]
    reasons = {t.why for t in decisive}
    cause = ErrorCause.INJECTION if injection else next((t.error_cause for t in decisive if t.error_cause), None)
    return replace(
        first,
        trial_id=counter.digest_id("trial", "stack", sorted(t.trial_id for t in group)),
        validator=STACK,
        outcome=outcome,
        weakness_id=_weakness(first),
        base_status=None,
        status=None,
        frame_digest="",
        findings=(),
        error_cause=cause,
        error_only=outcome is Outcome.TP and all(t.error_only for t in decisive),
        why=next((w for w in Why if w in reasons), None),
        subnatural=any(t.subnatural for t in group),
        flaky=any(t.flaky for t in group),
        review=_review(decisive) if outcome is Outcome.FP else Review.UNREVIEWED,
        rows=None,
        checks_declared=sum(t.checks_declared for t in group),
        checks_ran=sum(t.checks_ran for t in group),
        seconds=sum(t.seconds for t in group),
    )


def _weakness(trial: Trial) -> str:
    if not trial.weakness_id:
        return ""
    return counter.digest_id(
        "weakness",
        STACK,
        trial.fault,
        list(trial.columns) or None,
        trial.placement,
        trial.params,
        trial.severity,
    )


def _review(alarms: Sequence[Trial]) -> Review:
    said = {t.review for t in alarms}
    if Review.TRUE in said:
        return Review.TRUE
    return Review.FALSE if said == {Review.FALSE} else Review.UNREVIEWED
