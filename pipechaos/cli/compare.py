"""``pipechaos compare``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option
from pipechaos.cli.stores import false_alarms, listing, misses, opened_store, plain, shown_name, store_option

if TYPE_CHECKING:
    from pipechaos.report.blocks import Block, Line
    from pipechaos.store.comparison import Comparison
    from pipechaos.store.records import RatePoint, RunRecord, WeaknessRow

__all__ = ["command"]

_ROWS = 40  # of a table
_LIMIT = 60_000  # bytes of Markdown


@click.command("compare")
@click.argument("before")
@click.argument("after")
@store_option
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True, help="On stdout."
)
@json_option
def command(before: str, after: str, store: str | None, form: str, json_to: str | None) -> None:
    """Compare the runs BEFORE and AFTER (ids or their first letters; AFTER may be 'last'): rates and survivors."""
    from pipechaos.report.blocks import markdown_blocks, print_blocks
    from pipechaos.store.comparison import compare_runs

    with opened_store(store) as opened:
        found = compare_runs(opened, before, after)
    emit_json(_json(found), json_to)
    if json_to == "-":
        return
    blocks = _blocks(found)
    if form == "markdown":
        click.echo(markdown_blocks(blocks, _LIMIT), nl=False)
    else:
        print_blocks(blocks, listing())


def _json(found: Comparison) -> dict[str, Any]:
    runs = {name: plain(run) for name, run in (("before", found.before), ("after", found.after))}
    for run in runs.values():
        run.pop("scorecard")
    pairs = {"newly": found.newly, "no_longer": found.no_longer, "still": found.still}
    singles = {"only_before": found.only_before, "only_after": found.only_after}
    return {
        **runs,
        "warnings": list(found.warnings),
        "rates": {name: _both(a and plain(a), b and plain(b)) for name, (a, b) in found.rates.items()},
        **{name: [_both(plain(a), plain(b)) for a, b in held] for name, held in pairs.items()},
        **{name: [plain(w) for w in held] for name, held in singles.items()},
    }


def _both(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after}


def _blocks(found: Comparison) -> list[Block]:
    from pipechaos.report.blocks import Block, Name

    counts = f"{len(found.newly)} newly surviving, {len(found.no_longer)} no longer, {len(found.still)} in both runs"
    alone = f"judged in one run only: {len(found.only_before)} before, {len(found.only_after)} after"
    runs = [(f"{name}: ", Name(text=r.run_id), _when(r)) for name, r in _both(found.before, found.after).items()]
    blocks = [Block(title="Two runs", loud=True, lines=((f"Weaknesses: {counts}; {alone}.",), *runs))]
    if found.warnings:
        blocks.append(Block(title="What else is not the same", lines=tuple((w,) for w in found.warnings)))
    rates = Block(
        title="Rates",
        headers=("validator", "rate", "before", "after"),
        rows=tuple(row for name, pair in found.rates.items() for row in _rates(name, *pair)),
        after=(("Two-sided 95 % intervals. FNR: means over the weaknesses that each run tried.",),),
    )
    named: tuple[tuple[str, Sequence[tuple[WeaknessRow | None, WeaknessRow | None]]], ...] = (
        ("Newly surviving", found.newly),
        ("No longer surviving", found.no_longer),
        ("Judged only before", [(w, None) for w in found.only_before]),
        ("Judged only after", [(None, w) for w in found.only_after]),
    )
    return [*blocks, rates, *(_weaknesses(title, rows) for title, rows in named if rows)]


def _when(run: RunRecord) -> str:
    revision = f", revision {run.revision}" if run.revision else ""
    return f", {run.started:%Y-%m-%d %H:%M} UTC{revision}"


def _rates(name: str, before: RatePoint | None, after: RatePoint | None) -> list[tuple[Line, ...]]:
    from pipechaos.report.blocks import Name

    rows: list[tuple[Line, ...]] = []
    for label, text in (("FNR", misses), ("FPR", false_alarms)):
        cells = [f"{text(p).text}, {text(p).bare_hits}" if p else "not in this run" for p in (before, after)]
        rows.append(((Name(text=shown_name(name)),), (label,), (cells[0],), (cells[1],)))
    return rows


def _weaknesses(title: str, found: Sequence[tuple[WeaknessRow | None, WeaknessRow | None]]) -> Block:
    from pipechaos.report.blocks import Block
    from pipechaos.report.numbers import plural

    rest = len(found) - _ROWS
    return Block(
        title=f"{title}: {plural(len(found), 'weakness', 'weaknesses')}",
        headers=("validator", "fault", "on", "dose", "missed before", "missed after"),
        rows=tuple(_row(*pair) for pair in found[:_ROWS]),
        after=((f"And {rest} more; the JSON holds all of them.",),) if rest > 0 else (),
    )


def _row(before: WeaknessRow | None, after: WeaknessRow | None) -> tuple[Line, ...]:
    from pipechaos.plan.placement import Placement
    from pipechaos.report.blocks import Name
    from pipechaos.report.dose import dose_text

    w = next(x for x in (after, before) if x is not None)
    placed = f" ({Placement.of(w.placement)})" if w.placement else ""
    where: Line = (Name(text=", ".join(w.columns)), placed) if w.columns else (f"the whole batch{placed}",)
    missed = [f"{x.missed} of {x.missed + x.detected}" if x else "not judged" for x in (before, after)]
    return ((Name(text=w.validator),), (Name(text=w.fault),), where, (dose_text(w),), (missed[0],), (missed[1],))
