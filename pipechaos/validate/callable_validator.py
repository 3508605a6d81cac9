"""Any function as a validator: ``f(frame)`` gives a truth value, a mask, failing rows or findings, or raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipechaos.errors import ValidatorLoadError
from pipechaos.validate.base import Judgement, crash_finding, judge
from pipechaos.validate.suite_files import digest_files, files_of, import_attr, import_under
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict

__all__ = ["CallableValidator", "load_callable"]


class CallableValidator:
    """A function of a frame that judges it.

    What it may return: True or False; None (it asserts instead: an ``AssertionError`` is a failure); a mask, a boolean
    Series or array with True for good rows; a DataFrame of the failing rows, by their labels; a list of ``Finding``.
    Anything else it returns or raises is an error.

    Parameters
    ----------
    function
        May carry ``columns`` (names it looks at), ``subject`` (a ``Subject``) or ``checks`` (a list of ``Check``; then
        it has to return findings under their ids).
    name
        Name in the experiment.
    suite_digest
        Digest of the files it was loaded from.
    """

    def __init__(self, function: Callable[[Any], Any], *, name: str, suite_digest: str = "") -> None:
        self.name = name
        self.suite_digest = suite_digest
        self._function = function
        declared = tuple(getattr(function, "checks", ()))
        self._one = Check(
            id=str(getattr(function, "__name__", type(function).__name__)),
            columns=tuple(getattr(function, "columns", ())),
            subject=Subject(getattr(function, "subject", Subject.TABLE)),
        )
        self.checks: tuple[Check, ...] = declared or (self._one,)

    def run(self, frame: Any) -> Verdict:
        """Judge a frame; rows of findings are positions."""
        (verdict,) = judge(self.name, self.checks, frame, self._judge)
        return verdict

    def _judge(self, frame: Any) -> Iterator[Judgement]:
        import pandas as pd

        if isinstance(frame, pd.DataFrame):
            frame = frame.reset_index(drop=True)  # a copy: labels become positions, and what it writes stays here
        try:
            answer = self._function(frame)
        except AssertionError as error:
            # an assertion quotes values as often as not, and its text is the only thing that tells two of them apart
            yield Judgement(findings=(self._fail(message=f"AssertionError: {error}"[:300]),), ran=len(self.checks))
            return
        if isinstance(answer, list | tuple) and all(isinstance(f, Finding) for f in answer):
            yield Judgement(findings=tuple(answer), ran=len(self.checks))
        else:
            finding = self._read(answer, frame)
            yield Judgement(findings=() if finding is None else (finding,), ran=len(self.checks))

    def _read(self, answer: Any, frame: Any) -> Finding | None:
        import pandas as pd

        if answer is None or isinstance(answer, bool | np.bool_):
            return None if answer is None or answer else self._fail()
        if isinstance(answer, pd.DataFrame):
            return self._fail(_positions(answer, frame)) if len(answer) else None
        if isinstance(answer, pd.Series | np.ndarray):
            return self._of_mask(answer, frame)
        return crash_finding(f"returned {type(answer).__name__}; {_ALLOWED}", self._one.id)

    def _of_mask(self, mask: Any, frame: Any) -> Finding | None:
        import pandas as pd

        if len(mask) != len(frame) or mask.ndim != 1:
            shape = "x".join(map(str, mask.shape))
            return crash_finding(f"returned a mask of {shape} for {len(frame)} rows; {_ALLOWED}", self._one.id)
        if isinstance(mask, pd.Series):
            if not mask.index.is_unique or len(mask.index.difference(frame.index)):
                return crash_finding(f"returned a mask with other labels than the frame; {_ALLOWED}", self._one.id)
            mask = mask.reindex(frame.index)
        if not pd.api.types.is_bool_dtype(mask) or pd.isna(mask).any():
            return crash_finding(f"returned a mask of {mask.dtype} or with nulls; {_ALLOWED}", self._one.id)
        bad = np.flatnonzero(~np.asarray(mask, dtype=bool)).astype(np.int64)
        return self._fail(bad) if len(bad) else None

    def _fail(self, rows: Any = None, message: str = "") -> Finding:
        subject = self._one.subject
        if rows is not None and subject is Subject.TABLE:
            subject = Subject.VALUE  # it blamed rows
        return Finding(
            check=self._one.id,
            columns=self._one.columns,
            kind=FindingKind.FAIL,
            subject=subject,
            rows=rows,
            message=message,
        )


_ALLOWED = (
    "allowed are a bool, None, a boolean mask as long as the frame (True: good), a DataFrame of failing rows, "
    "or a list of Finding"
)


def _positions(failing: Any, frame: Any) -> Any:
    """Positions of failing rows, None where their labels are not those of the frame."""
    positions = frame.index.get_indexer(failing.index)
    return np.unique(positions).astype(np.int64) if (positions >= 0).all() else None


def load_callable(
    module: str, attr: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()
) -> CallableValidator:
    """Load a function from ``module`` under the roots.

    Raises
    ------
    ValidatorLoadError
        The module or attribute is missing, or cannot be called.
    """
    modules = [import_under(m, roots) for m in imports]
    found, loaded = import_attr(module, attr, roots)
    if not callable(found):
        raise ValidatorLoadError(f"{module}:{attr} is a {type(found).__name__}, which cannot be called.")
    digest = digest_files(files_of([loaded, *modules], roots), roots)
    try:
        return CallableValidator(found, name=name, suite_digest=digest)
    except (TypeError, ValueError) as error:
        raise ValidatorLoadError(f"{module}:{attr}: its columns, subject or checks cannot be read: {error}") from error
