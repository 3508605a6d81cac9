"""The report as a Prometheus text file, for node_exporter's textfile collector: few labels, one file for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipechaos.errors import MissingExtraError
from pipechaos.report.inputs import Report
from pipechaos.report.weaknesses import shown
from pipechaos.score.gates import GateVerdict

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["render_prometheus"]


def render_prometheus(report: Report, *, timestamp: float | None = None) -> str:
    """Write the text format of Prometheus.

    Columns and faults are no labels: they have too many values, and the store has them all.

    Parameters
    ----------
    report
        What is known. A rate that is undefined is NaN, never 0.
    timestamp
        When the run ended, in seconds since 1970 UTC; without it there is no such metric.

    Raises
    ------
    MissingExtraError
        prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        raise MissingExtraError("prometheus-client", "prometheus") from None
    registry = CollectorRegistry()
    _rates(report, registry)
    _verdict(report, registry, timestamp)
    return generate_latest(registry).decode("utf-8")


def _rates(report: Report, registry: CollectorRegistry) -> None:
    from prometheus_client import Gauge

    experiment = shown(report.card.about.name)
    labels = ("experiment", "validator")
    words = {"fnr": "False-negative rate over faulty trials", "fpr": "False-positive rate over untouched batches"}
    gauges = {
        f"{name}{end}": Gauge(f"pipechaos_{name}{end}", f"{words[name]}{said}", labels, registry=registry)
        for name in ("fnr", "fpr")
        for end, said in (
            ("", ""),
            ("_lower", ", one-sided 95 % lower bound"),
            ("_upper", ", one-sided 95 % upper bound"),
            ("_hits", ": counted"),
            ("_trials", ": out of"),
        )
    }
    trials = Gauge("pipechaos_trials", "Trials", (*labels, "kind", "outcome"), registry=registry)
    blind = Gauge("pipechaos_blind", "1 where no canary was rejected", labels, registry=registry)
    for score in (*report.card.validators, *([report.card.stack] if report.card.stack else [])):
        at = (experiment, shown(score.name))
        for name, rate in (("fnr", score.faults.fnr), ("fpr", score.controls.fpr)):
            gauges[name].labels(*at).set(rate.estimate)
            gauges[f"{name}_lower"].labels(*at).set(rate.lower)
            gauges[f"{name}_upper"].labels(*at).set(rate.upper)
            gauges[f"{name}_hits"].labels(*at).set(rate.hits)
            gauges[f"{name}_trials"].labels(*at).set(rate.trials)
        blind.labels(*at).set(bool(score.blind))
        for kind, outcomes in score.outcomes.items():
            for outcome, count in outcomes.items():
                trials.labels(*at, kind, outcome).set(count)


def _verdict(report: Report, registry: CollectorRegistry, timestamp: float | None) -> None:
    from prometheus_client import Gauge

    experiment, gates = shown(report.card.about.name), report.card.gates

    def gauge(name: str, said: str, value: float) -> None:
        Gauge(f"pipechaos_{name}", said, ("experiment",), registry=registry).labels(experiment).set(value)

    gauge("gates", "Gates declared, once for each validator", len(gates))
    gauge("gate_failed", "Gates that fail", sum(g.verdict is GateVerdict.FAIL for g in gates))
    gauge("gate_inconclusive", "Gates that do not decide", sum(g.verdict is GateVerdict.INCONCLUSIVE for g in gates))
    gauge("exit_code", "0 fine, 1 a gate fails, 3 could not run or blind, 4 inconclusive", int(report.card.exit_code))
    if timestamp is not None:
        gauge("last_run_timestamp_seconds", "End of the last run", timestamp)
