"""Great Expectations suites as validators: nothing written, nothing opened, nothing on the console."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipechaos.errors import MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import Judgement, judge
from pipechaos.validate.gx_checks import declared_checks, gives_rows, subject_of
from pipechaos.validate.gx_frame import nanosecond_times, twins_by_case
from pipechaos.validate.gx_limits import declared_limits
from pipechaos.validate.limits import Limit
from pipechaos.validate.polars_frame import FrameKind
from pipechaos.validate.suite_files import digest_files, files_of, import_under, resolve_file
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict

__all__ = ["GxValidator", "load_gx"]

_INDEX = "_pipechaos"  # key of the meta that ties a result to its expectation: results come back in another order
_QUIET = ("great_expectations._docs_decorators", "great_expectations.expectations.registry")


class GxValidator:
    """A suite file judged on pandas, in two passes.

    The first pass asks for truth values alone; the second asks for rows, of expectations that failed and of those that
    ``mostly`` may have let pass.

    Parameters
    ----------
    raw
        The suite as its file holds it.
    name
        Name in the experiment.
    suite_digest
        Digest of the suite file and the modules imported for it.
    """

    frame_kind = FrameKind.PANDAS

    def __init__(self, raw: Mapping[str, Any], *, name: str, suite_digest: str = "") -> None:
        self.name = name
        self.suite_digest = suite_digest
        expectations = raw.get("expectations") or []
        kept = {e.meta[_INDEX]: e for e in _load_suite(raw).expectations}
        self.checks: tuple[Check, ...] = tuple(
            dataclasses.replace(c, subject=subject_of(str(expectations[i].get("type")), _family(kept.get(i))))
            for i, c in enumerate(declared_checks(expectations))
        )
        self.limits: tuple[Limit, ...] = declared_limits(expectations, self.checks, kept)
        self._kept = kept
        self._dtype_columns = {  # their dtype is compared with a spelling that has a unit, so the unit must stay
            column
            for check, e in zip(self.checks, expectations, strict=True)
            if check.subject is Subject.DTYPE and "[" in str((e.get("kwargs") or {}).get("type_list", "")).lstrip("[")
            for column in check.columns
        }
        self._parameters = dict(raw.get("suite_parameters") or {})
        self._dropped = tuple(
            Finding(
                check=check.id,
                columns=check.columns,
                kind=FindingKind.ERROR,
                subject=check.subject,
                message=f"never ran: GX knows no {expectations[i].get('type')} and dropped it; import its module",
            )
            for i, check in enumerate(self.checks)
            if i not in kept
        )
        self._local = threading.local()

    def run(self, frame: Any) -> Verdict:
        """Judge a frame; rows of findings are positions."""
        *_, last = self.stages(frame)
        return last

    def stages(self, frame: Any) -> Iterator[Verdict]:
        """Verdict with truth values alone, its findings naming neither columns nor rows, then the full one."""
        yield from judge(self.name, self.checks, frame, self._judge)

    def _judge(self, frame: Any) -> Iterator[Judgement]:
        frame = nanosecond_times(frame.reset_index(drop=True), self._dtype_columns)  # labels become positions
        results = self._results(frame, list(self._kept), "BOOLEAN_ONLY")
        findings = {i: f for i, r in results.items() if (f := self._finding(i, r)) is not None}
        wanted = [i for i in results if self._wants_details(i, findings.get(i))]
        if wanted:
            bare = {i: dataclasses.replace(f, columns=()) for i, f in findings.items()}
            yield self._judgement(bare, results)
            for i, result in self._results(frame, wanted, "COMPLETE").items():
                detailed = self._finding(i, result, findings.get(i))
                if detailed is not None:
                    findings[i] = detailed
        yield self._judgement(findings, results)

    def _judgement(self, findings: Mapping[int, Finding], results: Mapping[int, Any]) -> Judgement:
        ordered = tuple(findings[i] for i in sorted(findings))
        return Judgement(findings=ordered + self._dropped, ran=len(results))

    def _wants_details(self, i: int, finding: Finding | None) -> bool:
        if not gives_rows(self.checks[i]):
            return False
        if finding is None:
            mostly = getattr(self._kept[i], "mostly", 1)
            return not isinstance(mostly, int | float) or mostly < 1
        return finding.kind is FindingKind.FAIL

    def _results(self, frame: Any, indices: Sequence[int], form: str) -> dict[int, Any]:
        """Results by position in the file. Columns that differ only in case from one named are kept from GX."""
        out: dict[int, Any] = {}
        groups: dict[frozenset[str], list[int]] = {}
        columns = [str(c) for c in frame.columns]
        for i in indices:
            named = self.checks[i].columns if self.checks[i].subject is not Subject.SCHEMA else ()
            groups.setdefault(twins_by_case(named, columns), []).append(i)
        for twins, members in groups.items():
            seen = frame if not twins else frame.loc[:, [str(c) not in twins for c in frame.columns]]
            out.update(self._validate(seen, members, form))
        return out

    def _validate(self, frame: Any, indices: Sequence[int], form: str) -> dict[int, Any]:
        import great_expectations as gx

        if not indices:
            return {}
        suite = gx.ExpectationSuite(
            name="pipechaos", expectations=[self._kept[i] for i in indices], suite_parameters=self._parameters
        )
        batch = self._definition().get_batch(batch_parameters={"dataframe": frame})
        options = {"result_format": form, "return_unexpected_index_query": False}
        results = batch.validate(suite, result_format=options, expectation_parameters=self._parameters or None)
        return {r.expectation_config.meta[_INDEX]: r for r in results.results}

    def _definition(self) -> Any:
        """One context and data source for each thread and validator: shared ones judge another thread's frame."""
        if not hasattr(self._local, "definition"):
            import great_expectations as gx

            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False}
            asset = context.data_sources.add_pandas(name="memory").add_dataframe_asset(name="frame")
            self._local.context = context  # the definition refers to it weakly
            self._local.definition = asset.add_batch_definition_whole_dataframe("whole")
        return self._local.definition

    def _finding(self, i: int, result: Any, first: Finding | None = None) -> Finding | None:
        """Finding for a result; the verdict of the first pass stands, the second only adds rows."""
        check = self.checks[i]
        raised = _exception(result.exception_info)
        rows = _rows(result.result.get("unexpected_index_list"))
        if first is not None:
            return dataclasses.replace(first, columns=check.columns, rows=rows)
        if raised is not None:
            kind, message = FindingKind.ERROR, raised
        elif not result.success:
            kind, message = FindingKind.FAIL, ""
        elif rows is not None:
            kind, message = FindingKind.TOLERATED, "absorbed by mostly"
        else:
            return None
        return Finding(
            check=check.id, columns=check.columns, kind=kind, subject=check.subject, rows=rows, message=message
        )


