"""How drills are held."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipechaos.errors import ConfigError, UnknownNameError

__all__ = ["DrillSettings", "drill_name"]

_SUFFIX = ".drill"
_COUNTS = ("trials", "controls", "bases", "pause_after")


def drill_name(experiment: str) -> str:
    """Name under which a store keeps the drills of an experiment, apart from its other runs.

    Examples
    --------
    >>> drill_name("flights")
    'flights.drill'
    """
    return experiment + _SUFFIX


@dataclass(frozen=True, kw_only=True)
class DrillSettings:
    """How drills are held.

    Attributes
    ----------
    period_days
        Every fault on every column is tried within so many days.
    every_days
        Expected time from one drill to the next.
    trials
        Most faulty trials of one drill (injection x validator); None for the least that keeps the period.
    minutes
        Wall time after which a drill stops; None for what the experiment says.
    controls
        So many of the latest batches are untouched controls.
    bases
        So many of these, the latest, are broken: last night's.
    until
        Name of the latest batch that counts, where it is not the latest there is.
    pause_after
        After so many drills in a row that could not run, no more are held until somebody says so.

    Raises
    ------
    ConfigError
        A number that makes no sense.

    Examples
    --------
    >>> DrillSettings(period_days=14, every_days=1).drills
    14
    """

    period_days: float = 14
    every_days: float = 1
    trials: int | None = None
    minutes: float | None = None
    controls: int = 28
    bases: int = 1
    until: str | None = None
    pause_after: int = 3

    def __post_init__(self) -> None:
        for name in ("period_days", "every_days", "minutes"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise ConfigError(f"{name} {value} of a drill must be a number above 0")
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} {value} of a drill must be at least 1")
        if self.period_days < self.every_days:
            raise ConfigError(
                f"a drill every {self.every_days:g} days cannot try everything within {self.period_days:g}: make "
                "period_days at least as long as every_days"
            )
        if self.bases > self.controls:
            raise ConfigError(
                f"a drill with {self.controls} controls cannot break {self.bases} of them: raise controls, or "
                "lower bases"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> DrillSettings:
        """Settings from values that may be texts, as templates give them; an empty one stands for the default.

        Raises
        ------
        ConfigError
            A name or a number that is none.

        Examples
        --------
        >>> DrillSettings.of({"period_days": "7", "trials": "None", "until": ""}).period_days
        7.0
        """
        found: dict[str, Any] = {}
        for name, value in given.items():
            if name not in cls.__dataclass_fields__:
                raise UnknownNameError("setting", name, cls.__dataclass_fields__, "a drill")
            text = "" if value is None else str(value).strip()
            if text in ("", "None"):
                continue
            kind = int if name in _COUNTS else str if name == "until" else float
            try:
                found[name] = kind(text)
            except ValueError:
                raise ConfigError(f"{name} {text!r} of a drill is no number of its kind") from None
        return cls(**found)

    @property
    def drills(self) -> int:
        """Drills within a period."""
        return int(self.period_days / self.every_days + 1e-9)

    @property
    def period(self) -> dt.timedelta:
        """Within which everything is tried."""
        return dt.timedelta(days=self.period_days)

    @property
    def every(self) -> dt.timedelta:
        """From one drill to the next."""
        return dt.timedelta(days=self.every_days)
