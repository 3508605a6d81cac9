"""The kill switch: whoever may touch a file or set a variable stops every injection, and doubt counts as engaged."""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipechaos.errors import CannotRunError

__all__ = ["FileSource", "HaltOrder", "Halted", "KillSwitch", "engage", "read_answer", "release"]

_MOST_BYTES = 4096  # of a file that anybody may have written
_MOST_TEXT = 300
_ON = frozenset({"on", "true", "yes", "1", "halt", "engaged"})
_OFF = frozenset({"off", "false", "no", "0", "go", "released"})


@dataclass(frozen=True, kw_only=True)
class HaltOrder:
    """Why nothing may be injected now.

    Attributes
    ----------
    source
        Where it was said, for instance ``"file .pipechaos/halt"``.
    reason
        As it was given, or why the source counts as engaged.
    who, since
        Empty where nobody said.
    release
        How to lift it.
    """

    source: str
    reason: str = ""
    who: str = ""
    since: str = ""
    release: str = ""

    def __str__(self) -> str:
        by = f" by {self.who}" if self.who else ""
        since = f" since {self.since}" if self.since else ""
        why = f": {self.reason}" if self.reason else ""
        how = f". To go on: {self.release}" if self.release else ""
        return f"halted{by}{since} ({self.source}){why}{how}"


class Halted(CannotRunError):  # noqa: N818 - the word of the design: a state that somebody wanted, not a failure
    """Injecting was stopped on purpose, or because nobody can tell whether it should be.

    Parameters
    ----------
    order
        Who, since when, why, and how to lift it.
    """

    def __init__(self, order: HaltOrder) -> None:
        self.order = order
        super().__init__(str(order))

    def __reduce__(self) -> tuple[type, tuple[HaltOrder]]:
        return (type(self), (self.order,))


def read_answer(answer: object, source: str, release: str = "") -> HaltOrder | None:
    """What a source said: None where it is released.

    Parameters
    ----------
    answer
        True or False; one of the words on, true, yes, 1, halt, engaged and off, false, no, 0, go, released; a mapping
        (or its JSON) with ``reason``, ``who`` and ``since``, which engages. Anything else, None and nothing among it,
        is no answer, and engages.
    source, release
        Name of the source, and how to lift the halt there.

    Examples
    --------
    >>> read_answer("off", "variable chaos") is None
    True
    >>> print(read_answer({"who": "ops", "reason": "incident 7"}, "variable chaos"))
    halted by ops (variable chaos): incident 7
    >>> print(read_answer(None, "variable chaos"))
    halted (variable chaos): it does not say on or off, but None
    """
    said = answer.strip() if isinstance(answer, str) else answer
    if isinstance(said, HaltOrder):
        return said
    if isinstance(said, bool) or (isinstance(said, int) and said in (0, 1)):
        return HaltOrder(source=source, release=release) if said else None
    if isinstance(said, str):
        if said.casefold() in _OFF:
            return None
        if said.casefold() in _ON:
            return HaltOrder(source=source, release=release)
        said = _from_json(said)
    if isinstance(said, Mapping):
        reason, who, since = (_text(said.get(key)) for key in ("reason", "who", "since"))
        return HaltOrder(source=source, reason=reason, who=who, since=since, release=release)
    return HaltOrder(source=source, reason=f"it does not say on or off, but {_text(repr(answer))}", release=release)


