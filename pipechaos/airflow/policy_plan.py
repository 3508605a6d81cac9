"""The plan of the policy plug-in: a file that says for how long which stretches of which DAGs get chaos.

It is read anew by each process that parses a DAG, and again when a task is about to inject. What it says is done only
for stages that the deployment allows; whatever is wrong with it means that nothing is done.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.safety.switch import FileSource, HaltOrder
from pipechaos.safety.windows import Exclusions

__all__ = ["Deployment", "Mode", "Plan", "PlanSource", "Stretch", "read_plan"]

_TOP = ("expires", "environment", "exclusions", "stretches")
_LIVE = ("shadow", "injections", "key", "time", "target", "history", "max_rows", "max_batches", "max_seconds",
         "halt_file", "halt_variable")  # fmt: skip
_WHERE = ("dag", "stage", "output", "mode")
_TASKS = ("validators", "consumer")
_NAMES = (*_TASKS, "key", "target", "rejects")  # one name is a list of one
_COUNTS = ("max_rows", "max_batches")


class Mode(StrEnum):
    """Where a stage's corrupted output goes."""

    SHADOW = "shadow"
    LIVE = "live"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the deployment allows, said by its environment: not by the plan, and not by a DAG.

    Attributes
    ----------
    plan
        The plan file, ``PIPECHAOS_POLICY``; empty is off.
    allowed
        Stages as ``dag_id.task_id``, ``PIPECHAOS_POLICY_ALLOW``: comma-separated, names as they are, no patterns.
    environment
        Its name, ``PIPECHAOS_ENVIRONMENT``.
    kill_switch
        A file that halts by being there, ``PIPECHAOS_KILL_SWITCH``; empty is none.
    """

    plan: str = ""
    allowed: frozenset[str] = frozenset()
    environment: str = ""
    kill_switch: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Deployment:
        """Read the environment.

        Examples
        --------
        >>> sorted(Deployment.of({"PIPECHAOS_POLICY_ALLOW": "etl.load, etl.enrich"}).allowed)
        ['etl.enrich', 'etl.load']
        """
        names = (name.strip() for name in environ.get("PIPECHAOS_POLICY_ALLOW", "").split(","))
        return cls(
            plan=environ.get("PIPECHAOS_POLICY", "").strip(),
            allowed=frozenset(filter(None, names)),
            environment=environ.get("PIPECHAOS_ENVIRONMENT", "").strip(),
            kill_switch=environ.get("PIPECHAOS_KILL_SWITCH", "").strip(),
        )


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One stage, and what is done with its output.

    Attributes
    ----------
    dag, stage
        Ids of the DAG and of the task.
    mode
        Shadow or live.
    output
        XCom key under which the reference is.
    validators, consumer
        Task ids; a live stretch has none.
    arguments
        As :func:`pipechaos.airflow.lane.chaos_lane` takes them.
    """

    dag: str
    stage: str
    mode: Mode
    output: str = "return_value"
    validators: tuple[str, ...] = ()
    consumer: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the list of allowed stages has it."""
        return f"{self.dag}.{self.stage}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that is sound in itself.

    Attributes
    ----------
    expires
        From then on nothing of it holds.
    environment
        Where it holds; empty where it does not say.
    exclusions
        Times at which nothing is injected; lanes keep their tasks.
    stretches
        In the order of the file, no stage twice.
    """

    expires: dt.datetime
    environment: str = ""
    exclusions: Exclusions = field(default_factory=Exclusions)
    stretches: tuple[Stretch, ...]

    def refusal(self, stretch: Stretch, deployment: Deployment, now: dt.datetime) -> str:
        """Why a stretch must not be worked on now; empty where it may.

        Parameters
        ----------
        stretch
            One of the plan's.
        deployment
            What is allowed.
        now
            Aware.
        """
        if now >= self.expires:
            return f"the plan expired at {self.expires.isoformat()}: give it a later `expires`, or remove it"
        if stretch.name not in deployment.allowed:
            return f"{stretch.name} is not allowed here: add it to PIPECHAOS_POLICY_ALLOW where the deployment is run"
        here = deployment.environment
        if self.environment and self.environment != here:
            return f"the plan is for the environment {self.environment!r}, and PIPECHAOS_ENVIRONMENT is {here!r}"
        if stretch.mode is Mode.LIVE and not self.environment:
            return "mode live needs `environment` in the plan, the same as PIPECHAOS_ENVIRONMENT of the deployment"
        return ""


def read_plan(path: str | Path) -> Plan:
    """Read a plan file.

    Raises
    ------
    ConfigError
        It is not there, cannot be read, or says anything that is not understood: nothing of it may be done.
    """
    try:
        data = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise ConfigError("there is no such file") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"it cannot be read as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise ConfigError(f"it must hold a mapping with {', '.join(_TOP)}, not {type(data).__name__}")
    _known(data, _TOP, "the plan")
    given = data.get("stretches")
    if not isinstance(given, list) or not given:
        raise ConfigError("it has no stretches: list at least one with dag, stage, mode, injections, shadow")
    stretches = tuple(_stretch(s, f"stretch {n}") for n, s in enumerate(given, 1))
    names = [(s.dag, s.stage) for s in stretches]
    for dag, stage in names:
        if names.count((dag, stage)) > 1:
            raise ConfigError(f"stage {stage!r} of DAG {dag!r} is there twice: give a stage one stretch")
    environment = data.get("environment", "")
    if not isinstance(environment, str):
        raise ConfigError(f"environment is a name, not {environment!r}: put it in quotes")
    return Plan(
        expires=_moment(data.get("expires")),
        environment=environment.strip(),
        exclusions=Exclusions.of(data.get("exclusions", ())),
        stretches=stretches,
    )


