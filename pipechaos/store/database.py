"""The store: runs, their trials and rates in SQLite or PostgreSQL."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pipechaos.errors import ConfigError, suggest
from pipechaos.score.records import Trial
from pipechaos.store import tables
from pipechaos.store.address import Address, parse_address
from pipechaos.store.connection import connect, telling, writing
from pipechaos.store.rates import rate_points
from pipechaos.store.records import (
    BaseVerdict,
    Journal,
    RatePoint,
    Regression,
    RunRecord,
    RunStatus,
    StoreError,
    WeaknessRow,
)
from pipechaos.store.rows import (
    rate_of_row,
    rate_row,
    run_of_row,
    run_row,
    text_of,
    trial_of_row,
    trial_row,
    verdict_of_row,
    verdict_row,
    weakness_of_row,
)
from pipechaos.store.upgrade import upgrade

__all__ = ["LAST", "Store"]

LAST = "last"  # in place of a run's id: the one that started last

_AT_ONCE = 2_000  # rows of one statement


class Store:
    """Runs and what they found; every write may be repeated, and changes nothing the second time.

    Get one by :meth:`open` (or :func:`pipechaos.store.opening.open_store`, which needs no SQLAlchemy to be imported),
    and close it, or use it in a ``with`` statement.
    """

    def __init__(self, address: Address, engine: sa.Engine) -> None:
        self._address, self._engine, self._writing = address, engine, writing(engine)
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._insert = insert

    @classmethod
    def open(cls, given: str | os.PathLike[str], *, create: bool = True) -> Store:
        """Open a store, and bring its tables to this version.

        Parameters
        ----------
        given
            Path of a SQLite file, ``sqlite:///PATH`` or ``postgresql://USER:${PASSWORD}@HOST/DATABASE``.
        create
            Whether a SQLite file that is not there is made.

        Raises
        ------
        ConfigError
            The address cannot be read, or there is no such file.
        StoreError
            It cannot be reached, or a newer version of pipechaos wrote it.
        """
        address = parse_address(given)
        if address.file is not None and not address.file.exists():
            if not create:
                raise ConfigError(f"there is no store {address.shown}: `pipechaos run --store` makes one")
            try:
                address.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise StoreError(f"cannot make the folder {address.file.parent}: {exc.strerror}") from None
        store = cls(address, connect(address))
        try:
            with telling(address):
                upgrade(store._writing, address.shown)
        except BaseException:
            store.close()
            raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.shown!r})"

    @property
    def shown(self) -> str:
        """Its address, without a password."""
        return self._address.shown

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # --- writing ----------------------------------------------------------------------------------------------------

    def begin(self, record: RunRecord) -> RunRecord:
        """Write down that a run began; returns what the store now holds of it.

        Raises
        ------
        StoreError
            Another run has this id: its experiment, seed or suites differ.
        """
        with telling(self._address), self._writing.begin() as c:
            self._add(c, tables.run, [run_row(record)])
            held = run_of_row(_one(c, sa.select(tables.run).where(tables.run.c.run_id == record.run_id)))
        for name in ("experiment", "experiment_digest", "seed", "suites"):
            if getattr(held, name) != getattr(record, name):
                raise StoreError(
                    f"the store {self.shown} holds another run {record.run_id!r}: its {name} is "
                    f"{getattr(held, name)!r}, not {getattr(record, name)!r}; give this run an id of its own"
                )
        return held

    def add_trials(self, run_id: str, trials: Sequence[Trial]) -> None:
        """Write trials of a run in one transaction; those it has already stay as they are."""
        self._add_all(tables.trial, [trial_row(run_id, t) for t in trials])

    def add_verdicts(self, run_id: str, verdicts: Sequence[BaseVerdict]) -> None:
        """Write verdicts on untouched batches in one transaction; those it has already stay as they are."""
        self._add_all(tables.verdict, [verdict_row(run_id, v) for v in verdicts])

    def finish(
        self,
        run_id: str,
        document: Mapping[str, Any],
        *,
        exit_code: int,
        finished: dt.datetime,
        status: RunStatus = RunStatus.FINISHED,
    ) -> None:
        """Write how a run ended, and its rates. A run that was stopped may go on and end again.

        Parameters
        ----------
        run_id
            Of a run that began.
        document
            Its scorecard (``Scorecard.to_dict()``).
        exit_code, finished, status
            How it ended; ``finished`` is aware.

        Raises
        ------
        StoreError
            It has finished already, with another scorecard (``runtime`` apart).
        """
        run = tables.run
        with telling(self._address), self._writing.begin() as c:
            held = run_of_row(_one(c, sa.select(run).where(run.c.run_id == run_id)))
            if held.status is RunStatus.FINISHED:
                if _but_runtime(held.scorecard) != _but_runtime(document):
                    raise StoreError(f"run {run_id!r} has finished already, with another scorecard: begin a new run")
                return
            end = {"finished": finished, "status": status.value, "exit_code": exit_code}
            c.execute(sa.update(run).where(run.c.run_id == run_id).values(scorecard=text_of(document), **end))
            c.execute(sa.delete(tables.rate).where(tables.rate.c.run_id == run_id))
            points = rate_points(document, run_id=run_id, started=held.started, revision=held.revision)
            self._add(c, tables.rate, [rate_row(p) for p in points])

    def _add_all(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with telling(self._address), self._writing.begin() as c:
                self._add(c, table, rows)

    def _add(self, c: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        statement = self._insert(table).on_conflict_do_nothing()
        for at in range(0, len(rows), _AT_ONCE):
            c.execute(statement, rows[at : at + _AT_ONCE])

    # --- reading ----------------------------------------------------------------------------------------------------

    def runs(self, experiment: str | None = None, most: int | None = None) -> tuple[RunRecord, ...]:
        """Runs, the latest first, without their scorecards."""
        run = tables.run
        query = sa.select(*(c for c in run.c if c.name != "scorecard")).order_by(run.c.started.desc(), run.c.run_id)
        if experiment is not None:
            query = query.where(run.c.experiment == experiment)
        return tuple(run_of_row(row) for row in self._rows(query.limit(most)))

    def run(self, name: str = LAST) -> RunRecord:
        """One run with its scorecard, by its id, the first letters of it, or ``last``.

        Raises
        ------
        ConfigError
            No run is called so, or several are.
        """
        run = tables.run
        known = {r.run_id: r for r in self.runs()}
        found = [next(iter(known))] if known and name == LAST else [i for i in known if name and i.startswith(name)]
        if name in known:
            found = [name]
        if len(found) > 1:
            raise ConfigError(f"{len(found)} runs start with {name!r}: {', '.join(found[:5])}; give more letters")
        if not found:
            near = suggest(name, known)
            hint = f"did you mean {near!r}? " if near else ""
            raise ConfigError(f"there is no run {name!r} in {self.shown}: {hint}`pipechaos history` lists them")
        return run_of_row(next(self._rows(sa.select(run).where(run.c.run_id == found[0]))))

    def trials(self, run_id: str) -> tuple[Trial, ...]:
        """Trials of a run, sorted by kind, batch, id and validator."""
        found = [trial_of_row(row) for row in self._rows(_of(tables.trial, run_id))]
        return tuple(sorted(found, key=lambda t: (t.kind, t.batch, t.trial_id, t.validator)))

    def verdicts(self, run_id: str) -> tuple[BaseVerdict, ...]:
        """Verdicts of a run on untouched batches, sorted by batch, look and validator."""
        found = [verdict_of_row(row) for row in self._rows(_of(tables.verdict, run_id))]
        return tuple(sorted(found, key=lambda v: (v.batch, v.again, v.verdict.validator)))

    def journal(self, run_id: str) -> Journal:
        """Everything that a run committed, to go on from."""
        return Journal(verdicts=self.verdicts(run_id), trials=self.trials(run_id))

    def trend(self, experiment: str, most: int | None = None) -> tuple[RatePoint, ...]:
        """Rates of the last runs of an experiment, the oldest first."""
        ended = [r.run_id for r in self.runs(experiment) if r.status is not RunStatus.RUNNING][:most]
        view = tables.run_rates
        query = sa.select(view).where(view.c.experiment == experiment).order_by(view.c.started, view.c.run_id)
        return tuple(rate_of_row(row) for row in self._rows(query) if row["run_id"] in ended)

    def rates(self, run_id: str) -> tuple[RatePoint, ...]:
        """Rates of one run, by validator."""
        view = tables.run_rates
        return tuple(rate_of_row(row) for row in self._rows(_of(view, run_id).order_by(view.c.validator)))

    def weaknesses(self, run_id: str) -> tuple[WeaknessRow, ...]:
        """What became of every weakness that a run tried (and that ended)."""
        return tuple(sorted(map(weakness_of_row, self._rows(_of(tables.weaknesses, run_id))), key=_worst_first))

    def survivors(self, run_id: str) -> tuple[WeaknessRow, ...]:
        """Weaknesses with a missed trial that counts, most missed first."""
        return tuple(sorted(map(weakness_of_row, self._rows(_of(tables.survivors, run_id))), key=_worst_first))

    def survivor_counts(self) -> dict[tuple[str, str], int]:
        """How many weaknesses survive, by run and validator; runs and validators without any are left out."""
        view = tables.survivors
        query = sa.select(view.c.run_id, view.c.validator, sa.func.count().label("found"))
        query = query.group_by(view.c.run_id, view.c.validator)
        return {(row["run_id"], row["validator"]): row["found"] for row in self._rows(query)}

    def regressions(self, run_id: str) -> tuple[Regression, ...]:
        """Survivors that were caught by every trial when an earlier run of the experiment last tried them."""
        found = (
            Regression(
                now=weakness_of_row(row),
                previous_run=row["previous_run"],
                previous_detected=row["previous_detected"],
            )
            for row in self._rows(_of(tables.regressions, run_id))
        )
        return tuple(sorted(found, key=lambda r: _worst_first(r.now)))

    def export(self, folder: str | os.PathLike[str]) -> dict[str, Path]:
        """Write runs, trials and rates as Parquet files; returns the path of each."""
        from pipechaos.store.export import export_parquet

        return export_parquet(self, Path(folder))

    def table(self, table: sa.Table) -> Iterator[Sequence[Sequence[Any]]]:
        """All rows of a table in the order of its key, some thousands at a time."""
        with telling(self._address), self._engine.connect() as c:
            query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=20_000)
            yield from c.execute(query).partitions()

    def _rows(self, query: sa.Select[Any]) -> Iterator[Mapping[str, Any]]:
        with telling(self._address), self._engine.connect() as c:
            found = c.execute(query).mappings().all()
        return iter(dict(row) for row in found)


def _of(table: sa.Table, run_id: str) -> sa.Select[Any]:
    return sa.select(table).where(table.c.run_id == run_id)


def _one(c: sa.Connection, query: sa.Select[Any]) -> Mapping[str, Any]:
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        raise ConfigError("the store holds no such run: begin it before its end is written")
    return dict(row)


def _but_runtime(document: Mapping[str, Any] | None) -> str:
    return text_of({k: v for k, v in (document or {}).items() if k != "runtime"})


def _worst_first(row: WeaknessRow) -> tuple[Any, ...]:
    judged = row.missed + row.detected
    return (-row.missed / judged if judged else 0, -row.missed, row.validator, row.fault, row.columns, row.weakness_id)
