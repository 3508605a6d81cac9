"""Which store a command means."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import people

if TYPE_CHECKING:
    from rich.console import Console

    from pipechaos.report.numbers import RateText
    from pipechaos.store.database import Store
    from pipechaos.store.records import RatePoint

__all__ = [
    "NONE",
    "default_store",
    "false_alarms",
    "listing",
    "misses",
    "opened_store",
    "plain",
    "shown_name",
    "store_option",
]

_ONE_LINE = 200  # columns
_HOME = ".pipechaos"
NONE = "none"  # a store's name that says: no store, whatever the project's settings are

store_option = click.option(
    "--store",
    envvar="PIPECHAOS_STORE",
    metavar="PATH|URL",
    help="Where runs are kept: a SQLite file or postgresql://USER:${PASSWORD}@HOST/DATABASE "
    "or 'none' [default: PIPECHAOS_STORE, `store` in [tool.pipechaos], .pipechaos/runs.db of the project].",
)


def default_store() -> str | None:
    """Store where nobody names one: a file in the project's folder; None where the extra is not installed."""
    from pipechaos.cli.settings import project_home

    if not (importlib.util.find_spec("sqlalchemy") and importlib.util.find_spec("alembic")):
        return None
    here = Path.cwd()
    return os.path.relpath(project_home(here) / _HOME / "runs.db", here)


def opened_store(given: str | None, *, create: bool = False) -> Store:
    """Open the store that a command was given.

    Parameters
    ----------
    given
        What ``--store`` holds.
    create
        Whether a SQLite file that is not there is made: for commands that write.

    Raises
    ------
    ConfigError
        None is given, or there is none.
    """
    from pipechaos.errors import ConfigError
    from pipechaos.store.opening import open_store

    place = default_store() if given is None else given
    if place in (None, "", NONE):
        raise ConfigError(
            "no store is named: give --store PATH, set PIPECHAOS_STORE, or write `store = ...` under [tool.pipechaos]"
        )
    if create and Path(str(place)).parent.name == _HOME:
        _make_home(Path(str(place)).parent)
    return open_store(str(place), create=create)


def _make_home(folder: Path) -> None:
    """The project's folder for runs; it keeps itself out of git."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def listing() -> Console:
    """Console for what was asked for: stdout, with room for a line an entry where it goes to another program."""
    console = people(sys.stdout)
    if not console.is_terminal:
        console.width = _ONE_LINE
    return console


def misses(point: RatePoint) -> RateText:
    """False-negative rate of a past run, in words."""
    from pipechaos.report.numbers import over_batches

    return over_batches(_rate(point.fnr, point.fnr_low, point.fnr_high, point.missed, point.faulty))


def false_alarms(point: RatePoint) -> RateText:
    """False-positive rate of a past run, in words."""
    from pipechaos.report.numbers import over_blocks

    return over_blocks(_rate(point.fpr, point.fpr_low, point.fpr_high, point.alarms, point.natural))


def _rate(estimate: float | None, low: float | None, high: float | None, hits: int, trials: int) -> Any:
    import math

    from pipechaos.score.records import Rate

    known = [math.nan if x is None else x for x in (estimate, low, high)]
    return Rate(estimate=known[0], low=known[1], high=known[2], hits=hits, trials=trials)


def shown_name(validator: str) -> str:
    """Name in a table: the stack of all validators has one of its own."""
    from pipechaos.score.stack import STACK

    return "all together" if validator == STACK else validator


def plain(record: Any) -> Any:
    """Plain JSON value of a record; moments in ISO format."""
    import datetime as dt
    from dataclasses import fields

    from pipechaos.score.records import jsonable

    found = {f.name: getattr(record, f.name) for f in fields(record)}
    return jsonable({k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in found.items()})
