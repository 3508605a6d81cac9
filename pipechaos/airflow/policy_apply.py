"""What the plan says for one DAG, done to it while it is parsed; whatever goes wrong, the DAG is as it was."""

from __future__ import annotations

import datetime as dt
import logging
import os
from functools import cache
from typing import Any

from pipechaos.airflow.policy import ADDED
from pipechaos.airflow.policy_plan import Deployment, Mode, Plan, PlanSource, Stretch, read_plan
from pipechaos.errors import ConfigError, PipechaosError, UnknownNameError

__all__ = ["apply_plan", "give_up"]


def apply_plan(dag: Any) -> None:
    """Put the lanes and live stretches of the plan into a DAG; an error is told in the log and changes nothing.

    Parameters
    ----------
    dag
        As its file made it.
    """
    try:
        _apply(dag, Deployment.of(os.environ), dt.datetime.now(dt.UTC))
    except Exception as error:  # noqa: BLE001 - an error of ours must not keep a DAG from being loaded
        _warn(f"nothing is injected into DAG {dag.dag_id!r}: {_told(error)}")


def give_up(task: Any, error: Exception) -> None:
    """Take the lane out to which a task belongs: another policy of the deployment refused the task.

    Parameters
    ----------
    task
        One that the plan added.
    error
        What the other policy raised.
    """
    dag, group = task.dag, task.__dict__[ADDED]
    if group in dag.task_group.children:
        names = [t.task_id for t in dag.tasks if getattr(t, ADDED, None) == group]
        _take_out(dag, names, [group])
        _warn(
            f"DAG {dag.dag_id!r} gets no lane {group!r}: a policy of this deployment refused its task "
            f"{task.task_id!r} ({_told(error)}). Let that policy accept tasks of the group {group!r}"
        )


def _apply(dag: Any, deployment: Deployment, now: dt.datetime) -> None:
    if not deployment.plan:
        return
    if not deployment.allowed:
        _warn("PIPECHAOS_POLICY is set and PIPECHAOS_POLICY_ALLOW names no stage: nothing is injected anywhere")
        return
    try:
        plan = read_plan(deployment.plan)
    except ConfigError as error:
        _warn(f"nothing is injected: the plan {deployment.plan} is not used: {error}")
        return
    for stretch in plan.stretches:
        if stretch.dag == dag.dag_id:
            _one(dag, plan, stretch, deployment, now)


def _one(dag: Any, plan: Plan, stretch: Stretch, deployment: Deployment, now: dt.datetime) -> None:
    reason = plan.refusal(stretch, deployment, now)
    if reason:
        _warn(f"nothing is injected after {stretch.name} (plan {deployment.plan}): {reason}")
        return
    tasks, groups = set(dag.task_dict), set(dag.task_group.children)
    try:
        if stretch.mode is Mode.LIVE:
            _go_live(dag, stretch)
        else:
            _add_lane(dag, stretch)
    except Exception as error:  # noqa: BLE001 - as above, and the other stretches are still worked on
        _take_out(dag, set(dag.task_dict) - tasks, set(dag.task_group.children) - groups)
        _warn(f"nothing is injected after {stretch.name} (plan {deployment.plan}): {_told(error)}")


def _add_lane(dag: Any, stretch: Stretch) -> None:
    from pipechaos.airflow.lane import chaos_lane

    stage = _task(dag, stretch.stage)
    before = set(dag.task_dict)
    lane = chaos_lane(
        stage if stretch.output == "return_value" else stage.output[stretch.output],
        [_task(dag, v) for v in stretch.validators],
        [_task(dag, c) for c in stretch.consumer],
        enabled=True,
        **stretch.arguments,
    )
    copies: Any = lane.copies
    copies.more_sources = {"plan": PlanSource(stretch=stretch)}
    for name in set(dag.task_dict) - before:
        dag.task_dict[name].__dict__[ADDED] = copies.task_group.group_id


def _go_live(dag: Any, stretch: Stretch) -> None:
    from pipechaos.airflow.policy_live import make_live

    make_live(_task(dag, stretch.stage), stretch)


def _task(dag: Any, name: str) -> Any:
    if name not in dag.task_dict:
        raise UnknownNameError("task", name, dag.task_dict, f"DAG {dag.dag_id!r}")
    return dag.task_dict[name]


def _take_out(dag: Any, names: Any, groups: Any) -> None:
    """Undo what was added to a DAG: tasks, their edges, their groups."""
    gone = set(names)
    for name in gone:
        del dag.task_dict[name]
    for task in dag.tasks:
        task.upstream_task_ids.difference_update(gone)
        task.downstream_task_ids.difference_update(gone)
    for name in set(groups):
        group = dag.task_group.children.pop(name)
        gone |= {group.node_id, getattr(group, "upstream_join_id", name), getattr(group, "downstream_join_id", name)}
    dag.task_group.used_group_ids.difference_update(gone)


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, PipechaosError) else f"{type(error).__name__}: {error}"


@cache
def _warn(message: str) -> None:
    """Say it once in a process: a plan that cannot be read would be told for every DAG."""
    logging.getLogger(__name__).warning("pipechaos policy: %s", message)
