"""Take back what a process that is gone, or whose lease ran out, has changed and not taken back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.safety.disk import Disk, digest_of
from pipechaos.safety.journal import Entry, EntryState, Journal
from pipechaos.safety.undo import ABSENT, UndoKind

__all__ = ["Failure", "Recovered", "UndoError", "file_undoers", "recover", "waiting_name"]

_MOST = 500  # characters of a reason


class UndoError(CannotRunError):
    """A change cannot be taken back, or must not be by itself."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An entry that could not be undone, and why; it stays open."""

    entry: Entry
    reason: str


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What a recovery did.

    Attributes
    ----------
    undone
        In the order they were undone: the last change first.
    failed
        Tried, and to be tried again.
    waiting
        Open, and not touched: their process lives and their lease runs, or a later change of the same target is open.
    """

    undone: tuple[Entry, ...]
    failed: tuple[Failure, ...]
    waiting: tuple[Entry, ...]


def recover(journal: Journal, undoers: Mapping[UndoKind, Callable[[Entry], None]], now: float) -> Recovered:
    """Undo every entry that is due, the last first; running it again changes nothing.

    Parameters
    ----------
    journal
        Nobody else can begin, close or undo a change as long as this takes.
    undoers
        What takes back each kind: files with :func:`file_undoers`, tables with one that knows their connections. It
        must be able to do again what it has done, raises when it could not, and returns only when the change is gone.
    now
        Seconds since 1970.

    Raises
    ------
    JournalError
        The journal is damaged: nothing is undone.
    """
    if not math.isfinite(now):
        raise ConfigError(f"the time must be a number of seconds since 1970, not {now}")
    undone, failed, waiting = [], [], []
    held: set[str] = set()
    if not journal.path.exists():
        return Recovered(undone=(), failed=(), waiting=())
    with journal.exclusive():
        for entry in reversed(journal.entries()):
            if entry.state is not EntryState.OPEN:
                continue
            if entry.target in held or not entry.due(now):
                waiting.append(entry)
                held.add(entry.target)
                continue
            reason = _tried(entry, undoers) or _closed(journal, entry)
            if reason:
                with suppress(OSError):  # a full disk: what is open stays open, and is told here
                    journal.failed(entry.entry_id, reason)
                failed.append(Failure(entry=entry, reason=reason))
                held.add(entry.target)
            else:
                undone.append(entry)
    return Recovered(undone=tuple(undone), failed=tuple(failed), waiting=tuple(waiting))


def _tried(entry: Entry, undoers: Mapping[UndoKind, Callable[[Entry], None]]) -> str:
    undoer = undoers.get(entry.undo.kind)
    if undoer is None:
        return f"nothing here can undo {entry.undo.kind}: recover where its connection is known"
    try:
        undoer(entry)
    except Exception as exc:  # noqa: BLE001 - one that fails must not keep the others from being undone
        return (str(exc) or type(exc).__name__)[:_MOST]
    return ""


def _closed(journal: Journal, entry: Entry) -> str:
    try:
        journal.undone(entry.entry_id)
    except OSError as exc:
        return f"it was taken back, and that cannot be written down: {exc}"
    return ""


def waiting_name(path: Path, entry_id: str) -> Path:
    """Where a change's new file waits beside its place; readers of a folder leave names with a dot out."""
    return path.with_name(f".{path.name}.{entry_id}.pipechaos")


def file_undoers(disk: Disk | None = None) -> dict[UndoKind, Callable[[Entry], None]]:
    """Undoers of the kinds that are about files.

    Parameters
    ----------
    disk
        The steps on files.
    """
    steps = disk or Disk()
    return {
        UndoKind.RESTORE_FILE: lambda entry: _restore(entry, steps),
        UndoKind.REMOVE_FILE: lambda entry: _remove(entry, steps),
    }


def _restore(entry: Entry, disk: Disk) -> None:
    given = entry.undo.arguments
    path, backup, digest = Path(given["path"]), Path(given["backup"]), given["digest"]
    waiting = waiting_name(path, entry.entry_id)
    disk.remove(waiting)  # what the change, or an undo that was cut short, left half written
    if _state(path) == digest:
        return
    _refuse_strange(path, given["after"])
    if _state(backup) != digest:
        raise UndoError(f"the backup {backup} of {path} is gone or is not what was there before: restore it by hand")
    disk.copy(backup, waiting)
    if digest_of(waiting) != digest:
        raise UndoError(f"the copy of {backup} beside {path} came out differently: is the disk sound?")
    disk.replace(waiting, path)
    if _state(path) != digest:
        raise UndoError(f"{path} was written by somebody else while it was restored")


def _remove(entry: Entry, disk: Disk) -> None:
    path = Path(entry.undo.arguments["path"])
    disk.remove(waiting_name(path, entry.entry_id))
    if _state(path) == ABSENT:
        return
    _refuse_strange(path, entry.undo.arguments["after"])
    disk.remove(path)


def _state(path: Path) -> str:
    """Digest of a file; ``absent`` where there is none."""
    try:
        if path.is_symlink():
            raise UndoError(f"{path} is a link now: somebody else has put it there since; look at it by hand")
        return digest_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError as exc:
        raise UndoError(f"{path} cannot be read: {exc.strerror}") from None


def _refuse_strange(path: Path, after: str) -> None:
    if after and _state(path) != after:
        now = "is gone" if _state(path) == ABSENT else "is neither what it was nor what it was changed to"
        raise UndoError(
            f"{path} {now}: somebody else has written there since, and an old copy on top would lose that. Look at it "
            "by hand, and restore it or leave it"
        )
