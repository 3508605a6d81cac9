"""Gates: a limit on a rate, decided on its one-sided 95 % bound, and the exit code of a run (SCORING.md section 5)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from pipechaos.errors import ConfigError, suggest
from pipechaos.score.intervals import clopper_pearson, most_effective_n
from pipechaos.score.rates import FEW_CLUSTERS, RHO, control_rates, fault_rates
from pipechaos.score.records import Rate, Trial, TrialKind

__all__ = [
    "MAX_ERROR",
    "ExitCode",
    "Gate",
    "GateResult",
    "GateVerdict",
    "Metric",
    "evaluate",
    "exit_code",
    "more_batches",
]

MAX_ERROR = 0.05  # error rate on faults above which nothing passes, where nobody said another
_MOST_BATCHES = 10**7


class Metric(StrEnum):
    """Rates that a gate can limit."""

    FNR = "fnr"
    STRICT_FNR = "strict_fnr"
    ESCAPE = "escape"
    ERROR = "error"
    FPR = "fpr"
    BENIGN = "benign"

    @property
    def on_controls(self) -> bool:
        """Whether it is a rate over controls."""
        return self in (Metric.FPR, Metric.BENIGN)


class GateVerdict(StrEnum):
    """The three answers of a gate."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class ExitCode(IntEnum):
    """Exit codes of a run."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    COULD_NOT_RUN = 3
    INCONCLUSIVE = 4


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A limit on one rate.

    Attributes
    ----------
    metric, limit
        The rate, and the most it may be, in [0, 1].
    validator
        Only for this one; None for each validator by itself.
    family, fault, column
        Only faulty trials of these.
    weakness
        Only this one, by its id or the unique beginning of it. A weakness belongs to one validator: the gate covers
        that one alone.
    max_error
        Error rate above which the gate is inconclusive; 0.05 on faults and 0 on controls by default.

    Raises
    ------
    ConfigError
        A limit outside [0, 1], or a filter of faults on a rate over controls.
    """

    metric: Metric
    limit: float
    validator: str | None = None
    family: str | None = None
    fault: str | None = None
    column: str | None = None
    weakness: str | None = None
    max_error: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("max_error", self.max_error)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} {value} of a gate on {self.metric.value} is outside [0, 1]: it is a share")
        empty = [name for name, value in self.filters.items() if not value]
        if empty:
            raise ConfigError(f"{empty[0]} of a gate on {self.metric.value} is empty: name one, or leave it out")
        if self.metric.on_controls and self.filters:
            raise ConfigError(
                f"a gate on {self.metric.value} is about controls: it takes no family, fault, column or weakness; "
                "leave them out"
            )

    @property
    def filters(self) -> dict[str, str]:
        """What it is narrowed to, by the name of the filter."""
        given = {"family": self.family, "fault": self.fault, "column": self.column, "weakness": self.weakness}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def allowed_error(self) -> float:
        """Error rate up to which it decides."""
        if self.max_error is not None:
            return self.max_error
        return 0.0 if self.metric.on_controls else MAX_ERROR

    def takes(self, trial: Trial) -> bool:
        """Whether a faulty trial lies within the filters."""
        return (
            (self.family is None or trial.family == self.family)
            and (self.fault is None or trial.fault == self.fault)
            and (self.column is None or self.column in trial.columns)
            and (self.weakness is None or trial.weakness_id.startswith(self.weakness))
        )


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What a gate said about one validator.

    Attributes
    ----------
    gate, validator
        Which gate, on which validator.
    verdict
        pass, fail or inconclusive.
    rate
        The rate it looked at.
    reason
        One line for people.
    more_batches
        About how many more batches would settle it if the rate stays as it is; None when batches would not help, or
        none are needed.
    """

    gate: Gate
    validator: str
    verdict: GateVerdict
    rate: Rate
    reason: str
    more_batches: int | None = None


def evaluate(
    gate: Gate, trials: Iterable[Trial], validators: Sequence[str], rho: float = RHO, *, stopped: str = ""
) -> tuple[GateResult, ...]:
    """Decide a gate, once for each validator it covers.

    Parameters
    ----------
    gate
        The limit.
    trials
        All trials of the run.
    validators
        Names of all validators.
    rho
        Smallest correlation within a cluster that is assumed.
    stopped
        Why the run ended early; empty when it did not. Then no gate passes but one on natural controls, which are
        judged before the time counts: what was judged are the first of the plan, no sample of it.

    Raises
    ------
    ConfigError
        The gate names a validator that is not there, a weakness of another one, or more than one weakness.
    """
    if gate.validator is not None and gate.validator not in validators:
        raise ConfigError(f"a gate names validator {gate.validator!r}; there are: {', '.join(validators) or 'none'}")
    everything = list(trials)
    names = _owners(gate, everything) or (validators if gate.validator is None else (gate.validator,))
    found = tuple(_decide(gate, name, [t for t in everything if t.validator == name], rho) for name in names)
    return tuple(_cut_short(r, stopped) for r in found) if stopped else found


def _owners(gate: Gate, trials: Iterable[Trial]) -> tuple[str, ...]:
    """The validator that the gate's weakness belongs to; nothing where no weakness is named, or it was not tried."""
    if gate.weakness is None:
        return ()
    faulty = (t for t in trials if t.kind is TrialKind.FAULT and t.weakness_id.startswith(gate.weakness))
    found = dict(sorted({t.weakness_id: t.validator for t in faulty}.items()))
    if len(found) > 1:
        some = ", ".join(list(found)[:4])
        raise ConfigError(
            f"a gate names weakness {gate.weakness!r}, and {len(found)} begin so: give more of the id ({some})"
        )
    owners = tuple(found.values())
    if owners and gate.validator not in (None, *owners):
        raise ConfigError(
            f"a gate names weakness {gate.weakness!r} and validator {gate.validator!r}, "
            f"but it is one of {owners[0]!r}: leave the validator out"
        )
    return owners


