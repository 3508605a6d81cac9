"""``[tool.pipechaos]`` of the nearest pyproject.toml: defaults of options, below flags and environment variables."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipechaos.errors import ConfigError, suggest

__all__ = ["Settings", "project_home", "project_settings"]

_EXPERIMENTS = ("run", "plan", "diff-suite", "drill")


@dataclass(frozen=True, kw_only=True)
class _Key:
    """What a key may hold, and which commands take it (none named: all that have such an option)."""

    kind: type
    path: bool = False
    commands: tuple[str, ...] = ()


_KEYS: Mapping[str, _Key] = {
    "experiment": _Key(kind=str, path=True, commands=_EXPERIMENTS),
    "store": _Key(kind=str),
    "baseline": _Key(kind=str, path=True, commands=("run", "score", "feast", "baseline", "drill")),
    "jobs": _Key(kind=int),
    "no-values": _Key(kind=bool),
    **{
        name: _Key(kind=str, path=True, commands=("run", "feast"))
        for name in ("html", "junit-xml", "sarif", "mutation-json", "prometheus", "badge", "markdown")
    },
}
_PARTS = {"baseline": ("update", "prune", "explain"), "drill": ("run", "status")}
_KINDS = {str: "a text", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a project's file says.

    Attributes
    ----------
    home
        Folder of the file that holds ``[tool.pipechaos]``; None where there is none.
    values
        By key; paths are taken from ``home``.
    """

    home: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def defaults(self, commands: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults of each command's options, by the names that click knows them by."""
        found: dict[str, Any] = {}
        for command in commands:
            mine = {
                key.replace("-", "_"): value
                for key, value in self.values.items()
                if not _KEYS[key].commands or command in _KEYS[key].commands
            }
            found[command] = dict.fromkeys(_PARTS[command], mine) if command in _PARTS else mine
        return found


def project_home(start: Path) -> Path:
    """Folder of the nearest ``pyproject.toml`` at or above a folder, else that folder itself."""
    return next((f for f in (start, *start.parents) if (f / "pyproject.toml").is_file()), start)


def project_settings(start: Path) -> Settings:
    """Read the nearest ``pyproject.toml`` at or above a folder.

    Parameters
    ----------
    start
        Usually the working directory.

    Raises
    ------
    ConfigError
        The file is no TOML, or ``[tool.pipechaos]`` holds an unknown key or a value of another kind.
    """
    file = project_home(start) / "pyproject.toml"
    return _read(file, start) if file.is_file() else Settings()


def _read(file: Path, start: Path) -> Settings:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{file} cannot be read as TOML: {exc}") from None
    found = data.get("tool", {}).get("pipechaos")
    if found is None:
        return Settings()
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: tool.pipechaos must be a table, such as [tool.pipechaos]")
    return Settings(home=file.parent, values={key: _value(file, start, key, found[key]) for key in found})


def _value(file: Path, start: Path, key: str, value: Any) -> Any:
    known = _KEYS.get(key)
    if known is None:
        near = suggest(key, _KEYS)
        hint = f"did you mean {near!r}? " if near else ""
        raise ConfigError(f"{file}: [tool.pipechaos] has no key {key!r}; {hint}allowed are: {', '.join(sorted(_KEYS))}")
    kind: object = type(value)  # a bool is an int to isinstance
    if kind is not known.kind:
        raise ConfigError(f"{file}: {key} in [tool.pipechaos] must be {_KINDS[known.kind]}, not {value!r}")
    if known.path or (key == "store" and "://" not in value and value != "none"):
        return os.path.relpath(file.parent / value, start)
    return value
