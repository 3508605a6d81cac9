"""Read and write batches: Parquet and CSV, local and through fsspec, whole or streaming."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.location import Location, locate, replacing
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, Format
from pipechaos.batch.values import plain
from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["iter_tables", "read_batch", "read_table", "write_batch", "write_table", "write_tables"]

_MAGIC = b"PAR1"
_SAMPLE = 65_536
_READ_ERRORS = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)


def read_batch(
    source: BatchRef | str | os.PathLike[str],
    *,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    name: str | None = None,
    columns: Sequence[str] | None = None,
    filesystem: Any = None,
    expected_digest: str | None = None,
) -> Batch:
    """Read a batch whole.

    Parameters
    ----------
    source
        Reference, or anything that :meth:`BatchRef.of` takes.
    key, time, target
        Declared roles.
    name
        Logical partition; the reference's when not given.
    columns
        Columns to read, in this order; all when not given.
    filesystem
        Connected fsspec or pyarrow file system; needed where the reference names a connection.
    expected_digest
        Ordered digest that the content must have.

    Raises
    ------
    BatchError
        A file is missing, empty, damaged or of another format; the files of the batch differ in their columns; the
        content is not the expected one; or nobody resolved the connection.
    UnknownNameError
        A column is not in the files.
    """
    ref = _ref(source, filesystem)
    table = read_table(ref, columns=columns, filesystem=filesystem)
    if expected_digest is not None:
        found = ordered_digest(table)
        if found != expected_digest:
            raise BatchError(
                f"{ref.uri} has digest {found}, not the expected {expected_digest}: it has changed since it was "
                "referenced. Make a new reference, or restore the old content."
            )
    return Batch.of(table, name=name or ref.name, key=key, time=time, target=target)


def read_table(
    source: BatchRef | str | os.PathLike[str], *, columns: Sequence[str] | None = None, filesystem: Any = None
) -> pa.Table:
    """Read the files of a batch into one table; see :func:`read_batch`."""
    ref = _ref(source, filesystem)
    tables: list[pa.Table] = []
    for path in ref.paths:
        with _reading(ref, path, filesystem) as location:
            table = _parquet(location, columns) if ref.format is Format.PARQUET else _csv(location, columns)
        if tables:
            _same_schema(tables[0].schema, table.schema, ref, path)
        tables.append(table)
    if len(tables) == 1:
        return tables[0]
    metadata = tables[0].schema.metadata
    return pa.concat_tables([t.replace_schema_metadata(metadata) for t in tables])


def iter_tables(
    source: BatchRef | str | os.PathLike[str],
    *,
    rows: int = 65_536,
    columns: Sequence[str] | None = None,
    filesystem: Any = None,
) -> Iterator[pa.Table]:
    """Read a batch part by part, in row order.

    Parameters
    ----------
    source, columns, filesystem
        As for :func:`read_batch`.
    rows
        Most rows of a part.

    Yields
    ------
    pyarrow.Table
        Parts of at most ``rows`` rows, all of one schema; a batch without rows gives one part without rows.
    """
    if rows < 1:
        raise BatchError(f"parts of {rows} rows: give at least 1")
    ref = _ref(source, filesystem)
    schema: pa.Schema | None = None
    any_rows = False
    for path in ref.paths:
        with _reading(ref, path, filesystem) as location:
            parts = _parquet_parts if ref.format is Format.PARQUET else _csv_parts
            for part in parts(location, columns, rows):
                if schema is None:
                    schema = part.schema
                _same_schema(schema, part.schema, ref, path)
                if part.num_rows:
                    any_rows = True
                    yield part.replace_schema_metadata(schema.metadata)
    if not any_rows and schema is not None:
        yield schema.empty_table()


def write_batch(
    batch: Batch,
    target: str | os.PathLike[str],
    *,
    format: Format | str | None = None,
    overwrite: bool = False,
    filesystem: Any = None,
    connection_id: str | None = None,
) -> BatchRef:
    """Write a batch to one file, whole or not at all.

    Parameters
    ----------
    batch
        What to write.
    target
        A file with a known suffix, or a directory, which then gets one file, ``part-0``.
    format
        Told by the suffix when not given; Parquet in a directory.
    overwrite
        Whether an existing file may be replaced.
    filesystem, connection_id
        Where credentials are needed: the connected file system, and the connection's name for the reference.

    Returns
    -------
    BatchRef
        Complete with digest and row count.

    Raises
    ------
    BatchError
        The file exists, or the format cannot hold a column.
    """
    uri = BatchRef.target(target, format=format)
    write_table(batch.table, uri.paths[0], format=uri.format, overwrite=overwrite, filesystem=filesystem)
    return replace(
        uri,
        name=batch.name,
        digest=ordered_digest(batch.table),
        rows=batch.rows,
        connection_id=connection_id or uri.connection_id,
    )


def write_table(
    table: pa.Table,
    path: str | os.PathLike[str],
    *,
    format: Format | str | None = None,
    overwrite: bool = False,
    filesystem: Any = None,
) -> None:
    """Write a table to one file, whole or not at all; see :func:`write_tables`."""
    write_tables([table], path, format=format, overwrite=overwrite, filesystem=filesystem)


def write_tables(
    tables: Iterable[pa.Table],
    path: str | os.PathLike[str],
    *,
    format: Format | str | None = None,
    overwrite: bool = False,
    filesystem: Any = None,
) -> int:
    """Write parts of one table to one file, whole or not at all.

    Bytes go to a hidden file in the same directory, which is then renamed. If anything fails, the iterable included,
    nothing is left and an older file is as it was.

    Parameters
    ----------
    tables
        At least one part; all of one schema.
    path
        The file.
    format
        Told by the suffix when not given.
    overwrite
        Whether an existing file may be replaced.
    filesystem
        Connected fsspec or pyarrow file system.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    BatchError
        The file exists, there is no part, or the format cannot hold a column.
    """
    ref = BatchRef.target(path, format=format)
    location = locate(ref.uri, filesystem=filesystem)
    parts = iter(tables)
    with replacing(location, overwrite=overwrite) as sink:
        first = next(parts, None)
        if first is None:
            raise BatchError(f"nothing to write to {ref.uri}: not even an empty table")
        try:
            return _write_parts(first, parts, sink, ref.format)
        except pa.ArrowException as exc:
            raise BatchError(f"cannot write {ref.uri} as {ref.format}: {exc}") from exc


def _write_parts(first: pa.Table, parts: Iterator[pa.Table], sink: Any, format: Format) -> int:
    first = _for_csv(first) if format is Format.CSV else first
    options: dict[str, Any] = {} if format is Format.CSV else {"use_dictionary": _repetitive(first)}
    opener = pacsv.CSVWriter if format is Format.CSV else pq.ParquetWriter
    rows = first.num_rows
    with opener(sink, first.schema, **options) as writer:
        writer.write_table(first)
        for part in parts:
            whole = _for_csv(part) if format is Format.CSV else part
            writer.write_table(whole.replace_schema_metadata(first.schema.metadata))
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


def _for_csv(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            raise BatchError(f"column {field.name!r} has type {field.type}, which CSV cannot hold: write Parquet")
        if pa.types.is_dictionary(field.type):
            column = plain(table.column(i))
            table = table.set_column(i, pa.field(field.name, column.type), column)
    return table


def _ref(source: BatchRef | str | os.PathLike[str], filesystem: Any) -> BatchRef:
    return source if isinstance(source, BatchRef) else BatchRef.of(source, filesystem=filesystem)


@contextmanager
def _reading(ref: BatchRef, path: str, filesystem: Any) -> Iterator[Location]:
    """Location of a file that is there and looks right; what goes wrong while reading it says which file and why."""
    location = locate(path, connection_id=ref.connection_id, filesystem=filesystem)
    if not location.exists:
        raise BatchError(f"{path} does not exist: batch {ref.name!r} was referenced with it")
    if location.is_dir:
        raise BatchError(f"{path} is a directory: make the reference with BatchRef.of, which lists its files")
    if location.size == 0:
        raise BatchError(f"{path} is empty (0 bytes): its writer probably died. Write it again.")
    _check_format(location, ref, path)
    try:
        yield location
    except _READ_ERRORS as exc:
        raise BatchError(f"{path} is damaged or no {ref.format} file: {exc}") from exc


def _check_format(location: Location, ref: BatchRef, path: str) -> None:
    with location.filesystem.open_input_stream(location.path, compression=None) as stream:
        start = stream.read(len(_MAGIC))
    if (start == _MAGIC) != (ref.format is Format.PARQUET):
        what = "is no Parquet file" if ref.format is Format.PARQUET else "is a Parquet file, not CSV"
        raise BatchError(f"{path} {what} (its first bytes are {start!r}): say format= when making the reference")


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


def _same_schema(wanted: pa.Schema, found: pa.Schema, ref: BatchRef, path: str) -> None:
    if wanted.equals(found, check_metadata=False):
        return
    old, new = _types(wanted), _types(found)
    lines = [f"{n}: {old.get(n, 'absent')} against {new.get(n, 'absent')}" for n in {**old, **new} if old.get(n) != new.get(n)]
    raise BatchError(
        f"the files of batch {ref.name!r} differ in their columns: {path} against the first file: "
        f"{'; '.join(lines[:8]) or 'the order of columns'}. One batch has one schema: rewrite the files."
    )


def _types(schema: pa.Schema) -> Mapping[str, str]:
    return {f.name: str(f.type) for f in schema}
