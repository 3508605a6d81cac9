"""What somebody else's validator task said, told from how its ``execute`` ended: by class names, without its library.

A run state is no verdict: an operator that crashed has not detected anything, and one that never took the copy has not
judged it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipechaos.airflow.gx_results import failures
from pipechaos.errors import CannotRunError
from pipechaos.validate.verdict import Finding, FindingKind, Subject, Verdict, VerdictStatus

__all__ = [
    "LATE",
    "NO_COPIES",
    "Ending",
    "OutsideVerdict",
    "Said",
    "Told",
    "judge_ending",
    "not_exercised",
    "together",
]

LATE = "the lane's time was over: raise max_seconds"
NO_COPIES = "the task `copies` made none: its log says why"
_TIMEOUTS = ("AirflowTaskTimeout", "TaskDeferralTimeout")
_SKIPS = ("AirflowSkipException",)
_REFUSALS = ("AirflowFailException", "AssertionError")
_PANDERA = ("SchemaError", "SchemaErrors")
_UNIQUE = ("unique_check", "unique", "distinct_check")
_SAID_AT_MOST = 50


class Told(StrEnum):
    """What came of letting a task judge a copy."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERRORED = "errored"
    TIMED_OUT = "timed_out"
    NOT_EXERCISED = "not_exercised"


