"""Rates of one validator, each with its interval, its counts and its clusters (SCORING.md section 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipechaos.errors import ConfigError
from pipechaos.plan.placement import Placement
from pipechaos.score.intervals import clopper_pearson, korn_graubard
from pipechaos.score.records import ErrorCause, Outcome, Rate, Review, Trial, TrialKind, Why

__all__ = [
    "FEW_CLUSTERS",
    "RHO",
    "WHOLE_BATCH",
    "ControlRates",
    "Counts",
    "FaultRates",
    "Slice",
    "blocks",
    "breakdown",
    "control_rates",
    "counted",
    "counts",
    "distinct",
    "fault_rates",
    "proportion",
    "slice_keys",
]

RHO = 0.2
FEW_CLUSTERS = 10
WHOLE_BATCH = "(whole batch)"
_EFFECTIVE = (Outcome.TP, Outcome.FN, Outcome.ERROR)


class Slice(StrEnum):
    """What faulty trials are broken down by."""

    FAULT = "fault"
    FAMILY = "family"
    COLUMN = "column"
    SEVERITY = "severity"
    PLACEMENT = "placement"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Where the faulty trials of one validator went; every trial is in one bin.

    Attributes
    ----------
    detected, missed, errors
        In the rates. ``error_only`` of the detected and ``direct`` of the detected are parts, not bins.
    noop, base_bad, subnatural, flaky, duplicates, injection_errors
        In no rate.
    subnatural_missed
        Part of ``subnatural``.
    """

    detected: int = 0
    error_only: int = 0
    direct: int = 0
    missed: int = 0
    errors: int = 0
    noop: int = 0
    base_bad: int = 0
    subnatural: int = 0
    subnatural_missed: int = 0
    flaky: int = 0
    duplicates: int = 0
    injection_errors: int = 0

    @property
    def effective(self) -> int:
        """Trials in the rates."""
        return self.detected + self.missed + self.errors


@dataclass(frozen=True, kw_only=True)
class FaultRates:
    """Rates over faulty trials.

    Attributes
    ----------
    fnr
        Missed / (missed + detected), equal-weight mean over weaknesses.
    strict_fnr
        The same, with only direct detections counted as such.
    escape
        Missed / effective.
    error
        Errors / effective.
    counts
        Where all trials went.
    weaknesses
        Weaknesses with an effective trial.
    """

    fnr: Rate
    strict_fnr: Rate
    escape: Rate
    error: Rate
    counts: Counts
    weaknesses: int


@dataclass(frozen=True, kw_only=True)
class ControlRates:
    """Rates over natural and benign controls.

    Attributes
    ----------
    fpr
        Alarms that are false or not reviewed, over natural controls; gates use it.
    fpr_reviewed
        Alarms reviewed as false alone, as if every other alarm had been true.
    error
        Errors / natural controls judged.
    benign
        Alarms / (accepted + alarms) over benign controls.
    benign_error
        Errors / (accepted + alarms + errors) over benign controls.
    true_alarms, unreviewed, flaky, benign_base_bad, benign_injection_errors
        Counts: alarms reviewed as true, alarms not reviewed, natural controls set apart, benign ones in no rate.
    """

    fpr: Rate
    fpr_reviewed: Rate
    error: Rate
    benign: Rate
    benign_error: Rate
    true_alarms: int = 0
    unreviewed: int = 0
    flaky: int = 0
    benign_base_bad: int = 0
    benign_injection_errors: int = 0


@dataclass(frozen=True, kw_only=True)
class _Row:
    hit: bool
    batch: str
    cluster: Hashable
    unit: str = ""  # weakness, whose trials share a weight of 1; empty: every trial weighs 1


