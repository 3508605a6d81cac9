"""Keeps a campaign in a store while it runs, so that it can go on after it was killed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipechaos.errors import ConfigError
from pipechaos.score.records import Trial
from pipechaos.store.records import BaseVerdict, Journal, RunIdentity, RunRecord, RunStatus

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["StoreRecorder", "recorder", "resumable"]

_PARTS = {
    "experiment": "the experiment",
    "experiment_digest": "what the experiment says",
    "seed": "the seed",
    "suites": "the suites",
    "versions": "the versions",
    "history": "the history",
}


class StoreRecorder:
    """Commits what a campaign finds under one run; made by :func:`recorder`.

    Parameters
    ----------
    store, run_id
        Where.
    started
        When the run began: kept only the first time.
    revision
        Of the team's repository.
    kept
        What is written of trials, for instance without data values.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        *,
        started: dt.datetime,
        revision: str = "",
        kept: Callable[[Sequence[Trial]], Sequence[Trial]] = tuple,
    ) -> None:
        self.store, self.run_id = store, run_id
        self._started, self._revision, self._kept = started, revision, kept

    def begin(self, identity: RunIdentity) -> Journal:
        """Write down that the run begins; returns what an earlier process committed under the same id.

        Raises
        ------
        ConfigError
            The run that is to go on was made of something else.
        """
        earlier = next((r for r in self.store.runs() if r.run_id == self.run_id), None)
        if earlier is not None:
            _refuse_other(earlier, identity)
            return self.store.journal(self.run_id)
        parts = {name: getattr(identity, name) for name in _PARTS}
        self.store.begin(RunRecord(run_id=self.run_id, started=self._started, revision=self._revision, **parts))
        return Journal()

    def verdicts(self, found: Sequence[BaseVerdict]) -> None:
        """Commit the verdicts on one untouched batch."""
        self.store.add_verdicts(self.run_id, found)

    def trials(self, found: Sequence[Trial]) -> None:
        """Commit trials of one task, or of all controls."""
        self.store.add_trials(self.run_id, self._kept(found))

    def finish(self, document: Mapping[str, Any], *, exit_code: int, finished: dt.datetime, stopped: str = "") -> None:
        """Write down how the run ended.

        Parameters
        ----------
        document
            Of the scorecard.
        exit_code, finished
            How and when.
        stopped
            Why it ended early (``CampaignResult.stopped``): it may go on later.
        """
        status = RunStatus.STOPPED if stopped else RunStatus.FINISHED
        self.store.finish(self.run_id, document, exit_code=exit_code, finished=finished, status=status)


def recorder(
    store: Store,
    run_id: str,
    *,
    started: dt.datetime,
    revision: str = "",
    kept: Callable[[Sequence[Trial]], Sequence[Trial]] = tuple,
) -> StoreRecorder:
    """What ``run_campaign(..., recorder=)`` takes to keep a run in a store, new or to go on with.

    Parameters
    ----------
    store
        Open as long as the campaign runs.
    run_id
        A new one, or that of a run which :func:`resumable` gave.
    started
        Now, aware.
    revision
        Of the team's repository, empty where there is none.
    kept
        What is written of trials: ``pipechaos.campaign.output.without_values`` where no data value may be kept.
    """
    return StoreRecorder(store, run_id, started=started, revision=revision, kept=kept)


def resumable(store: Store, name: str, experiment: str) -> RunRecord:
    """The run that ``--resume NAME`` means.

    Parameters
    ----------
    store
        Where.
    name
        ``last`` is the latest run of the experiment that has not finished; else the id of a run, or its first letters.
    experiment
        Name of the experiment.

    Raises
    ------
    ConfigError
        There is none, it has finished, or it belongs to another experiment.
    """
    from pipechaos.store.database import LAST

    if name == LAST:
        open_ends = [r for r in store.runs(experiment) if r.status is not RunStatus.FINISHED]
        if not open_ends:
            raise ConfigError(
                f"no run of experiment {experiment!r} in {store.shown} is unfinished: leave out --resume to start one"
            )
        return open_ends[0]
    found = store.run(name)
    if found.experiment != experiment:
        raise ConfigError(f"run {found.run_id!r} is one of experiment {found.experiment!r}, not of {experiment!r}")
    if found.status is RunStatus.FINISHED:
        raise ConfigError(f"run {found.run_id!r} has finished: nothing of it is left to do. Leave out --resume.")
    return found


def _refuse_other(earlier: RunRecord, identity: RunIdentity) -> None:
    differ = [name for name in _PARTS if getattr(earlier, name) != getattr(identity, name)]
    if differ:
        what = "; ".join(_difference(name, getattr(earlier, name), getattr(identity, name)) for name in differ)
        raise ConfigError(
            f"run {earlier.run_id!r} cannot go on, because its trials and new ones would not belong together. Since "
            f"it began, this has changed: {what}. Start a new run, or put that back."
        )


def _difference(name: str, then: object, now: object) -> str:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        parts = [f"{k} {then.get(k, 'none')} -> {now.get(k, 'none')}" for k in sorted({*then, *now})]
        changed = [p for p, k in zip(parts, sorted({*then, *now}), strict=True) if then.get(k) != now.get(k)]
        return f"{_PARTS[name]} ({', '.join(changed)})"
    return f"{_PARTS[name]} ({then!r} -> {now!r})"