@dataclass(frozen=True, kw_only=True)
class PlanSource:
    """A source for a kill switch: halts when the plan does not name the stretch any more, or does not hold now.

    Attributes
    ----------
    stretch
        As it was when the DAG was parsed.
    """

    stretch: Stretch

    def __call__(self) -> HaltOrder | str:
        """Look: the environment and the plan are read anew."""
        deployment, now = Deployment.of(os.environ), dt.datetime.now(dt.UTC)
        source = f"plan {deployment.plan}"
        if not deployment.plan:
            return HaltOrder(source="plan", reason="PIPECHAOS_POLICY is not set here")
        if deployment.kill_switch:
            file = Path(deployment.kill_switch).absolute()
            order = FileSource(path=file, within=file.parent)()
            if order is not None:
                return order
        try:
            plan = read_plan(deployment.plan)
        except ConfigError as error:
            return HaltOrder(source=source, reason=str(error))
        if self.stretch not in plan.stretches:
            return HaltOrder(source=source, reason=f"the plan no longer names {self.stretch.name} as it was parsed")
        reason = plan.refusal(self.stretch, deployment, now)
        if not reason:
            excluded = plan.exclusions.excluded(now)
            reason = f"excluded now: {excluded}" if excluded else ""
        return HaltOrder(source=source, reason=reason) if reason else "off"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: the last would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is there twice", node.start_mark)
        return dict(super().construct_mapping(node, deep))


def _known(data: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise UnknownNameError("key", str(key), allowed, where)


def _moment(value: object) -> dt.datetime:
    wanted = "expires must be a date and time with a zone, such as 2026-12-24T18:00:00+01:00"
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(f"{wanted}; got {value!r}") from None
    if not isinstance(value, dt.datetime) or value.utcoffset() is None:
        raise ConfigError(f"{wanted}; got {'nothing' if value is None else str(value)!r}")
    return value


def _stretch(data: object, where: str) -> Stretch:
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is a mapping with dag, stage, mode and more, not {data!r}")
    try:
        mode = Mode(str(data.get("mode")))
    except ValueError:
        raise ConfigError(f"{where}: mode is `shadow` or `live`, not {data.get('mode')!r}") from None
    _known(data, (*_WHERE, *(_LIVE if mode is Mode.LIVE else (*_TASKS, *_lane_arguments()))), f"{where} ({mode})")
    given: dict[str, Any] = {k: _names(v, f"{where}: {k}") if k in _NAMES else v for k, v in data.items()}
    for name in ("dag", "stage", *(("shadow",) if mode is Mode.LIVE else (*_TASKS, *_lane_arguments(needed=True)))):
        if not given.get(name):
            raise ConfigError(f"{where}: {name} is missing")
    for name in ("dag", "stage", "output", "shadow", "time", "halt_file", "halt_variable"):
        if not isinstance(given.get(name, ""), str):
            raise ConfigError(f"{where}: {name} is a text, not {given[name]!r}: put it in quotes")
    arguments = {k: v for k, v in given.items() if k not in (*_WHERE, *_TASKS)}
    _check_arguments(arguments, where)
    if mode is Mode.LIVE:
        _check_live(arguments, where)
    return Stretch(
        mode=mode,
        arguments=arguments,
        **{k: given[k] for k in ("dag", "stage", "output", *_TASKS) if k in given},
    )


def _lane_arguments(*, needed: bool = False) -> tuple[str, ...]:
    """What a lane takes, or what it cannot do without, but for its tasks and its being on: the plan says so."""
    import inspect

    from pipechaos.airflow.lane import chaos_lane

    found = inspect.signature(chaos_lane).parameters
    taken = [p for p in found.values() if p.name not in ("stage", *_TASKS, "enabled")]
    return tuple(p.name for p in taken if not needed or p.default is p.empty)


def _names(value: object, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ConfigError(f"{where} is a name or a list of names, not {value!r}")
    return tuple(names)


def _check_arguments(arguments: Mapping[str, Any], where: str) -> None:
    injections = arguments.get("injections")
    if not isinstance(injections, list) or not injections or not all(isinstance(i, dict) for i in injections):
        raise ConfigError(f"{where}: injections is a list such as [{{fault: null.mcar, columns: x}}]")
    if not isinstance(arguments.get("history", []), list):
        raise ConfigError(f"{where}: history is a list of references, not {arguments['history']!r}")
    for name, starts in (("shadow", ("/", "{{", "file://")), ("halt_file", "/")):
        place = arguments.get(name, "/")
        if not place.startswith(starts):
            raise ConfigError(f"{where}: {name} must be absolute, not {place!r}: tasks run in folders of their own")
    for name in (*_COUNTS, "max_seconds"):
        value = arguments.get(name, 1)
        kinds = int if name in _COUNTS else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
            raise ConfigError(f"{where}: {name} is a number above 0, not {value!r}")


def _check_live(arguments: Mapping[str, Any], where: str) -> None:
    if len(arguments["injections"]) != 1:
        raise ConfigError(f"{where}: mode live takes exactly one injection, not {len(arguments['injections'])}")
    if not (arguments.get("halt_file") or arguments.get("halt_variable")):
        raise ConfigError(f"{where}: mode live needs a kill switch: name halt_file or halt_variable")
