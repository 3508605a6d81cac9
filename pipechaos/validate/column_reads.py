"""Which columns a check written in Python reads: its string constants that are column names.

pandera says of a check over the whole frame neither which columns it looks at nor, when it fails, which it blames. The
names are in the function all the same, as constants, so they are read from there. Names put together at run time are
not found; a check that reads none of the known names counts as one over the whole table.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

__all__ = ["columns_read", "counts_rows"]

_DEPTH = 3


def columns_read(
    function: Callable[..., Any], columns: Sequence[str], given: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Columns that a check function names, in the order of ``columns``.

    Parameters
    ----------
    function
        A function, lambda, partial or method; its nested functions and the functions of its module that it calls are
        read too.
    columns
        Names that exist.
    given
        Keyword arguments it is called with.

    Examples
    --------
    >>> columns_read(lambda df: df["a"] > df["b"], ["c", "b", "a"])
    ('b', 'a')
    """
    known = set(columns)
    found = set(_names(given or {}, known))
    for plain, bound in _unwrap(function):
        found |= set(_names(bound, known)) | set(_names(plain.__defaults__ or (), known))
        found |= _of_function(plain, known, _DEPTH, set())
    return tuple(c for c in columns if c in found)


def counts_rows(function: Callable[..., Any]) -> bool:
    """Whether a check function looks at nothing of a frame but how many rows it has.

    Examples
    --------
    >>> counts_rows(lambda df: 500 <= len(df) <= 2000), counts_rows(lambda df: df["a"].sum() > len(df))
    (True, False)
    """
    plain = [f for f, _ in _unwrap(function)]
    if len(plain) != 1 or any(isinstance(c, str | CodeType) for c in plain[0].__code__.co_consts[1:]):
        return False
    looked, counted = plain[0].__globals__, False
    for step in dis.get_instructions(plain[0]):
        if step.opname in {"LOAD_ATTR", "LOAD_METHOD"}:
            if step.argval not in {"shape", "index", "size"}:
                return False
            counted = True
        elif step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            if step.argval == "len":
                counted = True
            elif not isinstance(looked.get(step.argval), int | float):
                return False
    return counted


def _unwrap(function: Any) -> Iterator[tuple[FunctionType, Mapping[str, Any]]]:
    """Python functions inside partials, methods, decorators and callable objects, with what is bound to them."""
    bound: dict[str, Any] = {}
    for _ in range(10):
        if isinstance(function, functools.partial):
            bound = {**bound, "": function.args, **function.keywords}
            function = function.func
        elif hasattr(function, "__func__"):
            function = function.__func__
        elif isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
            yield function, bound
            function = function.__wrapped__
        elif isinstance(function, FunctionType) and (inner := _of_model(function)) is not None:
            function = inner
        else:
            break
    if isinstance(function, FunctionType):
        yield function, bound
    elif isinstance(call := vars(type(function)).get("__call__"), FunctionType):
        yield call, {**bound, **getattr(function, "__dict__", {})}


def _of_model(adapter: FunctionType) -> Any:
    """Check function a DataFrameModel wraps; pandera keeps it in a record inside a closure."""
    if not (adapter.__module__ or "").startswith("pandera."):
        return None
    contents = (_content(c) for c in adapter.__closure__ or ())
    return next((c.check_fn for c in contents if callable(getattr(type(c), "to_check", None))), None)


def _of_function(function: FunctionType, known: set[str], depth: int, seen: set[int]) -> set[str]:
    if id(function.__code__) in seen or depth == 0:
        return set()
    seen.add(id(function.__code__))
    found = set(_of_code(function.__code__, known))
    cells = [_content(c) for c in function.__closure__ or ()]
    reached = [function.__globals__[n] for n in _global_names(function.__code__) if n in function.__globals__]
    for value in (*cells, *reached):
        if isinstance(value, FunctionType):
            if value.__module__ == function.__module__:
                found |= _of_function(value, known, depth - 1, seen)
        else:
            found |= set(_names(value, known))
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _of_code(code: CodeType, known: set[str]) -> Iterator[str]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _of_code(const, known)
        else:
            yield from _names(const, known)
    # df.dep_delay; a name that frames or series have themselves says nothing
    yield from (n for n in code.co_names if n in known and not _is_frame_attribute(n))


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _global_names(const)


def _is_frame_attribute(name: str) -> bool:
    import pandas as pd

    return hasattr(pd.DataFrame, name) or hasattr(pd.Series, name)


def _names(value: Any, known: set[str], depth: int = 3) -> Iterator[str]:
    if isinstance(value, str):
        if value in known:
            yield value
    elif depth and isinstance(value, Mapping) and len(value) <= 1000:
        for part in (*value.keys(), *value.values()):
            yield from _names(part, known, depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset) and len(value) <= 1000:
        for part in value:
            yield from _names(part, known, depth - 1)
