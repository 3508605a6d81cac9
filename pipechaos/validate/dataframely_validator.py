"""dataframely schemas as validators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipechaos.errors import ConfigError, MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import Judgement, judge
from pipechaos.validate.dataframely_checks import declared_checks
from pipechaos.validate.dataframely_limits import declared_limits
from pipechaos.validate.limits import Limit
from pipechaos.validate.polars_frame import FrameKind, collected, is_polars
from pipechaos.validate.polars_repairs import polars_repairs
from pipechaos.validate.suite_files import digest_files, files_of, import_attr, import_under
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict

__all__ = ["DataframelyValidator", "Mode", "load_dataframely"]

_ROW = "__pipechaos_row__"


class Mode(StrEnum):
    """How the team calls its schema."""

    VALIDATE = "validate"  # Schema.validate(frame)
    CAST = "cast"  # Schema.validate(frame, cast=True): what can be converted is
    FILTER = "filter"  # Schema.filter(frame): rows that break a rule are left out


class DataframelyValidator:
    """A ``dataframely.Schema`` judged as the team calls it in production.

    Parameters
    ----------
    schema
        A subclass of ``dataframely.Schema``.
    name
        Name in the experiment.
    suite_digest
        Digest of the files the schema was loaded from.
    mode
        How the team calls it; what casting or filtering repaired is tolerated.
    """

    frame_kind = FrameKind.POLARS

    def __init__(self, schema: Any, *, name: str, suite_digest: str = "", mode: Mode = Mode.VALIDATE) -> None:
        self.name = name
        self.suite_digest = suite_digest
        self._schema = schema
        self._mode = mode
        self._declared: Mapping[str, Check] = declared_checks(schema)
        self.checks: tuple[Check, ...] = tuple(self._declared.values())
        self.limits: tuple[Limit, ...] = () if mode is Mode.FILTER else declared_limits(schema, self._declared)

    def run(self, frame: Any) -> Verdict:
        """Judge a polars frame; rows of findings are positions."""
        (verdict,) = judge(self.name, self.checks, frame, self._judge)
        return verdict

    def _judge(self, frame: Any) -> Iterator[Judgement]:
        if not is_polars(frame):
            raise TypeError(f"dataframely judges polars frames, not {type(frame).__name__}")
        frame = collected(frame)
        misfits = self._misfits(frame)
        if misfits:  # dataframely stops here too: no rule is evaluated on a frame of another schema
            aspects = {f.subject for f in misfits} | {Subject.SCHEMA}
            yield Judgement(findings=tuple(misfits), ran=sum(c.subject in aspects for c in self.checks))
            return
        out, failure = self._schema.filter(frame, cast=self._mode is Mode.CAST)
        found = self._failures(frame) if len(failure) else []
        if not any(f.kind is FindingKind.FAIL for f in found):
            found += polars_repairs(frame, out)
        yield Judgement(findings=tuple(found), ran=len(self.checks))

    def _misfits(self, frame: Any) -> list[Finding]:
        columns, given = self._schema.columns(), frame.schema
        missing = [c for c in columns if c not in given]
        if missing:
            return [self._finding(f"{c}|present") for c in missing]
        if self._mode is Mode.CAST:
            return []
        wrong = [c for c, column in columns.items() if not column.validate_dtype(given[c])]
        return [self._finding(f"{c}|dtype", message=f"{given[c]}, not {columns[c]}") for c in wrong]

    def _failures(self, frame: Any) -> list[Finding]:
        """Which rules fail on which rows: asked of the schema with one column more, that of the row numbers."""
        import dataframely as dy

        body = {"pipechaos_row": dy.Any(alias=_ROW), "__module__": self._schema.__module__}
        numbered: Any = type(self._schema.__name__, (self._schema,), body)
        rows_of = frame.select(self._schema.column_names())
        failure = numbered.filter(rows_of.with_row_index(_ROW), cast=self._mode is Mode.CAST)[1]
        details = failure.details()
        kind = FindingKind.TOLERATED if self._mode is Mode.FILTER else FindingKind.FAIL
        message = "rows that break it are left out" if self._mode is Mode.FILTER else ""
        found = []
        for rule in failure.counts():
            rows = details.filter(details[rule] == "invalid")[_ROW]
            found.append(self._finding(rule, kind=kind, rows=rows, message=message))
        return found

    def _finding(
        self, rule: str, *, kind: FindingKind = FindingKind.FAIL, rows: Any = None, message: str = ""
    ) -> Finding:
        check = self._declared.get(rule) or Check(id=f"<{rule}>", columns=(), subject=Subject.TABLE)
        blames = rows is not None and check.subject in {Subject.VALUE, Subject.UNIQUENESS, Subject.DTYPE}
        return Finding(
            check=check.id,
            columns=check.columns,
            kind=kind,
            subject=check.subject,
            rows=_positions(rows) if blames else None,
            message=message,
        )


def _positions(rows: Any) -> Any:
    import numpy as np

    return np.sort(rows.to_numpy()).astype(np.int64)


def load_dataframely(
    module: str, attr: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()
) -> DataframelyValidator:
    """Load a schema from ``module`` under the roots.

    Parameters
    ----------
    attr
        Name of the schema; ``:cast`` or ``:filter`` behind it where the team calls it so.

    Raises
    ------
    ConfigError
        Something else stands behind the name.
    ValidatorLoadError
        The module or attribute is missing, or is no schema.
    MissingExtraError
        dataframely is not installed.
    """
    try:
        import dataframely as dy
    except ImportError as error:
        raise MissingExtraError("dataframely", "dataframely") from error
    attr, _, word = attr.partition(":")
    if word and word not in set(Mode):
        raise ConfigError(f"dataframely:{module}:{attr}:{word}: allowed behind the schema are {', '.join(Mode)}.")
    modules = [import_under(m, roots) for m in imports]
    found, loaded = import_attr(module, attr, roots)
    if not isinstance(found, type) or not issubclass(found, dy.Schema):
        raise ValidatorLoadError(
            f"{module}:{attr} is {_named(found)}; expected a subclass of dataframely.Schema (a Collection is several "
            "frames: name its schemas one by one)."
        )
    digest = digest_files(files_of([loaded, *modules], roots), roots)
    try:
        return DataframelyValidator(found, name=name, suite_digest=digest, mode=Mode(word or "validate"))
    except Exception as error:
        raise ValidatorLoadError(f"{module}:{attr} cannot be read: {type(error).__name__}: {error}") from error


def _named(found: object) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
