"""``pipechaos history``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.stores import false_alarms, listing, misses, opened_store, plain, shown_name, store_option

if TYPE_CHECKING:
    from pipechaos.store.database import Store
    from pipechaos.store.records import RatePoint, RunRecord

__all__ = ["command"]


@click.command("history")
@store_option
@click.option("--experiment", help="Only runs of the experiment of this name.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Only the latest so many.")
@json_option
def command(store: str | None, experiment: str | None, most: int, json_to: str | None) -> None:
    """List past runs, the latest first: rates with their intervals and counts, survivors, exit code; on stdout."""
    with opened_store(store) as opened:
        entries = [_entry(opened, run) for run in _runs(opened, experiment, most)]
        survivors = opened.survivor_counts()
    emit_json([_json(run, points, survivors) for run, points in entries], json_to)
    if json_to == "-":
        return
    if not entries:
        people().print("no run is kept yet: `pipechaos run EXPERIMENT --store ...` keeps one")
        return
    _table(entries, survivors)


def _runs(store: Store, experiment: str | None, most: int) -> tuple[RunRecord, ...]:
    from pipechaos.errors import UnknownNameError

    found = store.runs(experiment, most)
    if experiment is not None and not found:
        known = {r.experiment for r in store.runs()}
        if known:
            raise UnknownNameError("experiment", experiment, known, store.shown)
    return found


def _entry(store: Store, run: RunRecord) -> tuple[RunRecord, tuple[RatePoint, ...]]:
    from pipechaos.score.stack import STACK

    points = store.rates(run.run_id)
    return run, tuple(sorted(points, key=lambda p: (p.validator == STACK, p.validator)))


def _json(run: RunRecord, points: tuple[RatePoint, ...], survivors: dict[tuple[str, str], int]) -> dict[str, Any]:
    from pipechaos.score.stack import STACK

    counts = {p.validator: survivors.get((run.run_id, p.validator), 0) for p in points} | {STACK: None}
    rates = [plain(p) | {"survivors": counts[p.validator]} for p in points]
    found: dict[str, Any] = plain(run)
    found.pop("scorecard")
    return found | {"rates": rates}


def _table(entries: list[tuple[RunRecord, tuple[RatePoint, ...]]], survivors: dict[tuple[str, str], int]) -> None:
    from rich.table import Table
    from rich.text import Text

    from pipechaos.report.escape import visible

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "when (UTC)", "experiment", "validator", "FNR", "missed", "FPR", "alarms", "survivors", "exit"):
        table.add_column(name, overflow="fold")
    for run, points in entries:
        first = (run.run_id, f"{run.started:%Y-%m-%d %H:%M}", run.experiment)
        for at, cells in enumerate(_cells(run, points, survivors)):
            table.add_row(*(Text(visible(c)) for c in (*(first if not at else ("", "", "")), *cells)))
    listing().print(table)


def _cells(
    run: RunRecord, points: tuple[RatePoint, ...], survivors: dict[tuple[str, str], int]
) -> Iterator[tuple[str, ...]]:
    from pipechaos.score.stack import STACK

    status = str(run.exit_code) if run.status.value == "finished" else f"{run.exit_code} (stopped)"
    if not points:
        yield "", "", "", "", "", "", "has not ended"
    for at, p in enumerate(points):
        fnr, fpr = misses(p), false_alarms(p)
        counts = (fnr.text, fnr.bare_hits, fpr.text, fpr.bare_hits)
        left = "" if p.validator == STACK else str(survivors.get((run.run_id, p.validator), 0))
        yield shown_name(p.validator), *counts, left, "" if at else status