def blocks(batches: Sequence[str], size: int = 7) -> dict[str, int]:
    """Block of consecutive batches that each batch lies in: the clusters of an FPR.

    Parameters
    ----------
    batches
        Names of all natural controls, in order.
    size
        Batches in a block.

    Examples
    --------
    >>> blocks(["mo", "tu", "we"], 2)
    {'mo': 0, 'tu': 0, 'we': 1}
    """
    if size < 1:
        raise ConfigError(f"a block of {size} batches is none: give at least 1")
    return {name: at // size for at, name in enumerate(batches)}


def proportion(rows: Iterable[tuple[bool, str, Hashable, str]], rho: float = RHO) -> Rate:
    """A rate with its interval from (hit, batch, cluster, weakness or "") rows.

    Trials of one weakness share a weight of 1; without a weakness each trial weighs 1. One weakness on distinct batches
    is a plain Clopper-Pearson case, all else is Korn-Graubard.
    """
    return _rate([_Row(hit=h, batch=b, cluster=c, unit=u) for h, b, c, u in rows], rho)


def counted(trials: Iterable[Trial]) -> list[Trial]:
    """Effective faulty trials that stand in the headline rates, duplicates of an after-batch left out."""
    return [t for t, where in _sorted_out(trials) if where == "effective"]


def counts(trials: Iterable[Trial]) -> Counts:
    """Count where faulty trials went."""
    found: Counter[str] = Counter()
    for trial, where in _sorted_out(trials):
        if where == "effective":
            found[_BIN[trial.outcome]] += 1
            found["error_only"] += trial.error_only
            found["direct"] += trial.outcome is Outcome.TP and trial.why is Why.DIRECT
        else:
            found[where] += 1
            found["subnatural_missed"] += where == "subnatural" and trial.outcome is Outcome.FN
    return Counts(**found)


_BIN = {Outcome.TP: "detected", Outcome.FN: "missed", Outcome.ERROR: "errors"}


def _sorted_out(trials: Iterable[Trial]) -> Iterable[tuple[Trial, str]]:
    seen: set[tuple[str, str, str]] = set()
    faulty = [t for t in trials if t.kind is TrialKind.FAULT]
    for trial in sorted(faulty, key=lambda t: (t.validator, t.weakness_id, t.batch, t.repeat, t.trial_id)):
        where = _bin(trial)
        if where == "effective" and trial.after_digest:
            key = (trial.validator, trial.weakness_id, trial.after_digest)
            where = "duplicates" if key in seen else where
            seen.add(key)
        yield trial, where


def _bin(trial: Trial) -> str:
    if trial.error_cause is ErrorCause.INJECTION:
        return "injection_errors"
    if trial.flaky:
        return "flaky"
    if trial.outcome in (Outcome.BASE_BAD, Outcome.NOOP):
        return trial.outcome.value
    if trial.outcome not in _EFFECTIVE:
        raise ConfigError(f"trial {trial.trial_id}: {trial.outcome.value} is no outcome of a fault; judge it again")
    return "subnatural" if trial.subnatural else "effective"


def fault_rates(trials: Iterable[Trial], rho: float = RHO) -> FaultRates:
    """Rates over the faulty trials given; clusters are base batches.

    Parameters
    ----------
    trials
        Of one validator; other kinds of trials among them are left alone.
    rho
        Smallest correlation within a batch that the intervals assume.
    """
    everything = list(trials)
    kept = counted(everything)
    judged = [t for t in kept if t.outcome is not Outcome.ERROR]
    return FaultRates(
        fnr=_over_batches(judged, lambda t: t.outcome is Outcome.FN, rho),
        strict_fnr=_over_batches(judged, lambda t: t.outcome is Outcome.FN or t.why is not Why.DIRECT, rho),
        escape=_over_batches(kept, lambda t: t.outcome is Outcome.FN, rho),
        error=_over_batches(kept, lambda t: t.outcome is Outcome.ERROR, rho),
        counts=counts(everything),
        weaknesses=len({t.weakness_id for t in kept}),
    )


def control_rates(trials: Iterable[Trial], rho: float = RHO) -> ControlRates:
    """Rates over the controls of one validator.

    Natural controls are clustered by block, one trial for each distinct batch; benign ones by base batch.

    Parameters
    ----------
    trials
        Of one validator; other kinds of trials among them are left alone.
    rho
        Smallest correlation within a cluster that the intervals assume.
    """
    everything = list(trials)
    natural = distinct(t for t in everything if t.kind is TrialKind.NATURAL)
    steady = [t for t in natural if not t.flaky and not (t.outcome is Outcome.FP and t.review is Review.TRUE)]
    judged = [t for t in steady if t.outcome is not Outcome.ERROR]
    settled = [t for t in judged if t.outcome is Outcome.TN or t.review is Review.FALSE]
    benign = [t for t in everything if t.kind is TrialKind.BENIGN and t.error_cause is not ErrorCause.INJECTION]
    tried = [t for t in benign if t.outcome is not Outcome.BASE_BAD and not t.flaky]
    answered = [t for t in tried if t.outcome is not Outcome.ERROR]
    return ControlRates(
        fpr=_over_blocks(judged, Outcome.FP, rho),
        fpr_reviewed=_over_blocks(settled, Outcome.FP, rho),
        error=_over_blocks(steady, Outcome.ERROR, rho),
        benign=_over_batches(answered, lambda t: t.outcome is Outcome.ALARM, rho),
        benign_error=_over_batches(tried, lambda t: t.outcome is Outcome.ERROR, rho),
        true_alarms=sum(t.outcome is Outcome.FP and t.review is Review.TRUE for t in natural),
        unreviewed=sum(t.outcome is Outcome.FP and t.review is Review.UNREVIEWED for t in natural),
        flaky=sum(t.flaky for t in natural),
        benign_base_bad=sum(t.outcome is Outcome.BASE_BAD for t in benign),
        benign_injection_errors=sum(
            t.kind is TrialKind.BENIGN and t.error_cause is ErrorCause.INJECTION for t in everything
        ),
    )


def distinct(trials: Iterable[Trial]) -> list[Trial]:
    """One trial for each distinct batch: the same content under two names says nothing twice, and raises one alarm."""
    found: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda t: (t.batch, t.repeat, t.trial_id)):
        found.setdefault(trial.source_digest or f"name {trial.batch}", trial)
    return list(found.values())


