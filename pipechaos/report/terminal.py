"""The report in a terminal: what matters most first, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipechaos.report.content import Content, Tone
from pipechaos.report.escape import clip, listed
from pipechaos.report.layout import (
    NAME,
    NARROWEST,
    Part,
    heading,
    line_parts,
    new_table,
    print_part,
    rows_table,
    suggestion_parts,
    text_part,
)
from pipechaos.report.numbers import RateText, plural
from pipechaos.report.rates import ValidatorRow
from pipechaos.report.suites import Checks, Controls
from pipechaos.report.survivors import Entry, looked_text
from pipechaos.score.gates import GateVerdict

__all__ = ["render_terminal"]

_STYLES = {Tone.BAD: "bold red", Tone.WARN: "yellow", Tone.GOOD: "green", Tone.PLAIN: ""}
_VERDICTS = {GateVerdict.PASS: "green", GateVerdict.FAIL: "bold red", GateVerdict.INCONCLUSIVE: "yellow"}
_SHADES = "·░▒▓█"  # nothing missed, up to a third, up to two thirds, more, everything
_HEAT = ("green", "", "yellow", "red", "bold red")
_LIST = 6
_FEW_NAMES = 4
_CHECK = 60
_RATE = 18


def render_terminal(content: Content, console: Console, *, most: int = 10) -> None:
    """Print a report.

    Parameters
    ----------
    content
        From ``build_content``.
    console
        Where to; markup in it is never interpreted.
    most
        Survivors shown.
    """
    width = max(console.width, NARROWEST)
    parts = [
        text_part(content.title, "bold"),
        *(text_part(n.text, _STYLES[n.tone]) for n in content.first),
        text_part(""),
        *_rates(content.validators, console, width),
        *line_parts(content.rates_note, "dim", 0),
        *_gates(content),
        *_families(content, console, width),
        *_survivors(content, most, width),
        *_ordinary(content),
        *_checks(content.checks),
        *_controls(content),
        *_about(content),
        *heading("In short"),
        *line_parts(content.in_short),
    ]
    for part in parts:
        print_part(part, console, width)


def _rates(rows: Sequence[ValidatorRow], console: Console, width: int) -> list[Part]:
    """One table, or two where one would be too wide."""
    columns: list[tuple[str, list[RateText | None]]] = [
        ("FNR", [r.fnr for r in rows]),
        ("strict FNR", [r.strict_fnr for r in rows]),
        ("escape", [r.escape for r in rows]),
        ("error", [r.error for r in rows]),
        ("FPR", [r.fpr for r in rows]),
    ]
    if any(r.benign for r in rows):
        columns.append(("benign alarm", [r.benign for r in rows]))
    whole = _rate_table(rows, columns)
    if _fits(whole, console, width):
        return [Part(what=whole)]
    return [
        Part(what=_rate_table(rows, columns[:3])),
        text_part(""),
        Part(what=_rate_table(rows, columns[3:])),
    ]


def _rate_table(rows: Sequence[ValidatorRow], columns: Sequence[tuple[str, Sequence[RateText | None]]]) -> Table:
    table = new_table("", *(name for name, _ in columns), widest=_RATE)
    for at, row in enumerate(rows):
        table.add_row(Text(clip(row.name, NAME), style="bold"), *(_stacked(rates[at]) for _, rates in columns))
    return table


def _fits(table: Table, console: Console, width: int) -> bool:
    return table.__rich_measure__(console, console.options.update(width=10_000)).maximum <= width


def _stacked(rate: RateText | None) -> Text:
    if rate is None:
        return Text("not tried", style="dim")
    clusters = (f"\n{rate.clusters}", "dim") if not rate.few else (f"\n{rate.clusters}, few", "yellow")
    return Text.assemble((rate.estimate, "bold"), f"\n{rate.interval}", (f"\n{rate.bare_hits}", "dim"), clusters)


def _gates(content: Content) -> list[Part]:
    if not content.gates:
        return [*heading("Gates", "none declared: no rate decides on the exit code")]
    return [
        *heading("Gates"),
        *(
            Part(what=Text.assemble((g.verdict.value.upper(), _VERDICTS[g.verdict]), f" {g.text}"), indent=2)
            for g in content.gates
        ),
    ]


def _families(content: Content, console: Console, width: int) -> list[Part]:
    if not content.families:
        return []
    table = _family_table(content, " ")
    if not _fits(table, console, width):
        table = _family_table(content, "\n  ")
    note = "FNR, its 95 % interval, missed/judged; · nothing missed, █ everything"
    return [*heading("Missed by family", note), Part(what=table)]


def _family_table(content: Content, gap: str) -> Table:
    table = new_table("family", *(r.name for r in content.validators), widest=2 * _RATE)
    for row in content.families:
        table.add_row(Text(row.family), *(_shaded(c, gap) for c in row.cells))
    return table


def _shaded(rate: RateText | None, gap: str) -> Text:
    if rate is None or rate.share is None:
        return Text("  n/a (no trials)", style="dim")
    level = 0 if rate.share == 0 else 4 if rate.share == 1 else 1 + min(int(rate.share * 3), 2)
    return Text.assemble(
        (f"{_SHADES[level]} {rate.estimate:>7}", _HEAT[level]),
        f" {rate.interval}{gap}",
        (rate.bare_hits.replace(" of ", "/"), "dim"),
        (" few" if rate.few else "", "yellow"),
    )


def _survivors(content: Content, most: int, width: int) -> list[Part]:
    found = content.survivors
    if not found:
        said = content.no_survivors.rstrip(".")
        return [*heading("Survivors", said[0].lower() + said[1:])]
    shown = min(most, len(found))
    note = f"the worst {shown} of {len(found)}" if shown < len(found) else f"all {len(found)}, worst first"
    parts = [*heading("Survivors", note)]
    for at, entry in enumerate(found[:most], 1):
        parts += [text_part(""), *_entry(at, entry, width)]
    return parts


def _entry(at: int, entry: Entry, width: int) -> list[Part]:
    where = listed([clip(c, NAME) for c in entry.columns], _LIST) or entry.where
    rest = f" on {where}{entry.placement}, {entry.dose}"
    parts = [Part(what=Text.assemble((f"{at:>2}. ", "dim"), (entry.fault, "bold red"), rest), hang=4)]
    said = Text("; ".join([*entry.missed, *entry.caught]))
    if entry.stack:
        said.append("; past every validator", style="bold")
    parts.append(Part(what=said, indent=4))
    if entry.other_doses:
        parts += line_parts([f"also {'; '.join(entry.other_doses)}"], indent=4)
    if entry.rows is not None:
        parts.append(Part(what=rows_table(entry.rows, width - 4), indent=4))
        parts += line_parts([entry.rows.note] if entry.rows.note else [], "dim", 4)
    parts += line_parts(entry.sketches, indent=4)
    parts += line_parts((f"{k.validator}: {looked_text(k, entry.columns, 3, _CHECK)}" for k in entry.looked), indent=4)
    parts += line_parts([entry.near] if entry.near else [], indent=4)
    parts += suggestion_parts(entry.suggestion, entry.code, indent=4)
    return [*parts, *line_parts([entry.replay], "cyan", 4)]


def _ordinary(content: Content) -> list[Part]:
    if not content.ordinary:
        return []
    lines = list(content.ordinary[:_LIST])
    rest = len(content.ordinary) - _LIST
    lines += [f"and {rest} more"] if rest > 0 else []
    note = "missed, but within the range of the history: in no rate above"
    return [*heading("Like an ordinary day", note), *line_parts(lines)]


def _checks(ledgers: Sequence[Checks]) -> list[Part]:
    parts = [*heading("Checks", "what each earned in this run")]
    for ledger in ledgers:
        parts += line_parts([f"{ledger.validator}: {ledger.summary}"])
        details = [f"{w.text}{': ' if w.names else ''}{_few(w.names)}" for w in ledger.worth]
        details += [f"in {share} false alarms: {clip(name, 2 * NAME)}" for name, share in ledger.alarms[:_LIST]]
        if ledger.guards:
            guards = listed([f"{clip(name, NAME)} ({n})" for name, n in ledger.guards], _FEW_NAMES)
            details.append(f"catch alone: {guards}")
        if ledger.idle:
            details.append(f"caught nothing: {_few(ledger.idle)}")
        if ledger.undeclared:
            details.append(f"spoke, but stand in no suite file: {_few(ledger.undeclared)}")
        parts += line_parts(details, "dim", 4)
    return parts


def _few(names: Sequence[str]) -> str:
    return listed([clip(n, NAME) for n in names], _FEW_NAMES)


def _controls(content: Content) -> list[Part]:
    parts = [*heading("Controls", "untouched batches, allowed changes, canaries")]
    for control in content.controls:
        parts += _control(control)
    if content.incidents:
        parts += line_parts([f"{plural(len(content.incidents), 'batch', 'batches')} set apart before the run:"])
        parts += line_parts(content.incidents, "dim", 4)
    return parts


def _control(control: Controls) -> list[Part]:
    quiet = "accepted every untouched batch" if not control.natural else "no verdict on some untouched batches"
    parts = line_parts([f"{control.validator}: {control.canaries}; {control.reviewed or quiet}"])
    rest = len(control.natural) - _LIST
    parts += line_parts(control.natural[:_LIST], indent=4)
    parts += line_parts([f"and {rest} more"] if rest > 0 else [], indent=4)
    return parts + line_parts(control.benign[:_LIST], indent=4)


def _about(content: Content) -> list[Part]:
    suites = [r.suite for r in content.validators if r.suite]
    rows = [f"{r.name}: {r.rows}" for r in content.validators if r.rows]
    return [
        *heading("About this run"),
        *line_parts([*content.sample, *rows, *suites, *content.reproducible]),
        *heading("What this does not say"),
        *line_parts([content.not_said]),
    ]
