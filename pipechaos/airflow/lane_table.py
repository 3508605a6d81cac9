"""What a lane is told about the table that its stage writes; light, since DAG files load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipechaos.errors import ConfigError, UnknownNameError

__all__ = ["check_table", "refuse_single"]

_KEYS = ("connection_id", "schema", "table", "where", "key", "name", "readers")


def refuse_single(what: str, given: object) -> None:
    """Refuse one name where a list of names is wanted: a text is a sequence too, of its letters.

    Raises
    ------
    ConfigError
        It is a text or a class.
    """
    if isinstance(given, (str, type)):
        shown = given if isinstance(given, str) else given.__name__
        raise ConfigError(f"{what} is {shown!r}: give a list, [{shown!r}]")


def check_table(declared: Mapping[str, Any]) -> None:
    """Refuse a declared table that cannot be one; its values may still be templates.

    Raises
    ------
    UnknownNameError
        There is a key that a table does not have.
    ConfigError
        The table or its connection is missing.

    Examples
    --------
    >>> check_table({"connection_id": "shop", "table": "orders", "where": [("day", "=", "{{ ds }}")]})
    """
    for name in declared:
        if name not in _KEYS:
            raise UnknownNameError("key", str(name), _KEYS, "the table of a lane")
    for name in ("key", "readers"):
        refuse_single(f"{name} of the table", declared.get(name, ()))
    missing = [n for n in ("connection_id", "table") if not declared.get(n)]
    if missing:
        raise ConfigError(
            f"the table of a lane lacks {' and '.join(missing)}: give at least "
            "table={'connection_id': 'shop', 'schema': 'sales', 'table': 'orders'}"
        )
