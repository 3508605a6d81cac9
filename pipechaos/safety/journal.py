"""The write-ahead journal: how to take a change back is on disk before the change is made."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.safety.disk import Disk, guarded
from pipechaos.safety.process import Holder
from pipechaos.safety.undo import Undo, UndoKind

__all__ = ["Entry", "EntryState", "Journal", "JournalError"]

_VERSION = 1
_WAIT = 30.0  # seconds for another process that undoes or makes a change


class JournalError(CannotRunError):
    """The journal cannot be trusted or does not allow this: nothing may be changed."""


class EntryState(StrEnum):
    """How a change stands."""

    OPEN = "open"
    DONE = "done"
    UNDONE = "undone"


class _Event(StrEnum):
    BEGUN = "begun"
    RENEWED = "renewed"
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"


_CLOSING = {_Event.DONE: EntryState.DONE, _Event.UNDONE: EntryState.UNDONE}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A change outside a shadow.

    Attributes
    ----------
    entry_id
        Its name in the journal.
    what
        What is about to be changed, for people.
    target
        What it lies in: changes of one target are undone from the last to the first.
    undo
        How to take it back.
    holder
        The process that made it.
    begun, until
        When it was written down and when its lease runs out, seconds since 1970.
    state
        Open until it is undone, or done where it may stay.
    failure
        Why the last try to undo it failed; empty where none did.
    """

    entry_id: str
    what: str
    target: str
    undo: Undo
    holder: Holder
    begun: float
    until: float
    state: EntryState = EntryState.OPEN
    failure: str = ""

    def due(self, now: float) -> bool:
        """Whether it is to be undone: it is open, and its lease has run out or its process has ended."""
        return self.state is EntryState.OPEN and (self.until <= now or self.holder.gone())


