"""The kill switch of a task: a file, an Airflow Variable, or both; what cannot be read counts as on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pipechaos.safety.switch import FileSource, HaltOrder, KillSwitch

__all__ = ["switch_of"]

_BELIEVED = 5.0  # seconds: asking for a Variable is a call to the API server
_NO_MORE: Mapping[str, Callable[[], object]] = MappingProxyType({})


def switch_of(
    halt_file: str | None = None,
    halt_variable: str | None = None,
    *,
    more: Mapping[str, Callable[[], object]] = _NO_MORE,
    believed_seconds: float = _BELIEVED,
) -> KillSwitch:
    """Kill switch over the sources that are named; without any it is never engaged.

    Parameters
    ----------
    halt_file
        Halts by being there, and where its folder is not.
    halt_variable
        Name of a Variable that says ``off`` where injecting may go on. One that is not there counts as on.
    more
        More sources, by name; see :class:`pipechaos.safety.switch.KillSwitch`.
    believed_seconds
        How long an "off" of a Variable is believed; 0 where there are few injections and each asks anew.

    Notes
    -----
    An empty name counts as on: a template gave nothing, and the switch that was meant cannot be asked.

    Examples
    --------
    >>> switch_of().check()
    >>> switch_of(halt_file="").check()
    Traceback (most recent call last):
    pipechaos.safety.switch.Halted: halted (halt_file): its name is empty, so it cannot be asked, which counts as on
    """
    sources = dict(more)
    if halt_file == "":
        sources["halt_file"] = lambda: _unnamed("halt_file")
    elif halt_file is not None:
        file = Path(halt_file)
        sources[f"file {file}"] = FileSource(path=file, within=file.parent)
    if halt_variable == "":
        sources["halt_variable"] = lambda: _unnamed("halt_variable")
    elif halt_variable is not None:
        sources[f"variable {halt_variable}"] = lambda: _variable(halt_variable)
    return KillSwitch(sources, remember_seconds=believed_seconds)


def _unnamed(what: str) -> HaltOrder:
    return HaltOrder(source=what, reason="its name is empty, so it cannot be asked, which counts as on")


def _variable(name: str) -> object:
    from airflow.sdk import Variable

    return Variable.get(name)
