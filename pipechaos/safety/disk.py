"""What safety does to files, one step each: each is there as a whole or not at all, and on disk when it returns."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipechaos.errors import CannotRunError

__all__ = ["Disk", "digest_of", "guarded"]

_PAUSE = 0.02  # seconds between two tries for a guard
_PRIVATE = 0o600


class Disk:
    """The steps; a test puts one in whose n-th step never comes back."""

    def folder(self, path: Path) -> None:
        """Make a private folder, and what is missing above it."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def copy(self, source: Path, to: Path, *, like: Path | None = None) -> None:
        """Copy a file, down to the disk; ``to`` may be half there when this is cut short.

        Rights and times are those of the source; of another file, its rights alone, where one is named.
        """
        shutil.copy2(source, to)
        if like is not None:
            shutil.copymode(like, to)
        self.sync(to)

    def fill(self, to: Path, write: Callable[[Path], None]) -> None:
        """Let somebody write a file, down to the disk; it may be half there when this is cut short."""
        write(to)
        self.sync(to)

    def append(self, path: Path, line: bytes) -> None:
        """Add a line to a private file, down to the disk; when the disk is full the file stays as it was.

        An end without a line feed is what a process left that was killed while it wrote: it is cut off first.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # goes with the handle
            whole = _whole_lines(handle)
            os.ftruncate(handle, whole)
            try:
                os.lseek(handle, whole, os.SEEK_SET)
                left = line
                while left:
                    left = left[os.write(handle, left) :]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, whole)
                raise
        finally:
            os.close(handle)
        self.sync(path.parent)

    def replace(self, waiting: Path, at: Path) -> None:
        """Put a file in the place of another at once, down to the disk."""
        waiting.replace(at)
        self.sync(at.parent)

    def remove(self, path: Path) -> None:
        """Take a file away, down to the disk; none there is fine."""
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            self.sync(path.parent)

    def sync(self, path: Path) -> None:
        """Bring a file or the names in a folder down to the disk."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _whole_lines(handle: int) -> int:
    """Length up to and with the last line feed."""
    end = os.lseek(handle, 0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        at = os.pread(handle, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def guarded(file: Path, *, wait_seconds: float, what: str) -> Iterator[None]:
    """One process at a time, as long as the block takes; the kernel ends it with the process.

    Parameters
    ----------
    file
        Empty, made when it is not there, and left there.
    wait_seconds
        How long to wait for another.
    what
        For the message.

    Raises
    ------
    CannotRunError
        Another still holds it after so long.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT, _PRIVATE)
    try:
        until = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise CannotRunError(f"{what}: another process holds {file}; try again when it has ended") from None
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)
