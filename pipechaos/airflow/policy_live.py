"""A stage that hands over a corrupted copy of what it made: the reference is another one, what it made stays as it is.

The task gets a subclass of its own class: Airflow copies a task before it runs it, and what was wrapped round one
object would see arguments that are not rendered yet.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from pipechaos.airflow.policy_plan import PlanSource, Stretch
from pipechaos.errors import ConfigError, PipechaosError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RECORD", "make_live"]

RECORD = "pipechaos_live"  # XCom key
_LABEL = "live"
_NOTE = (
    "**Broken on purpose** while a pipechaos plan is in force: this task hands over a corrupted copy of its output. "
    f"See its XCom `{RECORD}`."
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Corrupted:
    """What is handed over instead, and what is written down about it before."""

    result: Any
    record: Mapping[str, Any]


class _Live:
    """Stands before the operator's class."""

    _pipechaos_live: Stretch

    def execute(self, context: Any) -> Any:
        return _handed_over(self, context, super().execute(context))  # type: ignore[misc]

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> Any:
        return _handed_over(self, context, super().resume_execution(next_method, next_kwargs, context))  # type: ignore[misc]


@cache
def _live_class(kind: type[BaseOperator]) -> type[BaseOperator]:
    meta: Any = type(kind)
    made: type[BaseOperator] = meta(f"Live{kind.__name__}", (_Live, kind), {"__module__": kind.__module__})
    return made


def make_live(task: Any, stretch: Stretch) -> None:
    """Let a task hand over a corrupted copy, as long as the plan says so when it runs.

    Parameters
    ----------
    task
        The stage.
    stretch
        Of the plan, mode live.

    Raises
    ------
    ConfigError
        The task is mapped, returns nothing or does not run in a worker.
    """
    if isinstance(task, _Live):
        return
    if not isinstance(task, BaseOperator) or task.get_closest_mapped_task_group() is not None:
        raise ConfigError(f"stage {task.task_id!r} is mapped: a plan needs a task that runs once in a run")
    if not task.do_xcom_push:
        raise ConfigError(f"stage {task.task_id!r} returns nothing (do_xcom_push is off): there is nothing to replace")
    if task.is_setup or task.is_teardown or getattr(task, "start_from_trigger", False):
        raise ConfigError(f"stage {task.task_id!r} is a setup, a teardown or starts in the triggerer")
    kind: Any = type(task)
    object.__setattr__(task, "__class__", _live_class(kind))
    task.__dict__["_pipechaos_live"] = stretch
    task.doc_md = f"{task.doc_md}\n\n{_NOTE}" if task.doc_md else _NOTE


def _handed_over(task: Any, context: Any, own: Any) -> Any:
    """The corrupted copy, or what the stage made: an error of ours is not the stage's."""
    name = task._pipechaos_live.name
    ti = context["ti"]
    try:
        made = _corrupted(task, context, own)
        ti.xcom_push(key=RECORD, value=dict(made.record))  # before the copy is handed over, or it is not
    except Exception as error:  # noqa: BLE001 - whatever it is, the stage has done its work
        return _left_alone(ti, name, own, _told(error))
    except BaseException as error:
        if not any(k.__name__ == "AirflowTaskTimeout" for k in type(error).__mro__):
            raise  # told to end
        return _left_alone(ti, name, own, "the task's time was over while the copy was made")
    _log.warning("%s hands over a corrupted copy, on purpose: %s", name, made.record)
    return made.result


def _left_alone(ti: Any, name: str, own: Any, reason: str) -> Any:
    _log.warning("%s hands over its own output, nothing is injected: %s", name, reason)
    with suppress(Exception):
        ti.xcom_push(key=RECORD, value={"injected": False, "reason": reason})
    return own


def _corrupted(task: Any, context: Any, own: Any) -> _Corrupted:
    from time import time as now

    from pipechaos.airflow.connections import resolver
    from pipechaos.airflow.lane import slug
    from pipechaos.airflow.lane_copies import Caps, Declared, make_copies
    from pipechaos.airflow.tasks import ref_of
    from pipechaos.ledger.records import Status

    stretch: Stretch = task._pipechaos_live
    may_inject = _asking(stretch)
    may_inject()
    given = _output(own, stretch)
    items = given if isinstance(given, (list, tuple)) else [given]
    sources = [ref_of(item, resolver()) for item in items]
    for ref in sources:
        if ref.sql is not None:
            raise ConfigError(f"batch {ref.name!r} is rows of a database: mode live takes files, use mode shadow")
    asked = dict(stretch.arguments)
    shadow, history = task.render_template([asked["shadow"], asked.get("history", [])], context)
    made = make_copies(
        given,
        {_LABEL: asked["injections"][0]},
        shadow=f"{str(shadow).rstrip('/')}/{slug(stretch.dag)}/{slug(stretch.stage)}",
        caps=Caps(
            rows=asked.get("max_rows", 1_000_000),
            batches=asked.get("max_batches", 16),
            seconds=float(asked.get("max_seconds", 1800)),
        ),
        declared=Declared(
            key=asked.get("key", ()), time=asked.get("time"), target=asked.get("target", ()), history=tuple(history)
        ),
        clock=now,
        may_inject=may_inject,
        connections=resolver(),
    )
    trial = made["trials"][_LABEL]
    if trial["status"] != Status.APPLIED.value:
        raise ConfigError(f"{trial['fault']} changed nothing of this batch ({trial['status']})")
    may_inject()  # the copy may have taken long
    record = {
        "injected": True,
        "instead_of": [ref.uri for ref in sources],
        **{k: trial[k] for k in ("fault", "columns", "injection", "ledger", "changed")},
    }
    result = trial["given"]
    if stretch.output != "return_value":
        result = {**own, stretch.output: result}
    return _Corrupted(result=result, record=record)


def _asking(stretch: Stretch) -> Callable[[], None]:
    """Asks the plan with its exclusion windows, and the kill switch; raises when nothing may be injected."""
    from pipechaos.airflow.halting import switch_of

    asked, more = stretch.arguments, {"plan": PlanSource(stretch=stretch)}
    return switch_of(asked.get("halt_file"), asked.get("halt_variable"), more=more, believed_seconds=0).check


def _output(own: Any, stretch: Stretch) -> Any:
    if stretch.output == "return_value":
        return own
    if not isinstance(own, Mapping) or stretch.output not in own:
        raise ConfigError(f"what the stage returned has no {stretch.output!r}")
    return own[stretch.output]


def _told(error: BaseException) -> str:
    """Messages of others may quote data."""
    return str(error) if isinstance(error, PipechaosError) else f"an error ({type(error).__name__})"
