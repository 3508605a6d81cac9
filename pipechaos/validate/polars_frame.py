"""Polars frames: told from others without importing polars, digested, and made for a validator that wants them."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FrameKind", "collected", "is_polars", "kind_of", "polars_digests", "row_numbers", "settled", "suited"]


class FrameKind(StrEnum):
    """What a validator judges; without a loader it also says who reads the file."""

    PANDAS = "pandas"
    POLARS = "polars"
    ANY = "any"  # whatever the loader gives, pandas without one


def kind_of(validator: object) -> FrameKind:
    """Kind of frame that a validator judges, ``any`` where it does not say."""
    return FrameKind(getattr(validator, "frame_kind", FrameKind.ANY))


def is_polars(frame: Any) -> bool:
    """Whether a frame is a polars ``DataFrame`` or ``LazyFrame``; polars is not imported to find out.

    Examples
    --------
    >>> import polars as pl
    >>> is_polars(pl.DataFrame()), is_polars(pl.LazyFrame()), is_polars([1])
    (True, True, False)
    """
    kind = type(frame)
    return kind.__module__.partition(".")[0] == "polars" and kind.__name__ in {"DataFrame", "LazyFrame"}


def collected(frame: Any) -> Any:
    """The frame itself, or a polars ``DataFrame`` where it is a ``LazyFrame``."""
    return frame.collect() if is_polars(frame) and type(frame).__name__ == "LazyFrame" else frame


def settled(frame: Any) -> Any:
    """The frame, a ``LazyFrame`` read into memory but lazy still: it no longer needs the file it scans."""
    return frame.collect().lazy() if is_polars(frame) and type(frame).__name__ == "LazyFrame" else frame


def suited(frame: Any, kind: FrameKind) -> Any:
    """The frame as a validator of a kind takes it, converted by polars where the loader gave the other one.

    Parameters
    ----------
    frame
        What the loader gave; neither pandas nor polars is left alone.
    kind
        Of the validator. A ``LazyFrame`` for a validator of pandas frames is collected.

    Examples
    --------
    >>> import polars as pl
    >>> type(suited(pl.DataFrame({"x": [1]}), FrameKind.PANDAS)).__module__.partition(".")[0]
    'pandas'
    """
    import pandas as pd

    if kind is FrameKind.PANDAS and is_polars(frame):
        return collected(frame).to_pandas()
    if kind is FrameKind.POLARS and isinstance(frame, pd.DataFrame):
        import polars as pl

        return pl.from_pandas(frame) if frame.columns.is_unique else _refuse_twins(frame)
    return frame


def _refuse_twins(frame: Any) -> Any:
    twins = sorted({str(c) for c in frame.columns[frame.columns.duplicated()]})
    raise ValueError(f"a polars frame has no two columns of one name; the loader gave {', '.join(twins)} twice")


def polars_digests(frame: Any) -> tuple[str, str]:
    """Ordered and multiset digest of a polars frame: names, dtypes, nulls and values.

    Parameters
    ----------
    frame
        A ``DataFrame``; a ``LazyFrame`` is collected. Columns that Arrow cannot hold are read as ``repr``.

    Examples
    --------
    >>> import polars as pl
    >>> a, b = (polars_digests(pl.DataFrame({"x": values})) for values in ([1, None], [None, 1]))
    >>> a[0] == b[0], a[1] == b[1]
    (False, True)
    """
    import pyarrow as pa

    from pipechaos.batch.digest import digests

    lazy = type(frame).__name__ == "LazyFrame"
    frame = collected(frame)
    arrays = [_arrow(frame[name]) for name in frame.columns]
    notes = [[name, repr(dtype)] for name, dtype in frame.schema.items()]
    prefix = json.dumps(["polars", lazy, frame.height, notes]).encode()
    table = pa.Table.from_arrays(arrays, names=[""] * len(arrays))
    ordered, multiset = (hashlib.blake2b(prefix + d.encode(), digest_size=16).hexdigest() for d in digests(table))
    return ordered, multiset


def _arrow(series: Any) -> Any:
    import pyarrow as pa

    if "Object" not in repr(series.dtype):
        try:
            array = series.to_arrow()
            return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        except (pa.ArrowException, NotImplementedError):  # 128-bit integers, for one
            pass
    return pa.array([None if v is None else f"{type(v).__name__}:{v!r}" for v in series.to_list()], pa.string())


def row_numbers(bad: Any) -> npt.NDArray[np.int64] | None:
    """Positions where a Boolean polars series is true; None where it is nowhere.

    Examples
    --------
    >>> import polars as pl
    >>> row_numbers(pl.Series([True, None, False, True])).tolist()
    [0, 3]
    """
    rows = bad.fill_null(False).arg_true().to_numpy().astype(np.int64)
    return rows if len(rows) else None
