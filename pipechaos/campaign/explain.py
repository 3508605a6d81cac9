"""What a trial did to the data, in three rows a person can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipechaos.batch.model import Batch
from pipechaos.inject.engine import Injected
from pipechaos.ledger.records import Ledger

__all__ = ["Example", "example"]

_MAX_TEXT = 40


@dataclass(frozen=True, kw_only=True)
class Example:
    """A few rows before and after an injection.

    Attributes
    ----------
    columns
        Columns shown: the key and what was changed.
    before, after
        Rows as texts; None for a row that is not there. A changed cell differs between the two.
    note
        What happened to rows and columns as a whole.
    """

    columns: tuple[str, ...]
    before: tuple[tuple[str, ...] | None, ...]
    after: tuple[tuple[str, ...] | None, ...]
    note: str = ""

    def to_json(self) -> Mapping[str, object]:
        """Plain JSON value."""
        return {
            "columns": list(self.columns),
            "before": [None if r is None else list(r) for r in self.before],
            "after": [None if r is None else list(r) for r in self.after],
            "note": self.note,
        }


def example(source: Batch, injected: Injected, *, rows: int = 3, context: Sequence[str] | None = None) -> Example:
    """First rows that an injection touched, before and after.

    Parameters
    ----------
    source
        The untouched batch.
    injected
        Its corrupted copy and ledger.
    rows
        How many rows.
    context
        Columns shown beside the changed ones; the key by default.
    """
    ledger, after = injected.ledger, injected.batch
    touched = [c.column for c in ledger.cells if len(c.origin)]
    shown = list(dict.fromkeys([*(source.key if context is None else context), *touched]))
    renamed = {c.column: c.to for c in ledger.schema if c.to}
    shown += [c.column for c in ledger.schema if c.column not in shown]
    if not ledger.rows.empty and len(shown) <= len(source.key):
        shown += [c for c in source.columns if c not in shown][: 4 - min(3, len(shown))]
    pairs = _row_pairs(source, ledger, rows)
    before = tuple(_row(source.table, o, shown) if o >= 0 else None for o, _ in pairs)
    names = [renamed.get(c) or c for c in shown]
    afterwards = tuple(_row(after.table, p, names) if p >= 0 else None for _, p in pairs)
    return Example(columns=tuple(shown), before=before, after=afterwards, note=_note(ledger))


def _row_pairs(source: Batch, ledger: Ledger, rows: int) -> list[tuple[int, int]]:
    """(origin, position) of rows worth showing; -1 where a row is missing on that side."""
    for cell in ledger.cells:
        if len(cell.origin):
            return list(zip(cell.origin[:rows].tolist(), cell.position[:rows].tolist(), strict=True))
    removed, added = ledger.rows.removed, ledger.rows.added
    if len(removed) and len(added):  # other rows in their place
        return list(zip(removed[:rows].tolist(), added[:rows].tolist(), strict=False))
    if len(removed):
        return [(o, -1) for o in removed[:rows].tolist()]
    if len(added):
        return list(zip(ledger.rows.copied_from[:rows].tolist(), added[:rows].tolist(), strict=True))
    first: npt.NDArray[np.int64] = np.arange(min(rows, source.rows))
    return [(i, i) for i in first.tolist()]


def _row(table: pa.Table, at: int, names: Sequence[str]) -> tuple[str, ...]:
    present = set(table.column_names)
    return tuple(_text(table.column(n)[at].as_py()) if n in present and at < table.num_rows else "-" for n in names)


def _text(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _note(ledger: Ledger) -> str:
    parts = []
    for change in ledger.schema:
        target = (
            f" to {change.to!r}"
            if change.to
            else f" from {change.from_type} to {change.to_type}"
            if change.to_type
            else ""
        )
        parts.append(f"column {change.column!r} {change.kind.value}{target}")
    rows = ledger.rows
    if len(rows.removed) or len(rows.added):
        parts.append(f"{ledger.rows_before} rows before, {ledger.rows_after} after")
    if rows.reordered:
        parts.append("rows stand in another order")
    if ledger.changed_cells:
        parts.append(f"{ledger.changed_cells} cells changed of {ledger.rows_before} rows")
    return "; ".join(parts)
