"""What a test hands over, turned into batches and into somebody who judges them."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipechaos.batch.io import read_batch
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError
from pipechaos.validate.base import KINDS, LimitingValidator, Validator
from pipechaos.validate.limits import Limit
from pipechaos.validate.polars_frame import FrameKind, kind_of
from pipechaos.validate.verdict import Check, Verdict
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

__all__ = ["InProcess", "InWorker", "Judges", "Roles", "as_batch", "as_batches", "as_history", "judges_of"]

_UNNAMED = "batch"


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Roles of columns, for batches that come without any: a frame, a table, a path."""

    key: tuple[str, ...] = ()
    time: str | None = None


_NO_ROLES = Roles()


class Judges(Protocol):
    """Somebody who judges batches: a validator in this process, or one in a worker."""

    @property
    def name(self) -> str: ...  # noqa: D102 - of the validator

    @property
    def checks(self) -> tuple[Check, ...]: ...  # noqa: D102 - that its suite declares

    @property
    def limits(self) -> tuple[Limit, ...]: ...  # noqa: D102 - numbers that its checks declare

    def verdict(self, batch: Batch) -> Verdict:
        """Judge the frame that a reader would have made of a file of this batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """A validator object of the test itself. Nothing ends it when it hangs."""

    validator: Validator

    @property
    def name(self) -> str:
        """Of the validator."""
        return self.validator.name

    @property
    def checks(self) -> tuple[Check, ...]:
        """That its suite declares."""
        return self.validator.checks

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Numbers that its checks declare."""
        return self.validator.limits if isinstance(self.validator, LimitingValidator) else ()

    def frame(self, batch: Batch) -> Any:
        """Frame that a reader would have made of a file of this batch: pandas, or polars for those who judge polars."""
        if kind_of(self.validator) is not FrameKind.POLARS:
            return batch.to_pandas()
        import polars as pl

        file = io.BytesIO()
        pq.write_table(batch.table, file)
        file.seek(0)
        return pl.read_parquet(file)

    def verdict(self, batch: Batch) -> Verdict:
        """Judge a fresh frame; a test run that makes errors of warnings must not make crashes of them."""
        frame = self.frame(batch)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            return self.validator.run(frame)


