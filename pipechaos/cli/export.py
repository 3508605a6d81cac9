"""``pipechaos export``."""

from __future__ import annotations

import click

from pipechaos.cli.console import people
from pipechaos.cli.stores import opened_store, store_option

__all__ = ["command"]


@click.command("export")
@store_option
@click.option("--parquet", "folder", required=True, metavar="FOLDER", help="Where the files go.")
def command(store: str | None, folder: str) -> None:
    """Write all runs, trials and rates as Parquet files, for notebooks and tools that read no database."""
    with opened_store(store) as opened:
        files = opened.export(folder)
    console = people()
    for name, path in files.items():
        console.print(f"{name:8} {path}", soft_wrap=True)
