"""What differs between two batches: cells, columns and rows, aligned by carried origin or by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipechaos.batch.compare import same_values
from pipechaos.batch.digest import type_name
from pipechaos.batch.identity import choice_ids
from pipechaos.batch.model import Batch
from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["Alignment", "ColumnDiff", "Diff", "Renamed", "Retyped", "diff"]

Positions = npt.NDArray[np.int64]


class Alignment(StrEnum):
    """How the rows of two batches are matched."""

    ORIGIN = "origin"
    KEY = "key"


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnDiff:
    """Changed cells of one column.

    Attributes
    ----------
    column
        Name before.
    before
        Positions in the batch before, int64, rising.
    after
        Positions of the same rows in the batch after, int64.
    origin
        Their origins, int64: what a ledger speaks of.
    """

    column: str
    before: Positions
    after: Positions
    origin: Positions


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """A column that stands there under another name, with equal type and content."""

    column: str
    to: str


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column whose values have another Arrow type; its cells are not compared."""

    column: str
    from_type: str
    to_type: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Diff:
    """Everything that differs between two batches.

    Attributes
    ----------
    cells
        One entry for each column with changed cells, in the order of the columns before.
    dropped, added
        Names of columns that went and came, the renamed ones left out.
    renamed, retyped
        See the records.
    moved
        Whether the columns of both batches stand in another order.
    removed
        Positions before of rows that went, int64, rising.
    inserted
        Positions after of rows that came, int64, rising.
    reordered
        Whether the rows of both batches stand in another order.
    """

    cells: tuple[ColumnDiff, ...]
    dropped: tuple[str, ...]
    added: tuple[str, ...]
    renamed: tuple[Renamed, ...]
    retyped: tuple[Retyped, ...]
    moved: bool
    removed: Positions
    inserted: Positions
    reordered: bool

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        columns = self.cells or self.dropped or self.added or self.renamed or self.retyped or self.moved
        return not (columns or len(self.removed) or len(self.inserted) or self.reordered)

    @property
    def changed_cells(self) -> int:
        """Number of changed cells."""
        return sum(len(c.before) for c in self.cells)

    @property
    def by_column(self) -> Mapping[str, ColumnDiff]:
        """Changed cells by column."""
        return {c.column: c for c in self.cells}


def diff(before: Batch, after: Batch, by: Alignment | str = Alignment.ORIGIN) -> Diff:
    """Compare two batches.

    Null equals null only, NaN equals NaN and -0.0 equals 0.0; chunks, dictionaries and offset widths do not matter.

    Parameters
    ----------
    before, after
        The batches.
    by
        ``"origin"``: by carried origin, for a batch and a copy made of it. ``"key"``: by the values of the declared
        key, for two foreign files; rows with equal keys are matched in order of occurrence.

    Raises
    ------
    BatchError
        By key, and there is none, or a key column is missing or has no exact identity.

    Examples
    --------
    >>> a = Batch.of(pa.table({"id": [1, 2], "x": [0.5, None]}), name="monday", key=["id"])
    >>> b = a.with_table(a.table.set_column(1, "x", pa.array([0.5, 0.7])))
    >>> diff(a, b).by_column["x"].before.tolist()
    [1]
    """
    try:
        wanted = Alignment(by)
    except ValueError:
        raise UnknownNameError("alignment", str(by), [a.value for a in Alignment]) from None
    left, right = _aligned(before, after, wanted)
    shared, renamed, retyped = _columns(before.table, after.table, left, right)
    gone, new = {r.column for r in renamed}, {r.to for r in renamed}
    stayed = [n for n in before.columns if n in after.table.column_names]
    return Diff(
        cells=tuple(_cells(before, after, shared, left, right)),
        dropped=tuple(n for n in before.columns if n not in stayed and n not in gone),
        added=tuple(n for n in after.columns if n not in stayed and n not in new),
        renamed=renamed,
        retyped=retyped,
        moved=stayed != [n for n in after.columns if n in stayed],
        removed=_others(left, before.rows),
        inserted=_others(right, after.rows),
        reordered=bool((np.diff(right) < 0).any()),
    )


