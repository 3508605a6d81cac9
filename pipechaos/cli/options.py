"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["batch_options", "injection_options", "parse_pairs"]

Command = Callable[..., Any]


def parse_pairs(given: tuple[str, ...], what: str) -> dict[str, Any]:
    """Read ``name=value`` options; values are YAML scalars, so 3 is a number and x a text."""
    import yaml

    from pipechaos.errors import ConfigError

    out = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name:
            raise ConfigError(f"{what} {text!r} must read name=value")
        out[name] = yaml.safe_load(value)
    return out


def batch_options(command: Command) -> Command:
    """Key, time and target of a batch."""
    for option in (
        click.option("--target", multiple=True, help="Column that is predicted (repeatable)."),
        click.option("--time", help="Event time column."),
        click.option("--key", multiple=True, help="Key column (repeatable, in order)."),
    ):
        command = option(command)
    return command


def injection_options(command: Command) -> Command:
    """One injection."""
    for option in (
        click.option("--exact", is_flag=True, help="Hit exactly that share of the eligible cells."),
        click.option("--repeat", type=int, default=0, show_default=True, help="Which draw."),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option(
            "--param", "params", multiple=True, metavar="NAME=VALUE", help="Parameter of the fault (repeatable)."
        ),
        click.option(
            "--placement",
            multiple=True,
            metavar="NAME=VALUE",
            help="Such as kind=own_value; more with another --placement.",
        ),
        click.option("--fraction", type=float, help="Probability that an eligible cell is hit, 0 to 1."),
        click.option("--severity", type=int, help="Rung of the fault's ladder; the middle one otherwise."),
        click.option("--column", "columns", multiple=True, help="Column to break; none for row faults."),
        click.option("--fault", required=True, help="Code in the catalogue, see `pipechaos faults`."),
    ):
        command = option(command)
    return command