def _decide(gate: Gate, validator: str, trials: list[Trial], rho: float) -> GateResult:
    rate, error, flaky = _look(gate, trials, rho)

    def result(verdict: GateVerdict, reason: str, more: int | None = None) -> GateResult:
        return GateResult(gate=gate, validator=validator, verdict=verdict, rate=rate, reason=reason, more_batches=more)

    if flaky:
        return result(GateVerdict.INCONCLUSIVE, f"{flaky} trials are flaky: the validator contradicts itself")
    if error is not None and error.estimate > gate.allowed_error:
        return result(
            GateVerdict.INCONCLUSIVE,
            f"error rate {error.estimate:.1%} ({error.hits} of {error.trials}) exceeds {gate.allowed_error:.1%}: "
            "a validator that crashes has not judged",
        )
    if math.isnan(rate.upper) or rate.few_batches:
        more = more_batches(rate, gate.limit, rho)
        if not rate.trials and (absent := _absent(gate, trials)):
            return result(GateVerdict.INCONCLUSIVE, absent, None if gate.filters else more)
        why = rate.reason or f"only {rate.clusters} clusters, {FEW_CLUSTERS} are needed"
        return result(GateVerdict.INCONCLUSIVE, why, more)
    if rate.upper <= gate.limit:
        return result(GateVerdict.PASS, f"at most {rate.upper:.2%}, allowed {gate.limit:.2%}")
    if rate.lower > gate.limit:
        return result(GateVerdict.FAIL, f"at least {rate.lower:.2%}, allowed {gate.limit:.2%}")
    more = more_batches(rate, gate.limit, rho)
    return result(
        GateVerdict.INCONCLUSIVE, f"between {rate.lower:.2%} and {rate.upper:.2%}, allowed {gate.limit:.2%}", more
    )


def _cut_short(result: GateResult, stopped: str) -> GateResult:
    if result.verdict is GateVerdict.FAIL or result.gate.metric is Metric.FPR:
        return result
    reason = f"{result.reason}; {stopped}: only the first trials of the plan were judged"
    return replace(result, verdict=GateVerdict.INCONCLUSIVE, reason=reason, more_batches=None)


