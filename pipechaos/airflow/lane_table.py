"""What a lane is told about the table that its stage writes; light, since DAG files load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipechaos.errors import ConfigError, UnknownNameError

__all__ = ["check_table"]

_KEYS = ("connection_id", "schema", "table", "where", "key", "name", "readers")


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
        if isinstance(declared.get(name, ()), str):
            raise ConfigError(f"{name} of the table is {declared[name]!r}: give a list, [{declared[name]!r}]")
    missing = [n for n in ("connection_id", "table") if not declared.get(n)]
    if missing:
        raise ConfigError(
            f"the table of a lane lacks {' and '.join(missing)}: give at least "
            "table={'connection_id': 'shop', 'schema': 'sales', 'table': 'orders'}"
        )
