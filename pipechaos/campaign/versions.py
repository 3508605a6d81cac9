"""Versions of everything that a result hangs on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["library_versions"]

_LIBRARIES = ("pipechaos", "numpy", "pandas", "pyarrow", "pandera", "great-expectations", "polars", "dataframely", "pointblank")


def library_versions() -> dict[str, str]:
    """Of Python, pipechaos and the libraries that read or judge, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
