"""``pipechaos baseline``: survivors that a team accepts, with a reason, an owner and a last day."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipechaos.cli.console import emit_json, json_option, people, ready_for
from pipechaos.cli.experiments import beside, replay_command

if TYPE_CHECKING:
    from rich.console import Console

    from pipechaos.score.baseline import Accepted, Baseline, BaselineEntry
    from pipechaos.score.scorecard import Scorecard

__all__ = ["command", "last_day"]

_DAYS = re.compile(r"(\d{1,4})d")

file_option = click.option("--baseline", required=True, metavar="FILE", help="The baseline.")


@click.group("baseline")
def command() -> None:
    """Accept survivors for a while, drop what is caught by now, and say how each entry stands."""


@command.command("update")
@click.argument("out")
@file_option
@click.option("--reason", required=True, help="Why they are accepted.")
@click.option("--owner", required=True, help="Who answers for them.")
@click.option("--expires", required=True, metavar="DATE|DAYSd", help="Last day they hold: 2026-12-31, or 90d from now.")
@click.option(
    "--only",
    multiple=True,
    metavar="WEAKNESS",
    help="Accept this one alone, by its id or the unique beginning of it (repeatable); renews an entry.",
)
def update(out: str, baseline: str, reason: str, owner: str, expires: str, only: tuple[str, ...]) -> None:
    """Add the new survivors of the run in folder OUT; entries that are there keep every word."""
    from pipechaos.campaign.baseline_file import write_baseline
    from pipechaos.score.accept import accept
    from pipechaos.score.baseline import Baseline, Standing

    today = _today()
    until = last_day(expires, today)
    ready_for(baseline)
    old = _read(baseline) if Path(baseline).exists() else Baseline(file=baseline)
    card = _scored(out, old, today)
    survivors = [s for v in card.validators for s in v.survivors]
    done = accept(old, survivors, reason=reason, owner=owner, expires=until, only=only)
    console = people()
    if done.added or done.renewed:
        write_baseline(baseline, done.baseline.accepted)
    _say(console, "accepted", done.added)
    _say(console, "renewed", done.renewed)
    _print(
        console,
        f"{baseline}: {len(done.added)} added, {len(done.renewed)} renewed, {len(done.baseline.accepted)} in all",
    )
    renewed = {a.weakness_id for a in done.renewed}
    for entry in _entries(card):
        if entry.standing in (Standing.EXPIRED, Standing.STALE) and entry.weakness_id not in renewed:
            what = "--only renews it" if entry.standing is Standing.EXPIRED else "`baseline prune` drops it"
            _print(console, f"left as it is: {entry.standing.value} {entry.weakness_id} {entry.label} ({what})")


@command.command("prune")
@click.argument("out")
@file_option
def prune(out: str, baseline: str) -> None:
    """Drop entries that the run in folder OUT caught every time, by more than luck."""
    from pipechaos.campaign.baseline_file import write_baseline
    from pipechaos.score.accept import prune as pruned

    old = _read(baseline)
    card = _scored(out, old, _today())
    if card.baseline is None:
        raise AssertionError("scored against a baseline, without a result")
    kept, dropped = pruned(old, card.baseline)
    console = people()
    if dropped:
        write_baseline(baseline, kept.accepted)
    for entry in dropped:
        _print(console, f"dropped {entry.weakness_id} {entry.label}: {_caught(entry)}")
    _print(console, f"{baseline}: {len(dropped)} dropped, {len(kept.accepted)} left")


@command.command("explain")
@click.argument("out")
@file_option
@click.option("--experiment", help="Its file, for the commands that replay [default: the one OUT is named for].")
@json_option
def explain(out: str, baseline: str, experiment: str | None, json_to: str | None) -> None:
    """Say how each entry and each new survivor stands to the run in folder OUT."""
    from pipechaos.score.document import document

    card = _scored(out, _read(baseline), _today())
    emit_json(document(card)["baseline"], json_to)
    source = experiment or beside(Path(out))
    replay = replay_command(source, Path(out))
    console = people()
    for entry in _entries(card):
        _explain(console, entry, f"{replay} {entry.trial_id} --experiment {shlex.quote(source)}")
    if not _entries(card):
        _print(console, f"{baseline} holds nothing, and nothing survives")


def last_day(text: str, today: dt.date) -> dt.date:
    """A last day, given as one or as so many days from today.

    Raises
    ------
    ConfigError
        It is neither, or over already.

    Examples
    --------
    >>> last_day("90d", dt.date(2026, 1, 1))
    datetime.date(2026, 4, 1)
    """
    from pipechaos.errors import ConfigError

    days = _DAYS.fullmatch(text)
    try:
        until = today + dt.timedelta(days=int(days[1])) if days else dt.datetime.strptime(text, "%Y-%m-%d").date()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--expires {text!r} is no day: give one as 2026-12-31, or 90d for 90 days from now"
        ) from None
    if until < today:
        raise ConfigError(f"--expires {text} is over: entries would fail at once; give a day to come")
    return until


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _read(file: str) -> Baseline:
    from pipechaos.campaign.baseline_file import read_baseline

    return read_baseline(file)


def _scored(out: str, baseline: Baseline, today: dt.date) -> Scorecard:
    """Scorecard of a run that can be a measure of anything."""
    from pipechaos.campaign.output import rescore
    from pipechaos.errors import CannotRunError

    card = rescore(Path(out), baseline=baseline, today=today)
    if card.blind or card.injection_errors:
        why = f"{', '.join(card.blind)} is blind" if card.blind else f"{card.injection_errors} injections failed"
        raise CannotRunError(f"{out} is no measure of survivors: {why}; put that right and run again")
    return card


def _entries(card: Scorecard) -> tuple[BaselineEntry, ...]:
    return card.baseline.entries if card.baseline is not None else ()


def _say(console: Console, what: str, lines: tuple[Accepted, ...]) -> None:
    from pipechaos.score.baseline import label_of

    for line in lines:
        _print(console, f"{what} {line.weakness_id} {label_of(line)}: missed {line.missed} of {line.tried}")


def _caught(entry: BaselineEntry) -> str:
    return f"caught {entry.tried - entry.missed} of {entry.tried} times"


def _explain(console: Console, entry: BaselineEntry, replay: str) -> None:
    counts = f"missed {entry.missed} of {entry.tried}" if entry.tried else "not tried"
    _print(console, f"{entry.standing.value.upper()} {entry.weakness_id} {entry.label}: {counts}")
    line = entry.accepted
    if line is not None:
        until = line.expires.isoformat() if line.expires else "no day"
        _print(console, f"  {line.owner}, until {until}: {line.reason} (accepted with {line.missed} of {line.tried})")
    if entry.text:
        _print(console, f"  {entry.text}")
    if entry.trial_id:
        _print(console, f"  {replay}")


def _print(console: Console, text: str) -> None:
    """One line, whatever a column or a reason holds."""
    from pipechaos.report.escape import visible

    console.print(visible(text), soft_wrap=True)
