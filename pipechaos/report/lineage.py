"""The report as OpenLineage events: only where a catalogue is configured, and never at a run's expense.

Datasets of a drill live in a namespace of its own, ``pipechaos://...``: a failed test must never mark the data that
people work with as bad.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipechaos.errors import MissingExtraError, PipechaosError
from pipechaos.report.escape import clip, visible
from pipechaos.report.inputs import Report
from pipechaos.report.numbers import plural
from pipechaos.report.weaknesses import Fate, Weakness, baseline_of, gate_text, shown, weaknesses
from pipechaos.score.baseline import FAILING
from pipechaos.score.gates import GateVerdict

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.facet_v2 import test_run

__all__ = ["emit_lineage", "lineage_configured", "lineage_events"]

_PRODUCER = "pipechaos://pipechaos"
_SCHEME = "pipechaos://"
_STATUS = {GateVerdict.PASS: "pass", GateVerdict.FAIL: "fail", GateVerdict.INCONCLUSIVE: "skip"}
_LOGIN = re.compile(r"://[^/@\s]*@")


def lineage_configured(environ: Mapping[str, str]) -> bool:
    """Whether OpenLineage is told where to send events: by its variables, or by its file in the usual places."""
    if environ.get("OPENLINEAGE_DISABLED", "").lower().strip() == "true":
        return False
    if environ.get("OPENLINEAGE_URL") or any(k.startswith("OPENLINEAGE__TRANSPORT") for k in environ):
        return True
    told = environ.get("OPENLINEAGE_CONFIG")
    files = [*([Path(told)] if told else []), Path("openlineage.yml"), Path("~/.openlineage/openlineage.yml")]
    return any(f.expanduser().is_file() for f in files)


def emit_lineage(
    report: Report,
    *,
    started: dt.datetime,
    finished: dt.datetime,
    config: Mapping[str, Any] | None = None,
    seconds: float = 5.0,
) -> str:
    """Send a run's two events, START and COMPLETE.

    Parameters
    ----------
    report
        What is known.
    started, finished
        Of the run, with time zone.
    config
        OpenLineage's configuration, ``{"transport": {...}}``; by default its own variables and file. Without either
        nothing is built, sent or printed.
    seconds
        The longest it may take; what is not sent by then is given up.

    Returns
    -------
    str
        A line that says why nothing was sent; empty when all is well, or nothing is configured. Never raises for what
        a catalogue or its configuration does.
    """
    if config is None and not lineage_configured(os.environ):
        return ""
    problems: list[str] = []

    def send() -> None:
        try:
            _send(lineage_events(report, started=started, finished=finished), config, seconds)
        except PipechaosError as error:
            problems.append(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a transport raises must not fail the run
            problems.append(f"{type(error).__name__}: {_LOGIN.sub('://', str(error))}")

    sender = threading.Thread(target=send, name="pipechaos-lineage", daemon=True)
    sender.start()
    sender.join(seconds)
    if sender.is_alive():
        problems.append(f"not done after {seconds:g} s")
    return clip(visible(f"lineage was not sent: {problems[0]}"), 300) if problems else ""


def _send(events: tuple[RunEvent, ...], config: Mapping[str, Any] | None, seconds: float) -> None:
    from openlineage.client import OpenLineageClient

    client = OpenLineageClient(config=dict(config) if config is not None else None)
    if client.transport.kind == "console" and (client.config.transport or {}).get("type") != "console":
        return  # a file without a transport: the client would print every event
    for event in events:
        client.emit(event)
    client.close(seconds)


def lineage_events(report: Report, *, started: dt.datetime, finished: dt.datetime) -> tuple[RunEvent, RunEvent]:
    """START and COMPLETE of a run, the results of faults and gates as tests of the run.

    Parameters
    ----------
    report
        What is known.
    started, finished
        Of the run, with time zone.

    Raises
    ------
    MissingExtraError
        openlineage-python is not installed, or too old to know tests of a run.
    """
    try:
        from openlineage.client import event_v2
        from openlineage.client.facet_v2 import job_type_job, test_run
    except ImportError:
        raise MissingExtraError("openlineage-python with TestRunFacet", "lineage") from None
    name = shown(report.card.about.name)
    home = _SCHEME + quote(name, safe="")
    kind = job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="PIPECHAOS", jobType="CAMPAIGN", producer=_PRODUCER
    )
    job = event_v2.Job(namespace=home, name=name, facets={"jobType": kind})
    tests = test_run.TestRunFacet(tests=_tests(report), producer=_PRODUCER)
    run_id = str(_run_id(report, started))
    inputs = [event_v2.InputDataset(namespace=home, name="corrupted-batches")]
    begins = event_v2.RunEvent(
        eventType=event_v2.RunState.START,
        eventTime=started.isoformat(),
        producer=_PRODUCER,
        run=event_v2.Run(runId=run_id),
        job=job,
        inputs=inputs,
    )
    ends = event_v2.RunEvent(
        eventType=event_v2.RunState.COMPLETE,
        eventTime=finished.isoformat(),
        producer=_PRODUCER,
        run=event_v2.Run(runId=run_id, facets={"test": tests}),
        job=job,
        inputs=inputs,
        outputs=[event_v2.OutputDataset(namespace=home, name="scorecard")],
    )
    return begins, ends


def _run_id(report: Report, started: dt.datetime) -> uuid.UUID:
    """The run's own id where it is a UUID; else one that a retry of the same run makes again."""
    try:
        return uuid.UUID(report.run_id)
    except ValueError:
        known = report.run_id or f"{report.card.about.digest} {started.isoformat()}"
        return uuid.uuid5(uuid.NAMESPACE_URL, f"{_SCHEME}run/{known.encode('utf-8', 'replace').hex()}")


