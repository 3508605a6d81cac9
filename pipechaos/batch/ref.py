"""BatchRef: where a batch lives. The only thing that travels between tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pipechaos.batch.connection_url import refuse_passwords
from pipechaos.batch.connections import Connections, carried_by, connected, connection_in, filesystem_of
from pipechaos.batch.location import Location, locate, refuse_secrets
from pipechaos.batch.sql_source import SqlSource
from pipechaos.errors import BatchError, UnknownNameError

__all__ = ["BatchRef", "Format", "discover", "format_of", "origin_of"]


class Format(StrEnum):
    """What batches come in: formats of files, and rows of a database (see :func:`pipechaos.batch.sql.sql_ref`)."""

    PARQUET = "parquet"
    CSV = "csv"
    SQL = "sql"


_SUFFIXES = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".parq": Format.PARQUET,
    ".csv": Format.CSV,
    ".csv.gz": Format.CSV,
}


@dataclass(frozen=True, kw_only=True)
class BatchRef:
    """Where a batch lives.

    Attributes
    ----------
    uri
        Path or URL of its one file, or of the directory that holds its files; for rows of a database its URL, or
        ``sql://`` and the connection's id. Never with a credential in it.
    format
        File format, or SQL.
    name
        The batch's logical partition: part of every draw, so stable over runs and machines.
    partition
        Hive-style (key, value) pairs of the path, outermost first. They are not columns: a batch has the columns that
        its files hold.
    files
        Files below a directory, relative to ``uri`` (or full URIs), in reading order; empty when ``uri`` is the file.
    digest
        Ordered content digest; empty until the batch was read or written.
    connection_id
        Connection that holds the credentials, by name.
    rows
        Number of rows; None until the batch was read or written.
    sql
        Table and partition, of a batch in a database; None for files.

    Examples
    --------
    >>> ref = BatchRef(uri="lake/date=2013-06-03/a.parquet", format=Format.PARQUET, name="2013-06-03")
    >>> BatchRef.from_json(ref.to_json()) == ref
    True
    """

    uri: str
    format: Format
    name: str
    partition: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""
    connection_id: str | None = None
    rows: int | None = None
    sql: SqlSource | None = None

    def __post_init__(self) -> None:
        if (self.format is Format.SQL) != (self.sql is not None):
            raise BatchError("a reference to a database names its table, and only such a one: see sql_ref")
        if self.sql is not None:
            refuse_passwords(self.uri)
        else:
            for value in (self.uri, *self.files):
                refuse_secrets(value)
        if not self.uri or not self.name:
            raise BatchError("a batch reference needs a uri and a name: the name is part of every draw")

    @classmethod
    def of(
        cls,
        source: str | os.PathLike[str],
        *,
        name: str | None = None,
        format: Format | str | None = None,
        connection_id: str | None = None,
        filesystem: Any = None,
        connections: Connections | None = None,
    ) -> BatchRef:
        """Make a reference from a path, a URL or an Airflow ``ObjectStoragePath``.

        Parameters
        ----------
        source
            One file, or a directory whose visible files (not ``.`` or ``_``) make one batch together.
        name
            Logical partition; the Hive values of the path joined by ``/``, or the file's stem, when not given.
        format
            Of the files; told by their suffix when not given.
        connection_id
            Connection that holds the credentials; an ``ObjectStoragePath`` brings its own, as does its text of
            ``s3://`` and ``gs://``.
        filesystem, connections
            Connected file system to look with, or such by connection id. Where credentials are needed and there is
            none, a file with a known suffix is taken on trust.

        Raises
        ------
        BatchError
            Nothing is there, the format cannot be told, or the address carries a credential.
        ConfigError
            The connection gives no file system.
        """
        uri, connection_id, filesystem = origin_of(source, connection_id, filesystem, connections)
        wanted = _format(format) if format is not None else None
        files: tuple[str, ...] = ()
        guessed = format_of(uri)
        if connection_id is None or filesystem is not None or guessed is None:
            location = locate(uri, connection_id=connection_id, filesystem=filesystem)
            if not location.exists:
                raise BatchError(f"there is no file or directory {uri}")
            if location.is_dir:
                files, guessed = _files_below(location, uri, wanted)
        found = wanted or guessed
        if found is None:
            raise BatchError(f"cannot tell the format of {uri}: say format='parquet' or 'csv'")
        partition = _partition(uri, is_dir=bool(files))
        return cls(
            uri=uri,
            format=found,
            name=name or _name(uri, partition),
            partition=partition,
            files=files,
            connection_id=connection_id,
        )

    @classmethod
    def target(cls, path: str | os.PathLike[str], *, format: Format | str | None = None) -> BatchRef:
        """Reference to a file that is yet to be written; in a directory (no known suffix) its file is ``part-0``."""
        uri, connection_id, _ = origin_of(path)
        known = format_of(uri)
        found = _format(format) if format is not None else known or Format.PARQUET
        files = () if known else (f"part-0.{found}",)
        partition = _partition(uri, is_dir=bool(files))
        name = _name(uri, partition)
        return cls(uri=uri, format=found, name=name, partition=partition, files=files, connection_id=connection_id)

    @property
    def paths(self) -> tuple[str, ...]:
        """Full paths or URIs of its files, in reading order."""
        if not self.files:
            return (self.uri,)
        base = self.uri.rstrip("/")
        return tuple(f if "://" in f or f.startswith("/") else f"{base}/{f}" for f in self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary: texts, whole numbers, lists and None only."""
        out = {**asdict(self), "format": str(self.format), "partition": [list(p) for p in self.partition]} | {
            "files": list(self.files)
        }
        del out["sql"]
        return out if self.sql is None else {**out, "sql": self.sql.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BatchRef:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        UnknownNameError
            There is a key that a reference does not have.
        BatchError
            A key is missing or its value is of the wrong kind.
        """
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known:
                raise UnknownNameError("key", key, known, "a batch reference")
        missing = [k for k in ("uri", "format", "name") if k not in data]
        if missing:
            raise BatchError(f"a batch reference lacks {', '.join(missing)}")
        _check_kinds(data)
        return cls(
            uri=data["uri"],
            format=_format(data["format"], [*Format]),
            name=data["name"],
            partition=tuple((k, v) for k, v in data.get("partition", ())),
            files=tuple(data.get("files", ())),
            digest=data.get("digest", ""),
            connection_id=data.get("connection_id"),
            rows=data.get("rows"),
            sql=None if data.get("sql") is None else SqlSource.from_json(data["sql"]),
        )


def _check_kinds(data: Mapping[str, Any]) -> None:
    def texts(x: Any) -> bool:
        return isinstance(x, (list, tuple)) and all(isinstance(i, str) for i in x)

    rows = data.get("rows")
    good = {
        "partition": all(texts(p) and len(p) == 2 for p in data.get("partition", ())),
        "files": texts(data.get("files", ())),
        "connection_id": data.get("connection_id") is None or isinstance(data["connection_id"], str),
        "sql": data.get("sql") is None or isinstance(data["sql"], Mapping),
        "rows": rows is None or (isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0),
        **{k: isinstance(data.get(k, ""), str) for k in ("uri", "format", "name", "digest")},
    }
    wrong = [k for k, fine in good.items() if not fine]
    if wrong:
        raise BatchError(f"a batch reference has a value of the wrong kind in {', '.join(wrong)}: see BatchRef.to_json")


def discover(
    root: str | os.PathLike[str],
    pattern: str | None = None,
    *,
    format: Format | str | None = None,
    filesystem: Any = None,
) -> tuple[BatchRef, ...]:
    """Find batches: one for each partition directory, or for each file.

    Parameters
    ----------
    root
        Directory to look in; or a whole pattern such as ``lake/flights/date=*``.
    pattern
        Glob below ``root``. A directory that matches is one batch; files in a Hive-style directory (``date=...``) are
        one batch together; any other file is one of its own. Without a pattern: the partition directories below
        ``root``, or its files where it has no partitions.
    format
        Of the files; told by their suffix when not given.
    filesystem
        Connected file system to look with.

    Returns
    -------
    tuple of BatchRef
        Sorted by name.

    Raises
    ------
    BatchError
        Nothing matches, or two batches get one name.
    """
    uri, connection_id, filesystem = origin_of(root, None, filesystem)
    base, inner = _split_pattern(uri, connection_id, filesystem)
    pattern = "/".join(p for p in (inner, pattern) if p)
    location = locate(base, connection_id=connection_id, filesystem=filesystem)
    if not location.is_dir:
        raise BatchError(f"there is no directory {base} to find batches in")
    found = location.glob(pattern) if pattern else location.walk()
    wanted = _format(format) if format is not None else None
    groups = sorted(set(_groups(location, found, wanted, whole=not pattern)))
    if not groups:
        shown = f"{base.rstrip('/')}/{pattern}" if pattern else base
        raise BatchError(f"no batch matches {shown}: nothing there ends in {', '.join(_SUFFIXES)}")
    refs = [
        BatchRef.of(
            f"{base.rstrip('/')}/{g}" if g else base, format=format, connection_id=connection_id, filesystem=filesystem
        )
        for g in groups
    ]
    _refuse_twins(refs)
    return tuple(sorted(refs, key=lambda r: r.name))


def _split_pattern(uri: str, connection_id: str | None, filesystem: Any) -> tuple[str, str]:
    """The longest leading part without a glob, and the rest; a path that exists is no pattern."""
    parts = uri.split("/")
    magic = [i for i, p in enumerate(parts) if any(c in p for c in "*?[")]
    for at in magic:
        if (
            "*" not in parts[at]
            and locate("/".join(parts[: at + 1]), connection_id=connection_id, filesystem=filesystem).exists
        ):
            continue
        return "/".join(parts[:at]) or ("/" if uri.startswith("/") else "."), "/".join(parts[at:])
    return uri, ""


def _groups(location: Location, found: Iterator[str], wanted: Format | None, *, whole: bool) -> Iterator[str]:
    """What each match belongs to: a directory or a single file, relative to the location."""
    for path in found:
        if not whole and location.child(path).is_dir:
            if any(_is_data(f, wanted) for f in location.child(path).walk()):
                yield path
        elif _is_data(path, wanted):
            parent, _, _ = path.rpartition("/")
            own = (parent or location.path.rstrip("/")).rpartition("/")[2]
            yield parent if _hive(own) else path


def _refuse_twins(refs: Sequence[BatchRef]) -> None:
    seen: dict[str, BatchRef] = {}
    for ref in refs:
        twin = seen.setdefault(ref.name, ref)
        if twin is not ref:
            raise BatchError(
                f"two batches are called {ref.name!r}: {twin.uri} and {ref.uri}. Names are part of every draw: narrow "
                "the pattern, or make references one by one with BatchRef.of(..., name=...)."
            )


def origin_of(
    source: Any, connection_id: str | None = None, filesystem: Any = None, connections: Connections | None = None
) -> tuple[str, str | None, Any]:
    """URI, connection and file system of a path-like; an ObjectStoragePath carries its connection in the address."""
    carried = carried_by(source)
    uri = str(source) if hasattr(source, "protocol") else os.fspath(source)
    own = carried or connection_in(uri)
    if own is not None:
        if connection_id not in (None, own):
            raise BatchError(f"{source} has connection {own!r}, not {connection_id!r}: give one of them")
        connection_id, uri = own, uri.replace(f"://{own}@", "://", 1)
    if not uri:
        raise BatchError("the path of a batch is empty")
    if filesystem is None and carried is not None:
        filesystem = connected(source, carried, uri)
    if filesystem is None and connection_id is not None:
        filesystem = filesystem_of(connections, connection_id, uri)
    return uri, connection_id, filesystem


_FILES = (Format.PARQUET, Format.CSV)


def _format(value: Format | str, allowed: Sequence[Format] = _FILES) -> Format:
    if value not in allowed:
        raise UnknownNameError("format", str(value), [f.value for f in allowed])
    return Format(value)


def format_of(path: str) -> Format | None:
    """Format that a path's suffix tells."""
    lower = path.rstrip("/").lower()
    return next((f for s, f in _SUFFIXES.items() if lower.endswith(s)), None)


def _is_data(path: str, wanted: Format | None) -> bool:
    found = format_of(path)
    return found is wanted if wanted else found is not None


def _files_below(location: Location, uri: str, wanted: Format | None) -> tuple[tuple[str, ...], Format]:
    files = list(location.walk())
    formats = {format_of(f) for f in files} - {None}
    if wanted is None and len(formats) > 1:
        raise BatchError(f"directory {uri} holds both Parquet and CSV files: say which with format=")
    for found in [wanted] if wanted else formats:
        chosen = tuple(f for f in files if format_of(f) is found)
        if chosen and found:
            return chosen, found
    raise BatchError(
        f"directory {uri} holds no {wanted or 'Parquet or CSV'} file (names starting with . or _ are skipped)"
    )


def _hive(part: str) -> bool:
    key, found, value = part.partition("=")
    return bool(found and key and value)


def _partition(uri: str, *, is_dir: bool) -> tuple[tuple[str, str], ...]:
    parts = uri.partition("://")[2].split("/") if "://" in uri else Path(uri).as_posix().split("/")
    folders = [p for p in parts if p]
    pairs = (p.partition("=") for p in (folders if is_dir else folders[:-1]) if _hive(p))
    return tuple((unquote(k), unquote(v)) for k, _, v in pairs)


def _name(uri: str, partition: Sequence[tuple[str, str]]) -> str:
    """Logical partition: the Hive values of the path, outermost first; the file's stem without any."""
    return "/".join(value for _, value in partition) or _stem(uri)


def _stem(uri: str) -> str:
    name = uri.rstrip("/").rsplit("/", 1)[-1]
    suffix = max((s for s in _SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)] or name
