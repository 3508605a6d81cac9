"""What the operator and the decorator that break a batch have in common: the arguments, and the one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

__all__ = ["CorruptingOperator"]


class CorruptingOperator(BaseOperator):
    """An operator that writes a corrupted copy of a batch, and the ledger of what changed, into the shadow.

    Parameters
    ----------
    fault
        Code in the catalogue.
    shadow
        Folder outside the data set.
    columns, severity, fraction, placement, fault_params, seed, repeat
        The injection; see :meth:`pipechaos.plan.injection.Injection.of`.
    key, time, target
        As declared for the batch.
    history
        References of clean batches that scales come from and stale rows are taken from.
    """

    corrupting_fields: ClassVar[tuple[str, ...]] = (
        "fault", "columns", "shadow", "severity", "fraction", "placement", "fault_params", "history",
    )  # fmt: skip
    ui_color = "#f6d5c8"

    def __init__(
        self,
        *,
        fault: str,
        shadow: str,
        columns: str | Sequence[str] = (),
        severity: int | None = None,
        fraction: float | None = None,
        placement: Mapping[str, Any] | str | None = None,
        fault_params: Mapping[str, Any] | None = None,
        seed: int = 0,
        repeat: int = 0,
        key: Sequence[str] = (),
        time: str | None = None,
        target: Sequence[str] = (),
        history: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fault, self.shadow, self.columns = fault, shadow, columns
        self.severity, self.fraction, self.placement, self.fault_params = severity, fraction, placement, fault_params
        self.seed, self.repeat = seed, repeat
        self.key, self.time, self.target, self.history = key, time, target, history

    def corrupted(self, batch: Any) -> dict[str, Any]:
        """Break a copy of a batch, given as its reference, path or URL."""
        from pipechaos.airflow.connections import resolver
        from pipechaos.airflow.tasks import corrupt_batch

        return corrupt_batch(
            batch,
            fault=self.fault,
            columns=self.columns,
            severity=self.severity,
            fraction=self.fraction,
            placement=self.placement,
            params=self.fault_params,
            seed=self.seed,
            repeat=self.repeat,
            shadow=self.shadow,
            key=self.key,
            time=self.time,
            target=self.target,
            history=self.history,
            connections=resolver(),
        )
