"""A lane: a stretch stage -> validator -> consumer of a DAG doubled for shadow copies, by one call.

The team's own validator tasks are cloned, judge one untouched and several corrupted copies, and a score says what they
missed. Nothing of it leads to the consumer, decides the state of the run, or tells anybody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pipechaos.airflow.lane_table import check_table, refuse_single
from pipechaos.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator, TaskGroup

    from pipechaos.airflow.lane_handover import Judging

__all__ = ["ENABLED", "Lane", "chaos_lane", "slug"]

ENABLED = "PIPECHAOS_LANES"
_INJECTION = ("fault", "columns", "severity", "fraction", "placement", "params", "seed", "repeat", "exact")
_CLONES = 100
# rules that wait for all that comes before, and so for the copies: a clone may keep them
_WAITING = ("none_failed", "none_failed_min_one_success", "all_done", "all_done_min_one_success")
_NOT_CLONED = {
    "HITLOperator": "asks people, who would be asked about copies",
    "TriggerDagRunOperator": "judges in another DAG, where no lane follows it",
}


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What a call added to the DAG.

    Attributes
    ----------
    copies, score, end
        Its first task, its score, and its only leaf; None when the lane is off.
    judges
        Clones of the validators: by validator, then by label (``"base"`` is the control).
    """

    copies: BaseOperator | None = None
    judges: Mapping[str, Mapping[str, BaseOperator]]
    score: BaseOperator | None = None
    end: BaseOperator | None = None


def chaos_lane(
    stage: Any,
    validators: Any,
    consumer: Any,
    *,
    injections: Sequence[Mapping[str, Any]],
    shadow: str,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    history: Sequence[Any] = (),
    enabled: bool | None = None,
    rejects: Sequence[type[BaseException] | str] = (),
    max_rows: int = 1_000_000,
    max_batches: int = 16,
    max_seconds: float = 1800,
    halt_file: str | None = None,
    halt_variable: str | None = None,
    accept_longer_runs: bool = False,
    table: Mapping[str, Any] | None = None,
    accept_locks: bool = False,
) -> Lane:
    """Put a lane round a stretch of a DAG; call it when the stretch is wired.

    Parameters
    ----------
    stage
        Task, or its output, that returns a reference of a batch: a path, a URL, ``BatchRef.to_json()``, or a list. A
        mapped task returns a list.
    validators
        Task or tasks that come right after the stage and take its output; mapped ones too. The elements of a map are
        one trial.
    consumer
        Task or tasks that must never see a copy.
    injections
        ``{"fault": "null.mcar", "columns": "x", "fraction": 0.3}`` each: arguments of
        :meth:`pipechaos.plan.injection.Injection.of`.
    shadow
        Folder outside the data set; copies go into a folder of it that is named after the stage.
    key, time, target, history
        As declared for the batch.
    enabled
        Off means off: the DAG is as if the call were not there. None asks the environment: on where
        ``PIPECHAOS_LANES`` is ``1``, ``on``, ``true`` or ``yes``.
    rejects
        Exceptions by which these validators say no, besides ``AirflowFailException``, ``AssertionError`` and pandera's.
        Any other exception is an error: a crash is no detection.
    max_rows, max_batches, max_seconds
        The most that is copied, and how long the lane takes. Over one of them all of it is skipped, never a part.
    halt_file, halt_variable
        Kill switch: while the file is there or the Airflow Variable is on (or cannot be read), the lane is skipped.
        Templates are rendered.
    accept_longer_runs
        Needed where the DAG has a time limit or a deadline: a run is not over before its lane is.
    table
        Where the stage writes a table and returns no reference to it: ``connection_id`` and ``table``, maybe
        ``schema``, ``where`` (conditions), ``key``, ``name`` and ``readers`` (roles that may read copies); templates
        are rendered.
    accept_locks
        Needed for tables of DuckDB, which locks the whole file while a copy is written: a task of yours that opens it
        meanwhile fails, unless it tries again.

    Returns
    -------
    Lane
        The tasks that were added; ``lane.score.output`` is the score.

    Raises
    ------
    ConfigError, UnknownNameError
        The lane could not be kept apart, or cannot judge.
    """
    if not (_allowed() if enabled is None else enabled):
        return Lane(judges={})
    for name, given in {"key": key, "target": target, "history": history, "rejects": rejects}.items():
        refuse_single(name, given)
    if halt_file is not None and not halt_file.startswith(("/", "{{")):
        raise ConfigError(f"halt_file must be absolute, not {halt_file!r}: tasks run in folders of their own")
    source, stage_key = _one(stage, "the stage")
    judging, consumers = _tasks(validators, "a validator"), _tasks(consumer, "the consumer")
    _check_tasks(source, judging, consumers)
    _check_dag(source.dag, [source, *judging], accept_longer_runs=accept_longer_runs)
    if max_rows < 1 or max_batches < 1 or max_seconds <= 0:
        raise ConfigError(
            "max_rows, max_batches and max_seconds must be above 0: to turn a lane off give enabled=False"
        )
    if table is not None:
        check_table(table)
    asked = _labelled(injections, len(judging))
    lane = _Builder(source.dag, source, stage_key, float(max_seconds)).build(
        judging,
        asked,
        leading=frozenset(t for c in consumers for t in (c.task_id, *c.get_flat_relative_ids(upstream=True))),
        rejects=tuple(r if isinstance(r, str) else f"{r.__module__}.{r.__qualname__}" for r in rejects),
        copying={
            "shadow": f"{str(shadow).rstrip('/')}/{slug(source.task_id)}",
            "key": key,
            "time": time,
            "target": target,
            "history": history,
            "max_rows": max_rows,
            "max_batches": max_batches,
            "max_seconds": max_seconds,
            "halt_file": halt_file,
            "halt_variable": halt_variable,
            "table": table,
            "accept_locks": accept_locks,
        },
    )
    _check_apart(lane, consumers)
    return lane


