"""Where the report of a campaign is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["PAGES", "page_address", "report_address"]

PAGES = "/pipechaos"


def page_address(page: str) -> str:
    """Address of a page of our plugin in the browser, also where Airflow is served below a path."""
    from airflow.configuration import conf

    return f"{urlsplit(str(conf.get('api', 'base_url', fallback=''))).path.rstrip('/')}{PAGES}{page}"


def report_address(result: Mapping[str, Any], template: str | None = None) -> str:
    """Where the report of a campaign is found.

    Parameters
    ----------
    result
        Of a campaign.
    template
        Web address with ``{run_id}`` and ``{experiment}`` in it; None for the file itself.

    Examples
    --------
    >>> report_address({"run_id": "a b", "experiment": "e", "files": {}}, "https://chaos.example/{run_id}")
    'https://chaos.example/a%20b'
    """
    if template:
        return re.sub(r"\{(run_id|experiment)\}", lambda m: quote(str(result[m[1]]), safe=""), template)
    file = result["files"].get("html") or result["files"].get("markdown")
    return Path(file).resolve().as_uri() if file else ""
