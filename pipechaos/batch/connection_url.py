"""URLs of databases: ``${NAME}`` filled in from the environment, and the form that is shown without a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from pipechaos.errors import ConfigError

__all__ = ["expanded", "refuse_passwords", "without_password"]

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USER = re.compile(r"^([a-z0-9+]+://[^:/@]*):.*@", re.DOTALL)
_SECRET_KEY = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)([^&]*)", re.IGNORECASE)
_LOGIN = re.compile(r"^[A-Za-z0-9+]*://[^:/@]*:(.*)@", re.DOTALL)


def expanded(text: str, env: Mapping[str, str], *, what: str) -> str:
    """Text with each ``${NAME}`` replaced by its value; in user and password the value may hold any character.

    Raises
    ------
    ConfigError
        A variable is not set. The message names the variable and ``what`` needs it.

    Examples
    --------
    >>> expanded("postgresql://me:${PW}@db/x", {"PW": "p@ss"}, what="the store")
    'postgresql://me:p%40ss@db/x'
    """

    def value(name: str) -> str:
        if name not in env:
            raise ConfigError(f"{what} needs the environment variable {name}, which is not set")
        return env[name]

    scheme, found, rest = text.partition("://")
    login, at, place = rest.rpartition("@")
    if found and not scheme.startswith("$") and at:  # a password is a value, so none of its characters is syntax
        login = _NAME.sub(lambda m: quote(value(m[1]), safe=""), login)
        return f"{scheme}://{login}@{_NAME.sub(lambda m: value(m[1]), place)}"
    return _NAME.sub(lambda m: value(m[1]), text)


def without_password(url: str) -> str:
    """The URL as people may see it.

    Examples
    --------
    >>> without_password("postgresql://u:p@h/d?sslpassword=q&x=1")
    'postgresql://u:***@h/d?sslpassword=***&x=1'
    """
    return _SECRET_KEY.sub(r"\1***", _USER.sub(r"\1:***@", url))


def refuse_passwords(url: str) -> None:
    """Refuse a URL that holds a password itself; ``${NAME}`` in its place is fine.

    Raises
    ------
    ConfigError
        It does. The message does not repeat it.

    Examples
    --------
    >>> refuse_passwords("postgresql://u:${PW}@h/d")
    """
    login = _LOGIN.match(url)
    secrets = [login[1]] if login else []
    secrets += [m[2] for m in _SECRET_KEY.finditer(url) if m[1][1:] != "sslkey="]  # that one is a path
    if any(s and not _NAME.fullmatch(s) for s in secrets):
        raise ConfigError(
            f"the address {without_password(url)} carries a password: write ${{NAME}} in its place, which is read from "
            "the environment, or name the connection that holds it; references travel and are stored."
        )
