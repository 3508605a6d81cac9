"""What a validator of polars frames changed while it validated."""

from __future__ import annotations

from typing import Any

from pipechaos.validate.polars_frame import collected, row_numbers
from pipechaos.validate.verdict import Finding, FindingKind, Subject

__all__ = ["polars_repairs"]


def polars_repairs(before: Any, after: Any) -> list[Finding]:
    """Tolerated findings for every difference between the frame a validator got and the one it gave back.

    Parameters
    ----------
    before, after
        polars frames. Their rows have no labels, so values are compared only where none was dropped.

    Examples
    --------
    >>> import polars as pl
    >>> before, after = pl.DataFrame({"x": [1.0, 2.5]}), pl.DataFrame({"x": [1, 2]})
    >>> [(f.check, None if f.rows is None else f.rows.tolist()) for f in polars_repairs(before, after)]
    [('<dtype changed>', None), ('<values changed>', [1])]
    """
    before, after = collected(before), collected(after)
    found: list[Finding] = []
    dropped = before.height - after.height if before.width and after.width else 0
    if dropped:
        found.append(_repair("<rows dropped>", (), Subject.VALUE, message=f"{dropped} rows were dropped"))
    found += [_repair("<column removed>", (c,), Subject.SCHEMA) for c in before.columns if c not in after.columns]
    found += [_repair("<column added>", (c,), Subject.SCHEMA) for c in after.columns if c not in before.columns]
    for name in before.columns:
        if name in after.columns:
            found += _of_column(name, before[name], after[name], same_rows=not dropped)
    return found


def _of_column(name: str, before: Any, after: Any, *, same_rows: bool) -> list[Finding]:
    found = []
    if before.dtype != after.dtype:
        message = f"{before.dtype} became {after.dtype}"
        found.append(_repair("<dtype changed>", (name,), Subject.DTYPE, message=message))
    rows = row_numbers(_changed(before, after)) if same_rows else None
    if rows is not None:
        found.append(_repair("<values changed>", (name,), Subject.VALUE, rows))
    return found


def _changed(before: Any, after: Any) -> Any:
    """Where the values differ; a null equals a null, and 5 equals 5.0 (the dtype is a finding of its own)."""
    import polars as pl

    if before.dtype == after.dtype and not before.dtype.is_nested() and before.dtype != pl.Object:
        return before.ne_missing(after)
    pairs = zip(before.to_list(), after.to_list(), strict=True)
    return pl.Series([_differs(a, b) for a, b in pairs], dtype=pl.Boolean)


def _differs(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is not b
    return bool(a != b) and not (a != a and b != b)


def _repair(check: str, columns: tuple[str, ...], subject: Subject, rows: Any = None, message: str = "") -> Finding:
    return Finding(
        check=check, columns=columns, kind=FindingKind.TOLERATED, subject=subject, rows=rows, message=message
    )
