"""The one error tree: every message says what was wrong, what is allowed and what to do.

The exit codes are those of the command line: 2 for usage or configuration, 3 for "could not run".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "BatchError",
    "CannotRunError",
    "ConfigError",
    "ExperimentError",
    "FaultError",
    "MissingExtraError",
    "PipechaosError",
    "PlanError",
    "ShadowError",
    "UnknownNameError",
    "ValidatorLoadError",
    "suggest",
]


class PipechaosError(Exception):
    """Base of everything pipechaos raises on purpose."""

    exit_code: ClassVar[int] = 2


class ConfigError(PipechaosError):
    """Something the user wrote cannot be used; nothing was touched."""


class UnknownNameError(ConfigError):
    """A name that is not among the allowed ones.

    Parameters
    ----------
    what
        What kind of thing was named, for instance ``"fault"``.
    name
        The name as it was given.
    allowed
        The names that exist.
    where
        Where it was looked for, for instance ``"batch '2013-06-03'"``.

    Examples
    --------
    >>> str(UnknownNameError("column", "dep_dealy", ["dep_delay", "arr_delay"]))
    "unknown column 'dep_dealy': did you mean 'dep_delay'? Allowed: arr_delay, dep_delay."
    """

    def __init__(self, what: str, name: str, allowed: Iterable[str], where: str = "") -> None:
        names = sorted(map(str, allowed))
        self.what, self.name, self.allowed = what, name, tuple(names)
        close = suggest(name, names)
        hint = f"did you mean {close!r}? " if close else ""
        inside = f" in {where}" if where else ""
        shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
        super().__init__(f"unknown {what} {name!r}{inside}: {hint}Allowed: {shown or 'none'}.")

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[str, ...]]]:
        return (type(self), (self.what, self.name, self.allowed))


class ExperimentError(ConfigError):
    """The experiment file is wrong."""


class FaultError(ConfigError):
    """A fault was given a parameter, a column type or a placement it does not take."""


class PlanError(ConfigError):
    """A plan is empty, out of order, or does not fit its batch."""


class BatchError(ConfigError):
    """A batch cannot be read, or lacks what it declares."""


class ShadowError(ConfigError):
    """A shadow lies where a consumer could read it."""


class CannotRunError(PipechaosError):
    """The machinery failed: no judgement was reached."""

    exit_code: ClassVar[int] = 3


class ValidatorLoadError(CannotRunError):
    """A validator could not be loaded or started."""


class MissingExtraError(CannotRunError):
    """An optional library is not installed.

    Examples
    --------
    >>> str(MissingExtraError("great_expectations", "gx"))
    "great_expectations is not installed: pip install 'pipechaos[gx]'"
    """

    def __init__(self, library: str, extra: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(f"{library} is not installed: pip install 'pipechaos[{extra}]'")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (type(self), (self.library, self.extra))


def suggest(name: str, allowed: Iterable[str]) -> str | None:
    """Closest allowed name, or None when nothing is near.

    Examples
    --------
    >>> suggest("nul.mcar", ["null.mcar", "text.typo"])
    'null.mcar'
    """
    names = list(allowed)
    folded = {n.casefold(): n for n in names}
    if name.casefold() in folded:
        return folded[name.casefold()]
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None
