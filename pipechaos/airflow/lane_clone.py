"""A team's own validator task once more, for a copy: it is handed the copy wherever it asks for the stage's output.

The clone keeps the operator's class, arguments, pool, queue and time limit. What it gets is changed in one place: the
task instance it pulls XComs through. So arguments (``XComArg`` in all its forms), templates and code that pulls for
itself all get the copy, and whether anything asked for it is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from pipechaos.airflow.lane_handover import CopyHandover

if TYPE_CHECKING:
    from airflow.sdk import TaskGroup

__all__ = ["Judging", "clone_of", "quieten"]

_KEY = "_pipechaos_lane"
# exceptions with which Airflow itself takes a task out of our hands for a while; the others are not `Exception`s
_COMES_BACK = ("AirflowRescheduleException",)


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What one clone judges.

    Attributes
    ----------
    stage, stage_key
        Whose output, under which XCom key, is replaced.
    copies, label
        Task that made the copies, and which of them this is.
    leading
        The consumer and all tasks that lead to it: what a branch may choose to accept.
    rejects
        See :func:`pipechaos.airflow.outside_verdicts.judge_ending`.
    """

    stage: str
    stage_key: str
    copies: str
    label: str
    leading: frozenset[str]
    rejects: tuple[str, ...]


def _names(of: object) -> tuple[str, ...]:
    return tuple(k.__name__ for k in type(of).__mro__)


class _Judged:
    """Stands before the operator's class: hands over the copy, and ends in success with what was said."""

    _pipechaos: Judging
    check_results: Any

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        super().render_template_fields(self._handed(context), jinja_env)  # type: ignore[misc]

    def pre_execute(self, context: Any) -> None:
        """Belongs to the judgement, where its exceptions are caught."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Belongs to the judgement, where its exceptions are caught."""

    def execute(self, context: Any) -> dict[str, Any]:
        return self._judge(context, lambda handed: super(_Judged, self).execute(handed))  # type: ignore[misc]

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> dict[str, Any]:
        def again(handed: Any) -> Any:
            return super(_Judged, self).resume_execution(next_method, next_kwargs, handed)  # type: ignore[misc]

        return self._judge(context, again)

    def do_branch(self, context: Any, branches_to_execute: Any) -> Any:
        """A branch chosen by a clone skips nothing."""
        return branches_to_execute

    def skip(self, *args: Any, **kwargs: Any) -> None:
        """A clone that short-circuits skips nothing."""

    def skip_all_except(self, *args: Any, **kwargs: Any) -> None:
        """A clone skips nothing."""

    def _handed(self, context: Any) -> dict[str, Any]:
        """Context in which the stage's output is the copy; Airflow gives one context for rendering and executing."""
        if _KEY not in context:
            lane = self._pipechaos
            context[_KEY] = CopyHandover(
                context["ti"], stage=lane.stage, key=lane.stage_key, copies=lane.copies, label=lane.label
            )
        handed = {**context, "ti": context[_KEY], "task_instance": context[_KEY]}
        handed.pop(_KEY)
        if "outlet_events" in handed:  # what the clone says about assets is heard by nobody
            handed["outlet_events"] = type(handed["outlet_events"])()
        return handed

    def _judge(self, context: Any, run: Callable[[Any], Any]) -> dict[str, Any]:
        from pipechaos.airflow.outside_verdicts import LATE, Ending, OutsideVerdict, Told, judge_ending

        handed = self._handed(context)
        ti: CopyHandover = handed["ti"]
        if time.time() > ti.until:
            return OutsideVerdict(told=Told.NOT_EXERCISED, how=LATE).to_json()
        if getattr(self, "check_results", None):
            self.check_results = []
        error, result = self._ended(handed, run)
        if error is not None and time.time() > ti.until:
            return OutsideVerdict(told=Told.NOT_EXERCISED, how=LATE).to_json()
        said = judge_ending(
            Ending(
                operator=_names(self),
                error=error,
                result=result,
                pushed=ti.pushed,
                check_results=tuple(getattr(self, "check_results", None) or ()),
                took_copy=ti.handed_over,
                leads_on=self._leads_on(result) if error is None else None,
            ),
            self._pipechaos.rejects,
        )
        self.log.info("Told %s from %s", said.told.value, said.how)  # type: ignore[attr-defined]
        return said.to_json()

    def _ended(self, handed: Any, run: Callable[[Any], Any]) -> tuple[BaseException | None, Any]:
        from airflow.sdk.execution_time.context import set_current_context

        try:
            with set_current_context(handed):
                super().pre_execute(handed)  # type: ignore[misc]
                result = run(handed)
                super().post_execute(handed, result)  # type: ignore[misc]
        except Exception as error:
            if any(n in _COMES_BACK for n in _names(error)):
                raise
            self.log.info("The copy was not accepted, or not judged", exc_info=True)  # type: ignore[attr-defined]
            return error, None
        except BaseException as error:
            if "AirflowTaskTimeout" not in _names(error):  # deferred, or told to end
                raise
            self.on_kill()  # type: ignore[attr-defined]
            return error, None
        return None, result

    def _leads_on(self, result: Any) -> bool | None:
        if "BranchMixIn" not in _names(self):
            return None
        chosen = [result] if isinstance(result, str) else list(result or ())
        leading = self._pipechaos.leading
        return any(c in leading or any(t.startswith(f"{c}.") for t in leading) for c in chosen)


