"""Open a store without importing SQLAlchemy before it is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipechaos.errors import MissingExtraError

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["open_store"]


def open_store(given: str | os.PathLike[str], *, create: bool = True) -> Store:
    """Open a store: see :meth:`pipechaos.store.database.Store.open`.

    Raises
    ------
    MissingExtraError
        SQLAlchemy or Alembic is not installed.
    ConfigError, StoreError
        The store cannot be found or used.
    """
    try:
        from pipechaos.store.database import Store
    except ModuleNotFoundError as exc:
        if exc.name not in ("sqlalchemy", "alembic"):
            raise
        raise MissingExtraError(exc.name, "store") from None
    return Store.open(given, create=create)
