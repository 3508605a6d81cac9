"""The report as OpenTelemetry metrics, through the API alone: without an SDK in the process nothing happens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipechaos.errors import MissingExtraError
from pipechaos.report.inputs import Report
from pipechaos.report.weaknesses import shown

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["record_metrics"]


def record_metrics(report: Report, provider: MeterProvider | None = None) -> None:
    """Record a run's trials and headline rates.

    Counter ``pipechaos.trials`` by validator, kind and outcome; gauges ``pipechaos.fnr`` and ``pipechaos.fpr`` by
    validator, left out where they are undefined. No column, fault or trial is an attribute: the store has those.

    Parameters
    ----------
    report
        What is known.
    provider
        The process's own by default.

    Raises
    ------
    MissingExtraError
        opentelemetry-api is not installed.
    """
    try:
        from opentelemetry import metrics
    except ImportError:
        raise MissingExtraError("opentelemetry-api", "otel") from None
    version = report.card.about.versions.get("pipechaos", "")
    meter = metrics.get_meter("pipechaos", version, meter_provider=provider)
    trials = meter.create_counter("pipechaos.trials", unit="{trial}", description="Trials of a run")
    fnr = meter.create_gauge("pipechaos.fnr", unit="1", description="False-negative rate over faulty trials")
    fpr = meter.create_gauge("pipechaos.fpr", unit="1", description="False-positive rate over untouched batches")
    experiment = shown(report.card.about.name)
    for score in report.card.validators:
        at = {"experiment": experiment, "validator": shown(score.name)}
        for kind, outcomes in score.outcomes.items():
            for outcome, count in outcomes.items():
                trials.add(count, {**at, "kind": kind, "outcome": outcome})
        for gauge, rate in ((fnr, score.faults.fnr), (fpr, score.controls.fpr)):
            if not math.isnan(rate.estimate):
                gauge.set(rate.estimate, at)
