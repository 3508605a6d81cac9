"""A team's own validator task once more, for a copy: it is handed the copy wherever it asks for the stage's output.

The clone keeps the operator's class, arguments, pool, queue and time limit. What it gets is changed in one place: the
task instance it pulls XComs through. So arguments (``XComArg`` in all its forms), templates and code that pulls for
itself all get the copy, and whether anything asked for it is known.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from pipechaos.airflow.lane_handover import CopyHandover, Judging
from pipechaos.airflow.lane_mapped import mapped_clone_of, over_copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import TaskGroup

    from pipechaos.airflow.outside_verdicts import OutsideVerdict

__all__ = ["clone_of", "handed", "judged_class", "own", "quieten"]

_KEY = "_pipechaos_lane"
# exceptions with which Airflow itself takes a task out of our hands for a while; the others are not `Exception`s
_COMES_BACK = ("AirflowRescheduleException",)


def _names(of: object) -> tuple[str, ...]:
    return tuple(k.__name__ for k in type(of).__mro__)


def handed(context: Any, ti: CopyHandover) -> dict[str, Any]:
    """Context in which the stage's output is the copy, and what is said about assets is heard by nobody."""
    mine = {**context, "ti": ti, "task_instance": ti}
    mine.pop(_KEY, None)
    if "outlet_events" in mine:
        mine["outlet_events"] = type(mine["outlet_events"])()
    return mine