class Journal:
    """An append-only file of JSON lines, one for a host or a target.

    Parameters
    ----------
    path
        The file, private; made with the first entry, in a folder that every user of the target sees.
    owner
        Name for people.
    clock
        Seconds since 1970.
    disk
        The steps on files.

    Notes
    -----
    Each line carries a checksum and is on disk before the call returns. A last line without its end is what a process
    left that was killed while it wrote it: the call had not returned, so the change was not made, and it counts as not
    written. Any other damage is an error: nothing is changed, and nothing undone, until somebody has looked.
    """

    def __init__(
        self, path: str | Path, *, owner: str = "", clock: Callable[[], float] = time.time, disk: Disk | None = None
    ) -> None:
        self.path = Path(path).absolute()
        self._owner, self._clock, self._disk = owner, clock, disk or Disk()
        self._turn = threading.RLock()
        self._depth = 0

    def begin(self, undo: Undo, *, what: str, target: str, lease_seconds: float) -> str:
        """Write down what is about to be changed; only then change it.

        Parameters
        ----------
        undo
            How to take it back.
        what, target
            See :class:`Entry`.
        lease_seconds
            After so long without :meth:`renew` anybody may undo it.

        Returns
        -------
        str
            Its id.

        Raises
        ------
        JournalError
            The journal is damaged.
        OSError
            It cannot be written: the change must not be made.
        """
        entry_id, now = secrets.token_hex(8), self._clock()
        undo_data = {"kind": undo.kind.value, **undo.arguments}
        with self.exclusive():
            self.entries()  # one that is damaged is seen before anything more is changed
            self._append(
                _Event.BEGUN,
                entry_id,
                now,
                what=what,
                target=target,
                undo=undo_data,
                holder=Holder.here(self._owner).to_dict(),
                until=_lease_end(now, lease_seconds),
            )
        return entry_id

    def renew(self, entry_id: str, lease_seconds: float) -> None:
        """Keep a change for another lease from now on.

        Raises
        ------
        JournalError
            It is not open any more.
        """
        now = self._clock()
        self._note(_Event.RENEWED, entry_id, now, until=_lease_end(now, lease_seconds))

    def done(self, entry_id: str) -> None:
        """The change may stay; raises :class:`JournalError` where it is not open any more."""
        self._note(_Event.DONE, entry_id, self._clock())

    def undone(self, entry_id: str) -> None:
        """The change was taken back; raises :class:`JournalError` where it is not open any more."""
        self._note(_Event.UNDONE, entry_id, self._clock())

    def failed(self, entry_id: str, reason: str) -> None:
        """Taking the change back failed; the same reason is written once."""
        with self.exclusive():
            if self.entry(entry_id).failure != reason:
                self._note(_Event.FAILED, entry_id, self._clock(), reason=reason)

    def entry(self, entry_id: str) -> Entry:
        """One entry, as it stands."""
        for entry in self.entries():
            if entry.entry_id == entry_id:
                return entry
        raise JournalError(f"{self.path} has no entry {entry_id!r}")

    def check(self, entry_id: str) -> None:
        """Go on with the change, or raise; ask within :meth:`exclusive`, and change there.

        Raises
        ------
        JournalError
            It is not open any more, or its lease has run out: it must not be made.
        """
        entry = self.entry(entry_id)
        if entry.state is not EntryState.OPEN or entry.until <= self._clock():
            how = "its lease has run out" if entry.state is EntryState.OPEN else f"it is {entry.state} already"
            raise JournalError(f"the change {entry.what!r} must not be made any more: {how}. Give a longer lease")

    def entries(self) -> tuple[Entry, ...]:
        """All entries in the order they were begun, as they stand; none where there is no file.

        Raises
        ------
        JournalError
            The file is damaged elsewhere than at an end that was cut short, or cannot be read.
        """
        try:
            held = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise JournalError(f"the journal {self.path} cannot be read: {exc.strerror}") from None
        found: dict[str, Entry] = {}
        for number, line in enumerate(held.split(b"\n")[:-1], 1):
            try:
                _apply(found, _parsed(line))
            except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as exc:
                raise JournalError(
                    f"the journal {self.path} is damaged in line {number} ({type(exc).__name__}: {exc}). What was "
                    "changed and not taken back can no longer be told from it: look at the lines by hand, restore "
                    "what they name, then move the file away"
                ) from None
        return tuple(found.values())

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Alone with the journal: nobody else begins, closes or undoes a change; a thread may enter again.

        Make a change in here once :meth:`check` has said that it may be: it cannot be undone in between.

        Raises
        ------
        CannotRunError
            Another process holds it for too long.
        """
        with ExitStack() as stack:
            stack.enter_context(self._turn)
            if self._depth == 0:
                self._disk.folder(self.path.parent)
                guard = self.path.with_name(f"{self.path.name}.guard")
                stack.enter_context(guarded(guard, wait_seconds=_WAIT, what=f"the journal {self.path} is busy"))
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def _note(self, event: _Event, entry_id: str, now: float, **more: object) -> None:
        with self.exclusive():
            state = self.entry(entry_id).state
            if state is not EntryState.OPEN:
                raise JournalError(
                    f"entry {entry_id} of {self.path} is {state} already: its lease ran out and somebody took it back, "
                    "or it was closed twice"
                )
            self._append(event, entry_id, now, **more)

    def _append(self, event: _Event, entry_id: str, now: float, **more: object) -> None:
        body = {"v": _VERSION, "event": event.value, "id": entry_id, "at": now, **more}
        line = json.dumps({**body, "sum": _sum(body)}, allow_nan=False)
        self._disk.append(self.path, line.encode("ascii") + b"\n")


def _lease_end(now: float, lease_seconds: float) -> float:
    if not (math.isfinite(lease_seconds) and lease_seconds > 0):
        raise ConfigError(f"a lease is a number of seconds above 0, not {lease_seconds}")
    return now + lease_seconds


def _sum(body: Mapping[str, object]) -> str:
    text = json.dumps(body, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _parsed(line: bytes) -> dict[str, object]:
    data = json.loads(line.decode("ascii"))
    if not isinstance(data, dict):
        raise ValueError("no mapping")
    if data.pop("sum") != _sum(data):
        raise ValueError("its checksum is wrong")
    if data["v"] != _VERSION:
        raise ValueError(f"it is of version {data['v']}, this pipechaos knows {_VERSION}")
    return data


def _apply(found: dict[str, Entry], data: Mapping[str, object]) -> None:
    event, entry_id = _Event(str(data["event"])), str(data["id"])
    if event is _Event.BEGUN:
        if entry_id in found:
            raise ValueError(f"entry {entry_id} is begun twice")
        found[entry_id] = _begun(entry_id, data)
        return
    entry = found[entry_id]
    if entry.state is not EntryState.OPEN:
        raise ValueError(f"entry {entry_id} goes on after it was closed")
    if event is _Event.RENEWED:
        found[entry_id] = replace(entry, until=_number(data["until"]))
    elif event is _Event.FAILED:
        found[entry_id] = replace(entry, failure=str(data["reason"]))
    else:
        found[entry_id] = replace(entry, state=_CLOSING[event])


def _begun(entry_id: str, data: Mapping[str, object]) -> Entry:
    undo, holder = data["undo"], data["holder"]
    if not (isinstance(undo, dict) and isinstance(holder, dict)):
        raise TypeError("undo and holder must be mappings")
    return Entry(
        entry_id=entry_id,
        what=str(data["what"]),
        target=str(data["target"]),
        undo=Undo(kind=UndoKind(undo["kind"]), arguments={k: v for k, v in undo.items() if k != "kind"}),
        holder=Holder.of(holder),
        begun=_number(data["at"]),
        until=_number(data["until"]),
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"no number: {value!r}")
    return float(value)
