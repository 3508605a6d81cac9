"""Where output goes: data to stdout or a file, text for people to stderr."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["emit_json", "json_option", "people"]

json_option = click.option(
    "--json", "json_to", metavar="FILE|-", help="Write the result as JSON to a file, or to stdout with '-'."
)


def people(width: int | None = None) -> Console:
    """Console for people: stderr, colours only on a terminal and never against NO_COLOR."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, width=width)


def emit_json(data: Any, to: str | None) -> None:
    """Write JSON to stdout or, through a temporary name, to a file; nothing when no target is given."""
    if to is None:
        return
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if to == "-":
        click.echo(text, nl=False)
        return
    target = Path(to)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(target)
