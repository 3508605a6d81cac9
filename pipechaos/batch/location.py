"""Where files are: one small file system interface over local paths and fsspec URLs, and whole-or-nothing writes."""

from __future__ import annotations

import fnmatch
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pyarrow as pa
from pyarrow import fs

from pipechaos.errors import BatchError, MissingExtraError

__all__ = ["Location", "locate", "refuse_secrets", "replacing"]

_MAGIC = frozenset("*?[")
_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
_SECRET_WORDS = ("signature", "token", "secret", "password", "credential", "accesskey", "sig")


@dataclass(frozen=True, kw_only=True)
class Location:
    """A path on a file system."""

    filesystem: fs.FileSystem
    path: str

    @property
    def local(self) -> bool:
        """Whether it lies on this machine's disk."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def exists(self) -> bool:
        """Whether a file or directory is there."""
        return bool(self._info().type != fs.FileType.NotFound)

    @property
    def is_dir(self) -> bool:
        """Whether a directory is there."""
        return bool(self._info().type == fs.FileType.Directory)

    @property
    def size(self) -> int | None:
        """Bytes of the file, where the file system knows."""
        size: int | None = self._info().size
        return size

    def _info(self) -> fs.FileInfo:
        return self.filesystem.get_file_info(self.path)

    def child(self, name: str) -> Location:
        """Path of something below this directory."""
        return Location(filesystem=self.filesystem, path=f"{self.path.rstrip('/')}/{name}")

    def sibling(self, name: str) -> Location:
        """Path of something beside this one."""
        head, _, _ = self.path.rstrip("/").rpartition("/")
        return Location(filesystem=self.filesystem, path=f"{head}/{name}" if head or self.path[0] == "/" else name)

    def entries(self) -> list[str]:
        """Sorted names directly below, hidden and private ones (``.``, ``_``) left out as dataset readers do."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        names = (i.path.rstrip("/").rsplit("/", 1)[-1] for i in found)
        return sorted(n for n in names if n and n[0] not in "._")

    def walk(self, prefix: str = "") -> Iterator[str]:
        """Paths of all visible files below, relative, in order."""
        for name in self.entries():
            below = self.child(name)
            if below.is_dir:
                yield from below.walk(f"{prefix}{name}/")
            else:
                yield prefix + name

    def glob(self, pattern: str) -> Iterator[str]:
        """Paths below that match, relative; ``**`` is any number of directories.

        A part that exists as it is written is taken as it is, brackets and all.
        """
        yield from self._expand([p for p in pattern.split("/") if p], "")

    def _expand(self, parts: list[str], prefix: str) -> Iterator[str]:
        if not parts:
            yield prefix.rstrip("/")
            return
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self._expand(rest or ["*"], prefix)
            for name in self.entries():
                if self.child(name).is_dir:
                    yield from self.child(name)._expand(parts, f"{prefix}{name}/")
        elif self.child(head).exists:
            yield from self.child(head)._expand(rest, f"{prefix}{head}/")
        elif _MAGIC & set(head):
            for name in self.entries():
                if fnmatch.fnmatchcase(name, head) and (not rest or self.child(name).is_dir):
                    yield from self.child(name)._expand(rest, f"{prefix}{name}/")


def refuse_secrets(uri: str) -> None:
    """Refuse a URI that carries a password, a key or a signature.

    Raises
    ------
    BatchError
        It does. The message does not repeat the secret.
    """
    query = uri.partition("?")[2] if "://" in uri else ""
    keys = {k.lower().replace("-", "").replace("_", "") for k, _ in parse_qsl(query, keep_blank_values=True)}
    secret = any(k == w or (len(w) > 3 and w in k) for w in _SECRET_WORDS for k in keys)
    if secret or _PASSWORD.search(uri):
        shown = _PASSWORD.sub("://***@", uri.partition("?")[0])
        raise BatchError(
            f"the address {shown} carries a credential: take it out and name the connection that holds it "
            "(connection_id); references travel and are stored, so they keep no secrets."
        )


