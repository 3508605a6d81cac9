"""A validator's process: started lazily, killed with its children at the limit, replaced on the next call.

A validator may hang, leak, or end its interpreter; none of that may cost more than one trial. The parent stays light:
only the child imports pandas, pandera or Great Expectations. POSIX only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO

from pipechaos.errors import CannotRunError, PipechaosError, UnknownNameError, ValidatorLoadError
from pipechaos.validate.base import crash_finding
from pipechaos.validate.limits import Limit
from pipechaos.validate.verdict import Check, Verdict, VerdictStatus

__all__ = ["Description", "Done", "Failure", "Ready", "Request", "Stage", "ValidatorSpec", "Worker", "WorkerSpec"]

_TICK = 0.5  # seconds between looks at a silent child: a grandchild may hold its end of the pipe open


@dataclass(frozen=True, kw_only=True)
class ValidatorSpec:
    """A validator to load: see ``load_validator``.

    Attributes
    ----------
    loader
        Reader of this validator alone, in place of the worker's.
    """

    name: str
    spec: str
    imports: tuple[str, ...] = ()
    loader: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker's process loads.

    Attributes
    ----------
    validators
        Names unique.
    roots
        Directories that code and suites may come from.
    loader
        ``module:function`` of the team's own reader, ``f(path) -> frame``; None for ``pandas.read_parquet``, or
        ``polars.read_parquet`` where a validator judges polars frames.
    """

    validators: tuple[ValidatorSpec, ...]
    roots: tuple[str, ...]
    loader: str | None = None


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a validator is made of; ``limits`` are the numbers that its checks declare, as far as they can be read."""

    checks: tuple[Check, ...]
    suite_digest: str
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ready:
    """First message of a child: everything is loaded."""

    described: Mapping[str, Description]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """First message of a child that could not load."""

    error: PipechaosError


@dataclass(frozen=True, kw_only=True)
class Request:
    """One validation: ``payload`` is an Arrow IPC stream of the batch, or the path of a Parquet file."""

    validator: str
    payload: bytes | str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A verdict; more detailed ones may follow until ``Done``."""

    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Done:
    """The last ``Stage`` was the whole answer."""


