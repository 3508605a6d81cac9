"""The frame GX gets: judged as the one it was given, only faster, and never by another column's values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

__all__ = ["nanosecond_times", "twins_by_case"]


def nanosecond_times(frame: Any, keep: Collection[str] = ()) -> Any:
    """Frame with naive timestamps in nanoseconds, where they fit.

    GX compares other units value by value in Python (28 times slower on 100,000 rows); the values are the same.

    Parameters
    ----------
    frame
        Never changed.
    keep
        Columns left alone.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.DataFrame({"t": pd.Series(["2013-06-03"], dtype="datetime64[us]")})
    >>> nanosecond_times(times)["t"].dtype, times["t"].dtype
    (dtype('<M8[ns]'), dtype('<M8[us]'))
    """
    if not frame.columns.is_unique:
        return frame
    out = frame
    for name, dtype in frame.dtypes.items():
        if getattr(dtype, "kind", "") == "M" and str(dtype) in _SLOW and name not in keep:
            fast = _cast(frame[name])
            if fast is not None:
                out = out.assign(**{name: fast}) if isinstance(name, str) else out
    return out


_SLOW = {"datetime64[s]", "datetime64[ms]", "datetime64[us]"}


def _cast(times: Any) -> Any:
    import pandas as pd

    try:
        return times.astype("datetime64[ns]")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return None  # before 1677 or after 2262: slow and right


def twins_by_case(named: Sequence[str], columns: Sequence[str]) -> frozenset[str]:
    """Columns that GX could read in place of a named one, since it compares names without their case.

    Examples
    --------
    >>> sorted(twins_by_case(["amount"], ["AMOUNT", "id"])), sorted(twins_by_case(["id"], ["AMOUNT", "id"]))
    (['AMOUNT'], [])
    """
    folded = {name.casefold() for name in named}
    return frozenset(c for c in columns if c.casefold() in folded and c not in named)
