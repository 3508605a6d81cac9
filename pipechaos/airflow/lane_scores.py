"""What a lane's tasks came to: each verdict on a corrupted copy paired with the same task's on the untouched one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipechaos.airflow.lane_handover import BASE
from pipechaos.airflow.outside_verdicts import LATE, OutsideVerdict, Told
from pipechaos.errors import BatchError
from pipechaos.faults import registry
from pipechaos.ledger.io import read_ledger
from pipechaos.ledger.records import Status
from pipechaos.score.outcome import Judgement, judge_injected, judge_natural
from pipechaos.score.records import Outcome
from pipechaos.score.truth import Truth
from pipechaos.validate.verdict_io import read_verdict

if TYPE_CHECKING:
    from pipechaos.validate.verdict import Verdict

__all__ = ["in_words", "score_lane"]

_WORDS: Mapping[str, str] = {
    Outcome.TP: "noticed",
    Outcome.FN: "MISSED",
    Outcome.FP: "false alarm",
    Outcome.TN: "accepted",
    Outcome.ERROR: "no verdict: it crashed or ran out of time",
    Outcome.NOOP: "nothing to notice: no cell changed",
    Outcome.BASE_BAD: "no verdict: the untouched copy was not accepted either",
    Outcome.ACCEPTED: "accepted",
    Outcome.ALARM: "rejected",
}


def in_words(outcome: str) -> str:
    """What an outcome of a lane means, for people in a hurry.

    Examples
    --------
    >>> in_words("fn"), in_words("not_exercised")
    ('MISSED', 'not exercised')
    """
    return _WORDS.get(outcome, outcome.replace("_", " "))


def score_lane(
    copies: Mapping[str, Any] | None,
    records: Mapping[str, Mapping[str, Mapping[str, Any] | None]],
    injections: Mapping[str, Mapping[str, Any]],
    *,
    key: Sequence[str] = (),
    reason: str = "",
) -> dict[str, Any]:
    """Score a lane.

    Parameters
    ----------
    copies
        What :func:`pipechaos.airflow.lane_copies.make_copies` returned; None when there are no copies.
    records
        By validator and label what the judging task left, ``OutsideVerdict.to_json()``; None where it left nothing.
    injections
        By label, as asked.
    key
        Key columns of the batch.
    reason
        Why there are no copies.

    Returns
    -------
    dict
        ``{"outcomes", "controls", "counts", "reason"}``, plain values. ``not_exercised`` stands beside the outcomes of
        scoring and is in no rate. When the time was over for one trial, none is scored: a lane is never scored in part.
    """
    late = any((r or {}).get("how") == LATE for of in records.values() for r in of.values())
    why = LATE if late else reason
    found: dict[str, dict[str, OutsideVerdict]] = {}
    for validator, of in records.items():
        found |= _by_part(validator, {n: _told(r, why, late) for n, r in of.items()})
    outcomes = [
        _outcome(validator, label, asked, copies, of, tuple(key))
        for validator, of in found.items()
        for label, asked in injections.items()
    ]
    counts: dict[str, Counter[str]] = {v: Counter() for v in found}
    for o in outcomes:
        counts[o["validator"]][o["outcome"]] += 1
    return {
        "outcomes": outcomes,
        "controls": [_control(v, of[BASE]) for v, of in found.items()],
        "counts": {n: dict(sorted(c.items())) for n, c in sorted(counts.items())},
        "reason": why,
    }


def _told(record: Mapping[str, Any] | None, why: str, late: bool) -> OutsideVerdict:
    if record is None or late:
        return OutsideVerdict(told=Told.NOT_EXERCISED, how=why or "its task left no record: it did not get to judge")
    return OutsideVerdict.from_json(record)


def _by_part(validator: str, told: dict[str, OutsideVerdict]) -> dict[str, dict[str, OutsideVerdict]]:
    """A task of several validators is scored by each of them: ``validate.pandera``, ``validate.gx``."""
    names = dict.fromkeys(n for one in told.values() for n in one.parts)
    if not names:
        return {validator: told}
    # where the task told of no parts (its time limit, a crash), what it told holds for each of them
    return {f"{validator}.{n}": {label: one.parts.get(n, one) for label, one in told.items()} for n in names}


def _verdict(validator: str, said: OutsideVerdict) -> Verdict:
    """Verdict with its rows where its file can still be read, else what was told of it."""
    if said.kept and said.told is not Told.NOT_EXERCISED:
        with suppress(BatchError):
            return read_verdict(said.kept)
    return said.verdict(validator)


def _control(validator: str, base: OutsideVerdict) -> dict[str, Any]:
    """An untouched batch is a natural control: its rejection is a false alarm until somebody reviews it."""
    exercised = base.told is not Told.NOT_EXERCISED
    outcome = judge_natural(_verdict(validator, base)).outcome.value if exercised else Told.NOT_EXERCISED.value
    return {"validator": validator, "outcome": outcome, "told": base.told.value, "how": base.how}


def _outcome(
    validator: str,
    label: str,
    asked: Mapping[str, Any],
    copies: Mapping[str, Any] | None,
    found: Mapping[str, OutsideVerdict],
    key: tuple[str, ...],
) -> dict[str, Any]:
    trial = copies["trials"].get(label) if copies else None
    made = trial or asked  # what was made counts: a policy's plan can change while a run is under way
    columns = made.get("columns", ())
    line = {
        "validator": validator,
        "fault": made["fault"],
        "columns": [columns] if isinstance(columns, str) else list(columns),
        "changed": trial["changed"] if trial else 0,
    }
    base, said = found[BASE], found[label]
    for part, who in ((base, "on the untouched copy: "), (said, "")):
        if part.told is Told.NOT_EXERCISED:
            return {**line, "outcome": Told.NOT_EXERCISED.value, "why": None, "told": said.told.value,
                    "how": f"{who}{part.how}"}  # fmt: skip
    if trial is None:
        return {**line, "outcome": Told.NOT_EXERCISED.value, "why": None, "told": said.told.value, "how": "no copy"}
    judged = _judged(validator, trial, base, said, key)
    return {
        **line,
        "outcome": judged.outcome.value,
        "why": judged.why.value if judged.why else None,
        "told": said.told.value,
        "how": said.how,
    }


def _judged(
    validator: str, trial: Mapping[str, Any], base: OutsideVerdict, said: OutsideVerdict, key: tuple[str, ...]
) -> Judgement:
    fault = registry.get(trial["fault"])
    return judge_injected(
        fault.family,
        Status(trial["status"]),
        base=_verdict(validator, base),
        verdict=_verdict(validator, said),
        truth=lambda: Truth.of(read_ledger(trial["ledger"]), fault.phase, key),
    )
