"""``pipechaos sweep``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import click

from pipechaos.cli.console import emit_json, json_option, people

__all__ = ["age", "command"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DATABASES = ("postgresql://", "postgres://", "duckdb://")
_AGE = re.compile(r"([0-9]{1,6})([smhd])")


def age(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Seconds of a length of time such as ``90m``: what click calls for an option."""
    found = _AGE.fullmatch(value)
    if not found:
        raise click.BadParameter(f"{value!r} is no age: a number and s, m, h or d, such as 90m or 1d", ctx, param)
    return float(int(found[1]) * _UNITS[found[2]])


@click.command("sweep")
@click.argument("shadow")
@click.option(
    "--older-than", metavar="AGE", callback=age, default="1d", show_default=True, help="Such as 45s, 90m or 7d."
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@json_option
def command(shadow: str, older_than: float, dry_run: bool, json_to: str | None) -> None:
    """Delete corrupted copies in and below the folder SHADOW that outlived their time; what is not ours stays.

    SHADOW may be a database, postgresql://USER:${PASSWORD}@HOST/DATABASE or duckdb:///PATH: copies of tables are
    dropped there. They say themselves when their time is over, whatever --older-than says.
    """
    from pipechaos.report.escape import visible

    kept: Mapping[str, str] = {}
    if shadow.startswith(_DATABASES):
        found, kept = _in_database(shadow, dry_run)
    else:
        from pipechaos.inject.shadow import sweep

        found = sweep(shadow, now=time.time(), ttl_seconds=older_than, dry_run=dry_run)
    emit_json({"deleted": [] if dry_run else list(found), "old": [*found, *kept], "kept": dict(kept)}, json_to)
    console = people()
    for name, why in kept.items():
        console.print(visible(f"kept: {name}: {why}"), soft_wrap=True)
    for name in found:
        console.print(visible(f"{'would be deleted' if dry_run else 'deleted'}: {name}"), soft_wrap=True)
    if not found and not kept:
        console.print("nothing is old enough")


def _in_database(url: str, dry_run: bool) -> tuple[tuple[str, ...], Mapping[str, str]]:
    from datetime import UTC, datetime

    from pipechaos.batch.connection_url import refuse_passwords
    from pipechaos.inject.sql_upkeep import sweep_schemas

    refuse_passwords(url)
    found = sweep_schemas(url, now=datetime.now(UTC), dry_run=dry_run)
    return found.dropped, found.kept
