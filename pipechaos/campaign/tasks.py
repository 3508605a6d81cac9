"""What a campaign does, in order: canaries and controls first, then benign changes, then faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipechaos import counter
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.sample import Sample, draw_sample
from pipechaos.campaign.source import Batches
from pipechaos.errors import ExperimentError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family, Phase
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.presets import Pair, on_columns, pairs, thin
from pipechaos.plan.resolve import resolve
from pipechaos.score.records import TrialKind

__all__ = ["CampaignPlan", "Task", "plan_campaign"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One frame to judge: an untouched batch, or an injection on one.

    Attributes
    ----------
    kind
        Natural control, benign control, canary or fault.
    base
        Name of the untouched batch.
    injection
        What is done to it; None for a natural control.
    again
        Whether this is the second look at a control.
    """

    kind: TrialKind
    base: str
    injection: Injection | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class CampaignPlan:
    """Everything a run will do; making it touches nothing.

    Attributes
    ----------
    sample
        Weaknesses and the bases they are tried on.
    first
        Canaries, natural controls and their repeats.
    second
        Benign controls and faults.
    notes
        What a reader should know before the run.
    """

    sample: Sample
    first: tuple[Task, ...]
    second: tuple[Task, ...]
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        """Frames to judge."""
        return len(self.first) + len(self.second)


def plan_campaign(experiment: Experiment, batches: Batches) -> CampaignPlan:
    """Lay out a run.

    Parameters
    ----------
    experiment
        The file.
    batches
        Its batches.

    Raises
    ------
    PipechaosError
        A fault, column, placement or type that does not fit: all of it is said before anything is touched.
    """
    controls = (
        batches.controls if experiment.controls.natural is None else batches.controls[: experiment.controls.natural]
    )
    found, left_out = _pairs(experiment, batches)
    sample = draw_sample(
        found,
        controls,
        severities=experiment.severities,
        repeats=experiment.repeats,
        validators=len(experiment.validators),
        budget=experiment.budget.trials,
        seed=experiment.seed,
        left_out=left_out,
    )
    _check(experiment, batches, sample)
    ranked = sorted(controls, key=lambda name: counter.digest_id("control", experiment.seed, name))
    natural = [Task(kind=TrialKind.NATURAL, base=b) for b in controls]
    again = [Task(kind=TrialKind.NATURAL, base=b, again=True) for b in sorted(ranked[: experiment.controls.repeats])]
    benign = list(_benign(experiment, sorted(ranked[: experiment.controls.benign])))
    faults = [
        Task(kind=TrialKind.FAULT, base=base, injection=_injection(m.pair, m.severity, experiment.seed, repeat))
        for m in sample.mutants
        for base in m.bases
        for repeat in range(experiment.repeats)
    ]
    notes = list(sample.notes)
    if not batches.history:
        notes.append("no history: scales come from each batch itself, and nothing is ever subnatural")
    return CampaignPlan(
        sample=sample,
        first=(*_canaries(experiment, batches, controls[0]), *natural, *again),
        second=(*benign, *faults),
        notes=tuple(notes),
    )


def _injection(pair: Pair, severity: int, seed: int, repeat: int) -> Injection:
    return Injection.of(
        pair.fault,
        pair.columns,
        severity=severity,
        placement=pair.placement or None,
        params=pair.params,
        seed=seed,
        repeat=repeat,
    )


def _pairs(experiment: Experiment, batches: Batches) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    reference = batches.load(batches.controls[0])
    found: list[Pair] = []
    for spec in experiment.faults:
        fault = registry.get(spec.fault)
        if fault.family in (Family.BENIGN, Family.CANARY):
            raise ExperimentError(
                f"faults: {fault.code} is a {fault.family.value} control and runs by itself, not as a fault"
            )
        columns = spec.columns or (on_columns(fault, reference, reference.columns) if fault.column_count else [])
        for group in [(c,) for c in columns] if fault.column_count else [()]:
            pair = Pair(
                fault=spec.fault,
                columns=group,
                placement={"kind": spec.placement} if isinstance(spec.placement, str) else spec.placement or {},
                params=spec.params,
                severities=tuple(spec.severities) if spec.severities else None,
            )
            found.append(pair)
    if experiment.preset is not None:
        listed = {(p.fault, p.columns) for p in found}
        ignore = [c for c in experiment.ignore if c in reference.columns]
        found.extend(
            p for p in pairs(experiment.preset, reference, ignore=ignore) if (p.fault, p.columns) not in listed
        )
    return thin(found, experiment.pairs) if experiment.pairs is not None else (tuple(found), ())


def _check(experiment: Experiment, batches: Batches, sample: Sample) -> None:
    """Try every pair against a real batch, so that nothing is found wrong half way."""
    reference = batches.load(batches.controls[0])
    for mutant in sample.mutants:
        plan = Plan.of(_injection(mutant.pair, mutant.severity, experiment.seed, 0))
        resolve(plan, reference, (reference,))


def _canaries(experiment: Experiment, batches: Batches, base: str) -> Iterator[Task]:
    reference = batches.load(base)
    column = experiment.key[0] if experiment.key else reference.columns[0]
    for fault in registry.faults(Family.CANARY):
        columns: Sequence[str] = (column,) if fault.column_count else ()
        yield Task(kind=TrialKind.CANARY, base=base, injection=Injection.of(fault.code, columns, seed=experiment.seed))


def _benign(experiment: Experiment, bases: Sequence[str]) -> Iterator[Task]:
    contract = experiment.contract
    for fault in registry.faults(Family.BENIGN):
        if not fault.clause or not getattr(contract, fault.clause):
            continue
        placement = None
        fraction = None
        if contract.entity_subsample is not None and fault.clause == "entity_subsample":
            placement = {"kind": "entity", "entity": contract.entity_subsample.entity}
            fraction = round(1 - contract.entity_subsample.keep, 12)
        injection = Injection.of(fault.code, placement=placement, fraction=fraction, severity=1, seed=experiment.seed)
        if fault.phase is Phase.CELLS:
            raise AssertionError(f"{fault.code} changes cells: that is no benign change")
        for base in bases:
            yield Task(kind=TrialKind.BENIGN, base=base, injection=injection)
