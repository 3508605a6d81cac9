"""Pieces of a terminal report: wrapped lines, headings, tables, rows before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from pipechaos.report.escape import clip
from pipechaos.report.survivors import Rows

__all__ = [
    "NAME",
    "NARROWEST",
    "Part",
    "heading",
    "line_parts",
    "new_table",
    "print_part",
    "rows_table",
    "suggestion_parts",
    "text_part",
]

NARROWEST = 60  # a narrower console gets lines of this width
NAME = 40  # characters of a name
_CELL = 44


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something to print; lines of a text after its first stand further in by ``hang``."""

    what: Text | Table
    indent: int = 0
    hang: int = 2


def print_part(part: Part, console: Console, width: int) -> None:
    """Print within a width, without blanks at the ends of lines: logs and transcripts keep them."""
    fits = isinstance(part.what, Text) and part.what.cell_len <= width - part.indent
    hang = 0 if fits or isinstance(part.what, Table) else part.hang
    options = console.options.update(width=width - part.indent - hang, highlight=False)
    for at, line in enumerate(console.render_lines(part.what, options, pad=False)):
        kept = list(line)
        while kept and not kept[-1].text.strip():
            kept.pop()
        if kept:
            kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
            kept.insert(0, Segment(" " * (part.indent + (hang if at else 0))))
        console.print(Segments([*kept, Segment.line()]), end="", width=width)


def text_part(text: str, style: str = "", indent: int = 0) -> Part:
    """A line of text that wraps."""
    return Part(what=Text(text, style=style), indent=indent)


def line_parts(lines: Iterable[str], style: str = "", indent: int = 2) -> list[Part]:
    """Lines of text, each wrapped by itself."""
    return [text_part(line, style, indent) for line in lines]


def heading(text: str, note: str = "") -> tuple[Part, Part]:
    """An empty line, and a heading with a note beside it."""
    return text_part(""), Part(what=Text.assemble((text, "bold"), (f"  {note}" if note else "", "dim")))


def suggestion_parts(text: str, code: str, indent: int = 2) -> list[Part]:
    """A suggestion, marked as one, and its code; nothing where there is none."""
    if not text:
        return []
    parts = [Part(what=Text.assemble(("Suggestion: ", "bold"), text), indent=indent)]
    return [*parts, *line_parts([code] if code else [], "cyan", indent + 2)]


def new_table(*headers: str, widest: int | None = None) -> Table:
    """A table without a frame; ``widest`` is the most a column takes."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for header in headers:
        table.add_column(Text(clip(header, NAME)), overflow="fold", max_width=widest)
    return table


def rows_table(rows: Rows, width: int) -> Table:
    """Rows before and after, as many columns as have room."""
    keep = _fitting(rows, width)
    marked = any(rows.marks)
    table = new_table(*([""] if marked else []), *(rows.columns[i] for i in keep))
    for mark, cells in zip(rows.marks, rows.cells, strict=True):
        texts = [Text(clip(cells[i], _CELL), style="bold" if rows.changed[i] else "") for i in keep]
        table.add_row(*([Text(mark, style="bold")] if marked else []), *texts)
    return table


def _fitting(rows: Rows, width: int) -> list[int]:
    """Columns that have room: the changed ones first, then the others, in their own order."""
    order = sorted(range(len(rows.columns)), key=lambda i: not rows.changed[i])
    room = width - (9 if any(rows.marks) else 0)
    keep: list[int] = []
    for i in order:
        texts = [clip(rows.columns[i], NAME), *(clip(c[i], _CELL) for c in rows.cells)]
        needs = 2 + max(cell_len(t) for t in texts)
        if needs <= room or not keep:
            keep.append(i)
            room -= needs
    return sorted(keep)
