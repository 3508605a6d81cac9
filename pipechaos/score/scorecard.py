"""The scorecard: everything a run found out, in one record and one JSON document.

The document ``"schema": "pipechaos.scorecard/1"`` is described in ``docs/scorecard.md``. Keys are sorted, floats are
written by ``repr``, what is undefined is null beside a ``reason``. All of it but ``runtime`` is a function of
experiment, seed and versions; ``reproducible`` says where a run voided that.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipechaos.score.baseline import BaselineResult
from pipechaos.score.checks import CheckScore, check_ledger
from pipechaos.score.floor import Floor, floors
from pipechaos.score.gates import ExitCode, Gate, GateResult, evaluate, exit_code
from pipechaos.score.outcome import blind, paranoid
from pipechaos.score.rates import RHO, ControlRates, FaultRates, Slice, breakdown, control_rates, fault_rates
from pipechaos.score.records import ErrorCause, FindingRef, Outcome, Review, Trial, TrialKind, jsonable
from pipechaos.score.stack import STACK, stacked
from pipechaos.score.survivors import Survivor, subnatural_survivors, survivors
from pipechaos.score.truth import RowScores
from pipechaos.score.worth import SuiteWorth, suite_worth
from pipechaos.validate.verdict import Check, FindingKind, VerdictStatus

__all__ = ["SCHEMA", "About", "Alarm", "Canary", "Scorecard", "Tried", "ValidatorInfo", "ValidatorScore", "build"]

SCHEMA = "pipechaos.scorecard/1"


@dataclass(frozen=True, kw_only=True)
class ValidatorInfo:
    """A validator as the experiment loaded it.

    Attributes
    ----------
    name, spec
        In the experiment.
    suite_digest
        Over the bytes of every file loaded for it.
    checks
        Every check the suite file declares.
    """

    name: str
    spec: str
    suite_digest: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class About:
    """What a run was, as far as it is the same every time.

    Attributes
    ----------
    name, digest, seed
        Of the experiment.
    versions
        Of pipechaos, Python and every library that judged or read.
    sample
        What was tried of the full cross: weights, weaknesses dropped, notes.
    history, incidents, contract
        Batches set apart with their reasons, and the clauses declared.
    rho, block
        Settings of the intervals.
    stopped
        Why it ended early, such as at its budget's minutes; empty when it did not. Then nothing about faults passes.
    """

    name: str
    digest: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)
    incidents: Sequence[Mapping[str, Any]] = ()
    contract: Mapping[str, Any] = field(default_factory=dict)
    rho: float = RHO
    block: int = 7
    stopped: str = ""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How much of the plan was tried: weaknesses (the most that any validator was asked about) and base batches."""

    weaknesses: int = 0
    batches: int = 0


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A control that was not accepted.

    Attributes
    ----------
    trial_id, batch, fault
        Which one; ``fault`` is empty for a natural control.
    outcome, error_cause
        FP, alarm or error, and why an error.
    review
        A person's word on it.
    checks
        Names of the checks that spoke.
    """

    trial_id: str
    batch: str
    fault: str
    outcome: Outcome
    error_cause: ErrorCause | None
    review: Review
    checks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Canary:
    """One canary and what became of it; ALARM is good."""

    trial_id: str
    fault: str
    batch: str
    outcome: Outcome
    error_only: bool
    checks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ValidatorScore:
    """Everything found out about one validator.

    Attributes
    ----------
    info
        Name, spec, suite digest and checks; None for the stack of all validators.
    blind
        Rejected no canary; None when none was tried.
    paranoid
        Rejected most natural controls.
    flaky_batches
        Bases on which its verdict differed when repeated.
    outcomes
        Trials by kind and outcome, all of them.
    faults, controls
        Headline rates.
    by
        Rates by fault, family, column, severity, placement.
    survivors, subnatural
        Weaknesses missed, worst first; and those missed where the batch still looked ordinary.
    floors
        Detection floors.
    rows
        Row level counts over detected trials that stand in the rates.
    canaries, alarms
        One by one; alarms are natural and benign controls that were not accepted.
    checks
        Check ledger.
    worth
        What those checks are worth together; None for the stack.
    """

    name: str
    info: ValidatorInfo | None
    blind: bool | None
    paranoid: bool
    flaky_batches: tuple[str, ...]
    outcomes: Mapping[str, Mapping[str, int]]
    faults: FaultRates
    controls: ControlRates
    by: Mapping[str, Mapping[str, FaultRates]]
    survivors: tuple[Survivor, ...]
    subnatural: tuple[Survivor, ...]
    floors: tuple[Floor, ...]
    rows: RowScores
    canaries: tuple[Canary, ...]
    alarms: tuple[Alarm, ...]
    checks: tuple[CheckScore, ...]
    worth: SuiteWorth | None = None


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """The result of a campaign.

    Attributes
    ----------
    about
        What was run.
    validators
        One each, in the experiment's order.
    stack
        All of them as one; None when there is only one.
    gates
        Results, one for each gate and validator.
    injection_errors
        Injections that failed: the run exits 3.
    voids
        Why the run is not the same every time.
    runtime
        Times, host, durations: the only part that differs between equal runs.
    baseline
        Survivors held against those a team accepted; None without a baseline.
    tried
        Faults that there are trials of, whatever became of them.
    """

    about: About
    validators: tuple[ValidatorScore, ...]
    stack: ValidatorScore | None
    gates: tuple[GateResult, ...]
    injection_errors: int
    voids: tuple[str, ...]
    runtime: Mapping[str, Any] = field(default_factory=dict)
    baseline: BaselineResult | None = None
    tried: Tried = field(default_factory=Tried)

    @property
    def blind(self) -> tuple[str, ...]:
        """Names of blind validators."""
        return tuple(v.name for v in self.validators if v.blind)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the run."""
        return exit_code(
            self.gates,
            could_not_run=self.injection_errors > 0,
            blind=bool(self.blind),
            baseline=None if self.baseline is None else self.baseline.verdict,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON value; see ``docs/scorecard.md``."""
        from pipechaos.score.document import document

        return document(self)

    def to_json(self) -> str:
        """Canonical text: sorted keys, two spaces, a newline at the end."""
        return json.dumps(self.to_dict(), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def build(
    trials: Iterable[Trial],
    *,
    about: About,
    validators: Sequence[ValidatorInfo],
    gates: Sequence[Gate] = (),
    baseline: BaselineResult | None = None,
    runtime: Mapping[str, Any] | None = None,
) -> Scorecard:
    """Score a run.

    Parameters
    ----------
    trials
        All of them, in any order: the same scorecard.
    about
        What was run.
    validators
        In the experiment's order.
    gates
        Limits to decide on.
    baseline
        The same trials held against a baseline, from ``baseline.against``.
    runtime
        Times and host; medians of seconds per validator are added.
    """
    everything = sorted(trials, key=lambda t: (t.validator, t.kind, t.batch, t.trial_id))
    names = [v.name for v in validators]
    results = tuple(r for gate in gates for r in evaluate(gate, everything, names, about.rho, stopped=about.stopped))
    timed_out = sum(t.status is VerdictStatus.TIMED_OUT for t in everything)
    flaky = sum(t.flaky for t in everything)
    voids = [about.stopped] if about.stopped else []
    voids += [f"{timed_out} trials timed out"] if timed_out else []
    voids += [f"{flaky} trials are flaky"] if flaky else []
    pooled = _score(stacked(everything), STACK, None, about.rho) if len(names) > 1 else None
    failed = {t.injection_id for t in everything if t.error_cause is ErrorCause.INJECTION}
    return Scorecard(
        about=about,
        validators=tuple(_score(everything, v.name, v, about.rho) for v in validators),
        stack=pooled,
        gates=results,
        injection_errors=len(failed),
        voids=tuple(voids),
        runtime=dict(runtime or {}) | {"validators": _seconds(everything)},
        baseline=baseline,
        tried=_tried(everything),
    )


def _tried(trials: Sequence[Trial]) -> Tried:
    faulty = [t for t in trials if t.kind is TrialKind.FAULT]
    asked: dict[str, set[str]] = {}
    for trial in faulty:
        asked.setdefault(trial.validator, set()).add(trial.weakness_id)
    return Tried(weaknesses=max(map(len, asked.values()), default=0), batches=len({t.batch for t in faulty}))


def _score(trials: Sequence[Trial], name: str, info: ValidatorInfo | None, rho: float) -> ValidatorScore:
    mine = [t for t in trials if t.validator == name]
    rows = RowScores()
    for trial in mine:
        if trial.rows is not None and trial.outcome is Outcome.TP and not trial.flaky and not trial.subnatural:
            rows = rows + trial.rows
    outcomes: dict[str, Counter[str]] = {kind.value: Counter() for kind in TrialKind}
    for trial in mine:
        outcomes[trial.kind.value][trial.outcome.value] += 1
    return ValidatorScore(
        name=name,
        info=info,
        blind=blind(mine, name),
        paranoid=paranoid(mine, name),
        flaky_batches=tuple(sorted({t.batch for t in mine if t.flaky})),
        outcomes=outcomes,
        faults=fault_rates(mine, rho),
        controls=control_rates(mine, rho),
        by={by.value: breakdown(mine, by, rho) for by in Slice},
        survivors=survivors(mine),
        subnatural=subnatural_survivors(mine),
        floors=floors(mine, rho),
        rows=rows,
        canaries=tuple(_canary(t) for t in mine if t.kind is TrialKind.CANARY),
        alarms=_alarms(mine),
        checks=() if info is None else check_ledger(mine, name, info.checks),
        worth=None if info is None else suite_worth(mine, name, info.checks, rho),
    )


def _alarms(trials: Sequence[Trial]) -> tuple[Alarm, ...]:
    """Controls not accepted, each once: the second look at a control is no second alarm."""
    seen: dict[tuple[str, str, str], Alarm] = {}
    for trial in trials:
        if _unaccepted(trial):
            seen.setdefault((trial.batch, trial.injection_id, trial.outcome), _alarm(trial))
    return tuple(seen.values())


def _unaccepted(trial: Trial) -> bool:
    control = trial.kind in (TrialKind.NATURAL, TrialKind.BENIGN)
    return control and trial.outcome in (Outcome.FP, Outcome.ALARM, Outcome.ERROR)


def _alarm(trial: Trial) -> Alarm:
    return Alarm(
        trial_id=trial.trial_id,
        batch=trial.batch,
        fault=trial.fault,
        outcome=trial.outcome,
        error_cause=trial.error_cause,
        review=trial.review,
        checks=_checks(trial.findings),
    )


def _canary(trial: Trial) -> Canary:
    return Canary(
        trial_id=trial.trial_id,
        fault=trial.fault,
        batch=trial.batch,
        outcome=trial.outcome,
        error_only=trial.error_only,
        checks=_checks(trial.findings),
    )


def _checks(findings: Sequence[FindingRef]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.check for f in findings if f.kind is not FindingKind.TOLERATED))


def _seconds(trials: Sequence[Trial]) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for trial in trials:
        found.setdefault(trial.validator, []).append(trial.seconds)
    return {
        name: {"trials": len(s), "total_seconds": sum(s), "median_seconds": jsonable(statistics.median(s))}
        for name, s in sorted(found.items())
    }
