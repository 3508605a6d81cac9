"""A table as bytes for another process."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["ipc_bytes"]


def ipc_bytes(table: pa.Table) -> bytes:
    """Arrow IPC stream of a table.

    Examples
    --------
    >>> pa.ipc.open_stream(ipc_bytes(pa.table({"x": [1]}))).read_all().to_pydict()
    {'x': [1]}
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
