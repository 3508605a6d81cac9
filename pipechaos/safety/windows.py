"""Exclusion windows: times of the week and stretches of days in which nothing may be injected."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, available_timezones

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.safety.switch import Halted, HaltOrder

__all__ = ["Exclusions", "Window"]

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = ("reason", "zone", "weekdays", "from", "to", "first", "last")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_MINUTES = 24 * 60
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Times at which nothing may be injected: what is given must hold at once, what is not given always holds.

    Attributes
    ----------
    reason
        Why, for the message.
    zone
        IANA name of the time zone that clocks are read in.
    weekdays
        0 is Monday: the days on which it begins; empty is every day.
    start, end
        Minutes of the day, start included, end not; where the end is not later than the start it is on the next day.
    first, last
        The days on which it may begin, both included.

    Notes
    -----
    A time that no clock shows, or that it shows twice, because clocks are put forward or back, counts with both
    readings: on such a day a window is longer by the shift, never shorter.
    """

    reason: str
    zone: str
    weekdays: frozenset[int] = frozenset()
    start: int = 0
    end: int = _DAY_MINUTES
    first: dt.date | None = None
    last: dt.date | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ConfigError("an exclusion window needs a reason: it is what whoever is stopped will read")
        try:
            ZoneInfo(self.zone)
        except (OSError, ValueError, KeyError):
            raise UnknownNameError("time zone", self.zone, available_timezones(), self._name) from None
        if not self.weekdays <= set(range(7)):
            raise ConfigError(f"{self._name}: weekdays are 0 (Monday) to 6, not {sorted(self.weekdays)}")
        if not (0 <= self.start < _DAY_MINUTES and 0 <= self.end <= _DAY_MINUTES) or self.start == self.end:
            raise ConfigError(
                f"{self._name}: `from` and `to` must be two different times of a day (leave out for a whole)"
            )
        if self.first and self.last and self.last < self.first:
            raise ConfigError(f"{self._name}: the last day {self.last} is before the first, {self.first}")

    @property
    def _name(self) -> str:
        return f"exclusion window {self.reason!r}"

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Window:
        """Read a plain mapping.

        Parameters
        ----------
        data
            ``reason`` and ``zone``, and any of ``weekdays`` (``mon`` to ``sun``), ``from`` and ``to`` (``HH:MM``),
            ``first`` and ``last`` (``YYYY-MM-DD``).

        Raises
        ------
        ConfigError
            A key is unknown or missing, a value is of another form, or nothing is excluded at all times.

        Examples
        --------
        >>> friday = {"weekdays": ["fri"], "from": "22:00", "to": "02:00", "zone": "Europe/Berlin"}
        >>> window = Window.of({"reason": "payroll", **friday})
        >>> window.covers(dt.datetime(2024, 3, 1, 21, 30, tzinfo=dt.UTC))
        True
        >>> window.covers(dt.datetime(2024, 3, 2, 1, tzinfo=dt.UTC))
        False
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"an exclusion window is a mapping with the keys {', '.join(_KEYS)}, not {data!r}")
        for key in data:
            if key not in _KEYS:
                raise UnknownNameError("key", str(key), _KEYS, "an exclusion window")
        reason, zone = (_words(data, key) for key in ("reason", "zone"))
        if ("from" in data) != ("to" in data):
            raise ConfigError(f"exclusion window {reason!r}: give both `from` and `to`, or neither")
        if not {"weekdays", "from", "first", "last"} & data.keys():
            raise ConfigError(
                f"exclusion window {reason!r} would last for ever: give weekdays, from and to, first or last; "
                "to stop everything use the kill switch"
            )
        return cls(
            reason=reason,
            zone=zone,
            weekdays=_weekdays(data["weekdays"], reason) if "weekdays" in data else frozenset(),
            start=_minute(data["from"], reason) if "from" in data else 0,
            end=_minute(data["to"], reason) if "to" in data else _DAY_MINUTES,
            first=_day(data["first"], reason) if "first" in data else None,
            last=_day(data["last"], reason) if "last" in data else None,
        )

    def covers(self, now: dt.datetime) -> bool:
        """Whether a moment lies in the window.

        Raises
        ------
        ConfigError
            The moment has no time zone, or lies in the first or last year that there is.
        """
        if now.utcoffset() is None:
            raise ConfigError(f"the time {now} has no time zone: give an aware one, such as datetime.now(UTC)")
        try:
            here, moment = now.astimezone(self._clock).date(), now.astimezone(dt.UTC)
            return any(begin <= moment < end for begin, end in self._near(here))
        except OverflowError:
            raise ConfigError(f"the time {now} is out of any calendar") from None

    @property
    def _clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone)  # kept by the library

    def _near(self, here: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        for shift in (-1, 0, 1):  # the day after too: a midnight that is skipped counts from an hour before
            day = here + shift * _DAY
            if self._begins(day):
                span = self.end - self.start if self.end > self.start else self.end + _DAY_MINUTES - self.start
                yield min(self._readings(day, self.start)), max(self._readings(day, self.start + span))

    def _begins(self, day: dt.date) -> bool:
        return (
            (not self.weekdays or day.weekday() in self.weekdays)
            and (self.first is None or self.first <= day)
            and (self.last is None or day <= self.last)
        )

    def _readings(self, day: dt.date, minute: int) -> tuple[dt.datetime, dt.datetime]:
        """Both moments that a time of a day may mean; nearly always one."""
        local = dt.datetime.combine(day, dt.time(), self._clock) + dt.timedelta(minutes=minute)
        return local.replace(fold=0).astimezone(dt.UTC), local.replace(fold=1).astimezone(dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Exclusions:
    """All windows of a project or a target."""

    windows: tuple[Window, ...] = ()

    @classmethod
    def of(cls, data: Sequence[Mapping[str, object]]) -> Exclusions:
        """Read a list of plain mappings; see :meth:`Window.of`."""
        if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Sequence):
            raise ConfigError(f"exclusion windows are a list of mappings, not {data!r}")
        return cls(windows=tuple(Window.of(entry) for entry in data))

    def excluded(self, now: dt.datetime) -> str | None:
        """Reason of the first window that a moment lies in; None outside all of them."""
        if now.utcoffset() is None:
            raise ConfigError(f"the time {now} has no time zone: give an aware one, such as datetime.now(UTC)")
        return next((w.reason for w in self.windows if w.covers(now)), None)

    def check(self, now: dt.datetime) -> None:
        """Go on, or raise.

        Raises
        ------
        Halted
            The moment lies in a window.
        """
        reason = self.excluded(now)
        if reason is not None:
            raise Halted(HaltOrder(source="exclusion window", reason=reason, release="wait until it has passed"))


def _words(data: Mapping[str, object], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"an exclusion window needs `{key}`, a text; got {value!r}")
    return value


def _weekdays(value: object, reason: str) -> frozenset[int]:
    names = value if isinstance(value, (list, tuple)) else None
    if not names:
        raise ConfigError(f"exclusion window {reason!r}: weekdays are a list of {', '.join(_WEEKDAYS)}, not {value!r}")
    for name in names:
        if name not in _WEEKDAYS:
            raise UnknownNameError("weekday", str(name), _WEEKDAYS, f"exclusion window {reason!r}")
    return frozenset(_WEEKDAYS.index(name) for name in names)


def _minute(value: object, reason: str) -> int:
    """Minutes of the day; YAML 1.1 makes the number 1320 of 22:00 without quotes, which is just that."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _DAY_MINUTES:
        return value
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found:
        hour, minute = int(found[1]), int(found[2])
        if minute < 60 and hour * 60 + minute <= _DAY_MINUTES:
            return hour * 60 + minute
    raise ConfigError(f"exclusion window {reason!r}: a time is HH:MM, from 00:00 to 24:00, not {value!r}")


def _day(value: object, reason: str) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):  # YAML reads dates by itself
        return value
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"exclusion window {reason!r}: there is no day {value}") from None
    raise ConfigError(f"exclusion window {reason!r}: a day is YYYY-MM-DD, not {value!r}")
