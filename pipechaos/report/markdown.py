"""The report as GitHub-flavoured Markdown, small enough for the summary of a CI step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipechaos.report.content import Content, Tone
from pipechaos.report.escape import clip, code, html_text, listed, markdown_text
from pipechaos.report.numbers import RateText, plural
from pipechaos.report.survivors import Entry, Rows, looked_text

__all__ = ["LIMIT", "render_markdown"]

LIMIT = 1_000_000  # bytes; a CI step summary holds 1 MiB
_RESERVE = 2_000  # for the line that says what was cut
_NAME = 60
_CELL = 60
_CHECK = 100
_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A piece that is kept or cut as a whole; a long one gives way to all others."""

    name: str
    text: str
    long: bool = False


def render_markdown(content: Content, *, most: int = 25, limit: int = LIMIT) -> str:
    """Write a report.

    Parameters
    ----------
    content
        From ``build_content``.
    most
        Survivors shown one by one; the table names all.
    limit
        Most bytes of UTF-8. A section that finds no room is cut as a whole, and a line says which.

    Returns
    -------
    str
        Markdown; every text of a table or suite is escaped.
    """
    sections = [
        _Section(name="the head", text=_head(content)),
        _Section(name="rates", text=_rates(content)),
        _Section(name="gates", text=_gates(content)),
        _Section(name="families", text=_families(content)),
        _Section(name="the table of survivors", text=_survivor_table(content)),
        *(
            _Section(name=f"survivor {at}", text=_entry(at, entry), long=True)
            for at, entry in enumerate(content.survivors[:most], 1)
        ),
        _Section(name="what a scorecard does not say", text=f"> {markdown_text(content.not_said)}"),
        _Section(name="controls", text=_controls(content)),
        _Section(name="the check ledger", text=_checks(content)),
        _Section(name="ordinary days", text=_ordinary(content)),
        _Section(name="about this run", text=_about(content)),
        _Section(name="what was not tried", text=_left_out(content), long=True),
    ]
    return _fit([s for s in sections if s.text], limit)


def _fit(sections: Sequence[_Section], limit: int) -> str:
    sizes = [len(s.text.encode()) + 2 for s in sections]
    room = limit if sum(sizes) <= limit else limit - _RESERVE
    cut = set()
    for at in sorted(range(len(sections)), key=lambda i: sections[i].long):
        if sizes[at] <= room:
            room -= sizes[at]
        else:
            cut.add(at)
    kept = [s.text for at, s in enumerate(sections) if at not in cut]
    if cut:
        names = listed([sections[at].name for at in sorted(cut)], _NAMED)
        kept.append(f"_Cut to stay under {limit:,} bytes: {names}. `scorecard.json` holds all of it._")
    return "\n\n".join(kept) + "\n"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{html_text(summary)}</summary>\n\n{body}\n\n</details>"


def _head(content: Content) -> str:
    lines = [f"## {markdown_text(content.title)}", ""]
    lines += [
        f"- **{markdown_text(n.text)}**" if n.tone in (Tone.BAD, Tone.WARN) else f"- {markdown_text(n.text)}"
        for n in content.first
    ]
    return "\n".join([*lines, _bullets(content.in_short)])


def _rates(content: Content) -> str:
    rows = content.validators
    benign = any(r.benign for r in rows)
    headers = ["validator", "FNR", "strict FNR", "escape", "error", "FPR", *(["benign alarm"] if benign else [])]
    table = _table(
        headers,
        (
            [
                f"**{markdown_text(clip(r.name, _NAME))}**",
                *(_rate(x) for x in (r.fnr, r.strict_fnr, r.escape, r.error, r.fpr)),
                *([_rate(r.benign)] if benign else []),
            ]
            for r in rows
        ),
    )
    return f"### Rates\n\n{table}\n\n{_bullets(content.rates_note)}"


def _rate(rate: RateText | None) -> str:
    if rate is None:
        return "not tried"
    return f"{markdown_text(rate.text)}<br>{markdown_text(rate.counts)}"


def _gates(content: Content) -> str:
    if not content.gates:
        return "**Gates:** none declared, no rate decides on the exit code."
    lines = (f"- **{g.verdict.value.upper()}** {markdown_text(g.text)}" for g in content.gates)
    return "### Gates\n\n" + "\n".join(lines)


def _families(content: Content) -> str:
    if not content.families:
        return ""
    headers = ["family", *(markdown_text(clip(r.name, _NAME)) for r in content.validators)]
    rows = (
        [markdown_text(f.family), *(_rate(c) if c else "n/a (no trials)" for c in f.cells)] for f in content.families
    )
    return f"### FNR by family\n\n{_table(headers, rows)}"


