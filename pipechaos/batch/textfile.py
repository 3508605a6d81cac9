"""Text files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_text"]


def write_text(path: str | Path, text: str) -> None:
    """Write a text file through a temporary name beside it, with the rights that a new file has here.

    Parameters
    ----------
    path
        Its folder must be there.
    text
        Written as UTF-8, with line ends as they are.
    """
    file = Path(path)
    waiting = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        waiting.write_text(text, encoding="utf-8", newline="")
        waiting.replace(file)
    finally:
        waiting.unlink(missing_ok=True)