class Worker:
    """Runs validators in a process of their own.

    Parameters
    ----------
    spec
        What to load.
    limit_seconds
        Wall time one validation may take, reading of the batch included.
    start_seconds
        Wall time that starting and loading may take.
    log
        File that takes what the libraries print; nowhere by default, and never our own stdout or stderr.

    Examples
    --------
    >>> spec = WorkerSpec(validators=(ValidatorSpec(name="s", spec="gx:s.json"),), roots=("/suites",))
    >>> with Worker(spec, limit_seconds=30.0) as worker:  # doctest: +SKIP
    ...     verdict = worker.validate("s", payload)
    """

    def __init__(
        self, spec: WorkerSpec, *, limit_seconds: float = 60.0, start_seconds: float = 180.0, log: Path | None = None
    ) -> None:
        self._spec = spec
        self._limit = limit_seconds
        self._start_limit = start_seconds
        self._log = log
        self._child: _Child | None = None
        self._described: dict[str, Description] | None = None
        self._abandoned = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and load the validators now.

        Raises
        ------
        ValidatorLoadError
            A validator cannot be loaded, or the process died or hung while it tried.
        MissingExtraError
            A library is not installed.
        """
        if self._child is not None:
            return
        if self._abandoned:
            raise CannotRunError("the worker was abandoned: nobody waits for what it was asked.")
        child = _Child(self._log)
        try:
            child.connection.send(self._spec)
            answer = child.receive(self._start_limit)
        except TimeoutError:
            child.kill()
            raise ValidatorLoadError(f"loading {self._names()} took over {self._start_limit:g} seconds.") from None
        except (EOFError, OSError):
            child.kill()
            raise ValidatorLoadError(f"the process died while it loaded {self._names()} ({child.end()}).") from None
        if isinstance(answer, Failure):
            child.kill()
            raise answer.error
        if not isinstance(answer, Ready):
            child.kill()
            raise CannotRunError(f"the worker answered {type(answer).__name__} at its start; expected Ready.")
        self._child = child
        self._described = dict(answer.described)

    def describe(self) -> Mapping[str, Description]:
        """Checks, limits and suite digest of each validator; starts the process if need be."""
        if self._described is None:
            self.start()
        assert self._described is not None  # noqa: S101 - start() set it or raised
        return self._described

    def validate(self, validator: str, payload: bytes | str | Path) -> Verdict:
        """Judge a batch.

        Parameters
        ----------
        validator
            Name of one of the spec's validators.
        payload
            Arrow IPC stream bytes of the table, or the path of a Parquet file.

        Returns
        -------
        Verdict
            timed_out when it was killed at the limit, errored with a finding ``<crash>`` when the process died; a
            rejection stands when only its details were lost.
        """
        names = [v.name for v in self._spec.validators]
        if validator not in names:
            raise UnknownNameError("validator", validator, names)
        self.start()
        child = self._child
        assert child is not None  # noqa: S101 - start() set it or raised
        started = time.perf_counter()
        request = Request(validator=validator, payload=payload if isinstance(payload, bytes) else str(payload))
        stage: Stage | None = None
        try:
            child.connection.send(request)
            while isinstance(answer := child.receive(self._limit - (time.perf_counter() - started)), Stage):
                stage = answer
        except TimeoutError:
            return self._lost(validator, stage, time.perf_counter() - started, timed_out=True)
        except (EOFError, OSError):
            return self._lost(validator, stage, time.perf_counter() - started, timed_out=False)
        except BaseException:  # an interrupt in the middle would leave an answer that belongs to no one
            self.close()
            raise
        if stage is None or not isinstance(answer, Done):
            self.close()
            raise CannotRunError(f"the worker answered {type(answer).__name__}; expected a verdict.")
        return stage.verdict

    def close(self) -> None:
        """End the process; the next call starts a new one."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def abandon(self) -> None:
        """Kill the process for good, from another thread than the one that waits for its answer: that one goes on."""
        self._abandoned = True
        child = self._child
        if child is not None:
            child.signal()

    def _lost(self, validator: str, stage: Stage | None, seconds: float, *, timed_out: bool) -> Verdict:
        child, self._child = self._child, None
        assert child is not None  # noqa: S101 - there was one to lose
        child.kill()
        if stage is not None and stage.verdict.status is VerdictStatus.REJECTED:
            return stage.verdict
        declared = len(self.describe()[validator].checks)
        verdict = Verdict(
            validator=validator,
            status=VerdictStatus.TIMED_OUT if timed_out else VerdictStatus.ERRORED,
            findings=() if timed_out else (crash_finding(f"the validator's process died ({child.end()})"),),
            checks_declared=declared,
            seconds=seconds,
        )
        if stage is not None:
            digests = stage.verdict.ordered_digest, stage.verdict.multiset_digest
            verdict = dataclasses.replace(verdict, ordered_digest=digests[0], multiset_digest=digests[1])
        return verdict

    def _names(self) -> str:
        return ", ".join(repr(v.name) for v in self._spec.validators)


class _Child:
    """One process, the leader of its own group, and our end of the pipe to it.

    Not ``multiprocessing.Process``: its spawn imports the parent's main module again, which costs seconds under Airflow
    and runs unguarded scripts twice.
    """

    def __init__(self, log: Path | None) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        paths = [os.fspath(p) or str(Path.cwd()) for p in sys.path]
        scratch = tempfile.mkdtemp(prefix="worker-")  # mode 0700; goes with the process, however that ends
        code = (
            f"import sys; sys.path[:] = {json.dumps(paths)}; "
            f"from pipechaos.validate.worker_child import main; main({theirs.fileno()}, {scratch!r})"
        )
        with contextlib.ExitStack() as stack:
            out: IO[bytes] | int = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **_TELEMETRY_OFF, "TMPDIR": scratch},
            )
        theirs.close()
        self._finalizer = weakref.finalize(self, _kill_group, self._process, self.connection, scratch)

    def receive(self, seconds: float) -> object:
        """Next message, or ``TimeoutError``; ``EOFError`` when the process is gone."""
        deadline = time.perf_counter() + seconds
        while True:
            left = deadline - time.perf_counter()
            if self.connection.poll(max(0.0, min(left, _TICK))):
                message: object = self.connection.recv()
                return message
            if left <= 0:
                raise TimeoutError
            if self._process.poll() is not None and not self.connection.poll(0):
                raise EOFError

    def signal(self) -> None:
        """Kill without waiting or closing anything: whoever waits for an answer sees the end of the pipe."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process and everything it started."""
        self._finalizer()

    def end(self) -> str:
        """How the process ended, for people."""
        code = self._process.poll()
        if code is None:
            return "killed"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


_TELEMETRY_OFF = {"GX_ANALYTICS_ENABLED": "false"}


def _kill_group(process: subprocess.Popen[bytes], connection: Connection, scratch: str) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    connection.close()
    shutil.rmtree(scratch, ignore_errors=True)
