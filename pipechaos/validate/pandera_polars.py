"""pandera schemas of polars frames as validators."""

from __future__ import annotations

import warnings
from typing import Any

from pipechaos.validate.pandera_checks import Aspect, Slot, component_key
from pipechaos.validate.pandera_findings import COMPONENT, NAMED, merged, of_names, subject_seen
from pipechaos.validate.pandera_validator import PanderaValidator
from pipechaos.validate.polars_frame import FrameKind, collected, is_polars, row_numbers
from pipechaos.validate.polars_repairs import polars_repairs
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject

__all__ = ["PanderaPolarsValidator"]


class PanderaPolarsValidator(PanderaValidator):
    """A ``pandera.polars`` schema judged as ``schema.validate(frame, lazy=True)`` would in production.

    A ``LazyFrame`` stays one: pandera then looks at its schema alone, and the verdict is errored for the checks of the
    data that never ran.
    """

    frame_kind = FrameKind.POLARS

    def _depth(self, frame: Any) -> Any:
        from pandera.api.polars.utils import get_validation_depth

        return get_validation_depth(frame)

    def _validate(self, frame: Any) -> tuple[Finding, ...]:
        from pandera.errors import SchemaWarning

        if not is_polars(frame):
            raise TypeError(f"this schema judges polars frames, not {type(frame).__name__}")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            failed, out = self._failures(frame)
        data = collected(frame)
        found = merged(self._finding(error, data) for error in failed)
        if any(issubclass(w.category, SchemaWarning) for w in warned):
            found += self._warned(data)
        if not failed and out is not None and type(frame) is type(data):  # a lazy frame has not been coerced yet
            found += polars_repairs(data, out)
        return tuple(found)

    def _failures(self, frame: Any) -> tuple[list[Any], Any]:
        """Errors of the schema, and what it gave back.

        pandera's table of failure cases cannot hold a truth value beside a text, so that some pairs of failures end in
        an error of polars; then the failures it was about to report count.
        """
        from pandera.errors import SchemaError, SchemaErrors

        try:
            return [], self._schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            return list(errors.schema_errors), None
        except SchemaError as error:
            return [error], None
        except Exception as crash:
            meant = _about_to_report(crash)
            if not meant:
                raise
            return meant, None

    def _finding(self, error: Any, data: Any) -> Finding:
        from pandera.constants import CHECK_OUTPUT_KEY

        code = error.reason_code.name if error.reason_code is not None else "INVALID_TYPE"
        if code in NAMED:
            return of_names(error, code, self._slots)
        output = error.check_output
        answers = output[CHECK_OUTPUT_KEY] if CHECK_OUTPUT_KEY in getattr(output, "columns", ()) else None
        rows = None if answers is None or len(answers) != data.height else row_numbers(~answers)
        if code == "DUPLICATES":
            return self._of_unique_set(data, rows)
        column = getattr(error, "column_name", None)
        if column is None and error.schema is self._schema and code == "DATATYPE_COERCION":
            column = next(iter(getattr(error.failure_cases, "columns", ())), None)
        elif column is None and error.schema is not self._schema:
            column = getattr(error.schema, "name", None)
        key = None if column is None else component_key(self._schema, error.schema, column)
        columns = () if column is None else (str(column),)
        if code in {"DATAFRAME_CHECK", "CHECK_ERROR"}:
            declared = self._slots.get(Slot(key, Aspect.CHECK, error.check_index or 0))
            return _of_check(error, declared, columns, rows, data.height)
        aspect, subject = COMPONENT.get(code, (None, Subject.TABLE))
        found = self._slots.get(Slot(key, aspect)) if aspect is not None else None
        return Finding(
            check=found.id if found else f"<{code.lower()}>",
            columns=columns,
            kind=FindingKind.FAIL,
            subject=found.subject if found else subject,
            rows=rows,
        )

    def _of_unique_set(self, data: Any, rows: Any) -> Finding:
        """Which set it was: pandera reports the first one of columns that has duplicates, unnamed."""
        for slot, check in self._slots.items():
            if slot.component is None and slot.aspect is Aspect.UNIQUE:
                subset = [c for c in check.columns if c in data.columns]
                if subset and data.select(subset).is_duplicated().any():
                    return Finding(
                        check=check.id, columns=check.columns, kind=FindingKind.FAIL, subject=check.subject, rows=rows
                    )
        return Finding(check="<duplicates>", columns=(), kind=FindingKind.FAIL, subject=Subject.UNIQUENESS, rows=rows)

    def _warned(self, data: Any) -> list[Finding]:
        """What only warned (``raise_warning``): asked again, since a warning carries neither check nor rows."""
        found = []
        for slot, check, column in self._warning_checks(data):
            output = _output(check, data, column)
            if output is None or output.fill_null(True).all():
                continue
            declared = self._slots[slot]
            rows = row_numbers(~output) if _per_row(declared, len(output), data.height) else None
            found.append(
                Finding(
                    check=declared.id,
                    columns=declared.columns,
                    kind=FindingKind.TOLERATED,
                    subject=subject_seen(declared, rows is not None),
                    rows=rows,
                    message="warned only",
                )
            )
        return found


def _about_to_report(crash: BaseException) -> list[Any]:
    """Errors that pandera had gathered when it failed to write them down."""
    from pandera.errors import SchemaErrors

    gathered: list[Any] = []
    trace = crash.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_locals
        gathered += getattr(names.get("error_handler"), "schema_errors", ())
        gathered += [r.schema_error for r in names.get("check_results") or () if getattr(r, "schema_error", None)]
        if isinstance(names.get("self"), SchemaErrors):
            gathered += names.get("schema_errors") or ()
            return list({id(e): e for e in gathered}.values())
        trace = trace.tb_next
    return []  # it failed elsewhere


def _per_row(declared: Check, answers: int, height: int) -> bool:
    """Whether a check answers for each row; of one row it can be told only from what it gave for none."""
    aggregate = declared.subject in {Subject.AGGREGATE, Subject.TABLE, Subject.ROW_COUNT}
    return answers == height and not (height == 1 and aggregate)


def _of_check(error: Any, declared: Check | None, columns: tuple[str, ...], rows: Any, height: int) -> Finding:
    name = error.reason_code.name
    named = declared.columns if declared else ()
    columns = (*(c for c in columns if c not in named), *named)
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
    per_row = rows is not None and _per_row(declared, height, height)
    return Finding(
        check=declared.id,
        columns=columns,
        kind=FindingKind.FAIL,
        subject=subject_seen(declared, per_row),
        rows=rows if per_row else None,
    )


def _output(check: Any, data: Any, column: Any) -> Any:
    try:
        return check(data.lazy(), column).check_output.collect().to_series()
    except Exception:  # noqa: BLE001 - that it raises is already a finding of the first run
        return None
