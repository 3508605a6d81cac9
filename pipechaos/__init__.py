"""Mutation testing for data validators, run where the data flows.

Public names are imported when first used, so that ``import pipechaos`` stays fast.

Examples
--------
>>> import pyarrow as pa
>>> import pipechaos as pc
>>> batch = pc.Batch.of(pa.table({"id": [1, 2, 3], "delay": [4.0, None, 7.0]}), name="monday", key=["id"])
>>> plan = pc.resolve(pc.Plan.of(pc.Injection.of("null.mcar", "delay", fraction=1)), batch)
>>> broken = pc.inject_batch(plan, batch)
>>> broken.batch.table.column("delay").to_pylist(), broken.ledger.changed_cells
([None, None, None], 2)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipechaos.batch.diff import diff as diff
    from pipechaos.batch.io import read_batch as read_batch
    from pipechaos.batch.model import Batch as Batch
    from pipechaos.batch.ref import BatchRef as BatchRef
    from pipechaos.campaign.experiment import load_experiment as load_experiment
    from pipechaos.campaign.run import run_campaign as run_campaign
    from pipechaos.inject.engine import inject as inject_batch  # noqa: F401 - public under this name
    from pipechaos.plan.injection import Injection as Injection
    from pipechaos.plan.injection import Plan as Plan
    from pipechaos.plan.resolve import resolve as resolve
    from pipechaos.validate.worker import Worker as Worker
    from pipechaos.validate.worker import WorkerSpec as WorkerSpec

_PUBLIC = {
    "Batch": "pipechaos.batch.model",
    "BatchRef": "pipechaos.batch.ref",
    "Injection": "pipechaos.plan.injection",
    "Plan": "pipechaos.plan.injection",
    "Worker": "pipechaos.validate.worker",
    "WorkerSpec": "pipechaos.validate.worker",
    "diff": "pipechaos.batch.diff",
    "inject_batch": "pipechaos.inject.engine:inject",
    "load_experiment": "pipechaos.campaign.experiment",
    "read_batch": "pipechaos.batch.io",
    "resolve": "pipechaos.plan.resolve",
    "run_campaign": "pipechaos.campaign.run",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pipechaos' has no attribute {name!r}; it has: {', '.join(sorted(_PUBLIC))}")
    module, _, attribute = _PUBLIC[name].partition(":")  # a function is never named like a room
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
