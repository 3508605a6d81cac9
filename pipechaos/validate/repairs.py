"""What a validator changed while it validated: rows it dropped, values it made up or converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipechaos.validate.verdict import Finding, FindingKind, Subject

__all__ = ["repairs"]


def repairs(before: Any, after: Any) -> list[Finding]:
    """Tolerated findings for every difference between the frame a validator got and the one it gave back.

    Parameters
    ----------
    before, after
        pandas frames; rows of ``after`` carry labels of ``before``.
    """
    if after is before or not hasattr(after, "columns"):
        return []
    found: list[Finding] = []
    kept = before.index.isin(after.index)
    if not kept.all():
        rows = np.flatnonzero(~kept).astype(np.int64)
        found.append(_repair("<rows dropped>", (), Subject.VALUE, rows, f"{len(rows)} rows were dropped"))
    found += [_repair("<column removed>", (str(c),), Subject.SCHEMA) for c in before.columns if c not in after.columns]
    found += [_repair("<column added>", (str(c),), Subject.SCHEMA) for c in after.columns if c not in before.columns]
    if not (before.columns.is_unique and after.columns.is_unique and before.index.is_unique):
        return found  # columns or rows cannot be told apart by their labels
    same_rows = before if kept.all() else before.loc[kept]
    for column in before.columns:
        if column in after.columns:
            found += _of_column(column, same_rows[column], after[column], before.index)
    return found


def _of_column(name: Any, before: Any, after: Any, index: Any) -> list[Finding]:
    found = []
    if before.dtype != after.dtype:
        message = f"{before.dtype} became {after.dtype}"
        found.append(_repair("<dtype changed>", (str(name),), Subject.DTYPE, message=message))
    changed = _changed(before, after)
    if changed.any():
        rows = np.unique(index.get_indexer(before.index[changed])).astype(np.int64)
        found.append(_repair("<values changed>", (str(name),), Subject.VALUE, rows))
    return found


def _changed(before: Any, after: Any) -> Any:
    """Where the values differ; a null equals a null, and 5 equals 5.0 (the dtype is a finding of its own)."""
    null_before, null_after = before.isna().to_numpy(), after.isna().to_numpy()
    changed = null_before != null_after
    both = ~(null_before | null_after)
    old, new = before.array[both], after.array[both]
    if before.dtype == after.dtype and before.dtype != object:
        changed[both] = np.asarray(old != new, dtype=bool)
    else:
        changed[both] = [_differs(a, b) for a, b in zip(old.tolist(), new.tolist(), strict=True)]
    return changed


def _differs(a: Any, b: Any) -> bool:
    try:
        return bool(a != b)
    except (TypeError, ValueError):  # arrays in cells
        return repr(a) != repr(b)


def _repair(check: str, columns: tuple[str, ...], subject: Subject, rows: Any = None, message: str = "") -> Finding:
    return Finding(
        check=check, columns=columns, kind=FindingKind.TOLERATED, subject=subject, rows=rows, message=message
    )
