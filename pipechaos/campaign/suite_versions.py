"""A suite at two versions: two specs, two files, two validators of an experiment, or one validator at two revisions."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipechaos.campaign.experiment import Experiment, ValidatorSpec
from pipechaos.campaign.versions import git, repository
from pipechaos.errors import ConfigError, UnknownNameError, suggest
from pipechaos.validate.base import KINDS

__all__ = ["WORKTREE", "SuiteVersion", "importing", "suite_versions"]

WORKTREE = "WORKTREE"  # the files as they lie there, committed or not
_PACKAGE_HOME = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class SuiteVersion:
    """One version of a suite, ready to load.

    Attributes
    ----------
    asked
        As it was named.
    name
        Of the validator; reviews of the experiment that name it apply.
    spec, imports
        What to load.
    roots
        Where from: absolute folders, the first that holds a module wins.
    lasting_spec, lasting_roots
        The same after the comparison, when the copy of a revision is gone: in the work tree.
    commit
        Full name of the revision; empty where it is no revision.
    notes
        What a reader should know about it.
    """

    asked: str
    name: str
    spec: str
    roots: tuple[str, ...]
    lasting_spec: str
    lasting_roots: tuple[str, ...]
    imports: tuple[str, ...] = ()
    commit: str = ""
    notes: tuple[str, ...] = ()


@contextmanager
def suite_versions(
    experiment: Experiment, root: Path, *, base: str, head: str, validator: str | None = None
) -> Iterator[tuple[SuiteVersion, SuiteVersion]]:
    """Find two versions of a suite; what was copied for them is removed at the end, whatever happens.

    Parameters
    ----------
    experiment, root
        The experiment and the folder that it lies in.
    base, head
        ``pandera:module:attr``, ``gx:path`` or ``callable:module:attr``; a file ``old/schemas.py:schema`` or
        ``suite_old.json``; without ``validator`` the name of a validator of the experiment; else a git revision of the
        repository that the experiment lies in, or ``WORKTREE``.
    validator
        Name of the validator that revisions are about; needed where the experiment has several.

    Raises
    ------
    UnknownNameError
        No validator has this name.
    ConfigError
        A version is none of these, or there is no such revision.
    CannotRunError
        git cannot be asked.
    """
    finder = _Finder(experiment=experiment, root=root, chosen=_chosen(experiment, validator), named=bool(validator))
    with tempfile.TemporaryDirectory(prefix="pipechaos-suite-") as scratch:
        copies = Path(scratch).resolve()
        yield finder.version(base, copies / "base"), finder.version(head, copies / "head")


@contextmanager
def importing(version: SuiteVersion) -> Iterator[None]:
    """Let the processes started meanwhile find this version before the same modules elsewhere on ``sys.path``.

    Where the project's own folder is on the path (``python -m``, an editable install, ``PYTHONPATH``), its modules
    would stand in for those of the version. The version takes exactly that place: it shadows no more than they did.
    """
    before = list(sys.path)
    mine = {Path(r).resolve() for r in version.lasting_roots} | {Path.cwd().resolve()}
    gone = {Path(r).resolve() for r in version.lasting_roots} - {Path(r).resolve() for r in version.roots}
    at = next((i for i, p in enumerate(before) if Path(p or ".").resolve() in mine), len(before))
    kept = [p for p in before[at:] if (place := Path(p or ".").resolve()) not in gone or place == _PACKAGE_HOME]
    sys.path[:] = [*before[:at], *version.roots, *kept]
    try:
        yield
    finally:
        sys.path[:] = before


def _chosen(experiment: Experiment, name: str | None) -> ValidatorSpec | None:
    """The validator that revisions are about; None where there are several and none is named."""
    if name is None:
        return experiment.validators[0] if len(experiment.validators) == 1 else None
    by_name = {v.name: v for v in experiment.validators}
    if name not in by_name:
        raise UnknownNameError("validator", name, by_name, "the experiment")
    return by_name[name]


@dataclass(frozen=True, kw_only=True)
class _Finder:
    experiment: Experiment
    root: Path
    chosen: ValidatorSpec | None
    named: bool

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(str((self.root / r).resolve()) for r in self.experiment.roots)

    def version(self, asked: str, copy: Path) -> SuiteVersion:
        by_name = {v.name: v for v in self.experiment.validators}
        if not self.named and asked in by_name:
            return self._of(asked, by_name[asked], self.roots)
        kind, _, rest = asked.partition(":")
        if kind in KINDS:
            under = any((Path(r) / rest).is_file() for r in self.roots)
            file = not under and (rest.rpartition(":")[0].endswith(".py") or Path(rest).is_file())
            return self._file(asked, kind, rest) if file else self._named(asked, asked, self.roots)
        if asked.endswith(".json") or asked.rpartition(":")[0].endswith(".py"):
            return self._file(asked, self._kind_of(asked), asked)
        if asked == WORKTREE:
            return self._of(asked, self._needed(asked), self.roots)
        return self._revision(asked, self._needed(asked), copy)

    def _of(self, asked: str, validator: ValidatorSpec, roots: tuple[str, ...]) -> SuiteVersion:
        return SuiteVersion(
            asked=asked,
            name=validator.name,
            spec=validator.spec,
            lasting_spec=validator.spec,
            imports=tuple(validator.imports),
            roots=roots,
            lasting_roots=roots,
        )

    def _needed(self, asked: str) -> ValidatorSpec:
        if self.chosen is None:
            names = ", ".join(v.name for v in self.experiment.validators)
            raise ConfigError(
                f"{asked!r} is no validator of the experiment ({names}) and no file; if it is a revision, say of which "
                "validator with --validator NAME"
            )
        return self.chosen

    def _kind_of(self, asked: str) -> str:
        """Kind of a file that says none: that of the validator it stands for, or the likeliest."""
        if asked.endswith(".json"):
            return "gx"
        known = [self.chosen] if self.chosen else self.experiment.validators
        kinds = {v.spec.partition(":")[0] for v in known} - {"gx"}
        return kinds.pop() if len(kinds) == 1 else "pandera"

    def _file(self, asked: str, kind: str, rest: str) -> SuiteVersion:
        """A suite in a file, relative to the working directory: its own folder is the first root."""
        place, _, attr = rest.rpartition(":")
        if not place.endswith(".py"):
            place, attr = rest, ""
        file = Path(place)
        if not file.is_file():
            raise ConfigError(f"there is no file {place}; paths of versions start from {Path.cwd()}")
        home = str(file.resolve().parent)
        spec = f"{kind}:{file.stem}:{attr}" if attr else f"{kind}:{file.name}"
        return self._named(asked, spec, (home, *(r for r in self.roots if r != home)))

    def _named(self, asked: str, spec: str, roots: tuple[str, ...]) -> SuiteVersion:
        """A version that the experiment does not hold: named for the validator it stands for, where that is clear."""
        return SuiteVersion(
            asked=asked,
            name=self.chosen.name if self.chosen else "suite",
            spec=spec,
            lasting_spec=spec,
            imports=tuple(self.chosen.imports) if self.chosen else (),
            roots=roots,
            lasting_roots=roots,
        )

    def _revision(self, asked: str, validator: ValidatorSpec, copy: Path) -> SuiteVersion:
        home = _repository(self.root, self.roots)
        commit = _commit(home, asked)
        inside = [r for r in self.roots if Path(r).is_relative_to(home)]
        _copy_out(home, commit, [Path(r).relative_to(home).as_posix() for r in inside], copy)
        moved = {r: str(copy / Path(r).relative_to(home)) for r in inside}
        here = [r for r in moved.values() if Path(r).is_dir()]
        if not here:
            raise ConfigError(f"none of the roots {', '.join(self.roots)} is there at revision {asked!r} of {home}")
        kind, _, rest = validator.spec.partition(":")
        spec = validator.spec
        if kind == "gx" and Path(rest).is_absolute() and Path(rest).resolve().is_relative_to(home):
            spec = f"gx:{copy / Path(rest).resolve().relative_to(home)}"
        return SuiteVersion(
            asked=asked,
            name=validator.name,
            spec=spec,
            lasting_spec=validator.spec,
            imports=tuple(validator.imports),
            roots=tuple(moved.get(r, r) for r in self.roots),
            lasting_roots=self.roots,
            commit=commit,
            notes=tuple(
                f"the root {r} lies outside the repository: it is the same at every revision"
                for r in self.roots
                if r not in moved
            ),
        )


def _repository(root: Path, roots: Sequence[str]) -> Path:
    """Top folder of the repository that the experiment lies in, or else the first of its roots."""
    home = repository(root, *map(Path, roots))
    if home is None:
        raise ConfigError(
            f"the experiment in {root} lies in no git repository: give --base and --head as files or specs instead"
        )
    return home


def _commit(home: Path, revision: str) -> str:
    if not revision or revision.startswith("-"):
        raise ConfigError(f"{revision!r} is no revision")
    found = git(home, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", check=False)
    if found.returncode == 0:
        return found.stdout.decode().strip()
    listed = git(home, "for-each-ref", "--format=%(refname:short)").stdout.decode(errors="replace").split()
    near = suggest(revision, listed) or next((n for n in listed if n.endswith(f"/{revision}")), None)
    hint = f"did you mean {near!r}? " if near else ""
    raise ConfigError(
        f"there is no revision {revision!r} in {home}: {hint}Give a branch, tag, commit or {WORKTREE}; a shallow clone "
        "(fetch-depth: 1) does not have the others"
    )


def _copy_out(home: Path, commit: str, folders: Sequence[str], copy: Path) -> None:
    """Write the files of some folders as they were, through an index of our own: work tree and index stay untouched."""
    copy.mkdir(parents=True)
    index = {"GIT_INDEX_FILE": str(copy.with_name(f"{copy.name}.index"))}
    git(home, "read-tree", commit, env=index)
    files = git(home, "--literal-pathspecs", "ls-files", "-z", "--", *folders, env=index).stdout if folders else b""
    git(home, "checkout-index", "-z", "--stdin", f"--prefix={copy}/", env=index, given=files)
