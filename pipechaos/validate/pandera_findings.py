"""From pandera's errors to findings: which check, which columns, which rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipechaos.validate.pandera_checks import Aspect, Slot, component_key
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject

__all__ = ["COMPONENT", "NAMED", "finding_of", "merged", "of_names", "subject_seen", "tolerated"]

Rows = npt.NDArray[np.int64]

COMPONENT = {
    "SERIES_CONTAINS_NULLS": (Aspect.NOT_NULL, Subject.VALUE),
    "SERIES_CONTAINS_DUPLICATES": (Aspect.UNIQUE, Subject.UNIQUENESS),
    "WRONG_DATATYPE": (Aspect.DTYPE, Subject.DTYPE),
    "DATATYPE_COERCION": (Aspect.DTYPE, Subject.DTYPE),
    "INVALID_COLUMN_NAME": (Aspect.PRESENT, Subject.SCHEMA),
}
NAMED = {  # the error is the table's, the column is in its failure case
    "COLUMN_NOT_IN_DATAFRAME": Aspect.PRESENT,
    "ADD_MISSING_COLUMN_NO_DEFAULT": Aspect.PRESENT,
    "COLUMN_NOT_IN_SCHEMA": Aspect.STRICT,
    "COLUMN_NOT_ORDERED": Aspect.ORDERED,
    "DUPLICATE_COLUMN_LABELS": Aspect.UNIQUE_NAMES,
}


def finding_of(error: Any, schema: Any, slots: Mapping[Slot, Check], frame: Any, parsed: Any) -> Finding:
    """Finding for one ``SchemaError``.

    Parameters
    ----------
    error
        From ``SchemaErrors.schema_errors``.
    schema
        The ``DataFrameSchema``.
    slots
        Its declared checks.
    frame
        The frame as pandera got it.
    parsed
        The frame as pandera checked it: coerced, filled, parsed (``SchemaErrors.data``; single errors drop theirs).
    """
    code = error.reason_code.name if error.reason_code is not None else "INVALID_TYPE"
    if code in NAMED:
        return of_names(error, code, slots)
    if code == "DUPLICATES":
        return _of_unique_set(schema, slots, frame, parsed)
    column = getattr(error, "column_name", None)
    of_table = error.schema is schema
    column = getattr(error.schema, "name", None) if column is None and not of_table else column
    key = None if of_table else component_key(schema, error.schema, column)
    if code in {"DATAFRAME_CHECK", "CHECK_ERROR"}:
        return _of_check(error, slots.get(Slot(key, Aspect.CHECK, error.check_index or 0)), column, frame)
    aspect, subject = COMPONENT.get(code, (None, Subject.TABLE))
    declared = slots.get(Slot(key, aspect)) if aspect is not None else None
    rows = _rows(error.failure_cases, frame)
    if aspect is Aspect.UNIQUE:
        rows = _duplicated(error, column, frame, parsed)
    return Finding(
        check=declared.id if declared else f"<{code.lower()}>",
        columns=() if column is None else (str(column),),
        kind=FindingKind.FAIL,
        subject=declared.subject if declared else subject,
        rows=rows,
    )


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per check, columns and kind; rows are united (coercion and dtype say the same thing twice)."""
    out: dict[tuple[Any, ...], Finding] = {}
    for f in findings:
        key = (*f.key, f.kind)
        if key in out and f.rows is not None:
            old = out[key].rows
            out[key] = dataclasses.replace(out[key], rows=f.rows if old is None else np.union1d(old, f.rows))
        else:
            out.setdefault(key, f)
    return list(out.values())


def tolerated(declared: Check, result: Any, frame: Any) -> Finding:
    """Finding for a check that failed and only warned, from its ``CheckResult``."""
    per_row = result.failure_cases is not None
    return Finding(
        check=declared.id,
        columns=declared.columns,
        kind=FindingKind.TOLERATED,
        subject=subject_seen(declared, per_row),
        rows=_rows_of_output(result.check_output, frame) if per_row else None,
        message="warned only",
    )