class _Builder:
    """Makes the tasks of one lane, in a group of their own."""

    def __init__(self, dag: DAG, stage: BaseOperator, stage_key: str, seconds: float) -> None:
        from airflow.sdk import TaskGroup

        self.dag, self.stage, self.key, self.seconds = dag, stage, stage_key, seconds
        name = f"chaos_{slug(stage.task_id)}"
        if name in dag.task_group.get_task_group_dict():
            raise ConfigError(f"stage {stage.task_id!r} has a lane already: give its validators to one call")
        self.group: TaskGroup = TaskGroup(
            name, dag=dag, parent_group=dag.task_group, tooltip="Shadow copies; leads nowhere"
        )

    def build(
        self,
        validators: Sequence[BaseOperator],
        injections: Mapping[str, Mapping[str, Any]],
        *,
        leading: frozenset[str],
        rejects: tuple[str, ...],
        copying: Mapping[str, Any],
    ) -> Lane:
        from airflow.providers.standard.operators.empty import EmptyOperator

        from pipechaos.airflow.lane_handover import BASE, Judging
        from pipechaos.airflow.lane_tasks import LaneCopyOperator, LaneScoreOperator

        limit = timedelta(seconds=self.seconds + 60)
        batch = self.stage.output if self.key == "return_value" else self.stage.output[self.key]
        copies = self._own(
            LaneCopyOperator, "copies", batch=batch, injections=injections, execution_timeout=limit, **copying
        )
        judges: dict[str, dict[str, BaseOperator]] = {}
        for validator in validators:
            for label in (BASE, *injections):
                judging = Judging(
                    stage=self.stage.task_id,
                    stage_key=self.key,
                    copies=copies.task_id,
                    label=label,
                    leading=leading,
                    rejects=rejects,
                )
                clone = self._clone(validator, label, judging, copies)
                judges.setdefault(validator.task_id, {})[label] = clone
        records = {name: {label: c.output for label, c in of.items()} for name, of in judges.items()}
        score = self._own(
            LaneScoreOperator,
            "score",
            copies=copies.output,
            records=records,
            injections=injections,
            copies_task=copies.task_id,
            key=copying["key"] or (copying["table"] or {}).get("key", ()),
            trigger_rule="all_done",
        )
        # the lane's one leaf is not executed and cannot fail: no task of the lane has a say in the run's state
        end = self._own(EmptyOperator, "end", trigger_rule="all_done")
        score.set_downstream(end)
        return Lane(copies=copies, judges=judges, score=score, end=end)

    def _own(self, kind: type[Any], task_id: str, *, trigger_rule: str = "all_success", **arguments: Any) -> Any:
        from pipechaos.airflow.lane_clone import quieten

        placed = {name: getattr(self.stage, name) for name in ("owner", "queue", "executor")}
        task = kind(
            task_id=task_id, dag=self.dag, task_group=self.group, trigger_rule=trigger_rule, **placed, **arguments
        )
        quieten(task)
        return task

    def _clone(self, validator: BaseOperator, label: str, judging: Judging, copies: BaseOperator) -> BaseOperator:
        from pipechaos.airflow.lane_clone import clone_of

        clone = clone_of(
            validator,
            task_id=f"{slug(validator.task_id)}__{label}",
            group=self.group,
            judging=judging,
            seconds=self.seconds,
        )
        rule = copies.trigger_rule
        clone.trigger_rule = type(rule)(validator.trigger_rule) if validator.trigger_rule in _WAITING else rule
        clone.set_upstream(copies)
        # what the validator needs besides the stage (a setup, a schema), and what must not be torn down before
        others = [self.dag.get_task(t) for t in sorted(validator.upstream_task_ids)]
        clone.set_upstream([t for t in others if t.task_id != self.stage.task_id])
        after = [self.dag.get_task(t) for t in sorted(validator.downstream_task_ids)]
        clone.set_downstream([t for t in after if t.is_teardown])
        return clone


