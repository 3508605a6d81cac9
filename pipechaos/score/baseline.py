"""Accepted survivors: what a team knows that it misses, who said so and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Accepted", "BaselineEntry", "BaselineResult", "Standing"]


class Standing(StrEnum):
    """How a weakness stands to the baseline."""

    NEW = "new"  # survives, and nobody accepted it: fails
    ACCEPTED = "accepted"  # survives, as was said
    EXPIRED = "expired"  # the word is out of date: fails
    STALE = "stale"  # no longer survives: the entry has to go, fails
    UNTRIED = "untried"  # this run did not try it: says nothing


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One line of a baseline file.

    Attributes
    ----------
    weakness_id
        The key; it holds no seed.
    validator, fault, columns, placement, severity
        The same in words a person can read; ``weakness_id`` decides.
    reason, owner
        Why it is accepted, and who answers for it.
    expires
        Last day it holds.
    missed, tried
        Trials of it when it was accepted.
    """

    weakness_id: str
    validator: str
    fault: str
    columns: tuple[str, ...] = ()
    placement: Mapping[str, Any] = field(default_factory=dict)
    severity: int = 0
    reason: str = ""
    owner: str = ""
    expires: dt.date | None = None
    missed: int = 0
    tried: int = 0


@dataclass(frozen=True, kw_only=True)
class BaselineEntry:
    """A weakness that survives, or that the baseline names.

    Attributes
    ----------
    standing, weakness_id
        Which one, and how it stands.
    label
        In words: validator, fault, columns, severity.
    accepted
        Its line in the baseline; None for a new survivor.
    missed, tried
        Trials of this run.
    text
        What is wrong and what to do, in a line; empty where nothing is.
    """

    standing: Standing
    weakness_id: str
    label: str
    accepted: Accepted | None = None
    missed: int = 0
    tried: int = 0
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class BaselineResult:
    """A run held against a baseline.

    Attributes
    ----------
    file
        Its path as the user gave it.
    entries
        New ones first, then expired, stale, accepted, untried.
    """

    file: str
    entries: tuple[BaselineEntry, ...]

    def of(self, standing: Standing) -> tuple[BaselineEntry, ...]:
        """Entries that stand so."""
        return tuple(e for e in self.entries if e.standing is standing)

    @property
    def failed(self) -> bool:
        """Whether anything is new, expired or stale."""
        return any(e.standing in (Standing.NEW, Standing.EXPIRED, Standing.STALE) for e in self.entries)
