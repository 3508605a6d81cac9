"""``pipechaos schema``."""

from __future__ import annotations

import click

from pipechaos.cli.console import emit_json

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the experiment file; editors complete and check experiments with it."""
    from pipechaos.campaign.experiment import json_schema

    emit_json(json_schema(), "-")
