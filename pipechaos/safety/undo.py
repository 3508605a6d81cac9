"""Recipes that take a change back: data from a short list of kinds, never code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipechaos.errors import ConfigError

__all__ = ["ABSENT", "Undo", "UndoKind"]

ABSENT = "absent"  # in place of a digest: the change leaves no file
_DIGEST = re.compile(r"[0-9a-f]{64}")


class UndoKind(StrEnum):
    """What can be taken back, and how."""

    RESTORE_FILE = "restore_file"
    REMOVE_FILE = "remove_file"
    DROP_TABLE = "drop_table"
    DROP_SCHEMA = "drop_schema"


_ARGUMENTS: Mapping[UndoKind, tuple[str, ...]] = {
    UndoKind.RESTORE_FILE: ("path", "backup", "digest", "after"),
    UndoKind.REMOVE_FILE: ("path", "after"),
    UndoKind.DROP_TABLE: ("connection", "schema", "table"),
    UndoKind.DROP_SCHEMA: ("connection", "schema"),
}


@dataclass(frozen=True, kw_only=True)
class Undo:
    """One recipe.

    Attributes
    ----------
    kind
        Which undoer takes it.
    arguments
        By name, all of them texts. ``path`` and ``backup`` are absolute; ``digest`` is the SHA-256 of what was there
        before; ``after`` is that of what the change leaves, ``"absent"`` for no file, or empty where nobody can say.
        With it, a file that somebody else has written since is left alone. ``connection`` is an id, never a URL with a
        password.

    Examples
    --------
    >>> Undo.remove_file("/lake/x.parquet").kind
    <UndoKind.REMOVE_FILE: 'remove_file'>
    """

    kind: UndoKind
    arguments: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = _ARGUMENTS[self.kind]
        if set(self.arguments) != set(wanted) or not all(isinstance(v, str) for v in self.arguments.values()):
            raise ConfigError(f"undo {self.kind} takes the texts {', '.join(wanted)}; got {dict(self.arguments)!r}")
        for name, value in self.arguments.items():
            if name in ("path", "backup") and not Path(value).is_absolute():
                raise ConfigError(f"undo {self.kind}: {name} must be absolute, not {value!r}: it is read in any folder")
            digest = name == "digest" or (name == "after" and value not in ("", ABSENT))
            if digest and not _DIGEST.fullmatch(value):
                raise ConfigError(f"undo {self.kind}: {name} must be a SHA-256 in hex digits, not {value!r}")
            if name in ("connection", "schema", "table") and not value:
                raise ConfigError(f"undo {self.kind}: {name} is empty")
            if name == "connection" and "://" in value:
                raise ConfigError(f"undo {self.kind}: connection is the id of one; a URL may hold a password")

    @classmethod
    def restore_file(cls, path: str | Path, *, backup: str | Path, digest: str, after: str = "") -> Undo:
        """Put a copy back, whose digest must be right."""
        given = {"path": str(path), "backup": str(backup), "digest": digest, "after": after}
        return cls(kind=UndoKind.RESTORE_FILE, arguments=given)

    @classmethod
    def remove_file(cls, path: str | Path, *, after: str = "") -> Undo:
        """Take a file away that was not there before."""
        return cls(kind=UndoKind.REMOVE_FILE, arguments={"path": str(path), "after": after})

    @classmethod
    def drop_table(cls, connection: str, *, schema: str, table: str) -> Undo:
        """Drop a table that was not there before; whoever knows the connection gives the undoer."""
        given = {"connection": connection, "schema": schema, "table": table}
        return cls(kind=UndoKind.DROP_TABLE, arguments=given)

    @classmethod
    def drop_schema(cls, connection: str, *, schema: str) -> Undo:
        """Drop a schema that was not there before, with what is in it; as :meth:`drop_table`."""
        return cls(kind=UndoKind.DROP_SCHEMA, arguments={"connection": connection, "schema": schema})
