"""Versions of everything that a result hangs on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["library_versions"]

_READ = ("numpy", "pandas", "pyarrow", "polars")
_JUDGE = ("pandera", "great-expectations", "dataframely", "pointblank")


def library_versions() -> dict[str, str]:
    """Of Python, pipechaos and the libraries that read or judge, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in ("pipechaos", *_READ, *_JUDGE):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))
