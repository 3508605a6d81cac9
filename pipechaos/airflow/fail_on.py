"""What of a finished campaign fails a task. Light: DAG files load it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pipechaos.errors import UnknownNameError

__all__ = ["FailOn", "fail_on_of"]


class FailOn(StrEnum):
    """What fails a task beside a run that could not judge, which always does."""

    GATE_FAILED = "gate_failed"
    INCONCLUSIVE = "inconclusive"


def fail_on_of(given: str | Sequence[str]) -> tuple[FailOn, ...]:
    """Read what a DAG's author wrote: one name, several or none.

    Raises
    ------
    UnknownNameError
        There is no such outcome.

    Examples
    --------
    >>> fail_on_of("inconclusive")
    (<FailOn.INCONCLUSIVE: 'inconclusive'>,)
    """
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if name not in set(FailOn):
            raise UnknownNameError("outcome", str(name), [f.value for f in FailOn], "fail_on")
    return tuple(map(FailOn, names))
