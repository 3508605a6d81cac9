"""The pytest plugin: ``must_reject`` and ``must_accept`` as fixtures, faults as cases, counts in the reports.

Loaded into every test session of whoever installed the package, so it imports nothing heavy by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipechaos.errors import ConfigError, PipechaosError, UnknownNameError
from pipechaos.testing.tally import PREFIX, Property, Tally, properties

if TYPE_CHECKING:
    from pipechaos.testing.assertions import Bench
    from pipechaos.testing.cases import FaultCase
    from pipechaos.testing.outcomes import AcceptResult, Result

__all__ = ["MustAccept", "MustReject", "Settings"]

_TALLY = "pipechaos-tally"
_MARK = (
    "pipechaos(batch, preset='quick', faults=(), columns=(), ignore=(), severities=(3,), history=(), key=(), "
    "time=None, known={}): run the test once for each fault of the preset that fits the batch; the argument `fault` is "
    "the case. Cases in `known`, id to reason, are expected to fail"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line and the ini file say.

    Attributes
    ----------
    seed
        Of every draw.
    max_severity
        Cases above it are skipped; None for no limit.
    roots
        Folders that specs may load code from.
    values
        Whether messages may quote data.
    """

    seed: int = 0
    max_severity: int | None = None
    roots: tuple[str, ...] = ()
    values: bool = True


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, and the same as ini values."""
    group = parser.getgroup("pipechaos", "mutation testing for data validators")
    group.addoption("--pipechaos-seed", type=int, metavar="N", help="Seed of every draw [ini: pipechaos_seed, 0].")
    group.addoption(
        "--pipechaos-max-severity",
        type=int,
        metavar="N",
        help="Skip faults above this rung of their ladder [ini: pipechaos_max_severity].",
    )
    group.addoption(
        "--pipechaos-no-values",
        action="store_true",
        default=None,
        help="Quote no data in messages [ini: pipechaos_no_values].",
    )
    parser.addini("pipechaos_seed", "Seed of every draw.", default="0")
    parser.addini("pipechaos_max_severity", "Skip faults above this rung of their ladder.", default="")
    parser.addini("pipechaos_roots", "Folders that validators named by a spec may come from.", type="paths", default=[])
    parser.addini("pipechaos_no_values", "Quote no data in messages.", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and count where the reports of all processes come together."""
    config.addinivalue_line("markers", _MARK)
    if not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin(_TALLY):
        config.pluginmanager.register(_Counter(config), _TALLY)
    _settings(config)  # a wrong value ends the session, not each test


def _settings(config: pytest.Config) -> Settings:
    quiet = config.getoption("--pipechaos-no-values")
    severity = _whole(config, "max_severity")
    if severity is not None and severity < 1:
        raise pytest.UsageError(f"pipechaos_max_severity is {severity}: the mildest rung of a ladder is 1")
    return Settings(
        seed=_whole(config, "seed") or 0,
        max_severity=severity,
        roots=tuple(str(p) for p in config.getini("pipechaos_roots")),
        values=not (config.getini("pipechaos_no_values") if quiet is None else quiet),
    )


def _whole(config: pytest.Config, name: str) -> int | None:
    given = config.getoption(f"--pipechaos-{name.replace('_', '-')}")
    text = config.getini(f"pipechaos_{name}") if given is None else given
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise pytest.UsageError(f"pipechaos_{name} takes a whole number, not {text!r}") from None


