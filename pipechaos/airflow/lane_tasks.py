"""The first and the last task of a lane: the one that makes the copies, and the one that scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

__all__ = ["LaneCopyOperator", "LaneScoreOperator"]

_REASON = "pipechaos_reason"


class LaneCopyOperator(BaseOperator):
    """Write the untouched and the corrupted copies of a stage's output into the shadow, or skip the lane.

    Parameters
    ----------
    batch
        What the stage returned.
    injections
        By label.
    shadow
        Folder outside the data set.
    key, time, target, history
        As declared for the batch.
    max_rows, max_batches, max_seconds
        Over one of these the task is skipped, and with it the lane; the reason is in the log and in the score.
    halt_file, halt_variable
        Kill switch, looked at before each injection: a file that is there, an Airflow Variable that is on. Doubt counts
        as on; the lane is skipped.
    table
        What the stage writes where it returns no reference; see :func:`pipechaos.airflow.lane.chaos_lane`.
    accept_locks
        Whether a DuckDB file may be locked while copies are written.

    Attributes
    ----------
    more_sources
        More sources of the kill switch, by name.
    """

    more_sources: Mapping[str, Callable[[], object]] = MappingProxyType({})
    template_fields: ClassVar[Sequence[str]] = (
        "batch", "injections", "shadow", "history", "table", "halt_file", "halt_variable",
    )  # fmt: skip
    ui_color = "#f6d5c8"

    def __init__(
        self,
        *,
        batch: Any,
        injections: Mapping[str, Mapping[str, Any]],
        shadow: str,
        key: Sequence[str] = (),
        time: str | None = None,
        target: Sequence[str] = (),
        history: Sequence[Any] = (),
        max_rows: int,
        max_batches: int,
        max_seconds: float,
        halt_file: str | None = None,
        halt_variable: str | None = None,
        table: Mapping[str, Any] | None = None,
        accept_locks: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch, self.injections, self.shadow = batch, injections, shadow
        self.key, self.time, self.target, self.history = key, time, target, history
        self.max_rows, self.max_batches, self.max_seconds = max_rows, max_batches, max_seconds
        self.halt_file, self.halt_variable, self.table = halt_file, halt_variable, table
        self.accept_locks = accept_locks

    def execute(self, context: Any) -> dict[str, Any]:
        """Copy."""
        from time import time as now

        from pipechaos.airflow.connections import resolver
        from pipechaos.airflow.failures import AirflowSkipException
        from pipechaos.airflow.halting import switch_of
        from pipechaos.airflow.lane_copies import Caps, Declared, OverCapError, make_copies
        from pipechaos.errors import PipechaosError
        from pipechaos.safety.switch import Halted

        switch = switch_of(self.halt_file, self.halt_variable, more=self.more_sources, believed_seconds=0)
        ti = context["ti"]
        try:
            return make_copies(
                _listed(self.batch),
                self.injections,
                shadow=self.shadow,
                caps=Caps(rows=self.max_rows, batches=self.max_batches, seconds=self.max_seconds),
                declared=Declared(
                    key=tuple(self.key), time=self.time, target=tuple(self.target), history=tuple(self.history)
                ),
                clock=now,
                may_inject=switch.check,
                table=self.table,
                accept_locks=self.accept_locks,
                connections=resolver(),
                slot=f"{ti.dag_id} {ti.run_id} {self.task_id}",
            )
        except (OverCapError, Halted) as stop:
            ti.xcom_push(key=_REASON, value=str(stop))
            raise AirflowSkipException(str(stop)) from None
        except PipechaosError as error:  # nothing but the score's words would tell of it: the run stays as it is
            ti.xcom_push(key=_REASON, value=f"no copies could be made: {error}")
            raise


class LaneScoreOperator(BaseOperator):
    """Score what the clones told.

    Parameters
    ----------
    copies
        What :class:`LaneCopyOperator` returned.
    records
        By validator and label what its clone left.
    injections
        By label.
    copies_task
        Task id of the copying.
    key
        Key columns of the batch.
    """

    template_fields: ClassVar[Sequence[str]] = ("copies", "records", "injections")
    ui_color = "#d9f0d3"

    def __init__(
        self,
        *,
        copies: Any,
        records: Mapping[str, Mapping[str, Any]],
        injections: Mapping[str, Mapping[str, Any]],
        copies_task: str,
        key: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.copies, self.records, self.injections = copies, records, injections
        self.copies_task, self.key = copies_task, key

    def execute(self, context: Any) -> dict[str, Any]:
        """Score."""
        from pipechaos.airflow.lane_scores import in_words, score_lane
        from pipechaos.airflow.lane_sql import drop_tables
        from pipechaos.score.records import Outcome

        reason = ""
        if self.copies is None:
            made_none = f"{self.copies_task} made no copies: its log says why"
            reason = context["ti"].xcom_pull(task_ids=self.copies_task, key=_REASON) or made_none
        try:
            found = score_lane(self.copies, self.records, self.injections, key=self.key, reason=reason)
        finally:
            for schema, why in drop_tables(self.copies, self.records).items():
                self.log.warning("Copy %s stays until its time is over and a sweep finds it: %s", schema, why)
        if found["reason"]:
            self.log.warning("Nothing is scored: %s", found["reason"])
        for line in found["outcomes"]:
            where = f" on {', '.join(line['columns'])}" if line["columns"] else ""
            tell = self.log.warning if line["outcome"] == Outcome.FN else self.log.info
            tell("%s: %s %s%s (%s)", line["validator"], in_words(line["outcome"]), line["fault"], where, line["how"])
        for control in found["controls"]:
            if control["outcome"] == Outcome.FP:
                self.log.warning("%s: rejected the untouched copy (%s)", control["validator"], control["how"])
        return found


def _listed(batch: Any) -> Any:
    """Output of a mapped stage as a list: Airflow gives a sequence that fetches when it is asked."""
    lazy = isinstance(batch, Sequence) and not isinstance(batch, (str, list, tuple))
    return list(batch[:]) if lazy else batch
