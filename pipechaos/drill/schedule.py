"""What the store tells of past drills: which were held, whether one is overdue, whether they are paused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipechaos.campaign.experiment import Experiment
from pipechaos.drill.settings import DrillSettings, drill_name
from pipechaos.errors import CannotRunError
from pipechaos.score.gates import ExitCode
from pipechaos.store.records import RunRecord, RunStatus

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["DrillsPausedError", "Night", "failures", "nights", "overdue", "paused", "record_failure"]

_FAILED = ".could-not-run"
_GRACE = 0.5  # of the expected time between drills


class DrillsPausedError(CannotRunError):
    """Drills failed again and again: none is held until somebody says so."""


@dataclass(frozen=True, kw_only=True)
class Night:
    """A drill that was held, or was to be held.

    Attributes
    ----------
    run_id, started
        Which one.
    failed
        It could not run: it ended with exit code 3, did not get so far, or was killed and not taken up again.
    run
        As the store has it; None where it did not begin.
    """

    run_id: str
    started: dt.datetime
    failed: bool
    run: RunRecord | None = None


def nights(store: Store, experiment: str, *, apart_from: str = "") -> tuple[Night, ...]:
    """Drills of an experiment, the latest first.

    Parameters
    ----------
    store
        Where they are kept.
    experiment
        Name of the experiment itself.
    apart_from
        Id of a drill that is left out: the one that is held now.
    """
    found = {r.run_id: r for r in store.runs(drill_name(experiment))}
    notes = {name.removesuffix(_FAILED): r for name, r in found.items() if name.endswith(_FAILED)}
    held = {name: r for name, r in found.items() if not name.endswith(_FAILED)}
    out = [
        Night(
            run_id=name,
            started=(held.get(name) or notes[name]).started,
            failed=_could_not(held.get(name)),
            run=held.get(name),
        )
        for name in {**held, **notes}
        if name != apart_from
    ]
    return tuple(sorted(out, key=lambda n: (n.started, n.run_id), reverse=True))


def _could_not(run: RunRecord | None) -> bool:
    return run is None or run.status is RunStatus.RUNNING or run.exit_code == ExitCode.COULD_NOT_RUN


def record_failure(store: Store, experiment: Experiment, run_id: str, *, started: dt.datetime, at: dt.datetime) -> None:
    """Write down that a drill could not run. Trying it again changes nothing, and once it has run this counts no more.

    Parameters
    ----------
    store
        Where.
    experiment
        The experiment itself.
    run_id
        Of the drill.
    started, at
        When it began and when it failed; aware.
    """
    note = run_id + _FAILED  # apart from the run: its suites were never loaded, and a retry has to go on with it
    name = drill_name(experiment.name)
    if any(r.run_id == note for r in store.runs(name)):
        return
    store.begin(
        RunRecord(
            run_id=note, experiment=name, experiment_digest=experiment.digest, seed=experiment.seed, started=started
        )
    )
    document: dict[str, object] = {"schema": "pipechaos.drill-failure/1", "validators": [], "stack": None}
    code = int(ExitCode.COULD_NOT_RUN)
    store.finish(note, document, exit_code=code, finished=at, status=RunStatus.STOPPED)


def failures(past: Sequence[Night]) -> tuple[Night, ...]:
    """Drills in a row that could not run, the latest first."""
    first_good = next((i for i, night in enumerate(past) if not night.failed), len(past))
    return tuple(past[:first_good])


def paused(past: Sequence[Night], settings: DrillSettings) -> str:
    """Why no drill is held any more; empty where they are.

    Parameters
    ----------
    past
        Drills so far, the latest first.
    settings
        How many may fail.
    """
    bad = failures(past)
    if len(bad) < settings.pause_after:
        return ""
    days = ", ".join(f"{n.started:%Y-%m-%d}" for n in bad[:3])
    return (
        f"drills are paused: the last {len(bad)} could not run ({days}{', ...' if len(bad) > 3 else ''}). Mend the "
        "cause and release them: `pipechaos drill run --resume-drills`, or release=True of the DrillOperator"
    )


def overdue(past: Sequence[Night], settings: DrillSettings, now: dt.datetime) -> str:
    """That drills were missed, in words; empty where they were not.

    Half the expected time is allowed for a schedule that starts late. Before the first drill nothing is overdue.

    Parameters
    ----------
    past
        Drills so far, the latest first; those that could not run were missed as well.
    settings
        What is expected.
    now
        Aware.
    """
    last = next((n for n in past if not n.failed), None)
    if last is None:
        if not past:
            return ""
        return f"no drill has run yet, expected every {_days(settings.every_days)}"
    waited = (now - last.started) / dt.timedelta(days=1)
    if waited < settings.every_days * (1 + _GRACE):
        return ""
    ago = f"{round(waited, 1):g} day" + ("" if round(waited, 1) == 1 else "s")
    return f"the last drill was {ago} ago, expected every {_days(settings.every_days)}"


def _days(number: float) -> str:
    return "day" if number == 1 else f"{number:g} days"
