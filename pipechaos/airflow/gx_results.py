"""Results of Great Expectations as its operators push them: which expectations failed, and which of them only raised.

``describe_dict`` leaves out what most expectations raised (seen with GX 1.24): one whose column is gone looks like one
that found something. The exception with which the provider's operators end has passed through the frame that holds the
whole result, so that is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["failures"]

_NEVER_HAS_A_RESULT = "expect_column_to_exist"


def failures(described: Mapping[str, Any], error: BaseException | None = None) -> list[tuple[Mapping[str, Any], bool]]:
    """Expectations that failed, each with whether it only raised.

    Parameters
    ----------
    described
        ``describe_dict()`` of a suite's or a checkpoint's result.
    error
        What was raised for it.

    Examples
    --------
    >>> one = {"expectation_type": "expect_column_max_to_be_between", "success": False, "result": {"observed_value": 9}}
    >>> [raised for _, raised in failures({"success": False, "expectations": [one, {**one, "result": {}}]})]
    [False, True]
    """
    parts = list(_expectations(described))
    whole = _whole(error, [_kind(p) for p in parts])
    if whole is not None:
        raised = [_raised(getattr(w, "exception_info", None)) for w in whole]
    else:
        cut = any(p.get("success") is True and _empty(p) for p in parts)  # BOOLEAN_ONLY: nothing has a result
        raised = [_raised(p["exception_info"]) if "exception_info" in p else _empty(p) and not cut for p in parts]
    return [(p, r) for p, r in zip(parts, raised, strict=True) if p.get("success") is False]


def _expectations(described: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in (described, *(described.get("validation_results") or ())):
        yield from part.get("expectations") or ()


def _kind(described: Mapping[str, Any]) -> str:
    return str(described.get("expectation_type") or described.get("type") or "")


def _empty(described: Mapping[str, Any]) -> bool:
    return "result" in described and not described["result"] and _kind(described) != _NEVER_HAS_A_RESULT


def _raised(info: Any) -> bool:
    """An exception in either of its shapes: one record, or a record for each metric."""
    records = [info, *info.values()] if isinstance(info, Mapping) else []
    return any(isinstance(r, Mapping) and r.get("raised_exception") is True for r in records)


def _whole(error: BaseException | None, kinds: list[str]) -> list[Any] | None:
    """Results of the same expectations, from a frame the exception passed through."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            if type(value).__module__.partition(".")[0] == "great_expectations":
                found = _results(value)
                if found and [str(getattr(f.expectation_config, "type", "")) for f in found] == kinds:
                    return found
        trace = trace.tb_next
    return None


def _results(value: Any) -> list[Any]:
    name = type(value).__name__
    if name == "ExpectationSuiteValidationResult":
        return list(value.results)
    if name == "CheckpointResult":
        return [r for suite in value.run_results.values() for r in suite.results]
    return []
