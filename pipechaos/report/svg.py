"""Small pictures as SVG text: colours come from the page's classes, numbers stand beside or inside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipechaos.report.escape import clip, visible
from pipechaos.score.records import Rate

__all__ = [
    "MARKERS",
    "Segment",
    "Series",
    "Svg",
    "draw",
    "figure",
    "joined",
    "ledger_bar",
    "legend_marker",
    "marker",
    "sketch",
    "strip",
    "whisker",
]

MARKERS = 6  # shapes and colours of validators before they repeat


class Svg(str):
    """Markup: a template shows it as it is, where any other text is escaped."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def draw(name: str, *children: str, **attributes: object) -> Svg:
    """One element; children that are no markup are escaped, and so is every attribute.

    Parameters
    ----------
    name
        Of the element.
    *children
        Texts and other elements.
    **attributes
        ``class_`` becomes ``class``, other underscores hyphens; None leaves one out.

    Examples
    --------
    >>> draw("text", "<b>", class_="axis", x=1.50, y=None)
    '<text class="axis" x="1.5">&lt;b&gt;</text>'
    """
    given = "".join(
        f' {k.rstrip("_").replace("_", "-")}="{escape(_plain(v))}"' for k, v in attributes.items() if v is not None
    )
    if not children:
        return Svg(f"<{name}{given}/>")
    return Svg(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Sequence[str]) -> Svg:
    """Elements one after the other, texts escaped."""
    return Svg("".join(c if isinstance(c, Svg) else escape(visible(c)) for c in children))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")  # a tenth of a pixel is enough
    return visible(str(value))


def figure(
    key: str, title: str, says: str, size: tuple[int, int], *children: str, class_: str, stretch: bool = False
) -> Svg:
    """A picture that says in words what it shows.

    Parameters
    ----------
    key
        Unique in the page.
    title, says
        What it is, and what can be read from it.
    size
        Width and height in its own units.
    *children
        Elements.
    class_
        For the page's style sheet.
    stretch
        Fills its box, out of proportion where it must.
    """
    named = (draw("title", title, id=f"{key}-t"), draw("desc", says, id=f"{key}-d"))
    return draw(
        "svg",
        *named,
        *children,
        class_=class_,
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
        viewBox=f"0 0 {size[0]} {size[1]}",
        preserveAspectRatio="none" if stretch else None,
    )


def marker(slot: int, x: float, y: float, r: float = 3.2) -> str:
    """Path of a validator's mark: each has a shape of its own."""
    x1, y1 = round(x, 1), round(y, 1)
    match slot % MARKERS:
        case 0:
            return f"M{x1 - r:.1f} {y1}a{r} {r} 0 1 0 {2 * r:.1f} 0a{r} {r} 0 1 0 {-2 * r:.1f} 0z"
        case 1:
            return f"M{x1 - r:.1f} {y1 - r:.1f}h{2 * r:.1f}v{2 * r:.1f}h{-2 * r:.1f}z"
        case 2:
            return f"M{x1} {y1 - r:.1f}l{r:.1f} {2 * r:.1f}h{-2 * r:.1f}z"
        case 3:
            return f"M{x1} {y1 - r - 1:.1f}l{r + 1:.1f} {r + 1:.1f}l{-r - 1:.1f} {r + 1:.1f}l{-r - 1:.1f} {-r - 1:.1f}z"
        case 4:
            return f"M{x1} {y1 + r:.1f}l{r:.1f} {-2 * r:.1f}h{-2 * r:.1f}z"
        case _:
            return f"M{x1 - r:.1f} {y1 - 1}h{2 * r:.1f}v2h{-2 * r:.1f}zM{x1 - 1} {y1 - r:.1f}h2v{2 * r:.1f}h-2z"


def legend_marker(slot: int) -> Svg:
    """A validator's mark beside its name."""
    mark = draw("path", class_="fill", d=marker(slot, 6, 6, 4))
    return draw("svg", mark, class_=f"key s{slot % MARKERS}", viewBox="0 0 12 12", aria_hidden="true")


