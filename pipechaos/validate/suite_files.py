"""Suites on disk: code imported only from under the declared roots, and one digest over every file that was loaded."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from pipechaos.errors import MissingExtraError, ValidatorLoadError

__all__ = ["digest_files", "files_of", "import_attr", "import_under", "resolve_file"]

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple({Path(p).resolve() for k, p in sysconfig.get_paths().items() if "lib" in k or "stdlib" in k})

_EXTRAS = {  # libraries that suites are written with, by the extra that brings them
    "pandera": "pandera",
    "great_expectations": "gx",
    "polars": "polars",
    "dataframely": "dataframely",
    "pointblank": "pointblank",
}

_opened: dict[Path, set[Path]] = {}  # module file -> files its body opened while it was imported
_watch = threading.local()
_hooked = threading.Lock()


def import_attr(module: str, attr: str, roots: Sequence[Path]) -> tuple[Any, ModuleType]:
    """Import ``module`` from under the roots and fetch ``attr`` (dots allowed).

    Raises
    ------
    ValidatorLoadError
        The module is missing, broken or outside the roots, or has no such attribute.
    """
    loaded = import_under(module, roots)
    found: Any = loaded
    for part in attr.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = ", ".join(n for n in dir(loaded) if not n.startswith("_"))
            raise ValidatorLoadError(f"module {module!r} has no attribute {attr!r}; it has: {names}.") from None
    return found, loaded


def import_under(module: str, roots: Sequence[Path]) -> ModuleType:
    """Import a module that lies under one of the roots; nothing outside them is executed on its behalf."""
    for root in roots:
        if str(root) not in sys.path:
            sys.path.append(str(root))  # last: a file of a suite must never shadow an installed library
    importlib.invalidate_caches()
    _refuse_outside(module.partition(".")[0], module, roots)
    try:
        with _watching(roots):
            loaded = importlib.import_module(module)
    except Exception as error:
        missing = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ImportError) else ""
        if missing in _EXTRAS and importlib.util.find_spec(missing) is None:
            raise MissingExtraError(missing, _EXTRAS[missing]) from error
        raise ValidatorLoadError(f"cannot import {module!r}: {type(error).__name__}: {error}") from error
    except SystemExit as error:  # great_expectations does that when a library of Spark is missing
        raise ValidatorLoadError(f"importing {module!r} ended the interpreter: SystemExit({error.code})") from error
    file = getattr(loaded, "__file__", None)
    if file is None or not _inside(Path(file), roots):
        raise ValidatorLoadError(_outside(module, file, roots))
    return loaded


def _refuse_outside(top: str, module: str, roots: Sequence[Path]) -> None:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        raise ValidatorLoadError(f"cannot find module {module!r}: {error}") from error
    shown = ", ".join(map(str, roots))
    if spec is None:
        raise ValidatorLoadError(f"no module {module!r} under the roots {shown}; add the directory that holds it.")
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    if not places or not all(_inside(Path(p), roots) for p in places):
        raise ValidatorLoadError(_outside(module, places[0] if places else spec.origin, roots))


def _outside(module: str, file: str | None, roots: Sequence[Path]) -> str:
    return (
        f"module {module!r} is {file or 'built in'}, outside the roots {', '.join(map(str, roots))}: code is imported "
        "only from under them. Rename the module, or declare its directory as a root."
    )


def resolve_file(path: str, roots: Sequence[Path]) -> Path:
    """File named by a suite's path: absolute or relative to a root, and under a root."""
    given = Path(path)
    tried = [given] if given.is_absolute() else [root / given for root in roots]
    for candidate in tried:
        if candidate.is_file():
            if not _inside(candidate, roots):
                shown = ", ".join(map(str, roots))
                raise ValidatorLoadError(f"{candidate} lies outside the roots {shown}; declare its directory as one.")
            return candidate.resolve()
    raise ValidatorLoadError(f"no file {path!r}; looked for {', '.join(map(str, tried))}.")


def files_of(modules: Iterable[ModuleType], roots: Sequence[Path]) -> set[Path]:
    """Files that modules stand on: themselves, what they import from under the roots, and what they read on import.

    Imports are read from the source, so the answer does not depend on what this process had loaded before. Imports
    whose name is made up at run time are seen only the first time a process makes them.
    """
    todo = [Path(m.__file__).resolve() for m in modules if m.__file__]
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        if file in found or not _inside(file, roots) or _installed(file):
            continue
        found.add(file)
        todo.extend(_opened.get(file, ()))
        if file.suffix == ".py":
            todo.extend(_imported_files(file, roots))
    return found


def digest_files(files: Iterable[Path], roots: Sequence[Path]) -> str:
    """Hex BLAKE2b-16 over names (relative to their root) and bytes of files, in the order of the names."""
    named = sorted((_relative(f, roots), f) for f in set(files))
    digest = hashlib.blake2b(digest_size=16)
    for name, file in named:
        for part in (name.encode(), file.read_bytes()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def _relative(file: Path, roots: Sequence[Path]) -> str:
    return next((file.relative_to(r).as_posix() for r in roots if file.is_relative_to(r)), file.name)


def _inside(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.resolve().is_relative_to(root) for root in roots)


def _installed(file: Path) -> bool:
    return file.is_relative_to(_PACKAGE) or any(file.is_relative_to(lib) for lib in _LIBRARIES)


def _imported_files(file: Path, roots: Sequence[Path]) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(alias.name.split("."), roots)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            bases = roots if not node.level else (file.parents[node.level - 1],)
            yield from _module_files(parts, bases)
            for alias in node.names:
                yield from _module_files([*parts, alias.name], bases)


def _module_files(parts: Sequence[str], bases: Sequence[Path]) -> Iterator[Path]:
    for base in bases:
        here = base
        for part in parts:
            here = here / part
            for candidate in (here.with_name(here.name + ".py"), here / "__init__.py"):
                if candidate.is_file():
                    yield candidate.resolve()


@contextmanager
def _watching(roots: Sequence[Path]) -> Iterator[None]:
    """Note which files the bodies of modules open: limits kept in a JSON file are part of the suite."""
    with _hooked:
        if not getattr(_on_audit, "installed", False):
            sys.addaudithook(_on_audit)
            _on_audit.installed = True  # type: ignore[attr-defined]
    before = getattr(_watch, "roots", None)
    _watch.roots = tuple(roots)
    try:
        yield
    finally:
        _watch.roots = before


def _on_audit(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" or getattr(_watch, "roots", None) is None:
        return
    roots, _watch.roots = _watch.roots, None  # resolving a path may open files itself
    try:
        path = args[0]
        if isinstance(path, str) and not path.endswith((".pyc", ".py")) and "w" not in (args[1] or ""):
            reader = _module_being_imported(sys._getframe(1))
            if reader is not None and _inside(Path(path), roots):
                _opened.setdefault(reader, set()).add(Path(path).resolve())
    finally:
        _watch.roots = roots


def _module_being_imported(frame: FrameType | None) -> Path | None:
    while frame is not None:
        file = frame.f_globals.get("__file__")
        if frame.f_code.co_name == "<module>" and file:
            return Path(file).resolve()
        frame = frame.f_back
    return None
