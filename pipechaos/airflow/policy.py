"""Cluster policies: chaos round a stretch of a DAG that nobody edits; the entry point group ``airflow.policy`` has it.

Every process that parses a DAG loads this module and calls it for each DAG and task. Nothing of ours is imported, and
nothing is read, unless ``PIPECHAOS_POLICY`` names a plan.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

from airflow.policies import hookimpl

__all__ = ["ADDED", "dag_policy", "task_policy"]

_PLAN = "PIPECHAOS_POLICY"
ADDED = "_pipechaos_by_policy"  # on each task that the plan added


@hookimpl(trylast=True)  # type: ignore[untyped-decorator]
def dag_policy(dag: Any) -> None:
    """Do what the plan says for this DAG, after the other policies; see :mod:`pipechaos.airflow.policy_apply`."""
    if os.environ.get(_PLAN):
        from pipechaos.airflow.policy_apply import apply_plan

        apply_plan(dag)


@hookimpl(wrapper=True)  # type: ignore[untyped-decorator]
def task_policy(task: Any) -> Generator[None, Any, Any]:
    """Let the other policies pass; where one refuses or loads a task that the plan added, that is ours to bear."""
    ours = hasattr(task, ADDED)
    try:
        result = yield
    except Exception as error:
        if not ours:
            raise
        from pipechaos.airflow.policy_apply import give_up

        give_up(task, error)
        return None
    if ours:
        from pipechaos.airflow.lane_clone import quieten

        quieten(task)  # a policy may have given it callbacks, retries, a weight
    return result
