"""How strong a fault was, in words: said here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pipechaos.errors import UnknownNameError
from pipechaos.faults import registry
from pipechaos.report.numbers import amount

__all__ = ["Dosed", "dose_text", "dose_words", "moved_by"]


class Dosed(Protocol):
    """A fault at a dose: a survivor, a weakness of a comparison or of the store, a trial."""

    @property
    def fault(self) -> str: ...  # noqa: D102 - its code
    @property
    def severity(self) -> int: ...  # noqa: D102 - 0 off the ladder
    @property
    def rungs(self) -> int: ...  # noqa: D102 - of its ladder
    @property
    def fraction(self) -> float: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102


def moved_by(fault: str) -> str:
    """Name of what a fault's ladder moves: ``fraction``, or one of its parameters."""
    try:
        return registry.get(fault).ladder.moves
    except UnknownNameError:
        return "fraction"  # a scorecard of another version: its ladders stay apart


def dose_text(s: Dosed) -> str:
    """Severity with what it means: the parameter the ladder moves, then whatever else is not as usual.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> dose_text(SimpleNamespace(fault="null.mcar", severity=3, rungs=5, fraction=0.2, params={}))
    'severity 3 of 5 (fraction 0.2)'
    """
    return dose_words(s.fault, severity=s.severity, rungs=s.rungs, fraction=s.fraction, params=s.params)


def dose_words(fault: str, *, severity: int, rungs: int, fraction: float, params: Mapping[str, Any]) -> str:
    """As :func:`dose_text`, of its parts.

    Examples
    --------
    >>> dose_words("value.noise", severity=0, rungs=5, fraction=0.5, params={"sigma": 2.0})
    'off the ladder (sigma 2, fraction 0.5)'
    """
    moved = moved_by(fault)
    parts = [
        f"{k} {amount(v)}" for k, v in sorted(params.items(), key=lambda p: (p[0] != moved, p[0])) if v is not None
    ]
    if moved == "fraction" or fraction != 1:
        parts.insert(0 if moved == "fraction" else 1, f"fraction {amount(fraction)}")
    if rungs == 1:
        parts = [p for p in parts if p != "fraction 1"]
    rung = f"severity {severity} of {rungs}" if severity else "off the ladder"
    return f"{rung} ({', '.join(parts)})" if parts else rung
