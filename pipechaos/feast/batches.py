"""Batches of a view: the same table whichever offline store gave it, one Parquet file a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.io import read_table, write_table
from pipechaos.errors import CannotRunError
from pipechaos.feast.view import View
from pipechaos.feast.windows import Window

__all__ = ["Exported", "canonical", "export", "moments"]

_NAMED = 5  # windows that a message names
_AT_ONCE = 10  # windows in memory together
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: names of the batches, oldest first, those that had no row, and rows in all."""

    names: tuple[str, ...]
    empty: tuple[str, ...]
    rows: int


def canonical(table: pa.Table, view: View, window: Window) -> pa.Table:
    """Rows of a window in one form.

    Stores differ in the order of columns and rows, in units and zones of time, and in what they take for the end of a
    range. Here: keys, event timestamp and features in declared order; event timestamps in UTC, and every timestamp in
    microseconds; rows sorted by key, event timestamp, created timestamp, then features; nothing at or after the end.

    Parameters
    ----------
    table
        As the offline store gave it; times without a zone are UTC, as Feast takes them.
    view, window
        What was asked for.

    Raises
    ------
    CannotRunError
        A column is not there, or the event timestamp is none.
    """
    wanted = (*view.names, *((view.created,) if view.created and view.created not in view.names else ()))
    if lacking := [n for n in wanted if view.in_source(n) not in table.column_names]:
        raise CannotRunError(f"the offline store gave no column {', '.join(lacking)} of view {view.name!r}")
    columns = {name: _plain(table.column(view.in_source(name))) for name in wanted}
    columns[view.time] = moments(table.column(view.in_source(view.time)), view)
    found = pa.table(columns)
    at = found.column(view.time)
    begin, end = (pa.scalar(t, _TIME) for t in (window.begin, window.end))
    found = found.filter(pc.and_(pc.greater_equal(at, begin), pc.less(at, end)))
    first = [*view.key, *([view.created] if view.created else [])]
    order = [*first, *(n for n in found.column_names if n not in first and _sortable(found.schema.field(n).type))]
    by = pa.table({n: _decoded(found.column(n)) for n in order})
    rows = pc.sort_indices(by, sort_keys=[(n, "ascending") for n in order])
    return found.take(rows).select(list(view.names)).combine_chunks()


def moments(column: pa.ChunkedArray, view: View) -> pa.ChunkedArray:
    """Event timestamps in microseconds of UTC; without a zone they are UTC already.

    Raises
    ------
    CannotRunError
        They are of another type.
    """
    if not pa.types.is_timestamp(column.type):
        raise CannotRunError(
            f"event timestamp {view.time!r} of view {view.name!r} is no timestamp in its source but {column.type}"
        )
    exact = _plain(column)
    return pc.assume_timezone(exact, "UTC") if exact.type.tz is None else exact.cast(_TIME)


def export(
    view: View, windows: Sequence[Window], pull: Callable[[Window], pa.Table], folder: Path, *, skip_empty: bool = False
) -> Exported:
    """Write one Parquet file a window.

    Parameters
    ----------
    view, windows
        What to write.
    pull
        Gives the rows of a stretch of several windows, in any form that :func:`canonical` takes.
    folder
        Where to; made private.
    skip_empty
        Whether windows without a row are left out.

    Raises
    ------
    CannotRunError
        Windows have no row, or a column's types do not go together.
    """
    folder.mkdir(mode=0o700)
    schemas: dict[str, pa.Schema] = {}
    empty, rows = [], 0
    for window, whole in _pulled(windows, pull):
        table = canonical(whole, view, window)
        if not table.num_rows:
            empty.append(window.name)
            continue
        rows += table.num_rows
        schemas[window.name] = table.schema
        write_table(table, folder / f"{window.name}.parquet")
    if empty and not (skip_empty and schemas):
        shown = ", ".join(empty[:_NAMED]) + (", ..." if len(empty) > _NAMED else "")
        raise CannotRunError(
            f"view {view.name!r} has no row in {len(empty)} of {len(windows)} windows ({shown}): ask for days that its "
            "source holds (--days, --start, --end), or leave such windows out with --skip-empty"
        )
    _unify(schemas, folder, view)
    return Exported(names=tuple(schemas), empty=tuple(empty), rows=rows)


def _pulled(windows: Sequence[Window], pull: Callable[[Window], pa.Table]) -> Iterator[tuple[Window, pa.Table]]:
    """Each window with rows that hold it: a pull costs a file store a pass over the whole source, however short."""
    for at in range(0, len(windows), _AT_ONCE):
        part = windows[at : at + _AT_ONCE]
        stretch = Window(name=f"{part[0].name} to {part[-1].name}", begin=part[0].begin, end=part[-1].end)
        table = pull(stretch)
        for window in part:
            yield window, table


def _unify(schemas: dict[str, pa.Schema], folder: Path, view: View) -> None:
    """Give every file the same types: a store tells them from the rows of one window, which may all be null."""
    try:
        common = pa.unify_schemas(list(schemas.values()), promote_options="permissive")
        for name, schema in schemas.items():
            if schema != common:
                file = folder / f"{name}.parquet"
                write_table(read_table(str(file)).cast(common), file, overwrite=True)
    except pa.ArrowException as exc:
        raise CannotRunError(f"view {view.name!r} has a column whose types differ between windows: {exc}") from exc


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column


def _sortable(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_null(kind))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
