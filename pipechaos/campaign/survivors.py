"""Why missed trials got through: each is injected again, and looked at beside its untouched batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pipechaos.batch.model import Batch
from pipechaos.campaign.experiment import Experiment
from pipechaos.campaign.explain import example
from pipechaos.campaign.explanation import Explanation, Sketch
from pipechaos.campaign.nearness import near_misses
from pipechaos.campaign.output import injection_of
from pipechaos.campaign.run import inject_one
from pipechaos.campaign.shrink import known_doses
from pipechaos.campaign.sketch import sketch
from pipechaos.campaign.source import Batches
from pipechaos.campaign.suggest import Form, History, accepts, proposals, suggestion
from pipechaos.faults.spec import SchemaChangeKind
from pipechaos.inject.engine import Injected
from pipechaos.score.records import Outcome, Review, Trial, TrialKind
from pipechaos.validate.limits import Limit

__all__ = ["Declared", "declared_by", "explanations_of"]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What is known of a validator without its code: how it writes checks, and the numbers that they declare."""

    form: Form = Form.OTHER
    limits: tuple[Limit, ...] = ()


class Limiting(Protocol):
    """A validator as a worker described it, or as a run loaded it."""

    @property
    def limits(self) -> tuple[Limit, ...]: ...


def declared_by(experiment: Experiment, described: Mapping[str, Limiting]) -> Mapping[str, Declared]:
    """What an experiment's validators declare, from what a worker or a run said of them; none for the rest."""
    return {
        v.name: Declared(form=Form.of(v.spec), limits=described[v.name].limits)
        for v in experiment.validators
        if v.name in described
    }


def explanations_of(
    ids: Sequence[str],
    trials: Sequence[Trial],
    batches: Batches,
    declared: Mapping[str, Declared] | None = None,
    *,
    values: bool = True,
    rows: int = 3,
) -> Mapping[str, Explanation]:
    """Explain faulty trials.

    Parameters
    ----------
    ids
        Of the trials wanted.
    trials
        All of the run: who else missed the same injection, which rungs were tried, which batches were controls.
    batches
        Of the experiment.
    declared
        By validator (:func:`declared_by`); without it there is no nearness, and no code for a suggestion.
    values
        Whether data values may be told.
    rows
        Rows shown before and after.

    Returns
    -------
    Mapping
        By id, in the order asked for.
    """
    by_id = {t.trial_id: t for t in trials}
    known = declared or {}
    history = History(batches=tuple(batches.load(n) for n in batches.history))
    found: dict[str, Explanation] = {}
    proposed: dict[str, tuple[Limit, ...]] = {}
    for name in ids:
        trial = by_id[name]
        base = batches.load(trial.batch)
        injected = inject_one(injection_of(trial), base, batches)
        before, after = base.table, injected.batch.table
        limits = {v: known[v].limits for v in _missed_by(trial, trials) if v in known}
        found[name] = Explanation(
            trial_id=name,
            example=example(base, injected, rows=rows) if values else None,
            sketches=tuple(_sketches(base, injected, values)),
            near=near_misses(limits, trial.columns, before, after, values=values),
            doses=known_doses(trial, trials),
        )
        if trial.outcome is Outcome.FN:
            proposed[name] = proposals(injection_of(trial).spec.family, trial.columns, history, injected.batch)
    controls = _controls(trials, batches)
    kept = accepts((x for some in proposed.values() for x in some), (batches.load(n) for n in controls))
    for name, some in proposed.items():
        limit = next((x for x in some if x in kept), None)
        if limit is not None:
            form = known[by_id[name].validator].form if by_id[name].validator in known else Form.OTHER
            told = suggestion(limit, history, len(controls), form, values=values)
            found[name] = replace(found[name], suggestion=told)
    return found


def _missed_by(trial: Trial, trials: Sequence[Trial]) -> list[str]:
    """The trial's validator, then others that missed the same injection."""
    others = {t.validator for t in trials if t.injection_id == trial.injection_id and t.outcome is Outcome.FN}
    return [trial.validator, *sorted(others - {trial.validator})]


def _controls(trials: Sequence[Trial], batches: Batches) -> tuple[str, ...]:
    """Untouched batches of the run, except those that a person found to be bad or that are gone since."""
    natural = [t for t in trials if t.kind is TrialKind.NATURAL]
    bad = {t.batch for t in natural if t.review is Review.TRUE}
    return tuple(sorted({t.batch for t in natural if t.batch in batches.refs} - bad))


def _sketches(base: Batch, injected: Injected, values: bool) -> Iterator[Sketch]:
    """Of the columns that changed; where only rows did, of the time column."""
    ledger = injected.ledger
    shown = {c.column: c.column for c in ledger.cells if len(c.origin)}
    for change in ledger.schema:
        if change.kind is not SchemaChangeKind.ADDED:
            shown[change.column] = change.to or change.column
    if not shown and not ledger.rows.empty and base.time is not None:
        shown = {base.time: base.time}
    for column, to in shown.items():
        if column in base.columns:
            yield sketch(base.table, injected.batch.table, column, to=to, values=values)
