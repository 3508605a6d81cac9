"""Headline rates of a run, out of its scorecard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from pipechaos.store.records import RatePoint

__all__ = ["rate_points"]


def rate_points(
    document: Mapping[str, Any], *, run_id: str, started: dt.datetime, revision: str = ""
) -> Iterator[RatePoint]:
    """One point for each validator of a scorecard's document, and one for all of them as a stack.

    Parameters
    ----------
    document
        ``pipechaos.scorecard/1``.
    run_id, started, revision
        Of the run.
    """
    for score in (*document["validators"], *([document["stack"]] if document["stack"] else [])):
        fnr, fpr = score["faults"]["fnr"], score["natural"]["fpr"]
        yield RatePoint(
            run_id=run_id,
            started=started,
            revision=revision,
            validator=score["name"],
            suite_digest=score["suite_digest"] or "",
            fnr=fnr["estimate"],
            fnr_low=fnr["low"],
            fnr_high=fnr["high"],
            missed=fnr["hits"],
            faulty=fnr["trials"],
            fpr=fpr["estimate"],
            fpr_low=fpr["low"],
            fpr_high=fpr["high"],
            alarms=fpr["hits"],
            natural=fpr["trials"],
        )
