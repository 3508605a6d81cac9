"""Where a small budget goes when a suite changes: first to the columns whose checks changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipechaos.campaign.experiment import Experiment, FaultSpec
from pipechaos.campaign.sample import MIN_BASES, severities_of
from pipechaos.campaign.source import Batches
from pipechaos.campaign.tasks import plan_campaign
from pipechaos.plan.presets import Pair, thin
from pipechaos.validate.verdict import Check

__all__ = ["Aim", "aimed"]

_SHARE = 2 / 3  # of the room, at most, for the columns that changed: a change may tell elsewhere too
_NAMED = 12


@dataclass(frozen=True, kw_only=True)
class Aim:
    """An experiment whose faults are listed one by one.

    Attributes
    ----------
    experiment
        With its list.
    told
        What was done, in a line.
    left_out
        Faults on columns that found no room, by name.
    """

    experiment: Experiment
    told: str
    left_out: tuple[str, ...]


def aimed(experiment: Experiment, batches: Batches, changed: Iterable[Check]) -> Aim | None:
    """Faults on columns of changed checks first, as far as the budget reaches, and a spread of the others.

    Parameters
    ----------
    experiment
        With a budget of trials, and one validator.
    batches
        Its batches.
    changed
        Checks that one version alone has; one that names no column stands for the faults that name none, such as
        missing rows.

    Returns
    -------
    Aim or None
        None where no check changed by name, or no fault is about what changed: the experiment's own sample is as good.
    """
    trials = experiment.budget.trials
    checks = list(changed)
    columns = {c for check in checks for c in check.columns}
    whole = any(not check.columns for check in checks)
    if not checks or trials is None:
        return None
    found = _everything(experiment, batches)
    near = [p for p in found if (columns & set(p.columns) if p.columns else whole)]
    near_ids = set(map(id, near))
    far = [p for p in found if id(p) not in near_ids]
    room = trials // experiment.repeats // min(MIN_BASES, len(batches.controls[: experiment.controls.natural]))
    first = _fitting(near, experiment.severities, int(room * _SHARE) if far else room)
    if not first:
        return None
    others = _fitting(far, experiment.severities, room - _weight(first, experiment.severities))
    kept = {*map(id, first), *map(id, others)}
    places = sorted({c for p in near for c in p.columns}) + (["the table as a whole"] if whole else [])
    return Aim(
        experiment=experiment.model_copy(
            update={"faults": [_spec(p) for p in found if id(p) in kept], "preset": None, "pairs": None}
        ),
        told=f"aimed at what changed checks look at ({_listed(places)}): {len(first)} of {len(near)} faults "
        f"there, and {len(others)} of {len(far)} others",
        left_out=tuple(str(p) for p in found if id(p) not in kept),
    )


def _listed(names: Sequence[str]) -> str:
    """The first names, the rest counted."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _everything(experiment: Experiment, batches: Batches) -> list[Pair]:
    """Every fault on every column that the experiment could try, checked against a real batch."""
    wide = experiment.model_copy(
        update={
            "pairs": None,
            "budget": experiment.budget.model_copy(update={"trials": None}),
            "controls": experiment.controls.model_copy(update={"natural": 1}),
        }
    )
    return list({id(m.pair): m.pair for m in plan_campaign(wide, batches).sample.mutants}.values())


def _fitting(pairs: Sequence[Pair], severities: Sequence[int], room: int) -> tuple[Pair, ...]:
    """As many pairs, spread over faults, as have at most so many weaknesses."""
    sizes = range(1, len(pairs) + 1)
    return thin(pairs, bisect_right(sizes, room, key=lambda n: _weight(thin(pairs, n)[0], severities)))[0]


def _weight(pairs: Sequence[Pair], severities: Sequence[int]) -> int:
    return sum(len(severities_of(p, severities)) for p in pairs)


def _spec(pair: Pair) -> FaultSpec:
    return FaultSpec(
        fault=pair.fault,
        columns=list(pair.columns),
        placement=dict(pair.placement) or None,
        params=dict(pair.params),
        severities=list(pair.severities) if pair.severities else None,
    )
