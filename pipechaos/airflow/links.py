"""The link from a task in Airflow's UI to its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from airflow.sdk import BaseOperatorLink

from pipechaos.airflow.addresses import page_address, report_address

__all__ = ["ChaosReportLink", "report_link"]


@attrs.define
class ChaosReportLink(BaseOperatorLink):
    """Button "Chaos report" of a task: what the operator remembers as ``report_link``, empty before it has run."""

    name = "Chaos report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the report."""
        return getattr(operator, "report_link", "") or ""


def report_link(result: Mapping[str, Any], template: str | None = None) -> str:
    """Where the button leads: to our plugin's page where a store keeps the run, to the file of the report otherwise.

    Airflow's UI leaves out a link to a file; REST has it.

    Parameters
    ----------
    result
        Of a campaign or a drill.
    template
        Web address with ``{run_id}`` and ``{experiment}`` in place of both.
    """
    page = page_address("/report?id={run_id}") if result["run_id"] else None
    return report_address(result, template or page)
