"""What runs inside a worker's process: load once, then judge one frame after another."""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipechaos.errors import PipechaosError, ValidatorLoadError
from pipechaos.validate.base import LimitingValidator, StagedValidator, Validator, crash_finding, load_validator
from pipechaos.validate.polars_frame import FrameKind, kind_of, settled, suited
from pipechaos.validate.verdict import Verdict, VerdictStatus
from pipechaos.validate.worker import Description, Done, Failure, Ready, Request, Stage, WorkerSpec

__all__ = ["main"]

Reader = Callable[[Path], Any]


def main(descriptor: int, scratch: str) -> None:
    """Serve requests that arrive on a pipe until it closes.

    Parameters
    ----------
    descriptor
        Our end of the pipe.
    scratch
        Directory made for this process alone; removed when the parent is gone.
    """
    os.set_inheritable(descriptor, False)
    _die_with_parent(os.getppid(), scratch)
    connection = Connection(descriptor)
    spec: WorkerSpec = connection.recv()
    try:
        validators, readers = _load(spec)
    except PipechaosError as error:
        connection.send(Failure(error=_portable(error)))
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported to the parent, which raises it
        connection.send(Failure(error=ValidatorLoadError(f"{type(error).__name__}: {error}")))
        return
    connection.send(Ready(described={n: _describe(v) for n, v in validators.items()}))
    while True:
        try:
            request: Request = connection.recv()
        except EOFError:
            return
        _serve(connection, validators[request.validator], request, readers[request.validator])


def _describe(validator: Validator) -> Description:
    limits = validator.limits if isinstance(validator, LimitingValidator) else ()
    return Description(checks=validator.checks, suite_digest=validator.suite_digest, limits=limits)


def _load(spec: WorkerSpec) -> tuple[dict[str, Validator], dict[str, Reader | None]]:
    roots = [Path(r) for r in spec.roots]
    validators = {v.name: load_validator(v.spec, name=v.name, roots=roots, imports=v.imports) for v in spec.validators}
    loaders = {v.name: v.loader or spec.loader for v in spec.validators}
    if any(kind_of(v) is not FrameKind.POLARS for v in validators.values()):
        importlib.import_module("pandas")
    importlib.import_module("pyarrow.parquet")  # now, or the first frame's time limit would have to pay for it
    importlib.import_module("pipechaos.batch.frame")
    return validators, {n: _reader_of(kind_of(v), loaders[n], roots) for n, v in validators.items()}


def _reader_of(kind: FrameKind, loader: str | None, roots: list[Path]) -> Reader | None:
    if loader is None:
        return _load_reader("polars:read_parquet", roots) if kind is FrameKind.POLARS else None
    return _load_reader(loader, roots)


def _load_reader(loader: str, roots: list[Path]) -> Reader:
    from pipechaos.validate.suite_files import import_attr

    module, _, attr = loader.partition(":")
    if not module or not attr:
        raise ValidatorLoadError(f"loader {loader!r} is incomplete; write module:function.")
    if module in {"pandas", "polars"}:  # readers that need no code of the team's
        reader = getattr(importlib.import_module(module), attr, None)
    else:
        reader, _ = import_attr(module, attr, [r.resolve() for r in roots])
    if not callable(reader):
        raise ValidatorLoadError(f"loader {loader!r} cannot be called.")
    return reader  # type: ignore[no-any-return]


def _serve(connection: Connection, validator: Validator, request: Request, reader: Reader | None) -> None:
    """Read the batch afresh (a validator that writes into its frame must not reach the next) and judge it."""
    try:
        frame = suited(_frame(request.payload, reader), kind_of(validator))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the team's loader is as free to fail as its suite
        connection.send(Stage(verdict=_unread(validator, error)))
    else:
        verdicts = validator.stages(frame) if isinstance(validator, StagedValidator) else (validator.run(frame),)
        for verdict in verdicts:  # each one at once: the next may never come
            connection.send(Stage(verdict=verdict))
    connection.send(Done())


def _unread(validator: Validator, error: BaseException) -> Verdict:
    return Verdict(
        validator=validator.name,
        status=VerdictStatus.ERRORED,
        findings=(crash_finding(error, "<loader>"),),
        checks_declared=len(validator.checks),
    )


def _frame(payload: bytes | str, reader: Reader | None) -> Any:
    """Frame as the team's reader would have made it of the file; it sees no path that tells of an injection."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipechaos.batch.frame import to_pandas

    if isinstance(payload, str):
        return settled(reader(Path(payload))) if reader is not None else to_pandas(pq.read_table(payload))
    table = pa.ipc.open_stream(payload).read_all()
    if reader is None:
        return to_pandas(table)
    directory = Path(tempfile.mkdtemp(prefix="batch-"))  # mode 0700
    try:
        path = directory / "batch.parquet"
        pq.write_table(table, path)
        return settled(reader(path))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _portable(error: PipechaosError) -> PipechaosError:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes made on the line itself
    except Exception:  # noqa: BLE001 - then its words have to do
        return ValidatorLoadError(str(error))
    return error


def _die_with_parent(parent: int, scratch: str) -> None:
    """A parent killed with SIGKILL cannot end us; without this a hung validator would outlive it for ever."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(2.0)
        shutil.rmtree(scratch, ignore_errors=True)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
