"""Entry point. Commands live in modules of their own and are imported when called, so that ``--help`` stays fast."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from pipechaos.errors import PipechaosError, suggest

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
    "diff-suite": ("pipechaos.cli.diff_suite", "What a change of a suite wins and loses, on the same batches."),
    "baseline": (
        "pipechaos.cli.baseline",
        "Accept survivors for a while, drop what is caught, say how each entry stands.",
    ),
    "history": ("pipechaos.cli.history", "List past runs: rates with intervals, survivors, exit codes."),
    "compare": ("pipechaos.cli.compare", "Compare two runs: rates, new survivors, those that are gone."),
    "export": ("pipechaos.cli.export", "Write all runs, trials and rates as Parquet files."),
    "drill": ("pipechaos.cli.drill", "Hold a scheduled drill of an experiment, or say how its drills stand."),
    "halt": ("pipechaos.cli.halt", "Stop every injection, lift that again, or say how it stands."),
    "recover": ("pipechaos.cli.recover", "Undo what a killed run has changed outside a shadow; again changes nothing."),
    "sweep": ("pipechaos.cli.sweep", "Delete corrupted copies that are older than their time to live."),
    "schema": ("pipechaos.cli.schema", "Print the JSON Schema of the experiment file."),
    "feast": ("pipechaos.cli.feast", "Try the validators of a Feast feature view on its offline source."),
    "demo": ("pipechaos.cli.demo", "A real Airflow DAG on real flights, then a campaign and its report."),
}


_COULD_NOT_RUN = 3
_INTERRUPTED = 130


class LazyGroup(click.Group):
    """Commands by name, imported when called; errors end with their own exit code, never with a gate's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's way."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[name][0]).command  # type: ignore[no-any-return]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; a slip of the finger gets a suggestion."""
        near = suggest(args[0], COMMANDS)
        if near is not None and near != args[0]:
            ctx.fail(f"No such command {args[0]!r}: did you mean {near!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what was wrong goes to stderr in one message."""
        try:
            return super().invoke(ctx)
        except PipechaosError as exc:
            _say(exc)
            sys.exit(exc.exit_code)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("pipechaos: interrupted", err=True)
            sys.exit(_INTERRUPTED)
        except OSError as exc:
            if exc.errno == errno.EPIPE:  # whoever read our output has left
                raise
            _say(exc)
            sys.exit(_COULD_NOT_RUN)
        except Exception:  # noqa: BLE001 - Python's own exit code is 1, which here means that a gate fails
            traceback.print_exc()
            click.echo("pipechaos: this is a defect of pipechaos, not of your data: please report it", err=True)
            sys.exit(_COULD_NOT_RUN)


def _say(error: BaseException) -> None:
    """A message in its lines; names in it come from other people's tables and files."""
    from pipechaos.report.escape import visible

    click.echo("\n".join(visible(line) for line in f"pipechaos: {error}".split("\n")), err=True)


_EXIT_CODES = (
    "Exit codes: 0 fine, 1 a gate or the baseline fails, 2 usage or configuration, 3 could not run or blind, "
    "4 a gate or the baseline is inconclusive."
)


@click.group(
    cls=LazyGroup,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PIPECHAOS"},
)
@click.version_option(package_name="pipechaos")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Mutation testing for data validators, run where the data flows.

    Break feature batches on purpose, let your own pandera schemas and Great Expectations suites judge broken and
    untouched batches, and see what they miss and what they falsely reject.
    """
    from pipechaos.cli.settings import project_settings

    ctx.default_map = project_settings(Path.cwd()).defaults(COMMANDS)
