"""Who holds something: a process, known by its start as well as its number, on a host as its numbers are seen there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Holder"]

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that holds a lock or has begun a change.

    Attributes
    ----------
    owner
        Name for people.
    host
        Name of the machine, with the space that process numbers are counted in: two containers may share a name.
    pid
        Number of the process.
    began
        When it began, as the kernel counts; empty where the system does not say. A number is given again to another
        process, with another start.
    """

    owner: str
    host: str
    pid: int
    began: str

    @classmethod
    def here(cls, owner: str = "") -> Holder:
        """The process that asks."""
        pid = os.getpid()
        return cls(owner=owner or f"pid {pid}", host=_host(), pid=pid, began=_began(pid) or "")

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Holder:
        """Read back what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            It is something else.
        """
        owner, host, pid, began = (data.get(key) for key in ("owner", "host", "pid", "began"))
        if not (isinstance(owner, str) and isinstance(host, str) and isinstance(began, str)):
            raise ValueError(f"no holder: {dict(data)!r}")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
            raise ValueError(f"no number of a process: {pid!r}")
        return cls(owner=owner, host=host, pid=pid, began=began)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON value."""
        return asdict(self)

    def gone(self) -> bool:
        """Whether the process is known to have ended; of another host, or in doubt: no."""
        if self.host != _host():
            return False
        began = _began(self.pid)
        if began is None:
            return True
        return bool(self.began and began and self.began != began)

    def __str__(self) -> str:
        return f"{self.owner} (process {self.pid} on {self.host.partition(' ')[0]})"


def _host() -> str:
    """Name of the host, and its process number space where the system has such."""
    space = ""
    with suppress(OSError):
        space = (_PROC / "self" / "ns" / "pid").readlink().name
    return f"{socket.gethostname()} {space}".strip()


def _began(pid: int) -> str | None:
    """When a process began; empty where that is not known, None where there is none or only its remains."""
    try:
        state, *rest = (
            (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except ProcessLookupError:
        return None
    except (OSError, ValueError):
        return "" if _answers(pid) else None
    return None if state in ("Z", "X") else f"{boot}:{rest[18]}"


def _answers(pid: int) -> bool:
    """Whether a process has the number; one that may not be asked has it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
