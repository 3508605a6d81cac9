"""How a check's arguments are written in its id: short, and the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["cut", "show", "shown"]

_LONGEST = 80


def shown(values: Iterable[Any]) -> str:
    """Arguments, cut to 80 characters with a digest of the rest.

    Examples
    --------
    >>> shown([0, {"b", "a"}, None, "x"])
    "0, ['a', 'b'], None, 'x'"
    """
    return cut(", ".join(show(v) for v in values))


def cut(text: str) -> str:
    """Text of at most 80 characters; what was cut off goes into a digest.

    Examples
    --------
    >>> len(cut("a" * 200)), cut("a" * 80) == "a" * 80
    (72, True)
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 20]}... {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"
    return text


def show(value: Any) -> str:
    """One argument: sets sorted, functions by their name, nothing with an address in it."""
    if isinstance(value, set | frozenset):
        return "[" + ", ".join(sorted(show(v) for v in value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(show(v) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in value.items()) + "}"
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text  # an address differs from process to process
