"""Runs, trials and rates as Parquet files, for notebooks and tools that read no database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipechaos.batch.location import locate, replacing
from pipechaos.store import tables
from pipechaos.store.tables import Utc

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["export_parquet"]

_FILES: Mapping[str, sa.Table] = {"runs": tables.run, "trials": tables.trial, "rates": tables.rate}
_KINDS: tuple[tuple[type, pa.DataType], ...] = (
    (Utc, pa.timestamp("us", tz="UTC")),
    (sa.Integer, pa.int64()),
    (sa.Boolean, pa.bool_()),
    (sa.Double, pa.float64()),
)


def export_parquet(store: Store, folder: str | Path) -> dict[str, Path]:
    """Write ``runs.parquet``, ``trials.parquet`` and ``rates.parquet``; what is nested is JSON text.

    Parameters
    ----------
    store
        Where from.
    folder
        Made where it is missing; files of those names in it are replaced, each at once.

    Returns
    -------
    dict
        Path of each file, by what it holds.
    """
    home = Path(folder)
    return {name: _write(store, table, home / f"{name}.parquet") for name, table in _FILES.items()}


def _write(store: Store, table: sa.Table, path: Path) -> Path:
    schema = pa.schema([(c.name, _kind(c)) for c in table.c])
    with replacing(locate(path), overwrite=True) as stream, pq.ParquetWriter(stream, schema) as writer:
        for rows in store.table(table):
            columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return path


def _kind(column: sa.Column[object]) -> pa.DataType:
    return next((arrow for kind, arrow in _KINDS if isinstance(column.type, kind)), pa.string())
