"""Ledgers on disk: positions delta-encoded in Parquet, the rest in one JSON file.

Layout of a ledger's directory::

    ledger.json        schema "pipechaos.ledger/1": records, schema changes, counts, and the digests of the other files
    positions.parquet  entry, kind, position: the positions of each entry of ledger.json, in order
    before.<i>.parquet values before of cell entry i, in their own type; only if the ledger has them

``ledger.json`` goes first and comes last, so a directory with one is whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipechaos.batch.location import Location, locate, replacing
from pipechaos.errors import BatchError
from pipechaos.ledger.records import (
    CellEntry,
    InjectionRecord,
    Ledger,
    RowEntry,
    SchemaChange,
    SchemaChangeKind,
    Status,
)

__all__ = ["SCHEMA", "read_ledger", "write_ledger"]

SCHEMA = "pipechaos.ledger/1"
_JSON, _POSITIONS = "ledger.json", "positions.parquet"
_KINDS = pa.dictionary(pa.int8(), pa.string())
_ROWS = -1  # entry number of the row changes
Positions = npt.NDArray[np.int64]


def write_ledger(ledger: Ledger, directory: str | os.PathLike[str], *, filesystem: Any = None) -> dict[str, str]:
    """Write a ledger; one that is there already is replaced.

    Parameters
    ----------
    ledger
        What to write.
    directory
        Path or URL; made when missing.
    filesystem
        Connected fsspec or pyarrow file system.

    Returns
    -------
    dict
        Paths of what was written: ``ledger``, ``positions``, and ``before.<column>`` for each column with values
        before.

    Raises
    ------
    BatchError
        Values before have a type that Parquet cannot hold.
    """
    root = locate(directory, filesystem=filesystem)
    if root.exists:
        for name in _files(root):
            root.filesystem.delete_file(root.child(name).path)
    digests = {_POSITIONS: _write_parquet(_positions(ledger), root.child(_POSITIONS), ["position"])}
    paths = {"ledger": root.child(_JSON).path, "positions": root.child(_POSITIONS).path}
    for i, entry in enumerate(ledger.cells):
        if entry.before is not None:
            name = f"before.{i}.parquet"
            digests[name] = _write_before(entry, root.child(name))
            paths[f"before.{entry.column}"] = root.child(name).path
    text = json.dumps(_to_json(ledger, digests), indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(root.child(_JSON), overwrite=True) as sink:
        sink.write(text.encode())
    return paths


def read_ledger(directory: str | os.PathLike[str], *, filesystem: Any = None) -> Ledger:
    """Read back what :func:`write_ledger` wrote, exactly.

    Raises
    ------
    BatchError
        There is no ledger, it is of another version, or a file of it is missing or has changed.
    """
    root = locate(directory, filesystem=filesystem)
    if not root.child(_JSON).exists:
        raise BatchError(f"{root.path} holds no {_JSON}: no ledger was written there, or its writer died")
    try:
        data = json.loads(_bytes(root.child(_JSON)))
        found = data.get("schema") if isinstance(data, dict) else None
        if found != SCHEMA:
            raise BatchError(f"{root.child(_JSON).path} has schema {found!r}; this version reads {SCHEMA!r}")
        return _from_json(data, root)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as exc:
        raise BatchError(f"{root.child(_JSON).path} is damaged ({type(exc).__name__}: {exc}): inject again") from exc


def _files(root: Location) -> list[str]:
    """Files of a ledger, the one that says it is whole first."""
    names = [
        n for n in root.entries() if n in (_JSON, _POSITIONS) or (n.startswith("before.") and n.endswith(".parquet"))
    ]
    return sorted(names, key=lambda n: (n != _JSON, n))


def _bytes(location: Location) -> bytes:
    with location.filesystem.open_input_stream(location.path, compression=None) as stream:
        return bytes(stream.read())


def _write_parquet(table: pa.Table, location: Location, delta: list[str] | None = None) -> str:
    """Write a file of the ledger; its digest."""
    sink = pa.BufferOutputStream()
    options: dict[str, Any] = {"use_dictionary": True}
    if delta:
        options = {"use_dictionary": ["kind"], "column_encoding": dict.fromkeys(delta, "DELTA_BINARY_PACKED")}
        options["column_encoding"]["entry"] = "DELTA_BINARY_PACKED"
    pq.write_table(table, sink, compression="zstd", write_statistics=False, **options)
    content = sink.getvalue()
    with replacing(location, overwrite=True) as stream:
        stream.write(content)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _write_before(entry: CellEntry, location: Location) -> str:
    try:
        return _write_parquet(pa.table({"before": entry.before}), location)
    except pa.ArrowNotImplementedError as exc:
        raise BatchError(
            f"values before of column {entry.column!r} cannot be kept in Parquet ({exc}): inject without before_values"
        ) from exc


def _read_parquet(root: Location, name: str, digests: Mapping[str, str]) -> pa.Table:
    if not root.child(name).exists:
        raise BatchError(f"{root.child(name).path} is missing: the ledger is not whole, inject again")
    content = _bytes(root.child(name))
    if hashlib.blake2b(content, digest_size=16).hexdigest() != digests[name]:
        raise BatchError(f"{root.child(name).path} has changed since the ledger was written: inject again")
    return pq.read_table(pa.BufferReader(content))


def _positions(ledger: Ledger) -> pa.Table:
    """All positions, one after the other; what is equal to what is there already is left out."""
    entries, kinds, positions = [], [], []
    for entry, kind, values in _runs(ledger):
        entries.append(np.full(len(values), entry, np.int32))
        kinds += [pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(values), np.int8)), pa.array([kind]))]
        positions.append(values.astype(np.int64, copy=False))
    return pa.table(
        {
            "entry": pa.array(np.concatenate([np.zeros(0, np.int32), *entries])),
            "kind": pa.chunked_array(kinds, _KINDS).unify_dictionaries(),
            "position": pa.array(np.concatenate([np.zeros(0, np.int64), *positions])),
        }
    )


def _runs(ledger: Ledger) -> Iterator[tuple[int, str, Positions]]:
    for i, c in enumerate(ledger.cells):
        yield i, "asked", c.asked
        if not np.array_equal(c.origin, c.asked):
            yield i, "changed", c.origin
        if not np.array_equal(c.position, c.origin):
            yield i, "position", c.position
    yield _ROWS, "removed", ledger.rows.removed
    yield _ROWS, "added", ledger.rows.added
    yield _ROWS, "copied_from", ledger.rows.copied_from


def _to_json(ledger: Ledger, digests: Mapping[str, str]) -> dict[str, Any]:
    cells = [
        {
            "column": c.column,
            "injections": list(c.injections),
            "asked": len(c.asked),
            "changed": len(c.origin),
            "changed_is_asked": bool(np.array_equal(c.origin, c.asked)),
            "position_is_changed": bool(np.array_equal(c.position, c.origin)),
            "before": f"before.{i}.parquet" if c.before is not None else None,
        }
        for i, c in enumerate(ledger.cells)
    ]
    return {
        "schema": SCHEMA,
        "batch": ledger.batch,
        "status": str(ledger.status),
        "rows_before": ledger.rows_before,
        "rows_after": ledger.rows_after,
        "injections": [{**asdict(i), "columns": list(i.columns), "status": str(i.status)} for i in ledger.injections],
        "cells": cells,
        "rows": {
            "removed": len(ledger.rows.removed),
            "added": len(ledger.rows.added),
            "reordered": bool(ledger.rows.reordered),
        },
        "columns": [{**asdict(s), "kind": str(s.kind)} for s in ledger.schema],
        "warnings": list(ledger.warnings),
        "shared_keys": ledger.shared_keys,
        "files": dict(digests),
    }


def _from_json(data: Mapping[str, Any], root: Location) -> Ledger:
    table = _read_parquet(root, _POSITIONS, data["files"])
    runs = _split(table)
    cells = tuple(_cell_entry(i, c, runs, root, data["files"]) for i, c in enumerate(data["cells"]))
    none = np.zeros(0, np.int64)
    rows = RowEntry(
        removed=runs.get((_ROWS, "removed"), none),
        added=runs.get((_ROWS, "added"), none),
        copied_from=runs.get((_ROWS, "copied_from"), none),
        reordered=data["rows"]["reordered"],
    )
    injections = tuple(
        InjectionRecord(**{**i, "columns": tuple(i["columns"]), "status": Status(i["status"])})
        for i in data["injections"]
    )
    return Ledger(
        batch=data["batch"],
        injections=injections,
        cells=cells,
        rows=rows,
        schema=tuple(SchemaChange(**{**s, "kind": SchemaChangeKind(s["kind"])}) for s in data["columns"]),
        rows_before=data["rows_before"],
        rows_after=data["rows_after"],
        warnings=tuple(data["warnings"]),
        shared_keys=data.get("shared_keys", 0),  # a ledger of an earlier release has none
    )


def _split(table: pa.Table) -> dict[tuple[int, str], Positions]:
    entries = np.asarray(table.column("entry"))
    kinds = table.column("kind").cast(pa.string()).combine_chunks().dictionary_encode()
    codes, names = np.asarray(kinds.indices), kinds.dictionary.to_pylist()
    positions = np.asarray(table.column("position"))
    starts = np.flatnonzero((np.diff(entries, prepend=-2) != 0) | (np.diff(codes, prepend=-2) != 0))
    ends = np.append(starts[1:], len(entries)) if len(starts) else starts
    return {(int(entries[a]), names[codes[a]]): positions[a:b] for a, b in zip(starts, ends, strict=True)}


def _cell_entry(
    i: int, data: Mapping[str, Any], runs: Mapping[tuple[int, str], Positions], root: Location, files: Mapping[str, str]
) -> CellEntry:
    none = np.zeros(0, np.int64)
    asked = runs.get((i, "asked"), none)
    origin = asked if data["changed_is_asked"] else runs.get((i, "changed"), none)
    position = origin if data["position_is_changed"] else runs.get((i, "position"), none)
    if len(asked) != data["asked"] or len(origin) != data["changed"] or len(position) != len(origin):
        raise ValueError(f"positions of column {data['column']!r} do not fit their counts")
    before = None
    if data["before"] is not None:
        table = _read_parquet(root, data["before"], files)
        before = table.column(0).combine_chunks().cast(_written_type(root.child(data["before"])))
    return CellEntry(
        column=data["column"],
        asked=asked,
        origin=origin,
        position=position,
        injections=tuple(data["injections"]),
        before=before,
    )


def _written_type(location: Location) -> pa.DataType:
    """Arrow type of the values that were written: Parquet itself has no seconds, for one."""
    with location.filesystem.open_input_file(location.path) as file:
        metadata = pq.ParquetFile(file).metadata.metadata
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(metadata[b"ARROW:schema"])))
    return schema.field(0).type
