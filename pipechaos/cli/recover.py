"""``pipechaos recover``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people

if TYPE_CHECKING:
    from pipechaos.safety.journal import Entry, Journal
    from pipechaos.safety.recover import Recovered

__all__ = ["command", "default_journal"]

_FAILED = 3


def default_journal() -> Path:
    """Journal of the project: what was changed outside a shadow."""
    from pipechaos.cli.settings import project_home

    return project_home(Path.cwd()) / ".pipechaos" / "journal.jsonl"


@click.command("recover")
@click.option("--journal", metavar="FILE", help="The journal [default: .pipechaos/journal.jsonl of the project].")
@click.option("--dry-run", is_flag=True, help="Say what would be undone, and touch nothing.")
@click.option(
    "--leave", multiple=True, metavar="ID", help="Close this entry and leave the target as it is now (repeatable)."
)
@json_option
def command(journal: str | None, dry_run: bool, leave: tuple[str, ...], json_to: str | None) -> None:
    """Undo what a run that was killed has changed outside a shadow; running it again changes nothing.

    Undone is what was begun and not taken back, once its lease has run out or its process has ended. Exit code 3 where
    something could not be undone: it stays in the journal and is tried again next time.
    """
    from pipechaos.errors import ConfigError
    from pipechaos.safety.journal import Journal
    from pipechaos.safety.recover import Recovered, file_undoers, recover

    file = Path(journal) if journal is not None else default_journal()
    if journal is not None and not file.is_file():
        raise ConfigError(f"there is no journal {file}: give the one that the run was started with")
    opened, now = Journal(file), time.time()
    if dry_run:
        due = tuple(e for e in reversed(opened.entries()) if e.due(now) and e.entry_id not in leave)
        _say(Recovered(undone=due, failed=(), waiting=()), "would be undone")
        emit_json({"due": [_entry(e) for e in due]}, json_to)
        return
    for entry_id in leave:
        _leave(opened, entry_id)
    done = recover(opened, file_undoers(), now)
    emit_json(_plain(done), json_to)
    _say(done, "undone")
    sys.exit(_FAILED if done.failed else 0)


def _leave(journal: Journal, entry_id: str) -> None:
    from pipechaos.errors import ConfigError, UnknownNameError
    from pipechaos.safety.journal import EntryState

    with journal.exclusive():
        still = {e.entry_id: e for e in journal.entries() if e.state is EntryState.OPEN}
        if entry_id not in still:
            raise UnknownNameError("open entry", entry_id, still, str(journal.path))
        if not still[entry_id].due(time.time()):
            raise ConfigError(f"entry {entry_id} belongs to {still[entry_id].holder}, which is at work: end it first")
        journal.done(entry_id)


def _say(done: Recovered, word: str) -> None:
    from pipechaos.report.escape import visible

    console = people()
    lines = [f"{word}: {_named(e)}" for e in done.undone]
    for failure in done.failed:
        lines += [f"NOT undone: {_named(failure.entry)}", f"  {failure.reason}"]
    lines += [f"left alone, at work or before a later change: {_named(e)}" for e in done.waiting]
    for line in lines or ["nothing to undo"]:
        console.print(visible(line), soft_wrap=True)


def _named(entry: Entry) -> str:
    return f"{entry.what} [{entry.entry_id}, {entry.undo.kind}, by {entry.holder}]"


def _plain(done: Recovered) -> dict[str, Any]:
    return {
        "undone": [_entry(e) for e in done.undone],
        "failed": [{**_entry(f.entry), "reason": f.reason} for f in done.failed],
        "waiting": [_entry(e) for e in done.waiting],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.entry_id,
        "what": entry.what,
        "target": entry.target,
        "undo": {"kind": entry.undo.kind.value, **entry.undo.arguments},
        "holder": entry.holder.to_dict(),
        "begun": entry.begun,
        "until": entry.until,
    }
