"""Versions of everything that a result hangs on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipechaos.errors import CannotRunError

__all__ = ["checked_out", "git", "library_versions", "repository"]

_SET_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_SECONDS = 10  # a look at a commit takes milliseconds; a folder on a dead network takes forever
_READ = ("numpy", "pandas", "pyarrow", "polars")
_JUDGE = ("pandera", "great-expectations", "dataframely", "pointblank")


def library_versions() -> dict[str, str]:
    """Of Python, pipechaos and the libraries that read or judge, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in ("pipechaos", *_READ, *_JUDGE):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))


def repository(*places: Path) -> Path | None:
    """Top folder of the repository that the first of these folders to lie in one lies in; None where none does.

    Raises
    ------
    CannotRunError
        git cannot be asked.
    """
    for place in places:
        found = git(place, "rev-parse", "--show-toplevel", check=False, seconds=_SECONDS) if place.is_dir() else None
        if found is not None and found.returncode == 0:
            return Path(os.fsdecode(found.stdout).rstrip("\n")).resolve()
    return None


def checked_out(*places: Path) -> str:
    """Commit of that repository; empty without one, without a commit or without git."""
    try:
        home = repository(*places)
        found = git(home, "rev-parse", "--verify", "--quiet", "HEAD", check=False, seconds=_SECONDS) if home else None
    except CannotRunError:
        return ""
    return found.stdout.decode().strip() if found is not None and found.returncode == 0 else ""


def git(
    place: Path,
    *arguments: str,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    given: bytes = b"",
    seconds: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Ask git about a folder, and about no other that a hook's environment names.

    Parameters
    ----------
    place, arguments
        Folder, and what is asked.
    check
        Whether a failure is an error.
    env, given
        More of an environment, and what git reads.
    seconds
        When it is given up; None for never.

    Raises
    ------
    CannotRunError
        git is not there, or failed.
    """
    clean = {k: v for k, v in os.environ.items() if k not in _SET_BY_HOOKS}
    try:
        done = subprocess.run(  # noqa: S603 - the user's own git, without a shell
            ["git", "-C", str(place), "-c", "core.fsmonitor=false", *arguments],  # noqa: S607 - wherever it lies
            input=given,
            capture_output=True,
            env={**clean, **(env or {})},
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise CannotRunError(f"git {arguments[0]} took more than {seconds} seconds in {place}") from None
    except OSError as error:
        raise CannotRunError(
            f"git cannot be started ({error.strerror}): install it, or name files instead of revisions"
        ) from None
    if check and done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise CannotRunError(f"git {arguments[0]} failed in {place}: {said}")
    return done