def slice_keys(trial: Trial, by: Slice) -> tuple[str, ...]:
    """Slices that a trial belongs to: several only by column."""
    match by:
        case Slice.FAULT:
            return (trial.fault,)
        case Slice.FAMILY:
            return (trial.family,)
        case Slice.COLUMN:
            return trial.columns or (WHOLE_BATCH,)
        case Slice.SEVERITY:
            return (str(trial.severity),)
        case Slice.PLACEMENT:
            return (str(Placement.of(trial.placement)),)


def breakdown(trials: Iterable[Trial], by: Slice, rho: float = RHO) -> Mapping[str, FaultRates]:
    """Rates of one validator for each value of a slice, in sorted order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.kind is TrialKind.FAULT:
            for key in slice_keys(trial, by):
                groups.setdefault(key, []).append(trial)
    return {key: fault_rates(groups[key], rho) for key in sorted(groups)}


def _over_batches(trials: Iterable[Trial], hit: Callable[[Trial], bool], rho: float) -> Rate:
    return _rate([_Row(hit=hit(t), batch=t.batch, cluster=t.batch, unit=t.weakness_id or t.fault) for t in trials], rho)


def _over_blocks(trials: Iterable[Trial], hit: Outcome, rho: float) -> Rate:
    return _rate([_Row(hit=t.outcome is hit, batch=t.batch, cluster=t.block) for t in trials], rho)


def _rate(rows: Sequence[_Row], rho: float) -> Rate:
    trials, hits = len(rows), sum(r.hit for r in rows)
    if not trials:
        return Rate(reason="no trials")
    share = Counter(r.unit for r in rows)
    weights = [1 / share[r.unit] if r.unit else 1.0 for r in rows]
    clusters = [r.cluster for r in rows]
    apart = len(set(clusters))
    batches = len({r.batch for r in rows})
    few = apart < FEW_CLUSTERS
    if len(share) == 1 and rows[0].unit and apart == trials:
        (low, high), (lower, upper) = clopper_pearson(hits, trials, 0.95), clopper_pearson(hits, trials, 0.90)
        return Rate(
            estimate=hits / trials,
            low=float(low),
            high=float(high),
            lower=float(lower),
            upper=float(upper),
            hits=hits,
            trials=trials,
            clusters=apart,
            batches=batches,
            effective_n=float(trials),
            few_batches=few,
        )
    y = [r.hit for r in rows]
    two = korn_graubard(y, weights, clusters, 0.95, rho)
    one = korn_graubard(y, weights, clusters, 0.90, rho)
    return Rate(
        estimate=two.estimate,
        low=two.low,
        high=two.high,
        lower=one.low,
        upper=one.high,
        hits=hits,
        trials=trials,
        clusters=apart,
        batches=batches,
        effective_n=two.effective_n,
        reason=two.reason,
        few_batches=few,
    )