def _allowed() -> bool:
    return os.environ.get(ENABLED, "").strip().lower() in {"1", "on", "true", "yes"}


def _one(given: Any, what: str) -> tuple[Any, str]:
    """Task, and the XCom key that is meant."""
    from airflow.sdk import BaseOperator, XComArg

    key = getattr(given, "key", "return_value") if isinstance(given, XComArg) else "return_value"
    task: Any = getattr(given, "operator", None) if isinstance(given, XComArg) else given
    if not (isinstance(task, BaseOperator) or getattr(task, "is_mapped", False)):
        raise ConfigError(f"{what} is {type(given).__name__}: give a task, or what calling a @task function returned")
    if not task.has_dag():
        raise ConfigError(f"{what} {task.task_id!r} belongs to no DAG: call chaos_lane inside the DAG")
    return task, key


def _tasks(given: Any, what: str) -> list[Any]:
    found = [_one(g, what)[0] for g in (given if isinstance(given, (list, tuple)) else [given])]
    if not found:
        raise ConfigError(f"{what} is missing: give at least one task")
    return list({t.task_id: t for t in found}.values())


def _check_tasks(stage: Any, validators: Sequence[Any], consumers: Sequence[Any]) -> None:
    from pipechaos.airflow.lane_mapped import taken_by

    names = {v.task_id for v in validators}
    for task in (stage, *validators):
        if task.get_closest_mapped_task_group() is not None:
            raise ConfigError(
                f"{task.task_id!r} is in a mapped task group: give the lane tasks outside of it, or map the tasks "
                "themselves (validate.expand(path=stage))"
            )
    for task in (*validators, *consumers):
        if task.dag is not stage.dag:
            raise ConfigError(f"{task.task_id!r} is in another DAG than {stage.task_id!r}: a lane lies in one DAG")
    for twice in sorted(({stage.task_id} | {c.task_id for c in consumers}) & names):
        raise ConfigError(f"{twice!r} is given as a validator and as stage or consumer: it can be only one of them")
    short: dict[str, str] = {}
    for name in sorted(names):
        if (first := short.setdefault(slug(name), name)) != name:
            raise ConfigError(
                f"validators {first!r} and {name!r} would have clones of one name, {slug(name)!r}: rename one, or give "
                "each a lane of its own behind a stage of its own"
            )
    for task in validators:
        used = taken_by(task)
        if used & names:
            raise ConfigError(
                f"validator {task.task_id!r} takes the output of validator {min(used & names)!r}: give it a lane of "
                "its own with that one as its stage"
            )
        if stage.task_id not in task.upstream_task_ids:
            raise ConfigError(
                f"validator {task.task_id!r} does not come right after {stage.task_id!r}; it comes after "
                f"{', '.join(sorted(task.upstream_task_ids)) or 'nothing'}: give the task whose output it judges"
            )
        _check_cloneable(task)


