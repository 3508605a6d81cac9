"""A view as an ordinary experiment: roles from its schema and tags, the rest from a profile, a file and options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipechaos.campaign.experiment import Experiment, parse_experiment
from pipechaos.errors import ConfigError, ExperimentError
from pipechaos.feast.view import View

__all__ = ["FOLDER", "Asked", "Profile", "build", "gate_of", "link_roots"]

FOLDER = "batches"  # below the experiment's root
_ROOTS = "roots"
_FILLED = ("batches", "key", "time")
_GATE = re.compile(r"\s*(?P<metric>\w+)\s*<=\s*(?P<limit>[0-9.eE+-]+)\s*")
_METRICS = ("fnr", "strict_fnr", "escape", "error", "fpr", "benign")


class Profile(StrEnum):
    """How much a check tries when nobody says more."""

    PR = "pr"
    NIGHTLY = "nightly"

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Keys of an experiment; ``trials`` is for each validator."""
        if self is Profile.PR:
            return {"preset": "quick", "severities": [1, 3, 5], "trials": 300}
        return {"preset": "standard", "severities": [1, 2, 3, 4, 5], "trials": 2000}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says; None and nothing mean: as the file or the profile has it.

    Attributes
    ----------
    validators
        Name and spec of each.
    roots
        Folders that code may come from.
    profile
        What fills the gaps.
    preset, seed, budget, history
        As in an experiment; ``history`` is a number of windows.
    gates
        As :func:`gate_of` gives them, beside those of the file.
    file
        Keys of an experiment without batches, key and time.
    """

    validators: Sequence[tuple[str, str]] = ()
    roots: Sequence[Path] = ()
    profile: Profile = Profile.PR
    preset: str | None = None
    seed: int | None = None
    budget: int | None = None
    history: int | None = None
    gates: Sequence[Mapping[str, Any]] = ()
    file: Mapping[str, Any] = field(default_factory=dict)


def gate_of(text: str) -> dict[str, Any]:
    """A gate as somebody writes it on the command line.

    Raises
    ------
    ConfigError
        It does not read METRIC<=LIMIT.

    Examples
    --------
    >>> gate_of("fnr<=0.4")
    {'metric': 'fnr', 'limit': 0.4}
    """
    found = _GATE.fullmatch(text)
    try:
        if found is not None and found["metric"] in _METRICS and 0 <= float(found["limit"]) <= 1:
            return {"metric": found["metric"], "limit": float(found["limit"])}
    except ValueError:
        pass
    raise ConfigError(
        f"gate {text!r} must read METRIC<=LIMIT, such as fnr<=0.4: METRIC is one of {', '.join(_METRICS)}, LIMIT lies "
        "between 0 and 1; a gate on one validator or fault belongs into the file of --experiment"
    )


def build(view: View, names: Sequence[str], asked: Asked) -> Experiment:
    """The experiment on a view's windows, relative to a root with the layout of :func:`link_roots`.

    Parameters
    ----------
    view
        Gives key, time, target and columns to ignore.
    names
        Batches, oldest first.
    asked
        Everything else.

    Raises
    ------
    ExperimentError
        The file says what the view fills in, there is no validator, or too few windows are left beside the history.
    """
    data = dict(asked.file)
    if given := [key for key in _FILLED if key in data]:
        raise ExperimentError(f"{', '.join(given)}: the view fills this in; take it out of the file of --experiment")
    validators = [*_list(data, "validators"), *({"name": n, "spec": s} for n, s in asked.validators)]
    if not validators:
        raise ExperimentError("no validator: give --validator SPEC, or list validators in the file of --experiment")
    usual = asked.profile.defaults
    if asked.preset is not None:
        data["preset"] = asked.preset
    elif not data.get("faults"):
        data.setdefault("preset", usual["preset"])
    data.setdefault("severities", usual["severities"])
    data.setdefault("name", view.name)
    data["contract"] = {"row_order": True, **_mapping(data, "contract")}  # offline stores give rows in any order
    budget = _mapping(data, "budget")
    budget["trials"] = asked.budget or budget.get("trials") or usual["trials"] * len(validators)
    if asked.seed is not None:
        data["seed"] = asked.seed
    if asked.history is not None:
        data["history"] = {"count": asked.history}
    data.setdefault("history", {"count": len(names) // 2})
    return _checked(
        parse_experiment(
            {
                **data,
                "batches": [f"{FOLDER}/*.parquet"],
                "key": list(view.key),
                "time": view.time,
                "target": _both(view.target, data.get("target")),
                "ignore": _both(view.ignore, data.get("ignore")),
                "validators": validators,
                "budget": budget,
                "gates": [*_list(data, "gates"), *asked.gates],
                "roots": [f"{_ROOTS}/{n}" for n in range(len(asked.roots))],
            },
            f"the experiment on view {view.name!r}",
        ),
        names,
    )


def link_roots(roots: Sequence[Path], folder: Path) -> None:
    """Make the roots of code reachable below a folder.

    An experiment then reads the same wherever its batches lie for the moment, and so does its digest.
    """
    (folder / _ROOTS).mkdir(mode=0o700)
    for number, root in enumerate(roots):
        (folder / _ROOTS / str(number)).symlink_to(root.resolve(), target_is_directory=True)


def _checked(experiment: Experiment, names: Sequence[str]) -> Experiment:
    rule = experiment.history
    before = rule.before
    past = sum(n < before for n in names) if before is not None else rule.count or 0
    if past >= len(names):
        raise ExperimentError(
            f"{len(names)} windows are fewer than a history of {past} and one more to break: ask for more days, or for "
            "a shorter --history"
        )
    return experiment


def _both(mine: Sequence[str], theirs: object) -> list[Any]:
    more = theirs if isinstance(theirs, list) else [theirs] if theirs else []
    return [*mine, *(name for name in more if name not in mine)]


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise ExperimentError(f"{key}: must be a list, not {value!r}")
    return value


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise ExperimentError(f"{key}: must be a mapping, not {value!r}")
    return dict(value)