def _aligned(before: Batch, after: Batch, by: Alignment) -> tuple[Positions, Positions]:
    """Positions of the matched rows in both batches, rising in the first."""
    if by is Alignment.ORIGIN:
        mine, theirs = before.identity.origin, after.identity.origin
        left, right = np.flatnonzero(mine >= 0), np.flatnonzero(theirs >= 0)
        at, to = _matched(mine[left], theirs[right])
        return left[at], right[to]
    return _matched(_keys(before, before.key), _keys(after, before.key))


def _keys(batch: Batch, key: Sequence[str]) -> npt.NDArray[np.uint64]:
    if not key:
        raise BatchError(f"batch {batch.name!r} has no key to compare by: declare one, or compare by origin")
    missing = [k for k in key if k not in batch.table.column_names]
    if missing:
        raise BatchError(f"a batch {batch.name!r} lacks the key column {', '.join(missing)}: compare by origin")
    return choice_ids([batch.table.column(k) for k in key], key)


def _matched(
    mine: npt.NDArray[np.int64] | npt.NDArray[np.uint64], theirs: npt.NDArray[np.int64] | npt.NDArray[np.uint64]
) -> tuple[Positions, Positions]:
    """Positions of equal values, the first with the first, the second with the second, and so on."""
    _, codes = np.unique(np.concatenate([mine, theirs]), return_inverse=True)
    left, right = _numbered(codes[: len(mine)]), _numbered(codes[len(mine) :])
    width = int(max(left[1].max(initial=0), right[1].max(initial=0))) + 1
    _, at, to = np.intersect1d(
        left[0] * width + left[1], right[0] * width + right[1], assume_unique=True, return_indices=True
    )
    rising = np.argsort(at)
    return at[rising].astype(np.int64), to[rising].astype(np.int64)


def _numbered(codes: npt.NDArray[np.int64]) -> tuple[Positions, Positions]:
    """Each code, and how often it occurred before."""
    order = np.argsort(codes, kind="stable")
    ranked = codes[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(ranked)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(ranked)), 0))
    seen = np.empty(len(codes), np.int64)
    seen[order] = np.arange(len(ranked)) - starts
    return codes.astype(np.int64), seen


def _columns(
    before: pa.Table, after: pa.Table, left: Positions, right: Positions
) -> tuple[list[str], tuple[Renamed, ...], tuple[Retyped, ...]]:
    """Columns whose cells can be compared, and those that were renamed or retyped."""
    shared, retyped = [], []
    for name in before.column_names:
        if name not in after.column_names:
            continue
        old, new = type_name(before.schema.field(name).type), type_name(after.schema.field(name).type)
        if old == new:
            shared.append(name)
        else:
            retyped.append(Retyped(column=name, from_type=old, to_type=new))
    return shared, tuple(_renamed(before, after, left, right)), tuple(retyped)


def _renamed(before: pa.Table, after: pa.Table, left: Positions, right: Positions) -> Iterator[Renamed]:
    dropped = [n for n in before.column_names if n not in after.column_names]
    free = [n for n in after.column_names if n not in before.column_names]
    if not len(left):
        return  # without rows any two columns of a type are alike
    for name in dropped:
        place = before.column_names.index(name)
        # of several columns with equal content, the one in the same place
        for to in sorted(free, key=lambda n: abs(after.column_names.index(n) - place)):
            if type_name(before.schema.field(name).type) != type_name(after.schema.field(to).type):
                continue
            if _same(before.column(name), after.column(to), left, right).all():
                free.remove(to)
                yield Renamed(column=name, to=to)
                break


def _cells(
    before: Batch, after: Batch, names: Sequence[str], left: Positions, right: Positions
) -> Iterator[ColumnDiff]:
    for name in names:
        changed = ~_same(before.table.column(name), after.table.column(name), left, right)
        if changed.any():
            at = left[changed]
            yield ColumnDiff(column=name, before=at, after=right[changed], origin=before.identity.origin[at])


def _same(a: pa.ChunkedArray, b: pa.ChunkedArray, left: Positions, right: Positions) -> npt.NDArray[np.bool_]:
    return same_values(_taken(a, left), _taken(b, right))


def _taken(column: pa.ChunkedArray, positions: Positions) -> pa.ChunkedArray:
    whole = len(positions) == len(column) and bool((positions == np.arange(len(column))).all())
    return column if whole else column.take(pa.array(positions))


def _others(positions: Positions, count: int) -> Positions:
    left_out = np.ones(count, np.bool_)
    left_out[positions] = False
    return np.flatnonzero(left_out)