class _Judged:
    """Stands before the operator's class: hands over the copy, and ends in success with what was said."""

    _pipechaos: Judging
    check_results: Any

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        from pipechaos.airflow.lane_sql import led_to_copy

        mine = self._handed(context)
        with led_to_copy(mine["ti"]):
            super().render_template_fields(mine, jinja_env)  # type: ignore[misc]

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render, the output of a mapped stage being that of its copies."""
        return super().render_template(over_copies(content, self._pipechaos.stage), *args, **kwargs)  # type: ignore[misc]

    def pre_execute(self, context: Any) -> None:
        """Belongs to the judgement, where its exceptions are caught."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Belongs to the judgement, where its exceptions are caught."""

    def execute(self, context: Any) -> dict[str, Any]:
        return self.judge_copy(self._handed(context)).to_json()

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> dict[str, Any]:
        mine = self._handed(context)
        mine["ti"].waited()
        return self.judge_copy(mine, (next_method, next_kwargs)).to_json()

    def do_branch(self, context: Any, branches_to_execute: Any) -> Any:
        """A branch chosen by a clone skips nothing."""
        return branches_to_execute

    def skip(self, *args: Any, **kwargs: Any) -> None:
        """A clone that short-circuits skips nothing."""

    def skip_all_except(self, *args: Any, **kwargs: Any) -> None:
        """A clone skips nothing."""

    def judge_copy(
        self,
        context: Any,
        resume: tuple[str, Any] | None = None,
        *,
        said: Sequence[dict[str, Any]] = (),
        limit: float | None = None,
    ) -> OutsideVerdict:
        """Let the operator judge what it is handed.

        Parameters
        ----------
        context
            From :func:`handed`.
        resume
            Method and arguments, where the task had deferred.
        said
            What is noted when it defers: verdicts on earlier elements of a map.
        limit
            Seconds, where Airflow itself does not see to it.
        """
        from pipechaos.airflow.lane_sql import TableJudging
        from pipechaos.airflow.outside_verdicts import LATE, NO_COPIES, not_exercised

        ti: CopyHandover = context["ti"]
        if ti.until is None:
            return not_exercised(NO_COPIES)
        if time.time() > ti.until:
            return not_exercised(LATE)
        if getattr(self, "check_results", None):
            self.check_results = []
        with TableJudging(ti) as table:
            if table.why:
                return not_exercised(table.why)
            error, result = self._ended(context, resume, said, limit)
            if error is not None and time.time() > ti.until:
                return not_exercised(LATE)
            found = table.confirmed(self._told(ti, error, result), self, raised=error is not None)
        self.log.info("Told %s from %s", found.told.value, found.how)  # type: ignore[attr-defined]
        return found

    def _told(self, ti: CopyHandover, error: BaseException | None, result: Any) -> OutsideVerdict:
        from pipechaos.airflow.outside_verdicts import Ending, judge_ending

        return judge_ending(
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

    def _handed(self, context: Any) -> dict[str, Any]:
        """Airflow gives one context for rendering and executing: one handover knows whether the copy was taken."""
        if _KEY not in context:
            lane = self._pipechaos
            mapped = self.dag.get_task(lane.stage).is_mapped  # type: ignore[attr-defined]
            context[_KEY] = CopyHandover(context["ti"], lane, mapped_stage=mapped)
        return handed(context, context[_KEY])

    def _ended(
        self, context: Any, resume: tuple[str, Any] | None, said: Sequence[dict[str, Any]], limit: float | None
    ) -> tuple[BaseException | None, Any]:
        from contextlib import nullcontext

        from airflow.sdk.execution_time.context import set_current_context
        from airflow.sdk.execution_time.timeout import timeout

        try:
            with set_current_context(context), nullcontext() if limit is None else timeout(limit):
                super().pre_execute(context)  # type: ignore[misc]
                result = self._run(context, resume)
                super().post_execute(context, result)  # type: ignore[misc]
        except Exception as error:
            if any(n in _COMES_BACK for n in _names(error)):
                raise
            self.log.info("The copy was not accepted, or not judged", exc_info=True)  # type: ignore[attr-defined]
            return error, None
        except BaseException as error:
            if "TaskDeferred" in _names(error):
                _wait(error, context["ti"], said)
            if "AirflowTaskTimeout" not in _names(error):  # deferred, or told to end
                raise
            self.on_kill()  # type: ignore[attr-defined]
            return error, None
        return None, result

    def _run(self, context: Any, resume: tuple[str, Any] | None) -> Any:
        if resume is None:
            return super().execute(context)  # type: ignore[misc]
        return super().resume_execution(*resume, context)  # type: ignore[misc]

    def _leads_on(self, result: Any) -> bool | None:
        if "BranchMixIn" not in _names(self):
            return None
        chosen = [result] if isinstance(result, str) else list(result or ())
        leading = self._pipechaos.leading
        return any(c in leading or any(t.startswith(f"{c}.") for t in leading) for c in chosen)


def _wait(deferral: Any, ti: CopyHandover, said: Sequence[dict[str, Any]]) -> None:
    """A trigger is waited for until the lane's time is over, and no longer."""
    ti.waits(said)
    left = timedelta(seconds=max(1.0, float(ti.until or 0) - time.time()))
    wanted = deferral.timeout
    if wanted is not None and not isinstance(wanted, timedelta):
        wanted = timedelta(seconds=wanted)
    deferral.timeout = left if wanted is None else min(left, wanted)


@cache
def judged_class(kind: type[BaseOperator], judging: Judging) -> type[BaseOperator]:
    """Operator class that judges a copy in the place of the team's own."""
    meta: Any = type(kind)
    own = {"__module__": kind.__module__, "_pipechaos": judging}
    made: type[BaseOperator] = meta(f"Lane{kind.__name__}", (_Judged, kind), own)
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
    if task.is_mapped:
        mapped = mapped_clone_of(task, task_id=task_id, group=group, judging=judging, seconds=seconds)
        quieten(mapped)
        mapped.doc_md = _doc(task, judging)
        return mapped
    clone = task.__class__.__new__(judged_class(task.__class__, judging))
    for name, value in task.__dict__.items():
        clone.__dict__[name] = own(value)
    anew = {"_dag": None, "task_group": None, "upstream_task_ids": set(), "downstream_task_ids": set(),
            "task_id": group.child_id(task_id), "_task_display_name": None}  # fmt: skip
    clone.__dict__.update(anew)
    clone.__dict__.pop("_log", None)
    quieten(clone)
    clone._pre_execute_hook = clone._post_execute_hook = None
    clone.multiple_outputs = False
    clone.doc_md = _doc(task, judging)
    limit = timedelta(seconds=max(1.0, seconds))
    clone.execution_timeout = min(task.execution_timeout or limit, limit)
    group.add(clone)
    clone.task_group = group
    clone.dag = task.dag
    return clone


def _doc(task: BaseOperator, judging: Judging) -> str:
    return f"`{task.task_id}` on a shadow copy ({judging.label}). It ends in success whatever it finds."


def own(value: Any) -> Any:
    """Plain containers anew, what is in them as it is: operators keep results in the arguments they were given."""
    if type(value) is dict:
        return {k: own(v) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(own(v) for v in value)
    return value


def quieten(task: BaseOperator) -> None:
    """Take from a task all that tells somebody, tries again, waits for earlier runs or outranks others.

    Parameters
    ----------
    task
        Of the lane; ``default_args`` of a DAG reach it too. Its result stays: the score needs it.
    """
    for kind in ("execute", "failure", "success", "retry", "skipped"):
        setattr(task, f"on_{kind}_callback", [])
    task.retries, task.email, task.email_on_failure, task.email_on_retry = 0, None, False, False
    if hasattr(task, "retry_policy"):
        task.retry_policy = None
    task.outlets, task.do_xcom_push = [], True
    task.depends_on_past = task.wait_for_downstream = False
    # in the weight of the stage all that comes after it is summed up: the lane adds nothing
    task.priority_weight, task.weight_rule = 0, _absolute(task)
    task.__dict__["is_setup"] = task.__dict__["is_teardown"] = False


def _absolute(task: BaseOperator) -> Any:
    """Weight rule of that name, in the form the task keeps its own: one of Airflow 3.1 keeps an object."""
    if task.is_mapped or isinstance(task.weight_rule, str):
        return "absolute"
    from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy

    return validate_and_load_priority_weight_strategy("absolute")