def whisker(rate: Rate, scale: float = 1.0, limit: float | None = None) -> Svg:
    """A rate's interval with its estimate; with a limit the bounds that a gate decides on. Numbers stand beside it."""
    if math.isnan(rate.estimate):
        return Svg("")
    low, high = (rate.low, rate.high) if limit is None else (rate.lower, rate.upper)
    parts = [draw("path", class_="rail", d="M2 7h116")]
    if not math.isnan(low):
        left, right = _along(low, scale), _along(high, scale)
        parts.append(draw("path", class_="range", d=f"M{left:.1f} 4v6M{left:.1f} 7H{right:.1f}M{right:.1f} 4v6"))
    if limit is not None:
        parts.append(draw("path", class_="limit", d=f"M{_along(limit, scale):.1f} 0v14"))
    parts.append(draw("circle", class_="dot", cx=_along(rate.estimate, scale), cy=7, r=3.2))
    return draw("svg", *parts, class_="whisker", viewBox="0 0 120 14", aria_hidden="true")


def _along(share: float, scale: float) -> float:
    return 2 + 116 * min(share / scale, 1.0)


def strip(key: str, title: str, says: str, marks: Sequence[str]) -> Svg:
    """Untouched batches one after the other; what is not ``""`` stands out, and taller.

    Parameters
    ----------
    key, title, says
        As of :func:`figure`.
    marks
        Class of each batch: ``""`` accepted, ``"alarm"``, ``"true"`` (the batch was bad), ``"error"``, ``"flaky"``.
    """
    step = 1000 / max(len(marks), 1)
    width = step * 0.72
    dashes = f"{width:.4f} {step - width:.4f}"
    quiet = draw(
        "path", class_="quiet", d="M0 27H1000", stroke_dasharray=dashes, stroke_dashoffset=f"{-step * 0.14:.4f}"
    )
    parts = [quiet]
    wide = max(width, 4.0)
    for at, mark in enumerate(marks):
        if mark:
            x = at * step + step / 2
            bar = f"M{x - wide / 2:.1f} 8h{wide:.1f}v26h{-wide:.1f}z"
            parts.append(draw("path", class_=mark, d=f"{bar}M{x - 5:.1f} 0h10l-5 6z"))
    return figure(key, title, says, (1000, 34), *parts, class_="strip", stretch=True)


def sketch(key: str, title: str, says: str, bins: Sequence[tuple[str, float, float]]) -> Svg:
    """A column before and after, a bar above a bar for each bin, with their shares.

    Parameters
    ----------
    key, title, says
        As of :func:`figure`.
    bins
        Label, share before, share after.
    """
    most = max((max(b, a) for _, b, a in bins), default=0.0) or 1.0
    before = after = ""
    labels: list[Svg] = []
    for at, (label, old, new) in enumerate(bins):
        y = 4 + at * 18
        before += f"M120 {y}h{112 * old / most:.1f}v5h{-112 * old / most:.1f}z"
        after += f"M120 {y + 6}h{112 * new / most:.1f}v5h{-112 * new / most:.1f}z"
        labels.append(draw("text", clip(visible(label), 18), x=114, y=y + 9))
        labels.append(draw("text", f"{_share(old)} → {_share(new)}", x=320, y=y + 9))
    bars = (draw("path", class_="before", d=before), draw("path", class_="after", d=after))
    return figure(key, title, says, (320, 6 + 18 * len(bins)), *bars, *labels, class_="sketch")


def _share(share: float) -> str:
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a ledger's bar."""

    name: str
    count: int
    class_: str


def ledger_bar(key: str, title: str, segments: Sequence[Segment]) -> Svg:
    """Checks of a suite by what they earned, as one bar; the legend beside it has the counts."""
    total = sum(s.count for s in segments) or 1
    parts: list[Svg] = []
    x = 0.0
    for segment in segments:
        wide = 1000 * segment.count / total
        if segment.count:
            parts.append(draw("rect", class_=segment.class_, x=x, width=max(wide - 2, 1.0), height=20))
        x += wide
    says = ", ".join(f"{s.count} {s.name}" for s in segments)
    return figure(key, title, says, (1000, 20), *parts, class_="ledger", stretch=True)


@dataclass(frozen=True, kw_only=True)
class Series:
    """Rates of one validator along an axis.

    Attributes
    ----------
    name, slot
        Of the validator, and which mark and colour it has.
    points
        Rate by position.
    floor
        Position of the detection floor; None without one.
    """

    name: str
    slot: int
    points: Mapping[int, Rate]
    floor: int | None = None