def _survivor_table(content: Content) -> str:
    if not content.survivors:
        return f"### Survivors\n\n{markdown_text(content.no_survivors)}"
    rows = (
        [
            str(at),
            code(clip(e.fault, _NAME)),
            _columns(e) + markdown_text(e.placement),
            markdown_text(e.dose),
            markdown_text("; ".join(e.missed)),
            "yes" if e.stack else "",
        ]
        for at, e in enumerate(content.survivors, 1)
    )
    headers = ["no.", "fault", "on", "dose", "missed", "past every validator"]
    return f"### Survivors, worst first\n\n{_table(headers, rows)}"


def _columns(entry: Entry) -> str:
    return listed([code(clip(c, _NAME)) for c in entry.columns], _NAMED) or markdown_text(entry.where)


def _entry(at: int, entry: Entry) -> str:
    lines = [markdown_text("; ".join([*entry.missed, *entry.caught])) + "."]
    if entry.other_doses:
        lines.append(f"Also {markdown_text('; '.join(entry.other_doses))}.")
    if entry.rows is not None:
        lines.append(_rows(entry.rows))
        lines += [markdown_text(entry.rows.note)] if entry.rows.note else []
    looked = [f"{k.validator}: {looked_text(k, entry.columns, 8, _CHECK)}" for k in entry.looked]
    lines.append(_bullets([*entry.sketches, *looked, *([entry.near] if entry.near else [])]))
    if entry.suggestion:
        lines.append(f"**Suggestion:** {markdown_text(entry.suggestion)}")
        lines += [code(entry.code)] if entry.code else []
    lines.append(code(entry.replay))
    where = listed([clip(c, _NAME) for c in entry.columns], _NAMED) or entry.where
    return _details(f"{at}. {entry.fault} on {where}{entry.placement}, {entry.dose}", "\n\n".join(lines))


def _rows(rows: Rows) -> str:
    marked = any(rows.marks)
    headers = [*([""] if marked else []), *(code(clip(c, _NAME)) for c in rows.columns)]
    body = []
    for mark, cells in zip(rows.marks, rows.cells, strict=True):
        texts = [markdown_text(clip(c, _CELL)) for c in cells]
        bold = [f"**{t}**" if " -> " in c and hit else t for t, c, hit in zip(texts, cells, rows.changed, strict=True)]
        body.append([*([mark] if marked else []), *bold])
    return _table(headers, body)


def _controls(content: Content) -> str:
    parts = ["### Controls"]
    for c in content.controls:
        quiet = "accepted every untouched batch" if not c.natural else "no verdict on some untouched batches"
        parts.append(f"**{markdown_text(c.validator)}**: {markdown_text(f'{c.canaries}; {c.reviewed or quiet}')}")
        alarms = [*c.natural, *c.benign]
        if len(alarms) > _NAMED:
            parts.append(_details(plural(len(alarms), "alarm"), _bullets(alarms)))
        elif alarms:
            parts.append(_bullets(alarms))
    if content.incidents:
        apart = f"{plural(len(content.incidents), 'batch', 'batches')} set apart before the run:"
        parts += [apart, _bullets(content.incidents)]
    return "\n\n".join(parts)


def _checks(content: Content) -> str:
    parts = ["### Checks"]
    for ledger in content.checks:
        parts.append(f"**{markdown_text(ledger.validator)}**: {markdown_text(ledger.summary)}")
        if ledger.worth:
            parts.append("\n".join(f"- {markdown_text(w.text)}{_named(w.names)}" for w in ledger.worth))
        rows = [[code(clip(n, _CHECK)), f"in {share} false alarms"] for n, share in ledger.alarms]
        rows += [
            [code(clip(n, _CHECK)), f"alone catches trials of {plural(k, 'weakness', 'weaknesses')}"]
            for n, k in ledger.guards
        ]
        rows += [[code(clip(n, _CHECK)), "stands in no suite file"] for n in ledger.undeclared]
        if rows:
            parts.append(_details("checks that alone catch something, or cry wolf", _table(["check", "what"], rows)))
        if ledger.idle:
            names = "\n".join(f"- {code(clip(n, _CHECK))}" for n in ledger.idle)
            parts.append(_details(f"{plural(len(ledger.idle), 'check')} caught nothing", names))
    return "\n\n".join(parts)


def _named(names: Sequence[str]) -> str:
    return f": {listed([code(clip(n, _CHECK)) for n in names], _NAMED)}" if names else ""


def _ordinary(content: Content) -> str:
    if not content.ordinary:
        return ""
    summary = f"{len(content.ordinary)} missed, but within the range of the history: in no rate above"
    return _details(summary, _bullets(content.ordinary))


def _about(content: Content) -> str:
    suites = [r.suite for r in content.validators if r.suite]
    rows = [f"{r.name}: {r.rows}" for r in content.validators if r.rows]
    return "### About this run\n\n" + _bullets([*content.sample, *rows, *suites, *content.reproducible])


def _left_out(content: Content) -> str:
    if not content.left_out:
        return ""
    return _details(f"{len(content.left_out)} fault-column pairs left out", _bullets(content.left_out))