def locate(uri: str | os.PathLike[str], *, connection_id: str | None = None, filesystem: Any = None) -> Location:
    """Find the file system of a path or URI.

    Parameters
    ----------
    uri
        Local path, ``file://`` URL, or any URL that fsspec knows.
    connection_id
        Name of the connection that holds the credentials, if there is one.
    filesystem
        An fsspec or pyarrow file system to use, already connected.

    Raises
    ------
    BatchError
        There is a connection id but no file system, the scheme is unknown, or the address carries a credential.
    MissingExtraError
        The scheme needs fsspec, which is not installed.
    """
    uri = os.fspath(uri)
    refuse_secrets(uri)
    if filesystem is not None:
        return _given(uri, filesystem)
    if connection_id is not None:
        raise BatchError(
            f"{uri} needs the connection {connection_id!r}: whoever calls (the Airflow task, or a script with the "
            "credentials) resolves it and hands over `filesystem=`, an fsspec or pyarrow file system, or "
            "`connections=`, such file systems by connection id."
        )
    scheme, found, rest = uri.partition("://")
    if not found:
        return Location(filesystem=fs.LocalFileSystem(), path=str(Path(uri).absolute()))
    if scheme in ("file", "local"):
        return Location(filesystem=fs.LocalFileSystem(), path=str(Path("/" + unquote(rest).lstrip("/"))))
    return _by_fsspec(uri, scheme)


def _by_fsspec(uri: str, scheme: str) -> Location:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("fsspec", "fsspec") from None
    try:
        found, path = url_to_fs(uri)
    except ImportError as exc:
        raise BatchError(f"reading {scheme}:// needs one more library: {exc}") from None
    except ValueError as exc:
        raise BatchError(f"no file system for {scheme}://: {exc}. Give a local path or a known scheme.") from None
    return Location(filesystem=fs.PyFileSystem(fs.FSSpecHandler(found)), path=path)


def _given(uri: str, filesystem: Any) -> Location:
    path = uri.partition("://")[2] if "://" in uri else uri
    if isinstance(filesystem, fs.FileSystem):
        return Location(filesystem=filesystem, path=path)
    strip = getattr(filesystem, "_strip_protocol", None)  # keeps the leading slash where the file system wants one
    if strip is None:
        raise BatchError(f"filesystem is a {type(filesystem).__name__}: give an fsspec or a pyarrow file system")
    return Location(filesystem=fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path=str(strip(uri)))


@contextmanager
def replacing(target: Location, *, overwrite: bool) -> Iterator[pa.NativeFile]:
    """Stream that becomes the target file when the block ends well, and nothing at all when it does not.

    Bytes go to a hidden file beside the target (dataset readers skip it), reach the disk, and are then renamed.

    Raises
    ------
    BatchError
        The target exists and may not be overwritten.
    """
    _refuse_existing(target, overwrite)
    made = _make_parents(target)
    stem = target.name.partition(".")[0]
    temp = target.sibling(f".{stem}.{secrets.token_hex(6)}.tmp")
    try:
        with temp.filesystem.open_output_stream(temp.path, compression=None) as stream:
            yield stream
        _publish(temp, target, overwrite)
    except BaseException:
        with suppress(OSError):
            temp.filesystem.delete_file(temp.path)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise


def _refuse_existing(target: Location, overwrite: bool) -> None:
    if target.is_dir:
        raise BatchError(f"{target.path} is a directory: name a file in it")
    if not overwrite and target.exists:
        raise BatchError(f"{target.path} exists: write elsewhere, or say overwrite=True if it may be replaced")


def _make_parents(target: Location) -> list[Path]:
    """Create missing parent directories; the new ones, deepest first."""
    if not target.local:
        target.filesystem.create_dir(target.sibling("").path.rstrip("/") or "/", recursive=True)
        return []
    parent = Path(target.path).parent
    missing = [p for p in (parent, *parent.parents) if not p.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    return missing


def _publish(temp: Location, target: Location, overwrite: bool) -> None:
    if not target.local:
        _refuse_existing(target, overwrite)
        temp.filesystem.move(temp.path, target.path)
        return
    _sync(temp.path)
    if overwrite:
        Path(temp.path).replace(target.path)
    else:
        _move_no_clobber(temp, target)
    _sync(str(Path(target.path).parent))


def _move_no_clobber(temp: Location, target: Location) -> None:
    try:
        os.link(temp.path, target.path)  # unlike a rename, fails when another writer was faster
    except FileExistsError:
        _refuse_existing(target, overwrite=False)
        raise
    except OSError:  # a file system without hard links
        _refuse_existing(target, overwrite=False)
        Path(temp.path).replace(target.path)
    else:
        Path(temp.path).unlink()


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
