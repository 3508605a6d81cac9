"""Read and write batches: Parquet and CSV, local and through fsspec, whole or streaming."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from pipechaos.batch.connections import Connections, filesystem_of
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.formats import read_file, stream_file, write_parts
from pipechaos.batch.location import Location, locate, replacing
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, Format, format_of, origin_of
from pipechaos.batch.sql_read import iter_sql, read_sql
from pipechaos.errors import BatchError

__all__ = ["iter_tables", "read_batch", "read_table", "write_batch", "write_table", "write_tables"]

_MAGIC = b"PAR1"
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
    connections: Connections | None = None,
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
        Connected fsspec or pyarrow file system.
    connections
        By connection id, where the reference names one: URLs of databases, connected file systems.
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
    ref, filesystem = _resolved(source, filesystem, connections)
    table = read_table(ref, columns=columns, filesystem=filesystem, connections=connections)
    if expected_digest is not None:
        found = ordered_digest(table)
        if found != expected_digest:
            raise BatchError(
                f"{ref.uri} has digest {found}, not the expected {expected_digest}: it has changed since it was "
                "referenced. Make a new reference, or restore the old content."
            )
    if ref.sql is not None and not key and set(ref.sql.key) <= set(table.column_names):
        key = ref.sql.key
    return Batch.of(table, name=name or ref.name, key=key, time=time, target=target)


def read_table(
    source: BatchRef | str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    filesystem: Any = None,
    connections: Connections | None = None,
) -> pa.Table:
    """Read the files of a batch, or its rows of a database, into one table; see :func:`read_batch`."""
    ref, filesystem = _resolved(source, filesystem, connections)
    if ref.sql is not None:
        return read_sql(ref, columns=columns, connections=connections)
    tables: list[pa.Table] = []
    for path in ref.paths:
        with _reading(ref, path, filesystem) as location:
            table = read_file(location, ref.format, columns)
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
    connections: Connections | None = None,
) -> Iterator[pa.Table]:
    """Read a batch part by part, in row order.

    Parameters
    ----------
    source, columns, filesystem, connections
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
    ref, filesystem = _resolved(source, filesystem, connections)
    if ref.sql is not None:
        yield from iter_sql(ref, rows=rows, columns=columns, connections=connections)
        return
    schema: pa.Schema | None = None
    any_rows = False
    for path in ref.paths:
        with _reading(ref, path, filesystem) as location:
            for part in stream_file(location, ref.format, columns, rows):
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
    ref = BatchRef.target(target, format=format)
    ref = replace(ref, name=batch.name, connection_id=connection_id or ref.connection_id)
    filesystem = origin_of(target, None, filesystem)[2]
    location = locate(ref.paths[0], connection_id=ref.connection_id, filesystem=filesystem)
    _write([batch.table], location, ref.format, overwrite=overwrite)
    # CSV keeps no types: the reference speaks of what a reader gets
    content = batch.table if ref.format is Format.PARQUET else read_table(ref, filesystem=filesystem)
    return replace(ref, digest=ordered_digest(content), rows=batch.rows)


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
    uri, connection_id, filesystem = origin_of(path, None, filesystem)
    found = Format(format) if format is not None else format_of(uri)
    if found is None or found is Format.SQL:
        raise BatchError(f"cannot tell the format of {uri}: end it in .parquet or .csv, or say format=")
    location = locate(uri, connection_id=connection_id, filesystem=filesystem)
    return _write(tables, location, found, overwrite=overwrite)


def _write(tables: Iterable[pa.Table], location: Location, format: Format, *, overwrite: bool) -> int:
    parts = iter(tables)
    with replacing(location, overwrite=overwrite) as sink:
        first = next(parts, None)
        if first is None:
            raise BatchError(f"nothing to write to {location.path}: not even an empty table")
        try:
            if location.path.lower().endswith(".gz"):
                with pa.CompressedOutputStream(sink, "gzip") as packed:
                    return write_parts(first, parts, packed, format)
            return write_parts(first, parts, sink, format)
        except pa.ArrowException as exc:
            raise BatchError(f"cannot write {location.path} as {format}: {exc}") from exc


def _resolved(
    source: BatchRef | str | os.PathLike[str], filesystem: Any, connections: Connections | None
) -> tuple[BatchRef, Any]:
    """Reference and file system of a source; an ObjectStoragePath brings its own file system."""
    if not isinstance(source, BatchRef):
        filesystem = origin_of(source, None, filesystem, connections)[2]
        return BatchRef.of(source, filesystem=filesystem), filesystem
    if filesystem is None and source.connection_id is not None and source.sql is None:
        filesystem = filesystem_of(connections, source.connection_id, source.uri)
    return source, filesystem


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


def _same_schema(wanted: pa.Schema, found: pa.Schema, ref: BatchRef, path: str) -> None:
    if wanted.equals(found, check_metadata=False):
        return
    old, new = _types(wanted), _types(found)
    lines = [
        f"{n}: {old.get(n, 'absent')} against {new.get(n, 'absent')}"
        for n in {**old, **new}
        if old.get(n) != new.get(n)
    ]
    raise BatchError(
        f"the files of batch {ref.name!r} differ in their columns: {path} against the first file: "
        f"{'; '.join(lines[:8]) or 'the order of columns'}. One batch has one schema: rewrite the files."
    )


def _types(schema: pa.Schema) -> Mapping[str, str]:
    return {f.name: str(f.type) for f in schema}
