"""``pipechaos faults``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["command"]

_ONE_LINE = 220  # columns that no entry of the catalogue fills


@click.command("faults")
@click.argument("code", required=False)
@json_option
def command(code: str | None, json_to: str | None) -> None:
    """List the catalogue, or show everything about one fault; on stdout."""
    from pipechaos.faults import registry

    found = [registry.get(code)] if code else list(registry.CATALOGUE.values())
    emit_json([describe(f) for f in found], json_to)
    if json_to == "-":
        return
    if code:
        _show(describe(found[0]))
    else:
        _table(found)


def describe(fault: Any) -> dict[str, Any]:
    """Plain JSON value of one entry of the catalogue."""
    return {
        "code": fault.code,
        "version": fault.version,
        "family": fault.family.value,
        "title": fault.title,
        "doc": fault.doc,
        "phase": fault.phase.value,
        "scope": fault.scope.value,
        "types": fault.types,
        "placements": [p.value for p in fault.placements],
        "columns": fault.column_count,
        "ladder": {"moves": fault.ladder.moves, "rungs": list(fault.ladder.rungs), "fraction": fault.ladder.fraction},
        "params": [
            {"name": p.name, "doc": p.doc, "default": p.default, "unit": p.unit, "low": p.low, "high": p.high}
            | ({"choices": list(p.choices)} if p.choices else {})
            for p in fault.params
        ],
    }


def _table(found: list[Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("code", "what it does", "ladder moves", "rungs", "columns of type"):
        table.add_column(name, overflow="fold", no_wrap=name == "code")
    for fault in found:
        rungs = ", ".join(str(r) for r in fault.ladder.rungs)
        moves = fault.ladder.moves if len(fault.ladder.rungs) > 1 else "-"
        table.add_row(
            fault.code, fault.title, moves, rungs if moves != "-" else "one", fault.types if fault.column_count else "-"
        )
    _listing().print(table)


def _listing() -> Console:
    """Console for what was asked for: stdout, one line an entry where it goes to another program."""
    console = people(sys.stdout)
    if not console.is_terminal:
        console.width = _ONE_LINE
    return console


def _show(data: dict[str, Any]) -> None:
    out = people(sys.stdout)
    out.print(f"{data['code']}  (version {data['version']}, family {data['family']})", style="bold")
    out.print(data["title"])
    out.print()
    out.print(data["doc"])
    out.print()
    for name in ("phase", "scope", "types"):
        out.print(f"{name:11}{data[name]}")
    out.print(f"placements {', '.join(data['placements'])}")
    out.print(f"ladder     {data['ladder']['moves']}: {', '.join(str(r) for r in data['ladder']['rungs'])}")
    for p in data["params"]:
        unit = f" [{p['unit']}]" if p["unit"] else ""
        out.print(f"  {p['name']} = {p['default']!r}{unit}: {p['doc']}")
