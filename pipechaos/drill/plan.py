"""What a drill tries tonight: the pairs whose turn it is, on the latest batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipechaos import counter
from pipechaos.campaign.experiment import Budget, Controls, Experiment, FaultSpec, parse_experiment
from pipechaos.campaign.sample import Mutant
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.drill.rotation import Turn, in_order, least_budget, next_turns
from pipechaos.drill.settings import DrillSettings, drill_name
from pipechaos.errors import ConfigError
from pipechaos.plan.injection import Injection
from pipechaos.plan.presets import Pair
from pipechaos.store.tried import LastTry

__all__ = ["DrillPlan", "Drilled", "plan_drill", "window_ends"]


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """A fault on columns, as the drills of an experiment try it.

    Attributes
    ----------
    pair
        Which one.
    key
        Its id: a digest, so that nobody's name comes first.
    weaknesses
        Ids by rung of its ladder: one for each validator.
    cost
        Faulty trials that trying it once takes.
    last
        When every rung of it had last been tried; None where one never was.
    """

    pair: Pair
    key: str
    weaknesses: tuple[tuple[str, ...], ...]
    cost: int
    last: dt.datetime | None = None

    def at(self, tries: Mapping[str, LastTry]) -> Drilled:
        """The same, with the last try of every weakness as given."""
        found = [max((tries[i].started for i in ids if i in tries), default=None) for ids in self.weaknesses]
        moments = [moment for moment in found if moment is not None]
        return replace(self, last=min(moments) if len(moments) == len(found) else None)


@dataclass(frozen=True, kw_only=True)
class DrillPlan:
    """A drill, laid out; nothing was touched.

    Attributes
    ----------
    experiment
        The drill as an experiment of its own.
    tonight
        What is tried, in the order of turns.
    waiting
        What is not, in the order of turns.
    budget
        Most faulty trials.
    least
        Trials that a drill needs to keep the period.
    controls, bases
        Names of the batches.
    """

    experiment: Experiment
    tonight: tuple[Drilled, ...]
    waiting: tuple[Drilled, ...]
    budget: int
    least: int
    controls: tuple[str, ...]
    bases: tuple[str, ...]

    @property
    def whole(self) -> tuple[Drilled, ...]:
        """Everything that takes turns."""
        return (*self.tonight, *self.waiting)


def plan_drill(experiment: Experiment, root: Path, settings: DrillSettings, tries: Mapping[str, LastTry]) -> DrillPlan:
    """Lay out a drill.

    Parameters
    ----------
    experiment, root
        What is drilled, and the folder that its relative paths start from.
    settings
        How drills are held.
    tries
        Last try of every weakness, by its id, in earlier drills.

    Raises
    ------
    ConfigError
        The budget of a drill is too small to try everything within the period; it says how large it has to be.
    PipechaosError
        The experiment cannot be laid out.
    """
    window = _window(experiment, root, settings)
    batches = Batches(window, root)
    known = _catalogue(window, batches, tries)
    least = least_budget([d.cost for d in known.values()], settings.drills)
    budget = least if settings.trials is None else settings.trials
    if budget < least:
        raise ConfigError(
            f"{budget} trials a drill are too few: {len(known)} faults on columns take "
            f"{sum(d.cost for d in known.values())} trials, and {settings.drills} drills within "
            f"{settings.period_days:g} days need {least} each. Raise trials to {least}, lengthen period_days, or leave "
            "trials out to let the period decide."
        )
    turns = [Turn(key=d.key, cost=d.cost, last=d.last) for d in known.values()]
    chosen = [known[t.key] for t in next_turns(turns, budget)]
    waiting = [known[t.key] for t in in_order(turns)[len(chosen) :]]
    return DrillPlan(
        experiment=_tonight(window, experiment, settings, chosen),
        tonight=tuple(chosen),
        waiting=tuple(waiting),
        budget=budget,
        least=least,
        controls=batches.controls,
        bases=batches.controls[-settings.bases :],
    )


def window_ends(experiment: Experiment, root: Path, settings: DrillSettings) -> Iterator[DrillSettings]:
    """The same settings with the latest batch named: the latest there is, then those before it.

    A drill that goes on after a night has to find the batches it began with, and newer ones may have come.
    """
    names = Batches(_window(experiment, root, settings), root).controls
    for name in reversed(names):
        yield replace(settings, until=name)


def _window(experiment: Experiment, root: Path, settings: DrillSettings) -> Experiment:
    """The experiment over recent batches alone, its last batch named."""
    own = experiment.controls.until
    until = min((u for u in (own, settings.until) if u is not None), default=None)
    controls = experiment.controls.model_dump() | {"natural": None, "until": until, "last": settings.controls}
    found = experiment.model_copy(update={"controls": Controls.model_validate(controls | {"bases": settings.bases})})
    last = Batches(found, root).controls[-1]
    return found.model_copy(update={"controls": found.controls.model_copy(update={"until": last})})


def _catalogue(window: Experiment, batches: Batches, tries: Mapping[str, LastTry]) -> dict[str, Drilled]:
    """Everything that the experiment breaks, by key, each with its last try."""
    bare = window.controls.model_copy(update={"benign": 0, "repeats": 0})
    everything = window.model_copy(update={"budget": Budget(), "controls": bare})
    sample = plan_campaign(everything, batches).sample
    rungs: dict[str, list[Mutant]] = {}
    for mutant in sample.mutants:
        p = mutant.pair
        key = counter.digest_id("drill", p.fault, p.columns, p.placement, p.params, p.severities)
        rungs.setdefault(key, []).append(mutant)
    trials = window.repeats * len(window.validators) * sample.bases_each
    return {
        key: Drilled(
            pair=found[0].pair,
            key=key,
            weaknesses=tuple(_ids(mutant, window) for mutant in found),
            cost=len(found) * trials,
        ).at(tries)
        for key, found in rungs.items()
    }


def _ids(mutant: Mutant, window: Experiment) -> tuple[str, ...]:
    p = mutant.pair
    made = Injection.of(
        p.fault, p.columns, severity=mutant.severity or None, placement=p.placement or None, params=p.params
    )
    return tuple(made.weakness_id(v.name) for v in window.validators)


def _tonight(
    window: Experiment,
    experiment: Experiment,
    settings: DrillSettings,
    chosen: Sequence[Drilled],
) -> Experiment:
    """The drill as an experiment: tonight's pairs, and no gate, since one night has too few batches to decide any."""
    faults = [
        FaultSpec(
            fault=d.pair.fault,
            columns=list(d.pair.columns),
            placement=dict(d.pair.placement) or None,
            params=dict(d.pair.params),
            severities=list(d.pair.severities) if d.pair.severities else None,
        )
        for d in chosen
    ]
    made = window.model_copy(
        update={
            "name": drill_name(experiment.name),
            "faults": faults,
            "preset": None,
            "pairs": None,
            "budget": Budget(minutes=settings.minutes or experiment.budget.minutes),
            "gates": [],
        }
    )
    return parse_experiment(made.model_dump(mode="json"), f"the drill of {experiment.name!r}")