def _from_json(text: str) -> object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _text(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "..."


@dataclass(frozen=True, kw_only=True)
class FileSource:
    """A file that halts everything by being there, whatever it holds.

    Attributes
    ----------
    path
        The file; JSON in it (``reason``, ``who``, ``since``) goes into the message.
    within
        A folder that must be there too: without it the file may be out of sight rather than gone (a mount that is
        lost), and that engages.
    release
        How to lift it.
    """

    path: Path
    within: Path | None = None
    release: str = ""

    @property
    def name(self) -> str:
        """As it is called in messages."""
        return f"file {self.path}"

    def __call__(self) -> HaltOrder | None:
        """Look; one ``stat`` where it is not there."""
        release = self.release or f"delete {self.path}"
        try:
            self.path.lstat()
        except FileNotFoundError:
            return self._out_of_sight()
        except (OSError, ValueError) as exc:
            return HaltOrder(source=self.name, reason=f"it cannot be looked for ({exc}), which counts as on")
        return HaltOrder(source=self.name, release=release, **_written(self.path))

    def _out_of_sight(self) -> HaltOrder | None:
        if self.within is None or self.within.is_dir():
            return None
        reason = f"its folder {self.within} is not there, so nobody can tell, which counts as on"
        return HaltOrder(source=self.name, reason=reason, release=f"bring {self.within} back")


def _written(path: Path) -> dict[str, str]:
    """What a halt file says about itself; nothing where it says nothing that can be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return {}
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            text = os.read(handle, _MOST_BYTES).decode("utf-8", "replace")
        finally:
            os.close(handle)
    except OSError:
        return {}
    found = _from_json(text)
    if isinstance(found, dict):
        return {key: _text(found.get(key)) for key in ("reason", "who", "since")}
    return {"reason": _text(text)}


class KillSwitch:
    """Asks every source; engaged when any says so, and when any cannot be asked.

    Parameters
    ----------
    sources
        What to ask, by name: a :class:`FileSource`, or any function whose answer :func:`read_answer` understands. An
        exception engages.
    release
        How each is lifted, by the same names; a file says so itself.
    remember_seconds
        How long a "released" of a source other than a file is believed: such a source may be a call over the network.
    clock
        Seconds that never go back.

    Examples
    --------
    >>> said = "off"
    >>> switch = KillSwitch({"variable chaos": lambda: said})
    >>> switch.check()
    >>> said = "on"
    >>> switch.check()
    Traceback (most recent call last):
    pipechaos.safety.switch.Halted: halted (variable chaos)
    """

    def __init__(
        self,
        sources: Mapping[str, Callable[[], object]] | FileSource,
        *,
        release: Mapping[str, str] | None = None,
        remember_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = {sources.name: sources} if isinstance(sources, FileSource) else dict(sources)
        self._release = dict(release or {})
        self._remember, self._clock = remember_seconds, clock
        self._believed: dict[str, float] = {}
        self._lock = threading.Lock()

    def orders(self) -> tuple[HaltOrder, ...]:
        """Every order that stands, in the order of the sources; empty when injecting may go on."""
        with self._lock:
            found = [self._ask(name, source) for name, source in self._sources.items()]
        return tuple(order for order in found if order is not None)

    def check(self) -> None:
        """Go on, or raise.

        Raises
        ------
        Halted
            Some source is engaged or cannot be asked.
        """
        with self._lock:
            for name, source in self._sources.items():
                order = self._ask(name, source)
                if order is not None:
                    raise Halted(order)

    def _ask(self, name: str, source: Callable[[], object]) -> HaltOrder | None:
        if isinstance(source, FileSource):
            return source()
        now = self._clock()
        if name in self._believed and 0 <= now - self._believed[name] < self._remember:
            return None
        release = self._release.get(name, "")
        try:
            order = read_answer(source(), name, release)
        except Exception as exc:  # noqa: BLE001 - whatever keeps us from knowing means stop
            reason = f"it cannot be asked ({type(exc).__name__}: {_text(exc)}), which counts as on"
            order = HaltOrder(source=name, reason=reason, release=release)
        if order is None:
            self._believed[name] = now
        else:
            self._believed.pop(name, None)
        return order


def engage(path: str | Path, *, reason: str, who: str, now: dt.datetime) -> bool:
    """Make the file that halts everything; one that is there stays as it is.

    Parameters
    ----------
    path
        The file; its folder is made.
    reason, who, now
        Written into it; ``now`` is aware.

    Returns
    -------
    bool
        Whether this call made it.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    held: dict[str, Any] = {"reason": reason, "who": who, "since": now.isoformat(timespec="seconds")}
    try:
        with file.open("x", encoding="utf-8") as out:  # its being there halts: a half is as good
            out.write(json.dumps(held) + "\n")
    except FileExistsError:
        return False
    return True


def release(path: str | Path) -> bool:
    """Take the file away; returns whether there was one."""
    try:
        Path(path).unlink()
    except FileNotFoundError:
        return False
    return True
