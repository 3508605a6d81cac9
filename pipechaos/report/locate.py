"""Where a check stands in the team's own files: read as text or syntax tree, never imported and never executed."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipechaos.report.inputs import Location
from pipechaos.score.scorecard import Scorecard

__all__ = ["locate", "locate_all"]

_DEPTH = 4  # names followed from one assignment or module to the next
_COLUMN_KEYS = ("column", "column_A", "column_B", "column_list", "column_set")
_UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, RecursionError, MemoryError)
_SPACE = re.compile(r"[ \t\n\r]*")

Lines = dict[str, tuple[Path, int]]


def locate_all(card: Scorecard, roots: Sequence[Path | str]) -> Mapping[tuple[str, str], Location]:
    """Places of every validator's checks, as a report takes them.

    Parameters
    ----------
    card
        Names the specs, and the columns worth looking for.
    roots
        Directories that suites may come from.
    """
    found = {}
    for validator in card.validators:
        if validator.info is None:
            continue
        columns = {c for s in validator.survivors for c in s.columns}
        columns |= {c for check in validator.info.checks for c in check.columns}
        for column, place in locate(validator.info.spec, roots, sorted(columns)).items():
            found[validator.name, column] = place
    return found


def locate(
    spec: str, roots: Sequence[Path | str], columns: Iterable[str], *, start: Path | None = None
) -> Mapping[str, Location]:
    """Find the line of a suite on which each column's checks are declared.

    Parameters
    ----------
    spec
        As an experiment writes it: ``pandera:module:attr``, ``gx:path/suite.json``, ``callable:module:attr``.
    roots
        Directories that suites may come from; a file outside them is not read.
    columns
        Names to look for.
    start
        Directory that paths are told from; where the process runs by default.

    Returns
    -------
    Mapping
        Column -> place; ``""`` is the suite itself. What is not found is left out: a suite that cannot be read gives
        an empty mapping, as this is no check of it.
    """
    kind, _, rest = spec.partition(":")
    places = tuple(Path(r).resolve() for r in roots)
    try:
        found = _in_json(rest, places, columns) if kind == "gx" else _in_python(rest, places, columns)
    except _UNREADABLE:
        return {}
    here = (start or Path.cwd()).resolve()
    return {name: Location(file=_told(file, here), line=line) for name, (file, line) in found.items()}


def _told(file: Path, here: Path) -> str:
    try:
        return Path(os.path.relpath(file, here)).as_posix()
    except ValueError:  # another drive
        return file.as_posix()


def _under(file: Path, roots: Sequence[Path]) -> Path | None:
    real = file.resolve()
    return real if real.is_file() and any(real.is_relative_to(r) for r in roots) else None


# --- Great Expectations: a JSON file ----------------------------------------------------------------------------------


def _in_json(path: str, roots: Sequence[Path], columns: Iterable[str]) -> Lines:
    given = Path(path)
    tried = [given] if given.is_absolute() else [r / given for r in roots]
    file = next((f for t in tried if (f := _under(t, roots))), None)
    if file is None:
        return {}
    text = file.read_text(encoding="utf-8")
    wanted = set(columns)
    first: Lines = {}
    shared: Lines = {}
    for at, expectation in _expectations(text):
        kwargs = expectation.get("kwargs") if isinstance(expectation, dict) else None
        if not isinstance(kwargs, dict):
            continue
        line = (file, text.count("\n", 0, at) + 1)
        for key in _COLUMN_KEYS:
            names = kwargs.get(key)
            for name in names if isinstance(names, list) else [names]:
                if isinstance(name, str) and name in wanted:
                    (first if key == "column" else shared).setdefault(name, line)
    return {"": (file, 1)} | shared | first


def _expectations(text: str) -> Iterator[tuple[int, Any]]:
    """Elements of the top-level "expectations" list, each with where it begins."""
    decoder = json.JSONDecoder()
    at = _skip(text, _skip(text, 0, "\ufeff"), "{")
    while at < len(text) and text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, at, ":")
        if key == "expectations" and text[at : at + 1] == "[":
            at = _skip(text, at, "[")
            while text[at] != "]":
                element, end = decoder.raw_decode(text, at)
                yield at, element
                at = _skip(text, end, ",")
            return
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at, ",")


def _skip(text: str, at: int, mark: str) -> int:
    """Past white space, one mark if it is there, and white space again."""
    at = _past(text, at)
    return _past(text, at + len(mark)) if text.startswith(mark, at) else at


def _past(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


# --- Python: a schema, a model or a function --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Module:
    file: Path
    tree: ast.Module
    roots: tuple[Path, ...]

    def named(self, name: str) -> ast.stmt | None:
        """Last statement of the module that binds a name."""
        return next((s for s in reversed(self.tree.body) if name in _bound(s)), None)


def _in_python(rest: str, roots: tuple[Path, ...], columns: Iterable[str]) -> Lines:
    name, _, attr = rest.partition(":")
    module = _module(name, roots)
    if module is None or not attr:
        return {}
    return _of_name(module, attr.split("."), set(columns), _DEPTH)


def _module(name: str, bases: Sequence[Path], roots: tuple[Path, ...] = ()) -> _Module | None:
    allowed = roots or tuple(bases)
    parts = [p for p in name.split(".") if p]
    for base in bases:
        here = base.joinpath(*parts)
        for candidate in (here / "__init__.py", here.with_name(here.name + ".py")):
            if (file := _under(candidate, allowed)) is not None:
                return _Module(file, ast.parse(file.read_bytes()), allowed)
    return None


def _bound(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return [statement.name]
        case ast.Assign():
            names = (n for target in statement.targets for n in ast.walk(target) if isinstance(n, ast.Name))
            return [n.id for n in names if isinstance(n.ctx, ast.Store)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.ImportFrom():
            return [alias.asname or alias.name for alias in statement.names]
    return []


def _of_name(module: _Module, path: Sequence[str], columns: set[str], depth: int) -> Lines:
    statement = module.named(path[0])
    if statement is None or not depth:
        return {}
    if isinstance(statement, ast.ImportFrom):
        return _imported(module, statement, path, columns, depth)
    here = {"": (module.file, statement.lineno)}
    if isinstance(statement, ast.ClassDef):
        for part in path[1:]:
            inner = next((s for s in statement.body if isinstance(s, ast.ClassDef) and s.name == part), None)
            if inner is None:
                break
            statement, here = inner, {"": (module.file, inner.lineno)}
        return here | _of_class(module, statement, columns, depth)
    found = _of_attribute(module, path[0], columns)
    return here | _of_tree(module, statement, columns - found.keys(), depth, {path[0]}) | found


def _imported(module: _Module, statement: ast.ImportFrom, path: Sequence[str], columns: set[str], depth: int) -> Lines:
    original = next(a.name for a in statement.names if (a.asname or a.name) == path[0])
    bases = (module.file.parents[statement.level - 1],) if statement.level else module.roots
    other = _module(statement.module or "", bases, module.roots)
    return {} if other is None else _of_name(other, [original, *path[1:]], columns, depth - 1)


def _of_class(module: _Module, node: ast.ClassDef, columns: set[str], depth: int) -> Lines:
    """Fields of a model by name or alias, then what its checks name, then its parents."""
    found: Lines = {}
    for statement in node.body:
        for name in _field_names(statement):
            if name in columns:
                found.setdefault(name, (module.file, statement.lineno))
    for part in node.body:
        for name, line in _constants(part, columns):
            found.setdefault(name, (module.file, line))
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id != node.name:
            above = _of_name(module, [base.id], columns - found.keys(), depth - 1)
            found |= {k: v for k, v in above.items() if k and k not in found}
    return found


def _field_names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            pass
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case _:
            return []
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg == "alias" and isinstance(keyword.value, ast.Constant):
                return [str(keyword.value.value), name]
    return [name]


def _of_attribute(module: _Module, name: str, columns: set[str]) -> Lines:
    """``function.columns = [...]``, which is how a callable says what it looks at."""
    found: Lines = {}
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner), attr="columns" | "checks")]):
                if owner == name:
                    for column, line in _constants(statement, columns):
                        found.setdefault(column, (module.file, line))
    return found


def _of_tree(module: _Module, node: ast.AST, columns: set[str], depth: int, seen: set[str]) -> Lines:
    """Keys of dictionaries first, then any text that is a column's name, then the same in what the tree refers to."""
    found: Lines = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            for key in part.keys:
                if isinstance(key, ast.Constant) and key.value in columns:
                    found.setdefault(str(key.value), (module.file, key.lineno))
    for name, line in _constants(node, columns):
        found.setdefault(name, (module.file, line))
    for part in ast.walk(node):
        left = columns - found.keys()
        if not left or depth <= 1:
            break
        if isinstance(part, ast.Name) and part.id not in seen and (other := module.named(part.id)) is not None:
            seen.add(part.id)
            more = (
                _imported(module, other, [part.id], left, depth)
                if isinstance(other, ast.ImportFrom)
                else _of_tree(module, other, left, depth - 1, seen)
            )
            found |= {k: v for k, v in more.items() if k and k not in found}
    return found


def _constants(node: ast.AST, columns: set[str]) -> Iterator[tuple[str, int]]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in columns:
            yield part.value, part.lineno
