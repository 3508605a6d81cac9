"""The link from a task in Airflow's UI to its report."""

from __future__ import annotations

from typing import Any

import attrs
from airflow.sdk import BaseOperatorLink

__all__ = ["ChaosReportLink"]


@attrs.define
class ChaosReportLink(BaseOperatorLink):
    """Button "Chaos report" of a task: what the operator remembers as ``report_link``, empty before it has run."""

    name = "Chaos report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the report."""
        return getattr(operator, "report_link", "") or ""
