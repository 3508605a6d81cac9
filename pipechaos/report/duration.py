"""Lengths of time in words."""

from __future__ import annotations

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """A length of time for people.

    Examples
    --------
    >>> duration(59.4), duration(272)
    ('59 s', '4 min 32 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
