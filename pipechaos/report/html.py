"""The report as one HTML file: readable without JavaScript, without a request to anywhere, on paper and on a phone."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pipechaos.errors import MissingExtraError
from pipechaos.report.escape import visible
from pipechaos.report.html_checks import ledgers_of
from pipechaos.report.html_doses import doses_of, left_text
from pipechaos.report.html_rates import heat_of, metrics_of, strips_of, suites_of
from pipechaos.report.html_survivors import survivors_of
from pipechaos.report.html_trend import trend_of
from pipechaos.report.html_verdict import baseline_of, gates_in_short, gates_of, tiles_of, verdict_of
from pipechaos.report.inputs import Report
from pipechaos.report.svg import legend_marker

if TYPE_CHECKING:
    import jinja2

__all__ = ["render_html"]

_HOME = "pipechaos.report"
_MOST_LEFT_OUT = 60
_MOST_LINES = 40


def render_html(report: Report, *, home: str = "") -> str:
    """Write the report; the same input gives the same bytes.

    Every text passes through ``escape.visible`` and HTML escaping on its way into the page, whatever it says. The style
    sheet and the script are allowed by their hashes, everything else is forbidden by the page's own policy.

    Parameters
    ----------
    report
        What is known of a run.
    home
        Address of a list of runs that the page has a link to; none without.

    Raises
    ------
    MissingExtraError
        Jinja2 is not installed.
    """
    css, js = _asset("report.css"), _asset("report.js")
    full, brief, left = survivors_of(report)
    card = report.card
    return (
        _environment()
        .get_template("report.html")
        .render(
            card=card,
            content=report.content,
            lead=report.content.title.rpartition(": ")[2],
            report=report,
            home=home,
            css=_Markup(css),
            js=_Markup(js),
            policy=_policy(css, js),
            verdict=verdict_of(report),
            tiles=tiles_of(report),
            gates=gates_of(card.gates, report.content.gates),
            baseline=baseline_of(report),
            metrics=metrics_of(report),
            heat=heat_of(report.content),
            strips=strips_of(report),
            doses=doses_of(report),
            full=full,
            brief=brief,
            left=left,
            ledgers=ledgers_of(report),
            trend=trend_of(report.trend, report.run_id, [v.name for v in card.validators]),
            suites=suites_of(card),
            most_left_out=_MOST_LEFT_OUT,
            most_lines=_MOST_LINES,
        )
    )


class _Markup(str):
    """Our own style sheet and script, shown as they are."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@cache
def _asset(name: str) -> str:
    return files(_HOME).joinpath("templates", name).read_text(encoding="utf-8")


def _policy(css: str, js: str) -> str:
    """Nothing may be loaded or run but the one style sheet and the one script in the page."""
    parts = [
        "default-src 'none'",
        f"style-src '{_digest(css)}'",
        f"script-src '{_digest(js)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(parts)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtraError("jinja2", "report") from error
    made = jinja2.Environment(
        loader=jinja2.PackageLoader(_HOME, "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.globals.update(left_text=left_text, marker=legend_marker, gates_in_short=gates_in_short)
    return made


def _shown(value: object) -> object:
    """Control and bidirectional characters written out, as the last thing before a text is escaped."""
    return visible(value) if type(value) is str else value
