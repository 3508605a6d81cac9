"""The batches of an experiment: which are history, which are bases and controls, which are set apart."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from pipechaos.batch.io import read_batch
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, discover
from pipechaos.campaign.experiment import Experiment
from pipechaos.errors import ExperimentError, UnknownNameError

__all__ = ["Batches", "find_refs"]

_KEPT_IN_MEMORY = 32


class Batches:
    """The batches of one experiment, read when needed.

    Parameters
    ----------
    experiment
        What is asked for.
    root
        Folder that relative globs start from: where the experiment file lies.

    Attributes
    ----------
    history
        Names of the clean batches before the controls, incidents left out.
    controls
        Names of the batches after the history, incidents left out, in order.
    incidents
        Names set apart.

    Raises
    ------
    ExperimentError
        Nothing matches, nothing is left, or the history takes everything.
    UnknownNameError
        An incident or a review names no batch.
    """

    def __init__(self, experiment: Experiment, root: Path) -> None:
        self._experiment = experiment
        refs: dict[str, BatchRef] = {}
        for pattern in experiment.batches:
            for ref in find_refs(pattern, root):
                if ref.name in refs and refs[ref.name] != ref:
                    raise ExperimentError(
                        f"batches: two batches are called {ref.name!r}: {refs[ref.name].uri}, {ref.uri}"
                    )
                refs[ref.name] = ref
        self.refs = dict(sorted(refs.items()))
        self.incidents = {i.batch: i.reason for i in experiment.incidents}
        for name in self.incidents:
            if name not in self.refs:
                raise UnknownNameError("batch", name, self.refs, "incidents")
        for review in experiment.controls.reviewed:
            if review.batch not in self.refs:
                raise UnknownNameError("batch", review.batch, self.refs, "controls.reviewed")
        until, last = experiment.controls.until, experiment.controls.last
        names = [n for n in self.refs if until is None or n <= until]
        rule = experiment.history
        if rule.before is not None:
            past = [n for n in names if n < rule.before]
        else:
            past = names[: rule.count or 0]
        self.history = tuple(n for n in past if n not in self.incidents)
        self.controls = tuple(n for n in names[len(past) :] if n not in self.incidents)
        if not self.controls:
            raise ExperimentError(
                f"no batch is left after the history ({len(past)} of {len(names)} batches are history, "
                f"{len(self.incidents)} are incidents): shorten `history:` or give later batches"
            )
        self.controls = self.controls if last is None else self.controls[-last:]
        self._recent = lru_cache(maxsize=_KEPT_IN_MEMORY)(self._load)
        self._clean = lru_cache(maxsize=None)(self._load)
        self.pooled = lru_cache(maxsize=1)(self._pooled)

    def load(self, name: str) -> Batch:
        """One batch; those of the history stay in memory, since every scale and range is made from all of them."""
        return self._clean(name) if name in self.history else self._recent(name)

    def _load(self, name: str) -> Batch:
        e = self._experiment
        if name not in self.refs:
            raise UnknownNameError("batch", name, self.refs)
        return read_batch(self.refs[name], key=tuple(e.key), time=e.time, target=tuple(e.target), name=name)

    def before(self, name: str) -> Batch | None:
        """The last batch before this one that is no incident; None for the first."""
        earlier = [n for n in (*self.history, *self.controls) if n < name]
        return self.load(max(earlier)) if earlier else None

    def _pooled(self) -> tuple[Batch, ...]:
        """The whole history, as one batch where its schemas are one: what scales are resolved from."""
        batches = tuple(self.load(n) for n in self.history)
        if len({b.table.schema.remove_metadata() for b in batches}) != 1:
            return batches
        table = pa.concat_tables([b.table.replace_schema_metadata(None) for b in batches]).combine_chunks()
        e = self._experiment
        return (Batch.of(table, name=self.history[-1], time=e.time, target=tuple(e.target)),)


def find_refs(pattern: str, root: Path) -> tuple[BatchRef, ...]:
    """Batches of one entry of ``batches:``, a file, a folder, a glob or a URL; relative paths start from the root."""
    if "://" in pattern:
        return discover(pattern)
    place = root / pattern
    return (BatchRef.of(place),) if place.is_file() else discover(place)
