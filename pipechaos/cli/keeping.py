"""Keep a run in a store while it goes, and go on with one that was killed."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipechaos.cli.stores import NONE, default_store, opened_store
from pipechaos.errors import ConfigError

if TYPE_CHECKING:
    from pipechaos.score.records import Trial
    from pipechaos.score.scorecard import Scorecard
    from pipechaos.store.database import Store
    from pipechaos.store.recorder import StoreRecorder
    from pipechaos.store.records import RatePoint

__all__ = ["Keeper", "keeping"]

_TREND = 60  # past runs that a report draws


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """A run's place in a store; without a store it keeps nothing.

    Attributes
    ----------
    run_id
        Empty where nothing is kept.
    started
        When the run began, in whichever process that was.
    recorder
        For ``run_campaign``.
    """

    started: dt.datetime
    run_id: str = ""
    recorder: StoreRecorder | None = None
    store: Store | None = None

    def finish(self, card: Scorecard, *, finished: dt.datetime, stopped: str) -> tuple[RatePoint, ...]:
        """Write down how the run ended; returns the rates of the experiment's past runs, this one the last."""
        if self.recorder is None or self.store is None:
            return ()
        self.recorder.finish(card.to_dict(), exit_code=int(card.exit_code), finished=finished, stopped=stopped)
        return self.store.trend(card.about.name, _TREND)


@contextlib.contextmanager
def keeping(
    experiment: str,
    root: Path,
    *,
    store: str | None,
    resume: str | None,
    kept: Callable[[Sequence[Trial]], Sequence[Trial]],
) -> Iterator[Keeper]:
    """Open the store of a run, new or to go on with, for as long as the run takes.

    Parameters
    ----------
    experiment, root
        Its name, and the folder whose git revision is written down; where that lies in no repository, the working
        directory's.
    store
        As ``--store`` gives it; None is the project's own, where the extra ``store`` is installed.
    resume
        As ``--resume`` gives it.
    kept
        What of trials is written.

    Raises
    ------
    ConfigError
        There is nothing to go on with.
    """
    started = dt.datetime.now(dt.UTC)
    place = default_store() if store is None else store
    if place in (None, NONE):
        if resume is not None:
            raise ConfigError("--resume goes on with a run that a store keeps: give --store, and pipechaos[store]")
        yield Keeper(started=started)
        return
    from pipechaos.store.recorder import recorder, resumable

    with opened_store(place, create=True) as opened:
        if resume is not None:
            earlier = resumable(opened, resume, experiment)
            run_id, started = earlier.run_id, earlier.started
        else:
            run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        record = recorder(opened, run_id, started=started, revision=_revision(root), kept=kept)
        yield Keeper(started=started, run_id=run_id, recorder=record, store=opened)


def _revision(folder: Path) -> str:
    """Commit checked out where the experiment lies, or else, as a copied one lies nowhere, in the working directory."""
    from pipechaos.campaign.versions import checked_out

    return checked_out(folder, Path())