@dataclass(frozen=True, kw_only=True)
class InWorker:
    """A validator that a spec names, in a process that is killed when it hangs."""

    name: str
    worker: Worker

    @property
    def checks(self) -> tuple[Check, ...]:
        """That its suite declares."""
        return self.worker.describe()[self.name].checks

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Numbers that its checks declare."""
        return self.worker.describe()[self.name].limits

    def verdict(self, batch: Batch) -> Verdict:
        """Judge a batch over there."""
        return self.worker.validate(self.name, ipc_bytes(batch.table))


def judges_of(
    given: Any,
    *,
    roots: Sequence[str | Path] = (),
    imports: Sequence[str] = (),
    loader: str | None = None,
    limit_seconds: float = 60.0,
) -> Judges:
    """Whatever a test calls its validator, as one that judges.

    Parameters
    ----------
    given
        A spec such as ``"pandera:module:attr"``, the path of a Great Expectations suite, a pandera or dataframely
        schema, an ``ExpectationSuite``, any function of a frame, or an adapter.
    roots, imports, loader, limit_seconds
        For a spec: where its code may come from, modules to import first, the team's own reader, and when a validation
        is killed.

    Raises
    ------
    ConfigError
        It is none of these.
    ValidatorLoadError
        Nothing usable is there.
    """
    if isinstance(given, str) and given.partition(":")[0] in KINDS:
        places = tuple(str(Path(r).resolve()) for r in roots)
        return InWorker(name=given, worker=_worker(given, places, tuple(imports), loader, limit_seconds))
    if isinstance(given, str | os.PathLike):
        return InProcess(validator=_gx_file(Path(given), imports))
    if isinstance(given, Validator) and not isinstance(given, type):
        return InProcess(validator=given)
    origins = _origins(given)
    if "pandera" in origins:
        return InProcess(validator=_pandera(given))
    if "dataframely" in origins and isinstance(given, type):
        from pipechaos.validate.dataframely_validator import DataframelyValidator

        return InProcess(validator=DataframelyValidator(given, name=_name_of(given)))
    if "great_expectations" in origins and hasattr(given, "to_json_dict"):
        from pipechaos.validate.gx_validator import GxValidator

        raw = json.loads(json.dumps(given.to_json_dict()))
        return InProcess(validator=GxValidator(raw, name=str(given.name)))
    if callable(given):
        from pipechaos.validate.callable_validator import CallableValidator

        return InProcess(validator=CallableValidator(given, name=_name_of(given)))
    raise ConfigError(
        f"{given!r} is no validator: hand over a pandera or dataframely schema, an ExpectationSuite or its file, a "
        f"function of a frame, or a spec that starts with one of {', '.join(f'{k}:' for k in KINDS)}"
    )


@lru_cache(maxsize=8)  # starting a process and importing its libraries takes seconds; one dropped here is killed
def _worker(spec: str, roots: tuple[str, ...], imports: tuple[str, ...], loader: str | None, limit: float) -> Worker:
    named = ValidatorSpec(name=spec, spec=spec, imports=imports)
    if not roots:
        raise ConfigError(
            f"validator {spec!r}: name the folders its code may come from: roots=[...], or pipechaos_roots"
        )
    return Worker(WorkerSpec(validators=(named,), roots=roots, loader=loader), limit_seconds=limit)


def _pandera(schema: Any) -> Validator:
    from pipechaos.validate.pandera_validator import PanderaValidator, is_polars_schema

    if is_polars_schema(schema):
        from pipechaos.validate.pandera_polars import PanderaPolarsValidator

        return PanderaPolarsValidator(schema, name=_name_of(schema))
    return PanderaValidator(schema, name=_name_of(schema))


def _gx_file(path: Path, imports: Sequence[str]) -> Validator:
    if path.suffix != ".json":
        kinds = ", ".join(f"{k}:" for k in KINDS)
        raise ConfigError(f"validator {str(path)!r} is neither a suite's JSON file nor a spec that starts with {kinds}")
    from pipechaos.validate.gx_validator import load_gx

    file = path.resolve()
    return load_gx(str(file), name=path.stem, roots=(file.parent,), imports=imports)


def _origins(given: Any) -> set[str]:
    """Libraries that an object, or a class, comes from; told without importing any of them."""
    kind = given if isinstance(given, type) else type(given)
    return {base.__module__.partition(".")[0] for base in kind.__mro__}


def _name_of(given: Any) -> str:
    for attribute in ("name", "__name__"):
        name = getattr(given, attribute, None)
        if isinstance(name, str) and name:
            return name
    return type(given).__name__


def as_batch(given: Any, roles: Roles = _NO_ROLES, *, name: str | None = None) -> Batch:
    """Any table as a batch.

    Parameters
    ----------
    given
        A batch, a reference, a path, an Arrow table or a pandas frame. An index without a name is dropped; one with a
        name is kept as pandas writes it into a file.
    roles
        For what has none of its own.
    name
        Its logical partition, part of every draw; ``"batch"`` for a table without one.

    Raises
    ------
    ConfigError
        It is none of these.
    BatchError
        It cannot be read, or Arrow cannot hold it.
    """
    if isinstance(given, Batch):
        return given
    if isinstance(given, BatchRef | str | os.PathLike):
        return read_batch(given, key=roles.key, time=roles.time, name=name)
    if isinstance(given, pd.DataFrame):
        given = _table_of(given)
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    if isinstance(given, pa.Table):
        return Batch.of(given, name=name or _UNNAMED, key=roles.key, time=roles.time)
    raise ConfigError(
        f"a {type(given).__name__} is no batch: hand over a pandas DataFrame, an Arrow table, a Batch, a BatchRef or "
        "a path"
    )


def _table_of(frame: pd.DataFrame) -> pa.Table:
    named = any(n is not None for n in frame.index.names)
    try:
        return pa.Table.from_pandas(frame if named else frame.reset_index(drop=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise BatchError(
            f"the frame has a column that no Parquet file could hold ({error}): give each column values of one type"
        ) from error


def as_batches(given: Any, roles: Roles = _NO_ROLES) -> tuple[Batch, ...]:
    """One table, or several: those without a name of their own are numbered."""
    single = isinstance(given, Batch | BatchRef | str | os.PathLike | pd.DataFrame | pa.Table | pa.RecordBatch)
    items: Iterable[Any] = [given] if single else given
    found = list(items)
    if not found:
        raise ConfigError("no batch is given: a test that judges nothing would always pass")
    return tuple(
        as_batch(b, roles, name=f"{_UNNAMED} {at}" if len(found) > 1 and _nameless(b) else None)
        for at, b in enumerate(found, start=1)
    )


def as_history(given: Any, roles: Roles = _NO_ROLES) -> tuple[Batch, ...]:
    """Earlier batches, the oldest first; tables without a name get one that sorts before any other."""
    if isinstance(given, list | tuple) and not given:
        return ()
    single = isinstance(given, Batch | BatchRef | str | os.PathLike | pd.DataFrame | pa.Table | pa.RecordBatch)
    items = [given] if single else list(given)
    return tuple(
        as_batch(b, roles, name=f"(earlier {at:04d})" if _nameless(b) else None) for at, b in enumerate(items, start=1)
    )


def _nameless(given: Any) -> bool:
    return isinstance(given, pd.DataFrame | pa.Table | pa.RecordBatch)
