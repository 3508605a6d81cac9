"""The batches of an experiment: which are history, which are bases and controls, which are set apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from pipechaos.batch.io import read_batch
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, discover
from pipechaos.campaign.experiment import Experiment
from pipechaos.errors import BatchError, ExperimentError, UnknownNameError

__all__ = ["Batches"]

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
        An incident names no batch.
    """

    def __init__(self, experiment: Experiment, root: Path) -> None:
        self._experiment = experiment
        refs: dict[str, BatchRef] = {}
        for pattern in experiment.batches:
            for ref in discover(pattern if "://" in pattern else root / pattern):
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
        names = list(self.refs)
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
        self.load = lru_cache(maxsize=_KEPT_IN_MEMORY)(self._load)
        self.pooled = lru_cache(maxsize=1)(self._pooled)

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
        """The whole history as one batch: what scales are resolved from."""
        if not self.history:
            return ()
        batches = [self.load(n) for n in self.history]
        _same_columns(batches)
        table = pa.concat_tables([b.table.replace_schema_metadata(None) for b in batches]).combine_chunks()
        e = self._experiment
        return (Batch.of(table, name=self.history[-1], time=e.time, target=tuple(e.target)),)


def _same_columns(batches: Sequence[Batch]) -> None:
    first = batches[0]
    for batch in batches[1:]:
        if batch.table.schema.remove_metadata() != first.table.schema.remove_metadata():
            raise BatchError(
                f"history batches {first.name!r} and {batch.name!r} have different schemas: scales need one. "
                "Start the history after the change."
            )
