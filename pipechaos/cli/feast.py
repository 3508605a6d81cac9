"""``pipechaos feast``."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import ended_in_order, json_option, people
from pipechaos.cli.experiments import seed_option
from pipechaos.cli.results import baseline_option, report_options
from pipechaos.cli.stores import store_option

if TYPE_CHECKING:
    from pipechaos.campaign.experiment import Experiment
    from pipechaos.feast.batches import Exported
    from pipechaos.feast.experiment import Asked
    from pipechaos.feast.view import View

__all__ = ["command"]

_DAYS = 30
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command("feast")
@click.argument("repo", type=click.Path())
@click.option("--view", required=True, help="Feature view whose offline source is tried; one a run.")
@click.option(
    "--validator",
    "validators",
    multiple=True,
    metavar="[NAME=]SPEC",
    help="schemas.py:attr, suite.json, or pandera:module:attr, gx:suite.json, ... below --roots (repeatable); "
    "NAME=SPEC names it in reports.",
)
@click.option("--roots", multiple=True, metavar="DIR", help="Folder that code and suites come from (repeatable) [.].")
@click.option(
    "--experiment", metavar="FILE", help="Faults, gates, incidents, ...; the view fills in batches, key, time."
)
@click.option("--days", type=click.IntRange(1), help="So many days [30], up to --end or from --start.")
@click.option("--start", type=_DAY, metavar="DAY", help="First day, of UTC.")
@click.option("--end", type=_DAY, metavar="DAY", help="Last day [that of the newest row before today].")
@click.option("--window", type=click.Choice(["hour", "day", "week"]), default="day", show_default=True)
@click.option("--skip-empty", is_flag=True, help="Leave out windows without a row instead of refusing.")
@click.option("--history", type=click.IntRange(0), help="The first so many windows are clean history [half of them].")
@click.option("--profile", type=click.Choice(["pr", "nightly"]), default="pr", show_default=True)
@click.option("--preset", metavar="NAME", help="quick, standard, missing, ... instead of the profile's.")
@click.option("--budget", type=click.IntRange(1), help="Most faulty trials, instead of the profile's.")
@click.option("--gate", "gates", multiple=True, metavar="METRIC<=LIMIT", help="Such as fnr<=0.4 (repeatable).")
@click.option("--out", help="Folder for results [default: <view>.out].")
@click.option("--keep", metavar="DIR", help="Keep batches and experiment there, for `pipechaos replay`.")
@seed_option
@click.option("--jobs", type=click.IntRange(1), help="Worker processes [default: one for each processor].")
@click.option("--dry-run", is_flag=True, help="Read the batches, say what a run would do, and stop.")
@store_option
@baseline_option
@report_options
@click.option("--no-values", is_flag=True, help="Show no data value anywhere.")
@click.option("--quiet", is_flag=True, help="No progress and no report on stderr.")
@json_option
def command(**given: Any) -> None:
    """Break the offline source of a feature view of the Feast repository REPO, and see what your validators notice.

    REPO is only read: no registry and no online store is opened. Batches are one day each, copied to a private folder
    that is removed at the end.

    \b
      pipechaos feast feature_repo --view rides --validator schemas.py:rides --gate 'fnr<=0.4'

    Exits 0 when every gate holds (or none is given), 1 when one fails, 4 when one is inconclusive; 2 for usage: an
    unknown view, a view without offline source, too few windows; 3 when it could not run: Feast or the source cannot
    be read, a declared feature is not in the source, windows are empty, or a validator is blind.
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    with _private(given["keep"], given["repo"]) as folder:
        view, exported, experiment = _prepared(folder, given)
        if not given["quiet"]:
            _say(view, exported, experiment)
        name = re.sub(r"[^\w.-]", "_", view.name)
        code = _run(experiment, folder, Path(given["out"] or f"{name}.out"), name, given)
    sys.exit(code)


def _run(experiment: Experiment, folder: Path, out: Path, name: str, given: dict[str, Any]) -> int:
    if given["dry_run"]:
        from pipechaos.cli.plan import show_plan

        show_plan(experiment, folder, out, given["json_to"])
        return 0
    from pipechaos.cli.results import targets_of
    from pipechaos.cli.run import Wanted, run_and_report

    wanted = Wanted(
        jobs=given["jobs"],
        values=not given["no_values"],
        quiet=given["quiet"],
        json_to=given["json_to"],
        targets=targets_of(given),
        store=given["store"],
        baseline=given["baseline"],
    )
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # workers inherit it: suites may lie in the repository
    kept = Path(given["keep"] or f"{name}.kept") / "experiment.yaml"  # where --keep puts it
    return run_and_report(experiment, folder, out, source=str(kept), wanted=wanted)