@cache
def _judged_class(kind: type[BaseOperator]) -> type[BaseOperator]:
    meta: Any = type(kind)
    made: type[BaseOperator] = meta(f"Lane{kind.__name__}", (_Judged, kind), {"__module__": kind.__module__})
    return made


def clone_of(task: BaseOperator, *, task_id: str, group: TaskGroup, judging: Judging, seconds: float) -> BaseOperator:
    """Clone a validator into a group: no edges yet, and nobody hears of it.

    Parameters
    ----------
    task
        The team's own task.
    task_id
        Within the group.
    group
        The lane's.
    judging
        What it judges.
    seconds
        A limit besides the task's own.
    """
    clone = task.__class__.__new__(_judged_class(task.__class__))
    for name, value in task.__dict__.items():
        clone.__dict__[name] = _own(value)
    own = {"_dag": None, "task_group": None, "upstream_task_ids": set(), "downstream_task_ids": set(),
           "task_id": group.child_id(task_id), "_task_display_name": None, "_pipechaos": judging}  # fmt: skip
    clone.__dict__.update(own)
    clone.__dict__.pop("_log", None)
    quieten(clone)
    clone._pre_execute_hook = clone._post_execute_hook = None
    clone.do_xcom_push, clone.multiple_outputs = True, False
    clone.doc_md = f"`{task.task_id}` on a shadow copy ({judging.label}). It ends in success whatever it finds."
    limit = timedelta(seconds=max(1.0, seconds))
    clone.execution_timeout = min(task.execution_timeout or limit, limit)
    group.add(clone)
    clone.task_group = group
    clone.dag = task.dag
    return clone


def _own(value: Any) -> Any:
    """Plain containers anew, what is in them as it is: operators keep results in the arguments they were given."""
    if type(value) is dict:
        return {k: _own(v) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_own(v) for v in value)
    return value


def quieten(task: BaseOperator) -> None:
    """Take from a task all that tells somebody, tries again, waits for earlier runs or outranks others.

    Parameters
    ----------
    task
        Of the lane; ``default_args`` of a DAG reach it too.
    """
    for kind in ("execute", "failure", "success", "retry", "skipped"):
        setattr(task, f"on_{kind}_callback", [])
    task.retries, task.email, task.email_on_failure, task.email_on_retry = 0, None, False, False
    if hasattr(task, "retry_policy"):
        task.retry_policy = None
    task.outlets = []
    task.depends_on_past = task.wait_for_downstream = False
    # in the weight of the stage all that comes after it is summed up: the lane adds nothing
    task.priority_weight, task.weight_rule = 0, "absolute"
    task.__dict__["is_setup"] = task.__dict__["is_teardown"] = False
