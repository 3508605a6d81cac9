"""``pipechaos halt``: the kill switch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import emit_json, json_option, people

if TYPE_CHECKING:
    from pipechaos.safety.switch import FileSource, KillSwitch

__all__ = ["command", "kill_switch"]

_VARIABLE = "PIPECHAOS_KILL_SWITCH"
_ENGAGED = 3

file_option = click.option(
    "--file",
    "given",
    metavar="FILE",
    help=f"The file that halts by being there [default: {_VARIABLE}, .pipechaos/halt of the project].",
)


def kill_switch(given: str | None = None) -> KillSwitch:
    """The kill switch that commands obey: ``run_campaign(..., halt=kill_switch().check)``.

    Parameters
    ----------
    given
        A file, instead of the environment's and the project's.

    Raises
    ------
    ConfigError
        The environment names an empty path.
    """
    from pipechaos.safety.switch import KillSwitch

    return KillSwitch(_source(given))


def _source(given: str | None) -> FileSource:
    from pipechaos.cli.settings import project_home
    from pipechaos.errors import ConfigError
    from pipechaos.safety.switch import FileSource

    named = os.environ.get(_VARIABLE) if given is None else given
    if named is None:
        return FileSource(path=project_home(Path.cwd()) / ".pipechaos" / "halt", release="`pipechaos halt off`")
    if not named.strip():
        raise ConfigError(f"{'--file' if given is not None else _VARIABLE} names no file: give a path, or leave it out")
    file = Path(named).absolute()
    lift = "`pipechaos halt off`" if given is None else f"delete {file}"
    return FileSource(path=file, within=file.parent, release=lift)  # a mount that is lost must not release


@click.group("halt")
def command() -> None:
    """Stop every injection, lift that again, or say how it stands.

    A halt holds before each injection of every run that sees the same file; what was judged until then is kept, and
    `pipechaos run --resume last` goes on. A file that cannot be looked for halts too.
    """


@command.command("on")
@click.option("--reason", required=True, help="Why: whoever is stopped reads it.")
@click.option("--who", help="Who says so [default: the user of this process].")
@file_option
def on(reason: str, who: str | None, given: str | None) -> None:
    """Halt; a halt that stands already stays as it is."""
    import datetime as dt

    from pipechaos.safety.switch import engage

    source = _source(given)
    made = engage(source.path, reason=reason, who=who or _user(), now=dt.datetime.now(dt.UTC))
    people().print("halted" if made else "a halt stands already, and stays as it is")
    _say(source)


@command.command("off")
@file_option
def off(given: str | None) -> None:
    """Lift the halt; exit code 3 where something still halts."""
    from pipechaos.safety.switch import release

    source = _source(given)
    _say(source)
    people().print("released" if release(source.path) else "there was no halt file")
    if source() is not None:
        _say(source)
        sys.exit(_ENGAGED)


@command.command("status")
@file_option
@json_option
def status(given: str | None, json_to: str | None) -> None:
    """Say whether injecting is halted: exit code 0 where it is not, 3 where it is."""
    import dataclasses

    source = _source(given)
    order = source()
    found = None if order is None else dataclasses.asdict(order)
    emit_json({"halted": order is not None, "file": str(source.path), "order": found}, json_to)
    if order is None:
        people().print(f"not halted: there is no {source.path}", soft_wrap=True)
        return
    _say(source)
    sys.exit(_ENGAGED)


def _say(source: FileSource) -> None:
    from pipechaos.report.escape import visible

    order = source()
    if order is not None:
        people().print(visible(str(order)), soft_wrap=True)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"user {os.getuid()}"
