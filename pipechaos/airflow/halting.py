"""The kill switch of a task: a file, an Airflow Variable, or both; what cannot be read counts as on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipechaos.safety.switch import FileSource, KillSwitch

__all__ = ["switch_of"]

_BELIEVED = 5.0  # seconds: asking for a Variable is a call to the API server


def switch_of(halt_file: str | None = None, halt_variable: str | None = None) -> KillSwitch:
    """Kill switch over the sources that are named; without any it is never engaged.

    Parameters
    ----------
    halt_file
        Halts by being there, and where its folder is not.
    halt_variable
        Name of a Variable that says ``off`` where injecting may go on. One that is not there counts as on.

    Examples
    --------
    >>> switch_of().check()
    """
    sources: dict[str, Callable[[], object]] = {}
    if halt_file:
        file = Path(halt_file)
        sources[f"file {file}"] = FileSource(path=file, within=file.parent)
    if halt_variable:
        sources[f"variable {halt_variable}"] = lambda: _variable(halt_variable)
    return KillSwitch(sources, remember_seconds=_BELIEVED)


def _variable(name: str) -> object:
    from airflow.sdk import Variable

    return Variable.get(name)