def _of_check(error: Any, declared: Check | None, column: Any, frame: Any) -> Finding:
    name = error.reason_code.name
    columns = declared.columns if declared else ()
    if column is not None and str(column) not in columns:  # a regular expression names no column, its match does
        columns = (str(column), *columns)
    declared = declared or Check(id=f"<{name.lower()}>", columns=columns, subject=Subject.TABLE)
    if name == "CHECK_ERROR":
        raised = str(error.failure_cases).partition("(")[0]
        return Finding(
            check=declared.id,
            columns=columns,
            kind=FindingKind.ERROR,
            subject=declared.subject,
            message=f"the check raised {raised}",
        )
    output, per_row = error.check_output, hasattr(error.failure_cases, "columns")
    if per_row and hasattr(output, "columns") and not columns:  # a frame of truth values says which columns it blames
        columns = tuple(str(c) for c in output.columns if not output[c].all())
    return Finding(
        check=declared.id,
        columns=columns,
        kind=FindingKind.FAIL,
        subject=subject_seen(declared, per_row),
        rows=_rows_of_output(output, frame) if per_row else None,
    )


def subject_seen(declared: Check, per_row: bool) -> Subject:
    """What a check looked at, now that it blamed rows or none; the guess made at load could be wrong."""
    if per_row and declared.subject in {Subject.AGGREGATE, Subject.TABLE, Subject.ROW_COUNT}:
        return Subject.VALUE
    if not per_row and declared.subject is Subject.VALUE:
        return Subject.AGGREGATE if declared.columns else Subject.TABLE
    return declared.subject


def _rows_of_output(output: Any, frame: Any) -> Rows | None:
    """Positions where a check's own output is false: its failure cases may be cut off (``n_failure_cases``)."""
    bad = np.asarray(output.eq(False).fillna(False), dtype=bool)
    return _positions(output.index[bad.any(axis=1) if bad.ndim == 2 else bad], frame)


def of_names(error: Any, code: str, slots: Mapping[Slot, Check]) -> Finding:
    """Finding for an error of the table that names columns in its failure cases (``NAMED``)."""
    aspect, cases = NAMED[code], error.failure_cases
    names = (cases,) if isinstance(cases, str) or not hasattr(cases, "__iter__") else tuple(cases)
    component = names[0] if aspect is Aspect.PRESENT else None
    declared = slots.get(Slot(component, aspect))
    return Finding(
        check=declared.id if declared else f"<{code.lower()}>",
        columns=tuple(str(n) for n in dict.fromkeys(names)),
        kind=FindingKind.FAIL,
        subject=Subject.SCHEMA,
    )


def _of_unique_set(schema: Any, slots: Mapping[Slot, Check], frame: Any, data: Any) -> Finding:
    """Only the first set of columns that has duplicates is reported, and its cases may leave out the nulls."""
    from pandera.backends.utils import convert_uniquesettings

    keep = convert_uniquesettings(schema.report_duplicates)
    for slot, check in slots.items():
        if slot.component is None and slot.aspect is Aspect.UNIQUE:
            subset = [c for c in check.columns if c in data.columns]
            copies = data.duplicated(subset=subset, keep=keep) if subset else None
            if copies is not None and copies.any():
                rows = _positions(data.index[copies.to_numpy()], frame)
                return Finding(
                    check=check.id, columns=check.columns, kind=FindingKind.FAIL, subject=check.subject, rows=rows
                )
    return Finding(check="<duplicates>", columns=(), kind=FindingKind.FAIL, subject=Subject.UNIQUENESS)


def _duplicated(error: Any, column: Any, frame: Any, data: Any) -> Rows | None:
    """Rows of all copies, nulls among them: pandera's failure cases leave duplicated nulls out."""
    from pandera.backends.utils import convert_uniquesettings

    values = data[column] if column in data.columns else None
    if values is None or values.ndim != 1:
        return _rows(error.failure_cases, frame)
    keep = convert_uniquesettings(error.schema.report_duplicates)
    return _positions(values.index[values.duplicated(keep=keep).to_numpy()], frame)


def _rows(cases: Any, frame: Any) -> Rows | None:
    if not hasattr(cases, "columns") or "index" not in cases.columns:
        return None
    labels = cases["index"].dropna()
    return _positions(labels, frame) if len(labels) else None


def _positions(labels: Any, frame: Any) -> Rows | None:
    """Positions of index labels; None where a label may mean several rows."""
    if not frame.index.is_unique:
        return None
    positions = frame.index.get_indexer(labels)
    known = np.unique(positions[positions >= 0]).astype(np.int64)
    return known if len(known) else None
