"""An experiment's gates over all drills of a period: one night alone has too few batches to decide any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.output import gates_of
from pipechaos.drill.records import Coverage, FailedGate
from pipechaos.drill.settings import DrillSettings
from pipechaos.score.gates import ExitCode, GateResult, GateVerdict, evaluate, exit_code
from pipechaos.score.rates import blocks
from pipechaos.score.records import Trial, TrialKind
from pipechaos.store.records import RunRecord, RunStatus

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["failed_gates", "period_gates", "period_trials", "worst"]


def period_trials(store: Store, run: RunRecord, settings: DrillSettings, block: int) -> tuple[Trial, ...]:
    """Trials of all drills of the period that a drill ends, each once.

    A validator whose suite has changed within the period has only what was judged since.

    Parameters
    ----------
    store
        Where.
    run
        The drill, ended.
    settings
        The period.
    block
        Consecutive controls in a cluster: counted anew, over the controls of all these drills.
    """
    end = run.finished or run.started
    found: dict[tuple[str, str, str], Trial] = {}
    for past in store.runs(run.experiment):  # the latest first
        ended = past.finished is not None and past.finished <= end and past.status is not RunStatus.RUNNING
        if not ended or end - past.started > settings.period:
            continue
        for trial in store.trials(past.run_id):
            if past.suites.get(trial.validator) == run.suites.get(trial.validator):
                found.setdefault((trial.trial_id, trial.validator, trial.batch), trial)
    at = blocks(sorted({t.batch for t in found.values() if t.kind is TrialKind.NATURAL}), block)
    return tuple(replace(t, block=at.get(t.batch, t.block)) for t in found.values())


def period_gates(
    store: Store, run: RunRecord, experiment: Experiment, settings: DrillSettings, covered: Coverage
) -> tuple[GateResult, ...]:
    """Decide an experiment's gates over the period that a drill ends.

    As long as something was not tried within the period, a gate about faults can fail, and cannot pass.

    Parameters
    ----------
    store
        Where.
    run
        The drill, ended.
    experiment
        Whose gates.
    settings, covered
        The period, and how much was tried in it.
    """
    if not experiment.gates:
        return ()
    trials = period_trials(store, run, settings, experiment.block)
    names = [v.name for v in experiment.validators]
    part = f"{covered.within} of {covered.pairs} faults on columns were tried within {covered.period_days:g} days"
    stopped = "" if covered.within == covered.pairs else part
    found = (evaluate(g, trials, names, experiment.rho, stopped=stopped) for g in gates_of(experiment.gates))
    return tuple(result for results in found for result in results)


def failed_gates(gates: Sequence[GateResult]) -> tuple[FailedGate, ...]:
    """Those that failed."""
    return tuple(
        FailedGate(
            validator=g.validator,
            metric=g.gate.metric.value,
            limit=g.gate.limit,
            scope=", ".join(f"{name} {value}" for name, value in g.gate.filters.items()),
            reason=g.reason,
        )
        for g in gates
        if g.verdict is GateVerdict.FAIL
    )


def worst(own: int, gates: Sequence[GateResult]) -> ExitCode:
    """Exit code of a drill and of the gates over its period: the first of 3, 1, 4 and 0 that either has.

    Examples
    --------
    >>> worst(4, ())
    <ExitCode.INCONCLUSIVE: 4>
    """
    both = {ExitCode(own), exit_code(gates)}
    order = (ExitCode.COULD_NOT_RUN, ExitCode.GATE_FAILED, ExitCode.INCONCLUSIVE, ExitCode.OK)
    return next(code for code in order if code in both)