def _check_cloneable(task: Any) -> None:
    if task.is_setup or task.is_teardown or getattr(task, "start_from_trigger", False):
        raise ConfigError(f"{task.task_id!r} is a setup, a teardown or starts in the triggerer: it cannot be cloned")
    kind = task.operator_class if task.is_mapped else type(task)
    for name in (k.__name__ for k in kind.__mro__):
        if name in _NOT_CLONED:
            raise ConfigError(
                f"{task.task_id!r} is of class {kind.__name__}, which {_NOT_CLONED[name]}: it cannot be cloned"
            )


def _check_dag(dag: Any, tasks: Sequence[Any], *, accept_longer_runs: bool) -> None:
    if dag.fail_fast:
        raise ConfigError(
            f"DAG {dag.dag_id!r} has fail_fast: a failed task of a lane would stop the team's own. Drill it from "
            "another DAG."
        )
    upstream = {t for task in tasks for t in (task.task_id, *task.upstream_task_ids)}
    for name in sorted(upstream):
        if dag.get_task(name).wait_for_downstream:
            raise ConfigError(f"{name!r} has wait_for_downstream: its next run would wait for tasks of the lane")
    limited = dag.dagrun_timeout is not None or bool(getattr(dag, "deadline", None))
    if limited and not accept_longer_runs:
        raise ConfigError(
            f"DAG {dag.dag_id!r} has a time limit or a deadline, and a run is not over before its lane is: leave room "
            "for max_seconds and say accept_longer_runs=True"
        )


def _labelled(injections: Sequence[Mapping[str, Any]], validators: int) -> dict[str, dict[str, Any]]:
    if not injections:
        raise ConfigError("no injection is named: give injections=[{'fault': 'null.mcar', 'columns': 'x'}]")
    clones = (len(injections) + 1) * validators
    if clones > _CLONES:
        raise ConfigError(
            f"{len(injections)} injections and a control for each of {validators} validators are {clones} tasks in "
            f"every run, more than {_CLONES}: name fewer, or run a campaign in one task (CampaignOperator)"
        )
    for injection in injections:
        if not isinstance(injection, Mapping):
            raise ConfigError(f"injection {injection!r} is no mapping: give {{'fault': 'null.mcar', 'columns': 'x'}}")
        for name in injection:
            if name not in _INJECTION:
                raise UnknownNameError("key", str(name), _INJECTION, "an injection")
        if not isinstance(injection.get("fault"), str):
            raise ConfigError(f"injection {dict(injection)!r} names no fault (see `pipechaos faults`)")
    return {f"i{n}_{slug(i['fault'])}": dict(i) for n, i in enumerate(injections)}


def slug(name: str) -> str:
    """Name of a task as a part of another's, or of a path."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80]


def _check_apart(lane: Lane, consumers: Sequence[Any]) -> None:
    """No edge leads from the lane to a consumer, by whatever wiring."""
    judges = [c for of in lane.judges.values() for c in of.values()]
    mine = {t.task_id for t in (lane.copies, lane.score, lane.end, *judges) if t is not None}
    for consumer in consumers:
        found = mine & set(consumer.get_flat_relative_ids(upstream=True))
        if found:
            raise ConfigError(
                f"consumer {consumer.task_id!r} comes after {min(found)!r} of the lane: copies could reach it"
            )
