"""Parquet and CSV: how one file of a batch is read, streamed and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pipechaos.batch.location import Location
from pipechaos.batch.ref import Format
from pipechaos.batch.values import plain
from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["read_file", "stream_file", "write_parts"]

_SAMPLE = 65_536


def read_file(location: Location, format: Format, columns: Sequence[str] | None) -> pa.Table:
    """Read one file whole; columns in the order asked for."""
    return _parquet(location, columns) if format is Format.PARQUET else _csv(location, columns)


def stream_file(location: Location, format: Format, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    """Read one file in parts of at most ``rows`` rows; the first part is empty and shows the schema."""
    parts = _parquet_parts if format is Format.PARQUET else _csv_parts
    return parts(location, columns, rows)


def _parquet(location: Location, columns: Sequence[str] | None) -> pa.Table:
    with _open_parquet(location) as file:
        return _chosen(file.read(columns=_known(file, columns)), columns)


def _open_parquet(location: Location) -> pq.ParquetFile:
    return pq.ParquetFile(location.filesystem.open_input_file(location.path))


def _known(file: pq.ParquetFile, columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    _refuse_unknown(columns, file.schema_arrow.names)
    return list(columns)


def _refuse_unknown(columns: Sequence[str], names: Sequence[str]) -> None:
    for column in columns:
        if column not in names:
            raise UnknownNameError("column", column, names)


def _chosen(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return table if columns is None else table.select(list(columns))


def _parquet_parts(location: Location, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    with _open_parquet(location) as file:
        names = _known(file, columns)
        empty = file.schema_arrow.empty_table()
        yield _chosen(empty, columns)
        for batch in file.iter_batches(batch_size=rows, columns=names):
            yield _chosen(pa.Table.from_batches([batch]), columns)


def _csv(location: Location, columns: Sequence[str] | None) -> pa.Table:
    with location.filesystem.open_input_stream(location.path) as stream:
        table = pacsv.read_csv(stream, convert_options=_csv_options())
    _refuse_unknown(columns or (), table.column_names)
    return _chosen(table, columns)


def _csv_parts(location: Location, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    with location.filesystem.open_input_stream(location.path) as stream:
        reader = pacsv.open_csv(stream, convert_options=_csv_options())
        _refuse_unknown(columns or (), reader.schema.names)
        yield _chosen(reader.schema.empty_table(), columns)
        for batch in reader:
            table = _chosen(pa.Table.from_batches([batch]), columns)
            yield from (table.slice(at, rows) for at in range(0, table.num_rows, rows))


def _csv_options() -> pacsv.ConvertOptions:
    # an empty cell is null, a quoted one is text: so what write_tables wrote comes back
    return pacsv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)


def write_parts(first: pa.Table, parts: Iterator[pa.Table], sink: Any, format: Format) -> int:
    """Write tables of one schema to a stream; the number of rows."""
    fit = _for_csv if format is Format.CSV else _for_parquet
    first = fit(first)
    options: dict[str, Any] = {} if format is Format.CSV else {"use_dictionary": _repetitive(first)}
    opener = pacsv.CSVWriter if format is Format.CSV else pq.ParquetWriter
    rows = first.num_rows
    with opener(sink, first.schema, **options) as writer:
        writer.write_table(first)
        for part in parts:
            fitted = fit(part)
            if not fitted.schema.equals(first.schema, check_metadata=False):
                raise BatchError("the parts of a table have different columns: one file has one schema")
            writer.write_table(fitted.replace_schema_metadata(first.schema.metadata))
            rows += part.num_rows
    return int(rows)


def _repetitive(table: pa.Table) -> list[str] | bool:
    """Columns whose values repeat: dictionary encoding others costs time and saves nothing."""
    flat = {n: table.column(n) for n in table.column_names if not pa.types.is_nested(table.schema.field(n).type)}
    found = [n for n, c in flat.items() if pa.types.is_dictionary(c.type) or _repeats(c.slice(0, _SAMPLE))]
    return found or False


def _repeats(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return False
    try:
        return bool(pc.count_distinct(column).as_py() <= len(column) // 8)
    except pa.ArrowNotImplementedError:
        return False


def _for_parquet(table: pa.Table) -> pa.Table:
    """Re-encode dictionaries that hold a null among their values, which Parquet writers refuse."""
    for i, field in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_dictionary(field.type) and any(c.dictionary.null_count for c in column.chunks):
            table = table.set_column(i, field, plain(column).dictionary_encode().cast(field.type))
    return table


def _for_csv(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            raise BatchError(f"column {field.name!r} has type {field.type}, which CSV cannot hold: write Parquet")
        if pa.types.is_dictionary(field.type):
            column = plain(table.column(i))
            table = table.set_column(i, pa.field(field.name, column.type), column)
    return table