def _absent(gate: Gate, trials: Sequence[Trial]) -> str:
    """Why a gate has no trial to look at; empty where it is about controls."""
    if gate.metric.on_controls:
        return ""
    faulty = [t for t in trials if t.kind is TrialKind.FAULT]
    within = [t for t in faulty if gate.takes(t)]
    if within:
        outcomes = Counter("subnatural" if t.subnatural else t.outcome.value for t in within)
        ended = ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items()))
        return f"none of its {len(within)} trials counts ({ended}): it judged nothing"
    if not gate.filters:
        return "no faulty trial: it judged nothing"
    asked = " and ".join(f"{name} {value}" for name, value in gate.filters.items())
    return f"this run tried nothing on {asked}: it judged nothing{_near(gate, faulty)}"


def _near(gate: Gate, faulty: Sequence[Trial]) -> str:
    """The column that a gate may have meant, where it names one that was never broken."""
    tried = {c for t in faulty for c in t.columns}
    near = suggest(gate.column, tried) if gate.column is not None and gate.column not in tried else None
    return f"; did you mean column {near!r}?" if near else ""


def _look(gate: Gate, trials: list[Trial], rho: float) -> tuple[Rate, Rate | None, int]:
    """The rate, the error rate beside it (None when it is the metric itself), and how many of its trials are flaky."""
    if gate.metric.on_controls:
        controls = control_rates(trials, rho)
        kind = TrialKind.NATURAL if gate.metric is Metric.FPR else TrialKind.BENIGN
        flaky = sum(t.flaky for t in trials if t.kind is kind)
        if gate.metric is Metric.FPR:
            return controls.fpr, controls.error, flaky
        return controls.benign, controls.benign_error, flaky
    rates = fault_rates((t for t in trials if gate.takes(t)), rho)
    rate: Rate = getattr(rates, gate.metric.value)
    return rate, None if gate.metric is Metric.ERROR else rates.error, rates.counts.flaky


def more_batches(rate: Rate, limit: float, rho: float = RHO) -> int | None:
    """About how many more batches settle a gate, if the rate and what a batch is worth stay as they are.

    Parameters
    ----------
    rate
        As seen; without a single trial, a rate of 0 and one trial a batch are supposed.
    limit
        Of the gate.
    rho
        Smallest correlation within a cluster, for a rate that has no effective sample size yet.

    Returns
    -------
    int or None
        At least 1; None when no number would do, as when the rate stands at the limit.
    """
    p = 0.0 if math.isnan(rate.estimate) else rate.estimate
    seen = max(rate.batches, 1)
    worth = rate.effective_n
    if math.isnan(worth):
        worth = float(most_effective_n(rate.trials, rate.clusters, rho)) if rate.trials else 1.0
    apart = rate.clusters or 1
    fewest = max(seen + 1, math.ceil(FEW_CLUSTERS * seen / apart))

    def settled(batches: int) -> bool:
        n = worth * batches / seen
        low, high = clopper_pearson(min(p * n, n), n, 0.90)
        return bool(high <= limit or low > limit)

    if settled(fewest):
        return fewest - (seen if rate.trials else 0)
    bad, good = fewest, fewest * 2
    while not settled(good):
        if good > _MOST_BATCHES:
            return None
        bad, good = good, good * 2
    while good - bad > 1:
        middle = (bad + good) // 2
        bad, good = (bad, middle) if settled(middle) else (middle, good)
    return good - (seen if rate.trials else 0)


def exit_code(
    gates: Iterable[GateResult] = (),
    *,
    usage: bool = False,
    could_not_run: bool = False,
    blind: bool = False,
    baseline: GateVerdict | None = None,
) -> ExitCode:
    """Exit code of a run, the first that holds: 2, 3, 1, 4, 0.

    Parameters
    ----------
    gates
        Results of all gates; none declared is 0.
    usage
        Usage or configuration was wrong.
    could_not_run
        The machinery failed, an injection among it.
    blind
        A validator is blind.
    baseline
        Verdict on the baseline, which counts like that of a gate; None without one.

    Examples
    --------
    >>> exit_code(blind=True)
    <ExitCode.COULD_NOT_RUN: 3>
    """
    verdicts = {*(g.verdict for g in gates), baseline}
    if usage:
        return ExitCode.USAGE
    if could_not_run or blind:
        return ExitCode.COULD_NOT_RUN
    if GateVerdict.FAIL in verdicts:
        return ExitCode.GATE_FAILED
    if GateVerdict.INCONCLUSIVE in verdicts:
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK
