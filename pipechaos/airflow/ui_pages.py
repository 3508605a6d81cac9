"""The UI's own pages: lists of runs, and one line where there is nothing to list."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pipechaos.errors import MissingExtraError
from pipechaos.report.escape import visible

if TYPE_CHECKING:
    import jinja2

    from pipechaos.airflow.ui_lanes import LaneTable
    from pipechaos.airflow.ui_runs import RunLine

__all__ = ["message_page", "policy", "runs_page"]

_HOME = "pipechaos.airflow"


def runs_page(
    lines: Sequence[RunLine],
    *,
    store: str,
    title: str = "Chaos runs",
    about: str = "",
    left_out: int = 0,
    empty: str = "",
    lanes: Sequence[LaneTable] = (),
) -> str:
    """A list of runs as a page; every text is escaped.

    Parameters
    ----------
    lines
        The runs.
    store
        Where they are kept, without a password.
    title, about
        Heading, and a sentence below it.
    left_out
        How many more there are.
    empty
        What is said where there is none.
    lanes
        Shown above the runs.
    """
    shown = {"lines": lines, "store": store, "left_out": left_out, "empty": empty, "lanes": lanes}
    return _render(title=title, about=about, message="", **shown)


def message_page(message: str) -> str:
    """A page that says one thing: what is wrong, and what to do."""
    nothing = {"about": "", "lines": (), "store": "", "left_out": 0, "empty": "", "lanes": ()}
    return _render(title="Chaos runs", message=message, **nothing)


def policy() -> str:
    """What the pages may load and run: their one style sheet; and who may frame them: Airflow itself."""
    digest = base64.b64encode(hashlib.sha256(_css().encode()).digest()).decode()
    parts = ["default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:", "base-uri 'none'"]
    return "; ".join([*parts, "form-action 'none'", "frame-ancestors 'self'"])


def _render(**values: object) -> str:
    return _environment().get_template("runs.html").render(css=_Markup(_css()), **values)


class _Markup(str):
    """Our own style sheet, shown as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@cache
def _css() -> str:
    return files(_HOME).joinpath("templates", "runs.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtraError("jinja2", "report") from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader(_HOME, "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
