"""What a campaign does, in order: canaries and controls first, then benign changes, then faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pipechaos import counter
from pipechaos.batch.model import Batch
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.sample import Mutant, Sample, draw_sample
from pipechaos.campaign.source import Batches
from pipechaos.errors import ExperimentError, UnknownNameError
from pipechaos.faults import registry
from pipechaos.faults.spec import Family, Phase
from pipechaos.inject.engine import inject
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
    bases = experiment.controls.bases
    sample = draw_sample(
        found,
        controls if bases is None else controls[-bases:],
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
    benign, short = _benign(experiment, batches, ranked)
    faults = [
        Task(kind=TrialKind.FAULT, base=base, injection=_injection(m, experiment.seed, repeat))
        for repeat in range(experiment.repeats)  # by turns: a run that is stopped has tried every weakness a little
        for turn in range(sample.bases_each)
        for m in sample.mutants
        for base in m.bases[turn : turn + 1]
    ]
    notes = [*sample.notes, *short]
    if not batches.history:
        notes.append("no history: scales come from each batch itself, and nothing is ever subnatural")
    return CampaignPlan(
        sample=sample,
        first=(*_canaries(experiment, batches, controls[0]), *natural, *again),
        second=(*benign, *faults),
        notes=tuple(notes),
    )


def _injection(mutant: Mutant, seed: int, repeat: int) -> Injection:
    pair = mutant.pair
    return Injection.of(
        pair.fault,
        pair.columns,
        severity=mutant.severity or None,
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
        if spec.columns and not fault.column_count:
            raise ExperimentError(f"faults: {fault.code} takes no column, not {spec.columns}")
        if spec.severities and fault.ladder.moves in spec.params:
            raise ExperimentError(f"faults: {fault.code} takes either `severities:` or its own {fault.ladder.moves!r}")
        columns = spec.columns or (on_columns(fault, reference, reference.columns) if fault.column_count else [])
        if fault.column_count and not columns:
            raise ExperimentError(f"faults: {fault.code} applies to no column: it takes {fault.types}")
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
        preset = pairs(experiment.preset, reference, ignore=experiment.ignore)
        found.extend(p for p in preset if (p.fault, p.columns) not in listed)
    return thin(found, experiment.pairs) if experiment.pairs is not None else (tuple(found), ())


def _check(experiment: Experiment, batches: Batches, sample: Sample) -> None:
    """Try every weakness against a real batch, so that nothing is found wrong half way."""
    reference = batches.load(batches.controls[0])
    seen: set[str] = set()
    for mutant in sample.mutants:
        injection = _injection(mutant, experiment.seed, 0)
        resolve(Plan.of(injection), reference, (reference,))
        name = injection.weakness_id("")
        if name in seen:
            raise ExperimentError(f"faults: {mutant} is listed twice")
        seen.add(name)
    _check_gates(experiment, reference, sample)


def _check_gates(experiment: Experiment, reference: Batch, sample: Sample) -> None:
    """Refuse a gate about something that this run cannot try."""
    for gate in experiment.gates:
        if gate.fault is not None:
            registry.get(gate.fault)
        if gate.family is not None and gate.family not in set(Family):
            raise UnknownNameError("family", gate.family, [f.value for f in Family], "gates")
        if gate.column is not None:
            reference.column(gate.column)
        if gate.weakness is not None:
            injections = [_injection(m, experiment.seed, 0) for m in sample.mutants]
            ids = {i.weakness_id(v.name) for i in injections for v in experiment.validators}
            found = sorted(name for name in ids if name.startswith(gate.weakness))
            if len(found) > 1:
                raise ExperimentError(f"gates: weakness {gate.weakness!r} is the beginning of {', '.join(found)}")
            if not found and not sample.dropped:  # one that had no room leaves its gate inconclusive
                raise ExperimentError(
                    f"gates: none of the {len(ids)} weaknesses of this experiment has an id that begins with "
                    f"{gate.weakness!r}; a scorecard's `survivors` name them"
                )


def _canaries(experiment: Experiment, batches: Batches, base: str) -> Iterator[Task]:
    reference = batches.load(base)
    column = experiment.key[0] if experiment.key else reference.columns[0]
    for fault in registry.faults(Family.CANARY):
        columns: Sequence[str] = (column,) if fault.column_count else ()
        yield Task(kind=TrialKind.CANARY, base=base, injection=Injection.of(fault.code, columns, seed=experiment.seed))


def _benign(experiment: Experiment, batches: Batches, ranked: Sequence[str]) -> tuple[list[Task], list[str]]:
    """Benign controls, and notes on clauses that fewer bases than wanted allow."""
    wanted, tasks, notes = experiment.controls.benign, [], []
    for injection in _allowed(experiment):
        bases = list(ranked)
        if injection.spec.clause == "entity_subsample":
            fits = (b for b in bases if _in_range(injection, batches, b))
            bases = list(islice(fits, wanted))
            if len(bases) < min(wanted, len(ranked)):
                notes.append(
                    f"{injection.fault} on {len(bases)} bases only: on others the row count leaves its historic range"
                )
        chosen = sorted(bases[:wanted])
        tasks += [Task(kind=TrialKind.BENIGN, base=base, injection=injection) for base in chosen]
    return tasks, notes


def _in_range(injection: Injection, batches: Batches, base: str) -> bool:
    """Whether a batch with a few entities less still has as many rows as some day of the history."""
    counts = [batches.load(name).rows for name in batches.history]
    source = batches.load(base)
    rows = inject(resolve(Plan.of(injection), source), source).batch.rows
    return not counts or min(counts) <= rows <= max(counts)


def _allowed(experiment: Experiment) -> Iterator[Injection]:
    """Injections that the contract allows."""
    contract = experiment.contract
    for fault in registry.faults(Family.BENIGN):
        if not fault.clause or not getattr(contract, fault.clause):
            continue
        placement = None
        fraction = None
        if contract.entity_subsample is not None and fault.clause == "entity_subsample":
            placement = {"kind": "entity", "entity": contract.entity_subsample.entity}
            fraction = round(1 - contract.entity_subsample.keep, 12)
        if fault.phase is Phase.CELLS:
            raise AssertionError(f"{fault.code} changes cells: that is no benign change")
        yield Injection.of(fault.code, placement=placement, fraction=fraction, severity=1, seed=experiment.seed)
