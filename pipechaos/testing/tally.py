"""Counts of a test session, carried by the reports of its tests: nothing else comes back from other processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Count", "Property", "Tally", "calls_of", "properties"]

Property = tuple[str, str | int]

PREFIX = "pipechaos."
_CALL = "pipechaos.call"  # opens each group of properties


@dataclass(kw_only=True)
class Count:
    """What one validator did over a session.

    Attributes
    ----------
    rejected, broken
        Broken copies that it rejected, of those that changed something.
    accepted, untouched
        Untouched batches that it accepted, of those handed over.
    nothing
        Faults that changed nothing for it: in no count.
    base_bad
        Faults that could not be tried, because the untouched batch was not accepted.
    """

    rejected: int = 0
    broken: int = 0
    accepted: int = 0
    untouched: int = 0
    nothing: int = 0
    base_bad: int = 0


def properties(call: str, **values: str | int) -> list[Property]:
    """One call of ``must_reject`` or ``must_accept`` as properties of its test.

    Examples
    --------
    >>> properties("must_accept", validator="orders", outcome="tn", accepted=2, of=2)[:2]
    [('pipechaos.call', 'must_accept'), ('pipechaos.validator', 'orders')]
    """
    return [(_CALL, call), *((f"{PREFIX}{k}", v) for k, v in values.items())]


def calls_of(found: Iterable[Sequence[object]]) -> list[dict[str, object]]:
    """Inverse of :func:`properties`, among whatever other properties a test has."""
    calls: list[dict[str, object]] = []
    for name, value in found:
        if name == _CALL:
            calls.append({"call": value})
        elif calls and isinstance(name, str) and name.startswith(PREFIX):
            calls[-1][name.removeprefix(PREFIX)] = value
    return calls


@dataclass(kw_only=True)
class Tally:
    """Sums over tests, by validator."""

    counts: dict[str, Count] = field(default_factory=dict)

    def add(self, found: Iterable[Sequence[object]]) -> None:
        """Count the properties of one test."""
        for call in calls_of(found):
            count = self.counts.setdefault(str(call.get("validator", "?")), Count())
            if call["call"] == "must_accept":
                count.accepted += _number(call, "accepted")
                count.untouched += _number(call, "of")
            else:
                count.rejected += _number(call, "rejected")
                count.broken += _number(call, "of")
                count.nothing += call.get("outcome") == "noop"
                count.base_bad += call.get("outcome") == "base_bad"

    def totals(self) -> dict[str, str]:
        """Sums over all validators, as properties of a test suite."""
        every = list(self.counts.values())
        return {
            "pipechaos.rejected": f"{sum(c.rejected for c in every)} of {sum(c.broken for c in every)}",
            "pipechaos.accepted": f"{sum(c.accepted for c in every)} of {sum(c.untouched for c in every)}",
            "pipechaos.nothing_changed": str(sum(c.nothing for c in every)),
            "pipechaos.base_bad": str(sum(c.base_bad for c in every)),
        }

    def lines(self) -> list[str]:
        """One line for each validator."""
        return [f"{name}: {_line(count)}" for name, count in sorted(self.counts.items())]


def _line(count: Count) -> str:
    parts = []
    if count.broken:
        parts.append(f"rejected {count.rejected} of {count.broken} broken batches")
    if count.untouched:
        parts.append(f"accepted {count.accepted} of {count.untouched} untouched ones")
    if count.nothing:
        parts.append(f"{_faults(count.nothing)} changed nothing")
    if count.base_bad:
        parts.append(f"{_faults(count.base_bad)} not tried: the untouched batch was not accepted")
    return ", ".join(parts)


def _faults(count: int) -> str:
    return "1 fault" if count == 1 else f"{count} faults"


def _number(call: dict[str, object], name: str) -> int:
    value = call.get(name)
    return value if isinstance(value, int) else 0
