"""Ground truth of an injection: what was asked, and what really differs (ENGINE.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipechaos.faults.spec import SchemaChange, SchemaChangeKind

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CellEntry", "InjectionRecord", "Ledger", "RowEntry", "SchemaChange", "SchemaChangeKind", "Status"]

Positions = npt.NDArray[np.int64]


class Status(StrEnum):
    """What became of an injection."""

    APPLIED = "applied"
    NO_EFFECT = "no_effect"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class InjectionRecord:
    """How one injection of the plan went.

    Attributes
    ----------
    injection_id, fault, columns
        Which one.
    status, reason
        What became of it, and why when it did nothing.
    eligible, asked, changed
        Cells (rows for row faults) that could be hit, were chosen, and really differ because of it.
    resolved
        Parameters that were resolved from history or source; may hold values of the data.
    dose
        Realised share: changed / eligible; None when nothing was eligible.
    """

    injection_id: str
    fault: str
    columns: tuple[str, ...]
    status: Status
    reason: str = ""
    eligible: int = 0
    asked: int = 0
    changed: int = 0
    resolved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dose(self) -> float | None:
        """Realised share of the eligible cells."""
        return self.changed / self.eligible if self.eligible else None


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEntry:
    """Cells of one column that were asked and that really changed.

    Attributes
    ----------
    column
        Name in the source batch.
    asked
        Sorted origins that kernels chose, int64.
    origin
        Sorted origins whose value differs from the source, int64; a subset of ``asked``.
    position
        Where these rows are in the corrupted batch, int64; -1 when a later phase removed them.
    injections
        Ids of the injections that touched the column, in plan order.
    before
        Values before, one for each changed cell; only on request, they may be personal data.
    """

    column: str
    asked: Positions
    origin: Positions
    position: Positions
    injections: tuple[str, ...]
    before: pa.Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RowEntry:
    """Rows that went, came, or stand in another order.

    Attributes
    ----------
    removed
        Sorted origins of rows that are gone, int64.
    added
        Sorted positions in the corrupted batch of rows that a fault made, int64.
    copied_from
        Origin that each added row was copied from, int64; -1 for a donor's row.
    reordered
        Whether the rows that stayed stand in another order.
    """

    removed: Positions
    added: Positions
    copied_from: Positions
    reordered: bool

    @property
    def empty(self) -> bool:
        """Whether no row went, came or moved."""
        return not (len(self.removed) or len(self.added) or self.reordered)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """Everything that differs between a source batch and its corrupted copy, and who did it.

    Attributes
    ----------
    batch
        Name of the batch.
    injections
        One record for each injection of the plan, in order.
    cells
        One entry for each touched column, in plan order.
    rows
        Row changes.
    schema
        Columns dropped, added, renamed, retyped.
    rows_before, rows_after
        Row counts.
    warnings
        What a reader should know, for instance how many rows share a key.
    shared_keys
        Rows of the source that share their key with an earlier one.
    """

    batch: str
    injections: tuple[InjectionRecord, ...]
    cells: tuple[CellEntry, ...]
    rows: RowEntry
    schema: tuple[SchemaChange, ...]
    rows_before: int
    rows_after: int
    warnings: tuple[str, ...] = field(default=())
    shared_keys: int = 0

    @property
    def status(self) -> Status:
        """Status of the whole: failed if any failed, applied if anything differs, else why nothing does."""
        states = [i.status for i in self.injections]
        if Status.FAILED in states:
            return Status.FAILED
        if self.changed_cells or not self.rows.empty or self.schema:
            return Status.APPLIED
        if states and all(s is Status.NOT_APPLICABLE for s in states):
            return Status.NOT_APPLICABLE
        return Status.NO_EFFECT

    @property
    def changed_cells(self) -> int:
        """Number of cells that really differ."""
        return sum(len(c.origin) for c in self.cells)

    @property
    def by_column(self) -> Mapping[str, CellEntry]:
        """Cell entries by column."""
        return {c.column: c for c in self.cells}
