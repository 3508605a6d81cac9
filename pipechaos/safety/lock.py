"""One lock per target: two runs on one target would take each other's faults for the system's own."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.safety.disk import Disk, guarded
from pipechaos.safety.process import Holder

__all__ = ["Lock", "LockedError", "target_lock"]

_WAIT = 10.0  # seconds for a guard that is held while a small file is written


class LockedError(CannotRunError):
    """Somebody else holds the target, or has taken it over."""


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a lock file holds."""

    target: str
    token: str
    holder: Holder
    until: float

    def text(self) -> str:
        held = {"target": self.target, "token": self.token, "until": self.until, "holder": self.holder.to_dict()}
        return json.dumps(held, allow_nan=False) + "\n"


class Lock:
    """A target that this process holds; made by :func:`target_lock`.

    Attributes
    ----------
    file
        The lock file.
    """

    def __init__(self, file: Path, claim: _Claim, lease_seconds: float, clock: Callable[[], float]) -> None:
        self.file, self._claim, self._lease, self._clock = file, claim, lease_seconds, clock

    def renew(self) -> None:
        """Hold the target for another lease from now on; call it before every change.

        Raises
        ------
        LockedError
            The lease had run out and somebody took the target over: change nothing any more.
        """
        with _guard(self.file):
            held = _read(self.file)
            if held is None or held.token != self._claim.token:
                now = f"{held.holder} holds it now" if held else "its lock file is gone"
                raise LockedError(
                    f"target {self._claim.target!r} was lost: its lease of {self._lease:g} s ran out, and {now}. "
                    "Change nothing more; give a longer lease, or renew it more often."
                )
            self._claim = replace(self._claim, until=self._clock() + self._lease)
            _put(self.file, self._claim)

    def release(self) -> None:
        """Let the target go; what somebody else holds by now is left alone."""
        with _guard(self.file):
            held = _read(self.file)
            if held is not None and held.token == self._claim.token:
                self.file.unlink(missing_ok=True)


@contextmanager
def target_lock(
    folder: str | Path,
    target: str,
    *,
    lease_seconds: float,
    owner: str = "",
    clock: Callable[[], float] = time.time,
) -> Iterator[Lock]:
    """Hold a target alone, as long as the block takes and its lease is renewed.

    Parameters
    ----------
    folder
        Where lock files are; all who may touch the target must see the same one.
    target
        Any name, for instance the URI of a data set.
    lease_seconds
        After so long without :meth:`Lock.renew` others may take the target over.
    owner
        Name for people.
    clock
        Seconds since 1970, the same on all hosts.

    Raises
    ------
    LockedError
        Somebody holds it: their lease has not run out and, on this host, their process is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home, target_lock(home, "flights", lease_seconds=60) as lock:
    ...     lock.renew()
    """
    if not (math.isfinite(lease_seconds) and lease_seconds > 0):
        raise ConfigError(f"a lease is a number of seconds above 0, not {lease_seconds}")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = place / f"{_name(target)}.lock"
    claim = _Claim(target=target, token=secrets.token_hex(16), holder=Holder.here(owner), until=clock() + lease_seconds)
    _take(file, claim, clock)
    lock = Lock(file, claim, lease_seconds, clock)
    try:
        yield lock
    finally:
        lock.release()


def _take(file: Path, claim: _Claim, clock: Callable[[], float]) -> None:
    with _guard(file):
        held = _read(file)
        if held is None:
            _put(file, claim, exclusive=True)
        elif held.until <= clock() or held.holder.gone():
            _put(file, claim)
        else:
            left = held.until - clock()
            raise LockedError(
                f"target {claim.target!r} is held by {held.holder} for another {left:.0f} s unless it goes on: "
                "two runs on one target would spoil each other. Wait, or end that one."
            )


def _put(file: Path, claim: _Claim, *, exclusive: bool = False) -> None:
    """Write a claim as a whole; exclusive: only where there is none, also for hosts that do not share the guard."""
    waiting = file.with_name(f"{file.name}.{claim.token}")
    try:
        waiting.write_text(claim.text(), encoding="ascii")
        if exclusive:
            os.link(waiting, file)
        else:
            waiting.replace(file)
    except FileExistsError:
        raise LockedError(f"target {claim.target!r} was taken by another host at the same moment") from None
    finally:
        waiting.unlink(missing_ok=True)
    with suppress(OSError):  # some shared folders cannot be brought down to the disk; the lock holds all the same
        Disk().sync(file.parent)


def _read(file: Path) -> _Claim | None:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        data = json.loads(text)
        target, token, until, holder = (data[key] for key in ("target", "token", "until", "holder"))
        whole = isinstance(target, str) and isinstance(token, str) and isinstance(holder, Mapping)
        if not (whole and isinstance(until, (int, float)) and math.isfinite(until)):
            raise ValueError("values of another kind")
        return _Claim(target=target, token=token, until=float(until), holder=Holder.of(holder))
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise LockedError(
            f"the lock file {file} cannot be understood ({exc}), so the target counts as held: see who wrote it, "
            "and delete it when nobody uses the target"
        ) from None


@contextmanager
def _guard(file: Path) -> Iterator[None]:
    with guarded(file.with_suffix(".guard"), wait_seconds=_WAIT, what="cannot look at a lock"):
        yield


def _name(target: str) -> str:
    """File name of a target: readable, and different for different targets."""
    if not target:
        raise ConfigError("a target needs a name")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", target).strip("-")[-40:]
    return f"{slug or 'target'}-{hashlib.sha256(target.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
