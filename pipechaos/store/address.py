"""Where a store is: a file or a PostgreSQL URL, and how either is shown without its password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipechaos.batch.connection_url import expanded, without_password
from pipechaos.errors import ConfigError

__all__ = ["Address", "parse_address"]

_ALMOST = re.compile(r"[A-Za-z][A-Za-z0-9+]+:")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE = ("sqlite", "sqlite+pysqlite")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a store is.

    Attributes
    ----------
    shown
        For people: without password or token.
    file
        The SQLite file; None for a server.
    url
        The server's URL with everything it needs; empty for a file.
    """

    shown: str
    file: Path | None = None
    url: str = field(default="", repr=False)


def parse_address(given: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> Address:
    """Read the address of a store.

    Parameters
    ----------
    given
        Path of a SQLite file, ``sqlite:///PATH``, or ``postgresql://USER:${PASSWORD}@HOST/DATABASE``. ``${NAME}`` is an
        environment variable; in user and password its value may hold any character.
    env
        The environment; that of the process otherwise.

    Raises
    ------
    ConfigError
        A variable is not set, or the scheme is another. No message repeats a password.

    Examples
    --------
    >>> parse_address("postgresql://chaos:${PW}@db/results", {"PW": "p@ss"}).shown
    'postgresql+psycopg://chaos:***@db/results'
    >>> parse_address("runs.db").file.name
    'runs.db'
    """
    text = expanded(os.fspath(given), os.environ if env is None else env, what="the address of the store")
    scheme, found, rest = text.partition("://")
    if not found:
        if _ALMOST.match(text):  # not repeated: it may hold a password
            raise ConfigError("a store's address has two slashes after its scheme: postgresql://..., sqlite:///PATH")
        return _file(text)
    if scheme in _SQLITE:
        return _file(rest.partition("?")[0].removeprefix("/"))
    if scheme not in _POSTGRES:
        raise ConfigError(
            f"a store at {scheme}:// is not known: give the path of a SQLite file, sqlite:///PATH or "
            "postgresql://USER:${PASSWORD}@HOST/DATABASE"
        )
    url = f"postgresql+psycopg://{rest}"
    return Address(shown=without_password(url), url=url)


def _file(path: str) -> Address:
    if path in ("", ":memory:"):
        raise ConfigError("a store in memory is gone with the process: give the path of a SQLite file")
    file = Path(path).expanduser()
    if file.is_dir():
        raise ConfigError(f"{file} is a folder: give the path of a SQLite file, for instance {file / 'pipechaos.db'}")
    return Address(shown=str(file), file=file)
