"""Blocks of a short report that is written as Markdown and printed in a terminal from the same words.

Names from tables, suites and command lines are :class:`Name`; everything else is text. Nothing in either is markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from pipechaos.report.escape import clip, code, markdown_text, visible
from pipechaos.report.layout import NARROWEST, Part, heading, new_table, print_part, text_part

__all__ = ["Block", "Line", "Name", "markdown_blocks", "print_blocks"]

_RESERVE = 1_000  # bytes for the line that says what was cut
_LONGEST = 400  # characters of a name


@dataclass(frozen=True, kw_only=True)
class Name:
    """A name from a table, a suite or a command line."""

    text: str


Line = tuple["str | Name", ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A heading with what belongs to it, kept or cut as a whole; the order is that of importance.

    Attributes
    ----------
    title
        Empty for the head.
    lines
        Paragraphs, or points of a list where there are several.
    headers, rows
        Of a table after them.
    after
        Paragraphs after the table.
    loud
        Whether the lines stand out.
    """

    title: str = ""
    lines: tuple[Line, ...] = ()
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[Line, ...], ...] = ()
    after: tuple[Line, ...] = ()
    loud: bool = False


def markdown_blocks(blocks: Sequence[Block], limit: int) -> str:
    """Write blocks as GitHub-flavoured Markdown.

    Parameters
    ----------
    blocks
        The most important first: one that finds no room is cut as a whole, and a line says which.
    limit
        Most bytes of UTF-8.
    """
    texts = [_markdown(b) for b in blocks]
    sizes = [len(t.encode()) + 2 for t in texts]
    room = limit if sum(sizes) <= limit else limit - _RESERVE
    kept, cut = [], []
    for block, text, size in zip(blocks, texts, sizes, strict=True):
        if size <= room:
            room -= size
            kept.append(text)
        else:
            cut.append(clip(block.title, 50))
    if cut:
        kept.append(f"_Cut to stay under {limit:,} bytes: {markdown_text('; '.join(cut))}. The JSON holds all of it._")
    return "\n\n".join(kept) + "\n"


def print_blocks(blocks: Sequence[Block], console: Console) -> None:
    """Print blocks; markup in names is never interpreted."""
    width = max(console.width, NARROWEST)
    for block in blocks:
        for part in _parts(block):
            print_part(part, console, width)


def _markdown(block: Block) -> str:
    level = "##" if block.loud else "###"
    parts = [f"{level} {markdown_text(block.title)}"] if block.title else []
    lines = [_inline(line) for line in block.lines]
    if block.loud and lines:
        parts += [f"**{lines[0]}**", *lines[1:]]
    elif lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    if block.headers:
        rows = [f"| {' | '.join(map(markdown_text, block.headers))} |", f"|{'---|' * len(block.headers)}"]
        rows += [f"| {' | '.join(_inline(cell) for cell in row)} |" for row in block.rows]
        parts.append("\n".join(rows))
    parts += [_inline(line) for line in block.after]
    return "\n\n".join(parts)


def _inline(line: Line) -> str:
    return "".join(code(clip(p.text, _LONGEST)) if isinstance(p, Name) else markdown_text(p) for p in line)


def _plain(line: Line) -> str:
    return visible("".join(p.text if isinstance(p, Name) else p for p in line))


def _parts(block: Block) -> Iterator[Part]:
    if block.loud:
        yield text_part(visible(block.title), "bold")
        yield from (text_part(_plain(line)) for line in block.lines)
    else:
        yield from heading(visible(block.title))
        yield from (text_part(_plain(line), indent=2) for line in block.lines)
    if block.headers:
        table = new_table(*block.headers)
        for row in block.rows:
            table.add_row(*(Text(_plain(cell)) for cell in row))
        yield Part(what=table, indent=2)
    yield from (text_part(_plain(line), "dim", 2) for line in block.after)
