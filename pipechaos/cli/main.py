"""Entry point. Commands live in modules of their own and are imported when called, so that ``--help`` stays fast."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from pipechaos.errors import PipechaosError

__all__ = ["main"]

# name -> (module, one line of help); the command object in each module is called ``command``
COMMANDS = {
    "run": ("pipechaos.cli.run", "Run an experiment: controls first, then faults, then the scorecard."),
    "plan": ("pipechaos.cli.plan", "Say what a run would do and cost; touch nothing."),
    "init": ("pipechaos.cli.init", "Write a commented experiment for your own files."),
    "inject": ("pipechaos.cli.inject", "Break a copy of one batch and keep the ledger."),
    "validate": ("pipechaos.cli.validate", "Let one validator judge one batch."),
    "score": ("pipechaos.cli.score", "Score the trials of a run again, with reviews or gates."),
    "faults": ("pipechaos.cli.faults", "List the catalogue, or show one fault."),
    "replay": ("pipechaos.cli.replay", "Repeat one trial: rows before and after, and the checks that looked."),
    "schema": ("pipechaos.cli.schema", "Print the JSON Schema of the experiment file."),
    "demo": ("pipechaos.cli.demo", "A real Airflow DAG on real flights, then a campaign and its report."),
}


class LazyGroup(click.Group):
    """Commands by name, imported when called; pipechaos errors end with their own exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's way."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[name][0]).command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what was wrong goes to stderr in one message."""
        try:
            return super().invoke(ctx)
        except PipechaosError as exc:
            click.echo(f"pipechaos: {exc}", err=True)
            sys.exit(exc.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PIPECHAOS"})
@click.version_option(package_name="pipechaos")
def main() -> None:
    r"""Mutation testing for data validators, run where the data flows.

    Break feature batches on purpose, let your own pandera schemas and Great Expectations suites judge broken and
    untouched batches, and see what they miss and what they falsely reject.

    \b
    Exit codes: 0 fine, 1 a gate fails, 2 usage or configuration, 3 could not run or a blind validator,
    4 a gate is inconclusive.
    """
