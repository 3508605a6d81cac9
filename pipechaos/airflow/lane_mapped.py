"""Mapped stretches: the output of a mapped stage, and the one task that judges a copy as a mapped validator would.

How many elements there are is known at run time only, and differs between the stage's output and a copy of it never. So
a copy has one task, which goes through the elements one after the other: a list of batches is one trial.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg

from pipechaos.airflow.lane_handover import CopyHandover, Judging

if TYPE_CHECKING:
    from pipechaos.airflow.outside_verdicts import OutsideVerdict

__all__ = ["LaneMappedOperator", "mapped_clone_of", "over_copies", "taken_by"]

_KEPT = ("owner", "pool", "pool_slots", "queue", "executor", "executor_config", "run_as_user", "max_active_tis_per_dag")
_MARGIN = 0.5  # seconds after the end of the lane's time: what ends then is late, not slow


class _CopiesArg(PlainXComArg):
    """Output of a mapped stage, which Airflow fetches by itself: here the copies of it."""

    def resolve(self, context: Mapping[str, Any]) -> Any:
        return context["ti"].copies_of(self.key)


def over_copies(value: Any, stage: str) -> Any:
    """Argument in which the output of a mapped stage is that of its copies; any other value as it is.

    Parameters
    ----------
    value
        Anything that may stand in an argument of an operator; containers are looked through.
    stage
        Task id.
    """
    if isinstance(value, PlainXComArg):
        mine = value.operator.task_id == stage and value.operator.is_mapped
        return _CopiesArg(value.operator, value.key) if mine else value
    if isinstance(value, XComArg):  # of one other, or of several: map, zip, concat
        if hasattr(value, "args"):
            return attrs.evolve(value, args=[over_copies(a, stage) for a in value.args])
        return attrs.evolve(value, arg=over_copies(value.arg, stage))
    if type(value) is dict:
        return {k: over_copies(v, stage) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(over_copies(v, stage) for v in value)
    return value


def taken_by(task: Any) -> set[str]:
    """Ids of the tasks whose output a task takes in its arguments; those of a mapped one are in two places."""
    given = [getattr(task, f, None) for f in task.template_fields]
    if task.is_mapped:
        given = [task.partial_kwargs, _expanding(task)]
    return {t.task_id for g in given for t, _ in XComArg.iter_xcom_references(g)}


class LaneMappedOperator(BaseOperator):
    """Judge one copy as a mapped validator does, element by element.

    Parameters
    ----------
    mapped
        The team's own.
    judging
        What is judged.
    """

    ui_color = "#d5e4f6"

    def __init__(self, *, mapped: Any, judging: Judging, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._mapped, self._pipechaos = mapped, judging

    def execute(self, context: Any) -> dict[str, Any]:
        """Judge every element."""
        return self._judge_all(context, [])

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> dict[str, Any]:
        """Go on with the element that was deferred."""
        said = self._handover(context, None).waited()
        return self._judge_all(context, said, (next_method, next_kwargs))

    def _judge_all(
        self, context: Any, earlier: Sequence[Mapping[str, Any]], resume: tuple[str, Any] | None = None
    ) -> dict[str, Any]:
        from pipechaos.airflow.outside_verdicts import LATE, NO_COPIES, OutsideVerdict, not_exercised, together

        said = [OutsideVerdict.from_json(s) for s in earlier]
        whole = self._handover(context, None)
        if whole.until is None:
            return not_exercised(NO_COPIES).to_json()
        count = _count(_expanding(self._element_of()), {**context, "ti": whole, "task_instance": whole})
        try:
            while len(said) < count and (not said or said[-1].how != LATE):
                said.append(self._judge(context, said, resume))
                resume = None
        finally:
            context["ti"].task = self  # unmapping puts the element there
        self.log.info("%d elements of %s", len(said), self._mapped.task_id)
        return together(said).to_json()

    def _judge(self, context: Any, said: Sequence[OutsideVerdict], resume: tuple[str, Any] | None) -> OutsideVerdict:
        """One element, as Airflow would have unmapped it."""
        from airflow.sdk.bases.operator import ExecutorSafeguard

        from pipechaos.airflow.lane_clone import handed
        from pipechaos.airflow.lane_sql import led_to_copy

        ti = self._handover(context, len(said))
        if resume is not None:
            ti.waited()
        mine = handed(context, ti)
        with led_to_copy(ti):
            self._element_of().render_template_fields(mine)
        element: Any = mine["task"]
        token = ExecutorSafeguard.tracker.set(element)
        try:
            found: OutsideVerdict = element.judge_copy(
                mine, resume, said=[s.to_json() for s in said], limit=_seconds(element, ti)
            )
            return found
        finally:
            ExecutorSafeguard.tracker.reset(token)

    def _handover(self, context: Any, index: int | None) -> CopyHandover:
        lane = self._pipechaos
        mapped_stage = self.dag.get_task(lane.stage).is_mapped
        return CopyHandover(context["ti"], lane, mapped_stage=mapped_stage, map_index=index)

    def _element_of(self) -> Any:
        """The mapped operator with the copies in the place of the stage's output, its arguments its own."""
        from pipechaos.airflow.lane_clone import judged_class, own

        mine, lane = copy.copy(self._mapped), self._pipechaos
        mine.operator_class = judged_class(mine.operator_class, lane)
        mine.partial_kwargs = over_copies(own(mine.partial_kwargs), lane.stage)
        given = _expanding(mine)
        setattr(mine, mine._expand_input_attr, attrs.evolve(given, value=over_copies(given.value, lane.stage)))
        return mine


def _expanding(mapped: Any) -> Any:
    return mapped._get_specified_expand_input()


def _count(given: Any, context: Mapping[str, Any]) -> int:
    """Elements of a map; of a map over several arguments every combination."""

    def resolved(value: Any) -> Any:
        return value.resolve(context) if isinstance(value, XComArg) else value

    if isinstance(given.value, Mapping):
        return math.prod(len(resolved(v)) for v in given.value.values())
    return len(resolved(given.value))


def _seconds(element: Any, ti: CopyHandover) -> float:
    """Time limit of one element: its own, or what is left of the lane's."""
    left = max(0.0, float(ti.until or 0) - time.time()) + _MARGIN
    own = element.execution_timeout
    return left if own is None else float(min(own.total_seconds(), left))


def mapped_clone_of(mapped: Any, *, task_id: str, group: Any, judging: Judging, seconds: float) -> LaneMappedOperator:
    """Task that judges a copy as a mapped validator does; see :func:`pipechaos.airflow.lane_clone.clone_of`."""
    kept = {k: mapped.partial_kwargs[k] for k in _KEPT if mapped.partial_kwargs.get(k) is not None}
    return LaneMappedOperator(
        mapped=mapped,
        judging=judging,
        task_id=task_id,
        dag=mapped.dag,
        task_group=group,
        params=mapped.params,
        execution_timeout=timedelta(seconds=seconds + 60),  # each element has its own limit
        **kept,
    )
