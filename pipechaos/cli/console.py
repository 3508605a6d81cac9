"""Where output goes: data to stdout or a file, text for people to stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["emit_json", "ended_in_order", "json_option", "people", "ready_for"]

_WIDTH = 100  # of text that goes to a file or a log

json_option = click.option(
    "--json", "json_to", metavar="FILE|-", help="Write the result as JSON to a file, or to stdout with '-'."
)


def people(file: TextIO | None = None) -> Console:
    """Console for people: stderr by default; colours only on a terminal, and no escape code against NO_COLOR."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(
        file=file or sys.stderr,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if plain else "auto",
    )
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _WIDTH
    return console


def ready_for(target: str | Path) -> None:
    """Make sure that a file can be written, before the work that fills it.

    Raises
    ------
    ConfigError
        It lies in no folder that can be made or written to.
    """
    from pipechaos.errors import ConfigError

    file = Path(target)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot make the folder {file.parent}: {exc.strerror}") from None
    if file.is_dir():
        raise ConfigError(f"{file} is a folder: give the path of a file")
    if not os.access(file.parent, os.W_OK):
        raise ConfigError(f"the folder {file.parent} cannot be written to")


def emit_json(data: Any, to: str | None) -> None:
    """Write JSON to stdout or, through a temporary name, to a file; nothing when no target is given."""
    if to is None:
        return
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if to == "-":
        click.echo(text, nl=False)
        return
    from pipechaos.batch.textfile import write_text

    ready_for(to)
    write_text(Path(to), text)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let a polite kill (a cancelled CI job) unwind, so that what is temporary is removed."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
