"""Batch: one immutable table of features with a name, a key, a time column, roles and carried identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipechaos.batch.frame import refresh_metadata, to_pandas
from pipechaos.batch.identity import Identity, identify
from pipechaos.errors import BatchError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Batch", "Role"]


class Role(StrEnum):
    """What a column is for."""

    KEY = "key"
    TIME = "time"
    FEATURE = "feature"
    TARGET = "target"


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One immutable batch of features.

    Attributes
    ----------
    table
        Arrow table; untouched columns are shared between a batch and its corrupted copies.
    name
        Its logical partition, for instance ``"2013-06-03"``: part of every draw, so never a path or a run.
    key
        Columns that identify a row, in declared order; empty for row numbers.
    time
        The event time column, or None.
    target
        Columns that are predicted.
    identity
        Origin and choice id of each row, carried beside the table.

    Examples
    --------
    >>> b = Batch.of(pa.table({"id": [1, 2], "x": [0.5, None]}), name="monday", key=["id"])
    >>> b.roles["x"].value, b.rows
    ('feature', 2)
    """

    table: pa.Table
    name: str
    key: tuple[str, ...]
    time: str | None
    target: tuple[str, ...]
    identity: Identity

    @classmethod
    def of(
        cls,
        table: pa.Table,
        *,
        name: str,
        key: Sequence[str] = (),
        time: str | None = None,
        target: Sequence[str] = (),
        first_row: int = 0,
    ) -> Batch:
        """Make a source batch and compute its identity.

        Raises
        ------
        UnknownNameError
            A declared column is not in the table.
        BatchError
            Column names repeat, or the key has no exact identity.
        """
        names = table.column_names
        if len(set(names)) < len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise BatchError(f"batch {name!r} has columns of the same name: {', '.join(twice)}. Rename one upstream.")
        for column in (*key, *([time] if time else []), *target):
            if column not in names:
                raise UnknownNameError("column", column, names, f"batch {name!r}")
        identity = identify(table, tuple(key), first_row=first_row)
        return cls(table=table, name=name, key=tuple(key), time=time, target=tuple(target), identity=identity)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self.table.column_names)

    @property
    def roles(self) -> Mapping[str, Role]:
        """Role of each column."""
        out = dict.fromkeys(self.columns, Role.FEATURE)
        out.update({c: Role.TARGET for c in self.target if c in out})
        if self.time in out:
            out[self.time] = Role.TIME
        out.update({c: Role.KEY for c in self.key if c in out})
        return out

    def column(self, name: str) -> pa.ChunkedArray:
        """One column.

        Raises
        ------
        UnknownNameError
            There is no such column; the message suggests a near one.
        """
        if name not in self.table.column_names:
            raise UnknownNameError("column", name, self.columns, f"batch {self.name!r}")
        return self.table.column(name)

    def with_table(self, table: pa.Table, identity: Identity | None = None) -> Batch:
        """Copy with another table, its pandas metadata brought into line so that no trace of the old one is left."""
        identity = self.identity if identity is None else identity
        if table.num_rows != len(identity.origin) and table.num_columns:
            raise BatchError(f"{table.num_rows} rows with an identity of {len(identity.origin)}")
        return replace(self, table=refresh_metadata(self.table, table), identity=identity)

    def take(self, positions: npt.NDArray[np.int64], made: npt.NDArray[np.bool_] | None = None) -> Batch:
        """Rows at these positions, in this order; rows marked as made lose their origin."""
        return self.with_table(self.table.take(pa.array(positions)), self.identity.take(positions, made))

    def to_pandas(self) -> pd.DataFrame:
        """Frame that ``pandas.read_parquet`` would have given for a file of this batch."""
        return to_pandas(self.table)
