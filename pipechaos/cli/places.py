"""Where results may go: never onto a batch, a suite, an experiment or one another, and that is seen before a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipechaos.cli.console import ready_for
from pipechaos.errors import ConfigError

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.campaign.source import Batches

__all__ = ["STDOUT", "check_out", "check_targets", "inputs_of", "own_files", "read_only"]

STDOUT = "-"
_OWN = ("scorecard.json", "trials.parquet", "explanations.json", "experiment.json")


def own_files(out: Path) -> dict[Path, str]:
    """Files that a folder of results holds whatever is asked for."""
    return {(out / name).resolve(): f"{name} of the folder of results" for name in _OWN}


def inputs_of(experiment: Experiment, root: Path, files: Mapping[str, str | None]) -> dict[Path, str]:
    """Files that a run reads, beside batches.

    Parameters
    ----------
    experiment, root
        What is run, and the folder that its relative paths start from.
    files
        Further ones, by what they are; None where there is none.
    """
    return read_only(files) | dict.fromkeys(_suites(experiment, root), "a suite")


def read_only(files: Mapping[str, str | None]) -> dict[Path, str]:
    """Files given to a command, by where they are; URLs and what was not given left out."""
    return {Path(path).resolve(): what for what, path in files.items() if path and "://" not in path}


def _suites(experiment: Experiment, root: Path) -> Iterator[Path]:
    for validator in experiment.validators:
        kind, _, rest = validator.spec.partition(":")
        names = [rest] if kind == "gx" or rest.endswith((".yaml", ".yml")) else []
        modules = [*validator.imports, rest.partition(":")[0]]
        names += [f"{m.replace('.', '/')}{end}" for m in modules for end in (".py", "/__init__.py")]
        for folder in experiment.roots:
            yield from ((root / folder / name).resolve() for name in names)


def check_targets(targets: Mapping[str, str | Path | None], taken: Mapping[Path, str], batches: Batches | None) -> None:
    """See that every result can be written, and that nothing else is lost by it.

    Parameters
    ----------
    targets
        Files by the option that named them; None where it was not given, ``-`` for stdout.
    taken
        Files that must stay as they are, by what they are.
    batches
        None of which may be written on or into.

    Raises
    ------
    ConfigError
        A file cannot be made, is something else already, or is named twice.
    """
    named: dict[Path | str, str] = {}
    refs = batches.refs.values() if batches is not None else ()
    sources = {Path(p).resolve(): r.name for r in refs for p in (r.uri, *r.paths) if "://" not in p}
    for option, given in targets.items():
        if given is None:
            continue
        place: Path | str = STDOUT if str(given) == STDOUT else Path(given).resolve()
        if place in named:
            raise ConfigError(f"{option} and {named[place]} both name {given}: one would replace the other")
        named[place] = option
        if isinstance(place, str):
            continue
        if place in taken:
            raise ConfigError(f"{option} {given} is {taken[place]}, which it would replace: give another file")
        for source, name in sources.items():
            if place == source or source in place.parents:
                raise ConfigError(f"{option} {given} is batch {name!r}, which it would replace: batches are only read")
        ready_for(given)


def check_out(out: Path, batches: Batches) -> None:
    """See that no batch lies in the folder of results.

    Raises
    ------
    ConfigError
        One does, or the folder cannot be written to.
    """
    from pipechaos.report.experiment_run import check_results_folder

    ready_for(out / "scorecard.json")
    check_results_folder(out, batches)