class _Counter:
    """Adds up what the reports of tests carry, in this process or from others."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tally = Tally()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":  # the last report of a test has all of its properties
            self.tally.add(report.user_properties)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.tally.counts:
            for plugin in self.config.pluginmanager.get_plugins():
                note = getattr(plugin, "add_global_property", None)  # whoever writes the JUnit file
                if callable(note):
                    for name, value in self.tally.totals().items():
                        note(name, value)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.tally.counts:
            terminalreporter.section("pipechaos")
            for line in self.tally.lines():
                terminalreporter.line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start a test that is run again with a clean sheet."""
    item.user_properties[:] = [p for p in item.user_properties if not p[0].startswith(PREFIX)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each fault of the marked preset."""
    mark = metafunc.definition.get_closest_marker("pipechaos")
    if mark is None or "fault" not in metafunc.fixturenames:
        return
    from pipechaos.testing.cases import fault_cases

    settings = _settings(metafunc.config)
    given = dict(mark.kwargs)
    try:
        if len(mark.args) > 1 or bool(mark.args) == ("batch" in given):
            raise ConfigError("it needs batch=..., the untouched batch to break")
        source = _beside(mark.args[0] if mark.args else given.pop("batch"), metafunc)
        given["history"] = _beside(given.get("history", ()), metafunc)
        known = dict(given.pop("known", {}))
        cases = {str(c): c for c in fault_cases(source, **given)}
        for name in known:
            if name not in cases:
                raise UnknownNameError("case", name, cases, "known")
    except (PipechaosError, TypeError) as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: mark pipechaos: {error}") from error
    metafunc.parametrize("fault", [_param(c, name, known, settings.max_severity) for name, c in cases.items()])


def _param(case: FaultCase, name: str, known: Mapping[str, str], most: int | None) -> Any:
    from pipechaos.testing.outcomes import MissedFaultError

    marks = []
    if name in known:
        marks.append(pytest.mark.xfail(reason=known[name], strict=True, raises=MissedFaultError))
    if most is not None and case.severity > most:
        marks.append(pytest.mark.skip(reason=f"above --pipechaos-max-severity {most}"))
    return pytest.param(case, marks=marks, id=name)


def _beside(batch: Any, metafunc: pytest.Metafunc) -> Any:
    """A relative path starts from the folder of the test file."""
    if isinstance(batch, list | tuple):
        return [_beside(b, metafunc) for b in batch]
    if not isinstance(batch, str | Path) or "://" in str(batch):
        return batch
    return metafunc.definition.path.parent / batch


@pytest.fixture(scope="session")
def pipechaos(pytestconfig: pytest.Config) -> Settings:
    """Seed, highest severity and roots of this session."""
    return _settings(pytestconfig)


@pytest.fixture(scope="session")
def _pipechaos_bench(pipechaos: Settings) -> Iterator[Bench]:
    """One for the session: an untouched batch is judged once by each validator."""
    from pipechaos.testing.assertions import Bench

    yield Bench(roots=pipechaos.roots, values=pipechaos.values)


@dataclass(frozen=True, kw_only=True, repr=False)
class MustReject:
    """``must_reject`` with the settings of the session; what it finds out goes into the test's properties."""

    bench: Bench
    settings: Settings
    noted: list[Any]

    def __repr__(self) -> str:
        return "must_reject"

    def __call__(self, validator: Any, batch: Any, fault: Any, **given: Any) -> Result:
        """See :func:`pipechaos.testing.assertions.must_reject`; the seed is the session's where none is given.

        A case of a parametrised test that changes nothing for this validator, or no more than an ordinary batch
        differs from another, is skipped with the reason.
        """
        __tracebackhide__ = True
        from pipechaos.score.records import Outcome
        from pipechaos.testing.cases import FaultCase
        from pipechaos.testing.outcomes import NothingChangedError, UnexpectedVerdictError

        most, severity = self.settings.max_severity, given.get("severity")
        if most is not None and severity is not None and severity > most:
            pytest.skip(f"severity {severity} is above --pipechaos-max-severity {most}")
        try:
            result = self.bench.must_reject(validator, batch, fault, **{"seed": self.settings.seed, **given})
        except NothingChangedError as error:
            self._note(error.result)
            if isinstance(fault, FaultCase):
                pytest.skip(str(error))
            raise
        except UnexpectedVerdictError as error:
            found: Any = error.result
            missed = [d for d in found.draws if d.outcome is Outcome.FN]
            if isinstance(fault, FaultCase) and found.outcome is Outcome.FN and all(d.subnatural for d in missed):
                self._note(found, outcome="subnatural", rejected=0, of=0)
                pytest.skip(str(error))
            self._note(found)
            raise
        self._note(result)
        return result

    def _note(self, result: Result, **instead: str | int) -> None:
        values: dict[str, str | int] = {
            "validator": _plain(result.validator),
            "fault": result.fault,
            "batch": _plain(result.batch),
            "outcome": result.outcome.value,
            "rejected": result.rejected,
            "of": result.effective,
        }
        self.noted.extend(properties("must_reject", **(values | instead)))


@dataclass(frozen=True, kw_only=True, repr=False)
class MustAccept:
    """``must_accept`` with the settings of the session; what it finds out goes into the test's properties."""

    bench: Bench
    noted: list[Any]

    def __repr__(self) -> str:
        return "must_accept"

    def __call__(self, validator: Any, batches: Any, **given: Any) -> AcceptResult:
        """See :func:`pipechaos.testing.assertions.must_accept`."""
        __tracebackhide__ = True
        from pipechaos.testing.outcomes import UnexpectedVerdictError

        try:
            result = self.bench.must_accept(validator, batches, **given)
        except UnexpectedVerdictError as error:
            found: Any = error.result
            self._note(found)
            raise
        self._note(result)
        return result

    def _note(self, result: AcceptResult) -> None:
        statuses = {v.status.value for _, v in result.verdicts}
        values: dict[str, str | int] = {
            "validator": _plain(result.validator),
            "outcome": "tn" if statuses == {"accepted"} else "fp" if "rejected" in statuses else "error",
            "accepted": result.accepted,
            "of": len(result.verdicts),
        }
        self.noted.extend(properties("must_accept", **values))


def _plain(text: str) -> str:
    from pipechaos.report.escape import visible

    return visible(text)


@pytest.fixture
def must_reject(request: pytest.FixtureRequest, pipechaos: Settings, _pipechaos_bench: Bench) -> MustReject:
    """``must_reject(validator, batch, fault, ...)``: fail unless it accepts the batch and rejects it once broken."""
    noted: list[Property] = request.node.user_properties
    return MustReject(bench=_pipechaos_bench, settings=pipechaos, noted=noted)


@pytest.fixture
def must_accept(request: pytest.FixtureRequest, _pipechaos_bench: Bench) -> MustAccept:
    """``must_accept(validator, batches)``: fail unless every batch is accepted."""
    noted: list[Property] = request.node.user_properties
    return MustAccept(bench=_pipechaos_bench, noted=noted)
