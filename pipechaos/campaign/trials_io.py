"""Trials as a Parquet file, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipechaos.batch.io import write_table
from pipechaos.errors import BatchError
from pipechaos.score.records import Trial

__all__ = ["read_trials", "write_trials"]

_INTEGERS = (
    "block",
    "fault_version",
    "severity",
    "seed",
    "repeat",
    "rungs",
    "eligible",
    "changed",
    "checks_declared",
    "checks_ran",
)
_FLOATS = ("fraction", "dose", "seconds")
_BOOLEANS = ("error_only", "subnatural", "flaky")


def _schema(names: Sequence[str]) -> pa.Schema:
    kinds = {
        **dict.fromkeys(_INTEGERS, pa.int64()),
        **dict.fromkeys(_FLOATS, pa.float64()),
        **dict.fromkeys(_BOOLEANS, pa.bool_()),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in names])


def write_trials(trials: Sequence[Trial], path: str | Path) -> None:
    """Write trials through a temporary name."""
    rows = [t.to_row() for t in trials]
    if not rows:
        raise BatchError("there are no trials to write")
    write_table(pa.Table.from_pylist(rows, schema=_schema(list(rows[0]))), path, overwrite=True)


def read_trials(path: str | Path) -> tuple[Trial, ...]:
    """Read what :func:`write_trials` wrote.

    Raises
    ------
    BatchError
        The file is missing or holds no trials.
    """
    file = Path(path)
    try:
        rows = pq.ParquetFile(file).read().to_pylist()
        return tuple(Trial.from_row(row) for row in rows)
    except FileNotFoundError:
        raise BatchError(f"there is no file {file}: a run writes trials.parquet beside its scorecard") from None
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as exc:
        raise BatchError(f"{file} holds no trials of ours: {exc}") from None