@dataclass(frozen=True, kw_only=True)
class Said:
    """One check that said no, as far as the task told."""

    check: str
    columns: tuple[str, ...] = ()
    subject: Subject = Subject.TABLE


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one ``execute`` ended.

    Attributes
    ----------
    operator
        Names of the operator's class and those above it.
    error
        What it raised.
    result
        What it returned, where it raised nothing.
    pushed
        What it had pushed as its return value by then; some operators push their result before they raise.
    check_results
        What it keeps for listeners, as the SQL check operators do.
    took_copy
        Whether it took the stage's output from where the lane puts the copy.
    leads_on
        For a task that branches: whether what it chose leads to the consumer. None for all others.
    """

    operator: tuple[str, ...] = ()
    error: BaseException | None = None
    result: Any = None
    pushed: Any = None
    check_results: Sequence[Any] = ()
    took_copy: bool = True
    leads_on: bool | None = None


@dataclass(frozen=True, kw_only=True)
class OutsideVerdict:
    """What a task said about one copy.

    Attributes
    ----------
    told
        The answer.
    how
        What it was told from: an exception's class, ``"result"``, ``"check_results"``; never a message, which may quote
        data.
    said
        Checks that failed.
    parts
        By name what each of several validators in the task said; empty where the task is one validator.
    kept
        File that holds the whole verdict, where there is one.
    """

    told: Told
    how: str
    said: tuple[Said, ...] = ()
    parts: Mapping[str, OutsideVerdict] = field(default_factory=dict)
    kept: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for XCom."""
        said = [{"check": s.check, "columns": list(s.columns), "subject": s.subject.value} for s in self.said]
        more = {"kept": self.kept, "parts": {n: p.to_json() for n, p in self.parts.items()}}
        return {"told": self.told.value, "how": self.how, "said": said, **{k: v for k, v in more.items() if v}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OutsideVerdict:
        """Read back what :meth:`to_json` wrote."""
        said = tuple(
            Said(check=s["check"], columns=tuple(s["columns"]), subject=Subject(s["subject"])) for s in data["said"]
        )
        parts = {n: cls.from_json(p) for n, p in data.get("parts", {}).items()}
        return cls(told=Told(data["told"]), how=data["how"], said=said, parts=parts, kept=data.get("kept", ""))

    def verdict(self, validator: str) -> Verdict:
        """As scoring knows it: one declared check, that of the task as a whole.

        Raises
        ------
        CannotRunError
            The task was not exercised: there is no verdict to score.
        """
        if self.told is Told.NOT_EXERCISED:
            raise CannotRunError(f"{validator!r} was not exercised ({self.how}): it has no verdict")
        findings: tuple[Finding, ...] = ()
        if self.told is Told.REJECTED:
            said = self.said or (Said(check=self.how),)
            findings = tuple(_finding(s.check, s.columns, s.subject, FindingKind.FAIL) for s in said)
        elif self.told is Told.ERRORED:
            findings = (_finding("<crash>", (), Subject.TABLE, FindingKind.ERROR),)
        ran = 0 if self.told is Told.TIMED_OUT else 1
        status = VerdictStatus(self.told.value)
        return Verdict(validator=validator, status=status, findings=findings, checks_declared=1, checks_ran=ran)


def _finding(check: str, columns: tuple[str, ...], subject: Subject, kind: FindingKind) -> Finding:
    return Finding(check=check, columns=columns, kind=kind, subject=subject)


def _class_names(kind: type) -> tuple[str, ...]:
    return tuple(k.__name__ for k in kind.__mro__)


def judge_ending(ending: Ending, rejects: Sequence[str] = ()) -> OutsideVerdict:
    """Tell the verdict: the first that knows of exception, kept check results, pushed or returned result.

    Parameters
    ----------
    ending
        How the task ended.
    rejects
        Exception classes that mean a rejection, ``"ValueError"`` or with their module, besides what is known:
        ``AirflowFailException``, ``AssertionError``, pandera's ``SchemaError`` and ``SchemaErrors``.

    Examples
    --------
    >>> judge_ending(Ending(error=AssertionError("3 nulls"))).told, judge_ending(Ending(error=KeyError("x"))).told
    (<Told.REJECTED: 'rejected'>, <Told.ERRORED: 'errored'>)
    """
    error = ending.error
    raised = _class_names(type(error)) if error is not None else ()
    if not ending.took_copy:
        return OutsideVerdict(told=Told.NOT_EXERCISED, how="it did not take the stage's output, so it saw no copy")
    if _any(raised, _TIMEOUTS):
        return OutsideVerdict(told=Told.TIMED_OUT, how=raised[0])
    if _any(raised, _SKIPS):
        return OutsideVerdict(told=Told.REJECTED, how=raised[0])
    adapters: tuple[Callable[[], OutsideVerdict | None], ...] = (
        lambda: _of_checks(ending),
        lambda: _of_result(ending.result) if error is None else _of_pushed(ending.pushed, error, rejects),
        lambda: _of_error(error, rejects) if error is not None else _of_choice(ending),
    )
    return next(v for a in adapters if (v := a()) is not None)


def _any(names: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(n in wanted for n in names)


def _of_checks(ending: Ending) -> OutsideVerdict | None:
    """SQL check operators: failed checks and the AirflowException they raise for them; anything else is a crash."""
    failed = [c for c in ending.check_results if not c.success and getattr(c, "severity", "error") == "error"]
    if ending.error is None or not failed or "AirflowException" not in _class_names(type(ending.error)):
        return None
    return OutsideVerdict(told=Told.REJECTED, how="check_results", said=tuple(map(_sql_said, failed))[:_SAID_AT_MOST])


def _sql_said(check: Any) -> Said:
    column = getattr(check, "column", None)
    kind = str(getattr(check, "check_type", ""))
    subject = Subject.UNIQUENESS if kind in _UNIQUE else Subject.VALUE if column else Subject.TABLE
    subject = Subject.ROW_COUNT if kind == "row_count" else subject
    return Said(check=str(check.name), columns=(str(column),) if column else (), subject=subject)


def _of_result(result: Any, error: BaseException | None = None) -> OutsideVerdict | None:
    """Results that say so themselves: ours, and those with ``"success"`` as Great Expectations has it."""
    if not isinstance(result, Mapping):
        return None
    if isinstance(result.get("verdicts"), Mapping) and "batch" in result:
        return _of_ours(result["verdicts"])
    success = result.get("success")
    if not isinstance(success, bool):
        return None
    if success:
        return OutsideVerdict(told=Told.ACCEPTED, how="result")
    failed = failures(result, error)
    if failed and all(raised for _, raised in failed):  # nothing was found wrong: every check that failed had crashed
        return OutsideVerdict(told=Told.ERRORED, how="result")
    said = tuple(_gx_said(e) for e, raised in failed if not raised)
    return OutsideVerdict(told=Told.REJECTED, how="result", said=said[:_SAID_AT_MOST])


def _of_pushed(pushed: Any, error: BaseException, rejects: Sequence[str]) -> OutsideVerdict | None:
    """A result pushed before something was raised: one that says all is well is none, since then it crashed."""
    found = _of_result(pushed, error)
    declared = found is not None and found.told is Told.ERRORED and bool(_names(error) & {*rejects})
    return None if found is None or found.told is Told.ACCEPTED or declared else found


def _gx_said(expectation: Mapping[str, Any]) -> Said:
    kwargs = expectation.get("kwargs") or {}
    named = [kwargs[k] for k in ("column", "column_A", "column_B") if isinstance(kwargs.get(k), str)]
    listed = [c for k in ("column_list", "column_set") for c in kwargs.get(k) or () if isinstance(c, str)]
    kind = str(expectation.get("expectation_type") or expectation.get("type") or "expectation")
    subject = Subject.VALUE if named else Subject.TABLE
    if "unique" in kind:
        subject = Subject.UNIQUENESS
    elif "row_count" in kind:
        subject = Subject.ROW_COUNT
    elif kind.startswith("expect_table_columns") or kind == "expect_column_to_exist":
        subject = Subject.SCHEMA
    elif "type" in kind.split("_"):
        subject = Subject.DTYPE
    return Said(check=kind, columns=tuple(dict.fromkeys([*named, *listed])), subject=subject)


def _of_ours(verdicts: Mapping[str, Any]) -> OutsideVerdict:
    """Of several validators in one task each is told, and the task as a whole."""
    parts = {str(n): _of_our_one(v) for n, v in verdicts.items()}
    whole = together(list(parts.values()))
    return OutsideVerdict(told=whole.told, how="result", said=whole.said, parts=parts)


def _of_our_one(verdict: Mapping[str, Any]) -> OutsideVerdict:
    said = tuple(Said(check=str(f)) for f in verdict.get("failed", ()))
    kept = str(verdict.get("verdict", ""))
    return OutsideVerdict(told=Told(verdict["status"]), how="result", said=said[:_SAID_AT_MOST], kept=kept)


def together(said: Sequence[OutsideVerdict]) -> OutsideVerdict:
    """Several verdicts on one trial as one: it is rejected when any rejects, and an error when none does and one errs.

    One that did not judge has no say, unless the time was over: then nobody has.

    Examples
    --------
    >>> one, other = (OutsideVerdict(told=t, how="x") for t in (Told.ACCEPTED, Told.REJECTED))
    >>> together([one, other]).told, together([]).told
    (<Told.REJECTED: 'rejected'>, <Told.NOT_EXERCISED: 'not_exercised'>)
    """
    late = [v for v in said if v.how == LATE]
    if late or len(said) == 1:
        return (late or said)[0]
    for told in (Told.REJECTED, Told.ERRORED, Told.TIMED_OUT, Told.ACCEPTED, Told.NOT_EXERCISED):
        found = [v for v in said if v.told is told]
        if found:
            checks = tuple(dict.fromkeys(s for v in found for s in v.said))[:_SAID_AT_MOST]
            names = dict.fromkeys(n for v in said for n in v.parts)
            parts = {n: together([v.parts.get(n, v) for v in said]) for n in names}
            return OutsideVerdict(told=told, how=found[0].how, said=checks, parts=parts)
    return not_exercised("there was nothing to judge")


def not_exercised(how: str) -> OutsideVerdict:
    """The task did not judge a copy, and why."""
    return OutsideVerdict(told=Told.NOT_EXERCISED, how=how)


def _names(error: BaseException) -> set[str]:
    kinds = type(error).__mro__
    return {k.__name__ for k in kinds} | {f"{k.__module__}.{k.__qualname__}" for k in kinds}


def _of_error(error: BaseException, rejects: Sequence[str]) -> OutsideVerdict:
    kinds = type(error).__mro__
    how = kinds[0].__name__
    pandera = [k for k in kinds if k.__name__ in _PANDERA and k.__module__.partition(".")[0] == "pandera"]
    if pandera:
        return _of_pandera(error, how)
    if _names(error) & {*_REFUSALS, *rejects}:
        return OutsideVerdict(told=Told.REJECTED, how=how)
    return OutsideVerdict(told=Told.ERRORED, how=how)


def _of_pandera(error: BaseException, how: str) -> OutsideVerdict:
    """A schema error of pandera; one whose every check only crashed has found nothing."""
    parts = list(getattr(error, "schema_errors", None) or [error])
    if all(_code(p) == "CHECK_ERROR" for p in parts):
        return OutsideVerdict(told=Told.ERRORED, how=how)
    said = dict.fromkeys(_pandera_said(p) for p in parts if _code(p) != "CHECK_ERROR")
    return OutsideVerdict(told=Told.REJECTED, how=how, said=tuple(said)[:_SAID_AT_MOST])


def _code(part: Any) -> str:
    return str(getattr(getattr(part, "reason_code", None), "name", ""))


def _pandera_said(part: Any) -> Said:
    code = _code(part)
    column = getattr(part, "column_name", None) or getattr(getattr(part, "schema", None), "name", None)
    if code.startswith("COLUMN_") or code == "DUPLICATE_COLUMN_LABELS":
        case = getattr(part, "failure_cases", None)  # the schema is the table's: the column is in the failure case
        column = case if isinstance(case, str) else None
        return Said(check=code, columns=(column,) if column else (), subject=Subject.SCHEMA)
    subject = {
        "WRONG_DATATYPE": Subject.DTYPE,
        "DATATYPE_COERCION": Subject.DTYPE,
        "SERIES_CONTAINS_DUPLICATES": Subject.UNIQUENESS,
        "DUPLICATES": Subject.UNIQUENESS,
    }.get(code, Subject.VALUE if isinstance(column, str) else Subject.TABLE)
    columns = (column,) if isinstance(column, str) else ()
    return Said(check=str(getattr(part, "check", None) or code or "schema"), columns=columns, subject=subject)


def _of_choice(ending: Ending) -> OutsideVerdict:
    """A task that raised nothing: it lets the consumer run, unless it branches away or short-circuits."""
    if ending.leads_on is not None:
        told = Told.ACCEPTED if ending.leads_on else Told.REJECTED
        return OutsideVerdict(told=told, how="branch")
    if "ShortCircuitOperator" in ending.operator and not ending.result:
        return OutsideVerdict(told=Told.REJECTED, how="short circuit")
    return OutsideVerdict(told=Told.ACCEPTED, how="success")
