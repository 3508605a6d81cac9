"""What a validator is to pipechaos, and how one is loaded from its spec."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.validate.limits import Limit
from pipechaos.validate.polars_frame import is_polars, polars_digests
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict, VerdictStatus, decide

__all__ = [
    "KINDS",
    "Judgement",
    "LimitingValidator",
    "StagedValidator",
    "Validator",
    "crash_finding",
    "judge",
    "load_validator",
    "number_ids",
]

KINDS = ("pandera", "gx", "callable", "dataframely", "pointblank")


@runtime_checkable
class Validator(Protocol):
    """A suite that can judge a frame.

    Attributes
    ----------
    name
        Name in the experiment.
    checks
        Every check the suite **file** declares, ids unique.
    suite_digest
        Hex digest over the bytes of every file loaded for the suite under the declared roots.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def checks(self) -> tuple[Check, ...]: ...  # noqa: D102

    @property
    def suite_digest(self) -> str: ...  # noqa: D102

    def run(self, frame: Any) -> Verdict:
        """Judge a frame; never changes it and never raises for what the suite or the data do."""
        ...


@runtime_checkable
class StagedValidator(Validator, Protocol):
    """A validator that knows its verdict before it knows the details."""

    def stages(self, frame: Any) -> Iterator[Verdict]:
        """Verdicts of growing detail and one status; the last is what ``run`` returns."""
        ...


@runtime_checkable
class LimitingValidator(Validator, Protocol):
    """A validator that knows the numbers its checks declare; one without ``limits`` is taken to have none."""

    @property
    def limits(self) -> tuple[Limit, ...]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What an adapter found out: findings, how many declared checks were evaluated, and whether the suite crashed."""

    findings: tuple[Finding, ...]
    ran: int
    crashed: bool = False

    def verdict(self, validator: str, *, declared: int, digests: tuple[str, str], seconds: float) -> Verdict:
        """Turn into a verdict (SCORING.md section 1)."""
        return Verdict(
            validator=validator,
            status=decide(self.findings, declared=declared, ran=self.ran, crashed=self.crashed),
            findings=self.findings,
            checks_declared=declared,
            checks_ran=self.ran,
            ordered_digest=digests[0],
            multiset_digest=digests[1],
            seconds=seconds,
        )


def judge(
    name: str, checks: Sequence[Check], frame: Any, judges: Callable[[Any], Iterator[Judgement]]
) -> Iterator[Verdict]:
    """Run an adapter's judges on a frame: digests first, then the clock, and a crash is an errored verdict.

    Parameters
    ----------
    name, checks
        Of the validator.
    frame
        What it judges; digests are taken of pandas and polars frames, and before any adapter touches the frame.
    judges
        Yields judgements of growing detail.
    """
    import pandas as pd

    from pipechaos.batch.frame import frame_digests

    digests = ("", "")
    started = time.perf_counter()
    status: VerdictStatus | None = None
    try:
        if isinstance(frame, pd.DataFrame):
            digests = frame_digests(frame)
        elif is_polars(frame):
            digests = polars_digests(frame)
        started = time.perf_counter()
        for judgement in judges(frame):
            seconds = time.perf_counter() - started
            verdict = judgement.verdict(name, declared=len(checks), digests=digests, seconds=seconds)
            if status is VerdictStatus.REJECTED and verdict.status is not status:
                verdict = dataclasses.replace(verdict, status=status)  # details explain a verdict, they do not lift it
            status = verdict.status
            yield verdict
    except BaseException as error:  # whatever a suite raises is a verdict, a panic of polars too: errored
        if isinstance(error, KeyboardInterrupt | GeneratorExit) or type(error).__module__.startswith("_pytest."):
            raise  # not of the suite: somebody stops us, a test runner at its limit among them
        if status is VerdictStatus.REJECTED:
            return  # the pass for details crashed; the verdict is out
        crash = Judgement(findings=(crash_finding(error),), ran=0, crashed=True)
        seconds = time.perf_counter() - started
        yield crash.verdict(name, declared=len(checks), digests=digests, seconds=seconds)


def crash_finding(error: BaseException | str, check: str = "<crash>") -> Finding:
    """Finding for something that stopped a validator.

    Examples
    --------
    >>> crash_finding(TypeError("unhashable")).message
    'TypeError: unhashable'
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    line = " ".join(text.split())[:300]
    return Finding(check=check, columns=(), kind=FindingKind.ERROR, subject=Subject.TABLE, message=line)


def number_ids(ids: Sequence[str]) -> list[str]:
    """Make ids unique: the second and later of a name get ``#2``, ``#3``.

    Examples
    --------
    >>> number_ids(["a", "b", "a"])
    ['a', 'b', 'a#2']
    """
    seen: dict[str, int] = {}
    out: list[str] = []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out


def load_validator(
    spec: str, *, name: str | None = None, roots: Sequence[Path | str], imports: Sequence[str] = ()
) -> Validator:
    """Load a validator in this process.

    Parameters
    ----------
    spec
        ``pandera:module:attr`` (a DataFrameSchema or a DataFrameModel, of pandas or polars), ``gx:path/suite.json``,
        ``dataframely:module:Schema`` (``:cast`` behind it where the team casts), ``pointblank:module:function``
        (``f(frame)`` giving a Validate that has not run), ``pointblank:path.yaml`` or ``callable:module:attr``
        (``f(frame)`` giving a bool, a mask of good rows, a frame of failing rows or findings).
    name
        Name in the experiment; the spec where it has none.
    roots
        Directories that code and suites may come from.
    imports
        Modules to import first, for instance those that register custom expectations or checks.

    Raises
    ------
    UnknownNameError
        The kind of the spec is none of ``KINDS``.
    ConfigError
        The spec is incomplete, or no root is declared.
    ValidatorLoadError
        Nothing usable is there, or it lies outside the roots.
    MissingExtraError
        The library is not installed.
    """
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise UnknownNameError("kind of validator", kind, KINDS, f"spec {spec!r}")
    places = tuple(Path(r).resolve() for r in roots)
    if not places:
        raise ConfigError(f"validator {spec!r}: no root is declared; name the directories its code may come from.")
    if kind == "gx":
        if not rest:
            raise ConfigError(f"validator {spec!r} names no suite; write gx:path/suite.json.")
        from pipechaos.validate.gx_validator import load_gx

        return load_gx(rest, name=name or spec, roots=places, imports=imports)
    if kind == "pointblank" and rest.endswith((".yaml", ".yml")):
        from pipechaos.validate.pointblank_validator import load_pointblank_yaml

        return load_pointblank_yaml(rest, name=name or spec, roots=places, imports=imports)
    module, _, attr = rest.partition(":")
    if not module or not attr:
        raise ConfigError(f"validator {spec!r} is incomplete; write {kind}:module:attribute.")
    if kind == "pandera":
        from pipechaos.validate.pandera_validator import load_pandera

        return load_pandera(module, attr, name=name or spec, roots=places, imports=imports)
    if kind == "dataframely":
        from pipechaos.validate.dataframely_validator import load_dataframely

        return load_dataframely(module, attr, name=name or spec, roots=places, imports=imports)
    if kind == "pointblank":
        from pipechaos.validate.pointblank_validator import load_pointblank

        return load_pointblank(module, attr, name=name or spec, roots=places, imports=imports)
    from pipechaos.validate.callable_validator import load_callable

    return load_callable(module, attr, name=name or spec, roots=places, imports=imports)