def _exception(info: Any) -> str | None:
    """First exception in either shape: one record, or a record for each metric."""
    info = info or {}
    records = [info] if "raised_exception" in info else [info[k] for k in info]
    for record in records:
        if record.get("raised_exception"):
            return " ".join(str(record.get("exception_message")).split())[:300]
    return None


def _rows(labels: Any) -> Any:
    if not labels:
        return None
    return np.unique(np.fromiter((int(label) for label in labels), dtype=np.int64, count=len(labels)))


def _family(expectation: Any) -> Subject | None:
    """What the base class says of a custom expectation."""
    from great_expectations.expectations import expectation as bases

    families = (
        (bases.ColumnAggregateExpectation, Subject.AGGREGATE),
        (bases.ColumnMapExpectation, Subject.VALUE),
        (bases.ColumnPairMapExpectation, Subject.VALUE),
        (bases.MulticolumnMapExpectation, Subject.VALUE),
    )
    return next((subject for base, subject in families if isinstance(expectation, base)), None)


def _load_suite(raw: Mapping[str, Any]) -> Any:
    gx = _library()
    marked = [
        # without the id a store gave it: GX refuses to put an expectation that has one into a second suite
        {**{k: v for k, v in e.items() if k != "id"}, "meta": {**(e.get("meta") or {}), _INDEX: i}}
        for i, e in enumerate(raw.get("expectations") or [])
    ]
    rest = {k: v for k, v in raw.items() if k not in {"id", "expectations"}}
    with _silent("great_expectations.core.expectation_suite"):  # it prints a traceback for each one it drops
        return gx.ExpectationSuite(**rest, expectations=marked)


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(n) for n in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _library() -> Any:
    """The library, imported without a word on the console."""
    for logger in _QUIET:
        logging.getLogger(logger).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            import great_expectations as gx
    except ImportError as error:
        raise MissingExtraError("great_expectations", "gx") from error
    except SystemExit as error:  # it ends the interpreter, code 0, when pyspark is there without grpcio
        raise ValidatorLoadError("importing great_expectations ended the interpreter: pip install grpcio") from error
    return gx


def load_gx(path: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()) -> GxValidator:
    """Load a suite file.

    Parameters
    ----------
    path
        JSON as ``ExpectationSuite.to_json_dict`` wrote it, absolute or relative to a root.
    imports
        Modules that register custom expectations.

    Raises
    ------
    ValidatorLoadError
        The file is missing, no suite, or holds an expectation that GX refuses.
    MissingExtraError
        Great Expectations is not installed.
    """
    file = resolve_file(path, roots)
    gx = _library()
    modules = [import_under(m, roots) for m in imports]
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or not isinstance(raw.get("expectations"), list):
            raise ValidatorLoadError(f"{file} holds no suite: expected an object with a list of expectations.")
        digest = digest_files({file} | files_of(modules, roots), roots)
        return GxValidator(raw, name=name, suite_digest=digest)
    except ValidatorLoadError:
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        raise ValidatorLoadError(f"GX {gx.__version__} cannot load {file}: {' '.join(detail.split())[:500]}") from error
