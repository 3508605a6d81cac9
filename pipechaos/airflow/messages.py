"""What people are told about a campaign or a drill, as text: counts and names made safe to show, never a data value."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

from pipechaos.airflow.addresses import report_address
from pipechaos.report.escape import clip, visible

__all__ = ["html_message", "message_of", "of_drill", "slack_blocks", "subject_of"]

_SLACK_BLOCK = 2900  # Slack takes 3000 characters in a block
_LONGEST = 200  # of a name or reason
_GATES = 10
_LINE = "\n"
_WORDS = {
    "ok": "all gates pass",
    "gate_failed": "a gate failed",
    "inconclusive": "too little was judged to decide",
    "could_not_run": "it could not judge",
}


def subject_of(result: Mapping[str, Any] | None, where: Mapping[str, str]) -> str:
    """One line: what happened, and where.

    Examples
    --------
    >>> subject_of({"experiment": "flights", "verdict": "gate_failed"}, {"dag": "drill"})
    'pipechaos: flights: a gate failed (DAG drill)'
    >>> subject_of(None, {"dag": "drill", "task": "campaign", "exception": "CannotRunError"})
    'pipechaos: no result (DAG drill, task campaign, exception CannotRunError)'
    """
    what = "no result" if result is None else f"{_name(result['experiment'])}: {_word(result)}"
    return f"pipechaos: {what} ({_where(where)})"


def message_of(result: Mapping[str, Any] | None, where: Mapping[str, str], *, report_url: str | None = None) -> str:
    """The whole message as plain text.

    Parameters
    ----------
    result
        Of a campaign; None where a task ended without one.
    where
        ``dag``, ``task``, ``run``, and ``exception``: the name of its class alone, as a message may quote data.
    report_url
        As :func:`pipechaos.airflow.addresses.report_address` takes it.
    """
    lines = [subject_of(result, where)]
    if result is not None:
        lines += [*_validators(result), *_gates(result), *_rest(result)]
        address = report_address(result, report_url)
        lines += [f"report: {visible(address)}"] if address else []
    return "\n".join(lines)


def of_drill(message: str, drill: Mapping[str, Any] | None = None, *, report_url: str | None = None) -> tuple[str, str]:
    r"""Subject and text of what a drill says.

    A drill escapes names for whoever shows its message anywhere; here each channel does that by itself.

    Parameters
    ----------
    message
        From the drill.
    drill
        Its ``run_id`` and ``experiment``, for the address.
    report_url
        As :func:`pipechaos.airflow.addresses.report_address` takes it.

    Examples
    --------
    >>> of_drill("drill of a&amp;b: 1 new survivor\nrun r, exit code 0")
    ('pipechaos: drill of a&b: 1 new survivor', 'drill of a&b: 1 new survivor\nrun r, exit code 0')
    """
    text = html.unescape(message)
    subject = f"pipechaos: {clip(text.partition(_LINE)[0], _LONGEST)}"
    if drill and report_url:
        text += f"{_LINE}report: {visible(report_address(drill, report_url))}"
    return subject, text


def html_message(text: str) -> str:
    """The message as the body of an e-mail."""
    return f"<pre>{html.escape(text)}</pre>"


def slack_blocks(text: str) -> list[dict[str, Any]]:
    """The message as a block of plain text, in which Slack reads no markup, mention or link."""
    return [{"type": "section", "text": {"type": "plain_text", "text": clip(text, _SLACK_BLOCK), "emoji": False}}]


def _validators(result: Mapping[str, Any]) -> Iterator[str]:
    for name, found in result["validators"].items():
        fnr, fpr = _rate(found["fnr"]), _rate(found["fpr"])
        yield f"{_name(name)}: misses {fnr}; false alarms {fpr}; {found['survivors']} survivors"


def _rate(rate: Mapping[str, Any]) -> str:
    if rate["estimate"] is None:
        return f"n/a ({_name(rate['reason'] or 'undefined')})"
    shown = f"{rate['hits']} of {rate['trials']} ({100 * rate['estimate']:.1f} %"
    if rate["low"] is not None and rate["high"] is not None:
        shown += f", 95 % interval {100 * rate['low']:.1f} to {100 * rate['high']:.1f} %"
    return shown + ")"


def _gates(result: Mapping[str, Any]) -> Iterator[str]:
    open_ones = [g for g in result["gates"] if g["verdict"] != "pass"]
    for gate in open_ones[:_GATES]:
        yield f"gate {gate['metric']} of {_name(gate['validator'])}: {gate['verdict']}: {_name(gate['reason'])}"
    if len(open_ones) > _GATES:
        yield f"and {len(open_ones) - _GATES} more gates"


def _rest(result: Mapping[str, Any]) -> Iterator[str]:
    held = result["baseline"]
    if held is not None:
        counts = ", ".join(f"{n} {standing}" for standing, n in held["entries"].items())
        yield f"baseline: {held['verdict']}: {counts or 'no entry'}"
    if result["blind"]:
        yield f"blind validators: {', '.join(map(_name, result['blind']))}"
    if result["stopped"]:
        yield f"stopped early: {_name(result['stopped'])}"
    if result["run_id"]:
        yield f"run: {_name(result['run_id'])}"


def _word(result: Mapping[str, Any]) -> str:
    return _WORDS.get(result["verdict"], _name(result["verdict"]))


def _where(where: Mapping[str, str]) -> str:
    return ", ".join(f"{'DAG' if what == 'dag' else what} {_name(name)}" for what, name in where.items() if name)


def _name(text: object) -> str:
    return clip(visible(str(text)), _LONGEST)
