"""Change a file that others read, for a while: its undo is on disk first, and readers see one of both as a whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipechaos.safety.disk import Disk, digest_of
from pipechaos.safety.journal import EntryState, Journal, JournalError
from pipechaos.safety.recover import UndoError, file_undoers, waiting_name
from pipechaos.safety.undo import Undo

__all__ = ["changed_file"]


@contextmanager
def changed_file(
    journal: Journal,
    path: str | Path,
    write: Callable[[Path], None],
    *,
    backups: str | Path,
    lease_seconds: float,
    what: str = "",
    disk: Disk | None = None,
) -> Iterator[str]:
    """Put another content in the place of a file as long as the block takes.

    Parameters
    ----------
    journal
        Where the undo is written down first.
    path
        The file; links are followed.
    write
        Writes the other content to the path it is given.
    backups
        Folder for the copy of the file and the new content: no reader of the file looks there.
    lease_seconds
        The change is undone by whoever recovers first after so long; ``journal.renew(id, ...)`` keeps it.
    what
        For people.
    disk
        The steps on files.

    Yields
    ------
    str
        Id of the entry.

    Raises
    ------
    JournalError
        The lease ran out before the change was made, or within the block: it was taken back by somebody else, and what
        was seen in the block may be of either content.
    UndoError
        The file was written by somebody else meanwhile. The entry stays open where the change could not be taken back.
    """
    steps, at, home = disk or Disk(), Path(path).resolve(strict=True), Path(backups).absolute()
    steps.folder(home)
    token = secrets.token_hex(8)
    backup, fresh = home / f"{token}.before", home / f"{token}.after"
    try:
        steps.copy(at, backup)
        steps.fill(fresh, write)
        before = digest_of(backup)
        undo = Undo.restore_file(at, backup=backup, digest=before, after=digest_of(fresh))
        entry_id = journal.begin(undo, what=what or f"change {at}", target=str(at), lease_seconds=lease_seconds)
    except BaseException:
        _forget(steps, backup, fresh)
        raise
    try:
        _apply(journal, entry_id, fresh, at, before, steps)
        yield entry_id
    except BaseException:
        if _take_back(journal, entry_id, steps):
            _forget(steps, backup, fresh)
        raise
    if not _take_back(journal, entry_id, steps):
        raise JournalError(
            f"the change of {at} was taken back before its time, because its lease of {lease_seconds:g} s ran out: "
            "what was seen meanwhile may be of either content. Give a longer lease, or renew it"
        )
    _forget(steps, backup, fresh)


def _apply(journal: Journal, entry_id: str, fresh: Path, at: Path, before: str, disk: Disk) -> None:
    waiting = waiting_name(at, entry_id)
    disk.copy(fresh, waiting, like=at)
    with journal.exclusive():  # nobody undoes it between the look and the change
        journal.check(entry_id)
        if digest_of(at) != before:
            disk.remove(waiting)
            journal.undone(entry_id)  # it was never made
            raise UndoError(f"{at} was written by somebody else while its change was made ready; it was not made")
        disk.replace(waiting, at)


def _forget(disk: Disk, *copies: Path) -> None:
    for copy in copies:
        disk.remove(copy)


def _take_back(journal: Journal, entry_id: str, disk: Disk) -> bool:
    """Undo; False where somebody else did."""
    with journal.exclusive():
        entry = journal.entry(entry_id)
        if entry.state is not EntryState.OPEN:
            return False
        file_undoers(disk)[entry.undo.kind](entry)
        journal.undone(entry_id)
        return True
