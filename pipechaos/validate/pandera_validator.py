"""pandera schemas as validators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipechaos.errors import MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import Judgement, crash_finding, judge
from pipechaos.validate.limits import Limit
from pipechaos.validate.pandera_checks import Aspect, Slot, declared_checks
from pipechaos.validate.pandera_findings import finding_of, merged, tolerated
from pipechaos.validate.pandera_limits import declared_limits
from pipechaos.validate.polars_frame import FrameKind
from pipechaos.validate.repairs import repairs
from pipechaos.validate.suite_files import digest_files, files_of, import_attr, import_under
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict

__all__ = ["PanderaValidator", "is_polars_schema", "load_pandera"]


class PanderaValidator:
    """A ``DataFrameSchema`` judged as ``schema.validate(frame, lazy=True)`` would in production.

    Parameters
    ----------
    schema
        A pandera ``DataFrameSchema``, or a ``DataFrameModel`` class.
    name
        Name in the experiment.
    suite_digest
        Digest of the files the schema was loaded from.
    """

    frame_kind = FrameKind.PANDAS

    def __init__(self, schema: Any, *, name: str, suite_digest: str = "") -> None:
        self.name = name
        self.suite_digest = suite_digest
        self._schema: Any = schema.to_schema() if hasattr(schema, "to_schema") else schema
        self._slots = declared_checks(self._schema)
        self.checks: tuple[Check, ...] = tuple(self._slots.values())
        self.limits: tuple[Limit, ...] = declared_limits(self._schema, self._slots)

    def run(self, frame: Any) -> Verdict:
        """Judge a frame; rows of findings are positions."""
        (verdict,) = judge(self.name, self.checks, frame, self._judge)
        return verdict

    def _judge(self, frame: Any) -> Iterator[Judgement]:
        from pandera.config import ValidationDepth, get_config_context

        config = get_config_context()
        if not config.validation_enabled:  # the environment switched it off: it judges nothing in production either
            yield Judgement(findings=(crash_finding(_SWITCHED_OFF, "<validation disabled>"),), ran=0)
            return
        findings, ran, level = self._validate(frame), len(self.checks), self._depth(frame)
        if level is not ValidationDepth.SCHEMA_AND_DATA:
            schema_only = level is ValidationDepth.SCHEMA_ONLY
            ran = sum(slot.aspect in (_SCHEMA_SCOPE if schema_only else _DATA_SCOPE) for slot in self._slots)
            if ran < len(self.checks):
                missing = len(self.checks) - ran
                depth = f"validation depth is {level.name}: {missing} checks did not run"
                findings += (crash_finding(depth, "<validation depth>"),)
        yield Judgement(findings=findings, ran=ran)

    def _depth(self, frame: Any) -> Any:
        """What pandera looks at of a frame: its schema, its data, or both."""
        from pandera.config import get_config_context

        return get_config_context().validation_depth

    def _validate(self, frame: Any) -> tuple[Finding, ...]:
        from pandera.errors import SchemaError, SchemaErrors, SchemaWarning

        given = frame if self._schema.index is not None else frame.reset_index(drop=True)  # labels become positions
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                out = self._schema.validate(given, lazy=True)
            except SchemaErrors as errors:
                failed, out = errors.schema_errors, errors.data
            except SchemaError as error:
                failed, out = [error], given
            else:
                failed = []
        # schema_errors, not the table of failure cases: that one loses failures without cases (duplicated nulls)
        found = merged(finding_of(error, self._schema, self._slots, given, out) for error in failed)
        if any(issubclass(w.category, SchemaWarning) for w in warned):
            found += self._warnings(out, given)
        if not failed:
            found += repairs(given, out)
        return tuple(found)

    def _warnings(self, out: Any, given: Any) -> list[Finding]:
        """What only warned (``raise_warning``): asked again, since a warning carries neither check nor rows."""
        found = []
        for slot, check, column in self._warning_checks(given):
            declared = self._slots[slot]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = _again(check, out, column)
            if result is not None and not result.check_passed:
                found.append(tolerated(declared, result, given))
        for key, part in self._schema.columns.items():
            action = getattr(part, "on_missing", None) or getattr(self._schema, "on_missing_columns", None)
            if action == "warn" and not part.required and not part.regex and key not in given.columns:
                found.append(
                    Finding(
                        check="<optional column missing>",
                        columns=(str(key),),
                        kind=FindingKind.TOLERATED,
                        subject=Subject.SCHEMA,
                        message="warned only",
                    )
                )
        return found

    def _warning_checks(self, given: Any) -> Iterator[tuple[Slot, Any, Any]]:
        for key, part in self._schema.columns.items():
            for i, check in enumerate(part.checks):
                if check.raise_warning and key in given.columns:
                    yield Slot(key, Aspect.CHECK, i), check, key
        for i, check in enumerate(self._schema.checks):
            if check.raise_warning:
                yield Slot(None, Aspect.CHECK, i), check, None


_ALWAYS = {Aspect.STRICT, Aspect.ORDERED}  # pandera checks these while it parses, at any depth
_DATA_SCOPE = _ALWAYS | {Aspect.UNIQUE, Aspect.CHECK}
_SCHEMA_SCOPE = set(Aspect) - {Aspect.UNIQUE, Aspect.CHECK}

_SWITCHED_OFF = (
    "PANDERA_VALIDATION_ENABLED switches pandera off here (only True, true and 1 mean on), so the schema judges "
    "nothing; unset it, or set it to True"
)


def _again(check: Any, out: Any, column: Any) -> Any:
    try:
        return check(out, column)
    except Exception:  # noqa: BLE001 - that it raises is already a finding of the first run
        return None


def is_polars_schema(found: Any) -> bool:
    """Whether something is a schema or model of ``pandera.polars``; nothing is imported to find out."""
    kind = found if isinstance(found, type) else type(found)
    wanted = ("DataFrameModel",) if isinstance(found, type) else ("DataFrameSchema",)
    return any(c.__module__.startswith("pandera.api.polars.") and c.__name__ in wanted for c in kind.__mro__)


def load_pandera(
    module: str, attr: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()
) -> PanderaValidator:
    """Load a schema from ``module`` under the roots.

    Raises
    ------
    ValidatorLoadError
        The module or attribute is missing, or is no schema for pandas or polars.
    MissingExtraError
        pandera is not installed.
    """
    try:
        import pandera.pandas as pa
    except ImportError as error:
        raise MissingExtraError("pandera", "pandera") from error
    modules = [import_under(m, roots) for m in imports]
    found, loaded = import_attr(module, attr, roots)
    made: type[PanderaValidator] = PanderaValidator
    if is_polars_schema(found):
        from pipechaos.validate.pandera_polars import PanderaPolarsValidator

        made = PanderaPolarsValidator
    elif not isinstance(found, pa.DataFrameSchema) and not (
        isinstance(found, type) and issubclass(found, pa.DataFrameModel)
    ):
        raise ValidatorLoadError(
            f"{module}:{attr} is a {type(found).__name__}; expected a DataFrameSchema or DataFrameModel of "
            "pandera.pandas or pandera.polars."
        )
    digest = digest_files(files_of([loaded, *modules], roots), roots)
    try:
        return made(found, name=name, suite_digest=digest)
    except Exception as error:
        raise ValidatorLoadError(f"{module}:{attr} cannot be read: {type(error).__name__}: {error}") from error