def _tests(report: Report) -> list[test_run.TestExecution]:
    """One test for each gate and for each validator and fault: few enough for a catalogue."""
    from openlineage.client.facet_v2 import test_run

    tests = [
        test_run.TestExecution(
            name=f"gate {at}: {gate.gate.metric.value} of {shown(gate.validator)}",
            status=_STATUS[gate.verdict],
            severity="error",
            type="gate",
            description=gate_text(gate),
            expected=f"at most {gate.gate.limit:g}",
            actual=f"{gate.rate.hits} of {gate.rate.trials}",
        )
        for at, gate in enumerate(report.card.gates, 1)
    ]
    baseline = baseline_of(report)
    if baseline is not None:
        failing = sum(e.standing in FAILING for e in baseline.entries)
        tests.append(
            test_run.TestExecution(
                name="baseline",
                status=_STATUS[baseline.verdict],
                severity="error",
                type="baseline",
                description=shown(baseline.reason) or None,
                expected="nothing new, expired or stale",
                actual=plural(failing, "entry", "entries"),
            )
        )
    groups: dict[tuple[str, str], list[Weakness]] = {}
    for weakness in weaknesses(report):
        groups.setdefault((weakness.validator, weakness.fault), []).append(weakness)
    return tests + [_of_fault(validator, fault, found) for (validator, fault), found in groups.items()]


def _of_fault(validator: str, fault: str, found: list[Weakness]) -> test_run.TestExecution:
    from openlineage.client.facet_v2 import test_run

    missed, judged = sum(w.missed for w in found), sum(w.judged for w in found)
    survive = any(w.fate is Fate.MISSED for w in found)
    return test_run.TestExecution(
        name=f"{validator} rejects {fault}",
        status="fail" if survive else "pass" if judged else "skip",
        severity="warn",
        type="fault",
        description=f"{plural(len(found), 'weakness', 'weaknesses')} tried",
        expected="0 missed",
        actual=f"{missed} of {judged} missed",
    )