def _prepared(folder: Path, given: dict[str, Any]) -> tuple[View, Exported, Experiment]:
    """Batches and experiment of the view, written to a folder."""
    from pipechaos.feast.batches import export
    from pipechaos.feast.experiment import FOLDER, build, link_roots
    from pipechaos.feast.repository import opened_repository
    from pipechaos.feast.windows import Length, days_of, windows

    asked = _asked_for(given)
    days = {name: given[name] and given[name].date() for name in ("start", "end")} | {"days": given["days"]}
    with opened_repository(given["repo"]) as repository:
        view = repository.view(given["view"])
        settled = days["end"] or (days["start"] and days["days"])
        newest = None if settled else repository.newest(view, _today())
        first, last = days_of(**days, newest=newest and newest.date(), usual=_DAYS)
        spans = windows(first, last, Length(given["window"]))
        build(view, [w.name for w in spans], asked)  # what is wrong with it is said before data is read
        exported = export(
            view, spans, lambda w: repository.pull(view, w), folder / FOLDER, skip_empty=given["skip_empty"]
        )
    experiment = build(view, exported.names, asked)
    link_roots(asked.roots, folder)
    _write_experiment(experiment, folder)
    return view, exported, experiment


def _asked_for(given: dict[str, Any]) -> Asked:
    from pipechaos.feast.experiment import Asked, Profile, gate_of

    file, roots = _experiment_file(given["experiment"])
    validators, more = _validators(given["validators"], _names(file.get("validators")))
    first = [Path(r) for r in given["roots"]] or ([] if roots else [Path()])
    return Asked(
        validators=validators,
        roots=tuple(dict.fromkeys(r.resolve() for r in (*first, *roots, *more))),
        profile=Profile(given["profile"]),
        preset=given["preset"],
        seed=given["seed"],
        budget=given["budget"],
        history=given["history"],
        gates=[gate_of(g) for g in given["gates"]],
        file=file,
    )


def _experiment_file(path: str | None) -> tuple[dict[str, Any], list[Path]]:
    """What a file of --experiment says, and the folders that its code may come from."""
    if path is None:
        return {}, []
    from pipechaos.campaign.experiment import read_mapping

    data = read_mapping(path)
    roots = data.pop("roots", ["."])
    return data, [Path(path).parent / r for r in ([roots] if isinstance(roots, str) else roots)]


def _validators(specs: Sequence[str], taken: set[str]) -> tuple[list[tuple[str, str]], list[Path]]:
    from pipechaos.campaign.starter import validator_of
    from pipechaos.validate.base import KINDS

    found, roots = [], []
    names = set(taken)
    for given in specs:
        own, spec = _named(given)
        kind = spec.partition(":")[0]
        if kind not in KINDS or ".py:" in spec:
            kind, spec, root = validator_of(spec)
            roots.append(root)
        name, number = own or kind, 1
        while not own and name in names:
            number += 1
            name = f"{kind}-{number}"
        names.add(name)
        found.append((name, spec))
    return found, roots


def _names(validators: object) -> set[Any]:
    """Names that a file gives; what is no validator is refused when the experiment is built."""
    return {v.get("name") for v in validators if isinstance(v, dict)} if isinstance(validators, list) else set()


def _named(given: str) -> tuple[str, str]:
    """Name and spec of ``NAME=SPEC``; an empty name where none is given."""
    found = re.fullmatch(r"([\w.-]+)=(.+)", given)
    return (found[1], found[2]) if found else ("", given)


def _write_experiment(experiment: Experiment, folder: Path) -> None:
    import yaml

    text = yaml.safe_dump(experiment.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")


def _say(view: View, exported: Exported, experiment: Experiment) -> None:
    from pipechaos.report.escape import visible

    names = exported.names
    lines = [
        f"{view.name} of project {view.project}: {len(names)} batches from {names[0]} to {names[-1]}, "
        f"{exported.rows:,} rows",
        f"  key         {', '.join(view.key)}",
    ]
    others = {"target": experiment.target, "left alone": experiment.ignore, "no row in": exported.empty}
    lines += [f"  {what:11} {', '.join(listed)}" for what, listed in others.items() if listed]
    for line in lines:
        people().print(visible(line), soft_wrap=True)


def _today() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@contextmanager
def _private(keep: str | None, repo: str) -> Iterator[Path]:
    """A folder for copies of data that nobody else can read; removed at the end unless it is to be kept."""
    from pipechaos.errors import ConfigError

    if keep is None:
        with ended_in_order(), tempfile.TemporaryDirectory(prefix="pipechaos-feast-") as made:
            yield Path(made).resolve()
        return
    folder = Path(keep).resolve()
    home = Path(repo).resolve()
    if folder.is_relative_to(home.parent if home.is_file() else home):
        raise ConfigError(f"--keep {keep} lies in the repository, which is only read: keep batches elsewhere")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--keep {keep} exists and is not empty: give a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    yield folder
