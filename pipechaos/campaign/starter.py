"""A first experiment for somebody's own files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipechaos.campaign.source import find_refs
from pipechaos.errors import ExperimentError
from pipechaos.validate.base import KINDS

__all__ = ["starter", "validator_of"]

_FILES = {".json": "gx", ".yaml": "pointblank", ".yml": "pointblank"}
_TRIALS = 600  # faulty trials of each validator: ten bases for each of some sixty weaknesses

_TEMPLATE = """\
# An experiment for pipechaos. Every key is described by `pipechaos schema`; unknown keys are refused.
name: {name}
seed: 7                      # another seed breaks other cells of other batches

# One batch a file, or a partition folder such as date=2013-06-03. Batches are ordered by name.
batches:
{batches}
{key}
{time}
{target}

# Clean batches from before the rest: scales of faults come from them. The rest are bases and controls.
history: {{count: {history}}}

# Batches known to be bad before the run, each with a reason; they are set apart.
incidents: []
#  - {{batch: "2013-12-31", reason: "no weather feed"}}

# What a batch may change without being bad: each clause is tried, and an alarm on it is shown.
contract:
  row_order: true
  encoding: false
  extra_columns: false
#  entity_subsample: {{entity: [customer_id], keep: 0.97}}

# Your validators, and the only folders that code is imported from.
roots: {roots}
validators:
{validators}
# loader: readers:read       # module:function(path) -> frame, where you read in another way than read_parquet

# What to break: a preset over all columns, at most so many fault-column pairs; or a list of your own.
preset: standard
pairs: 24
severities: [1, 3, 5]        # rungs of each fault's ladder, 1 is the mildest
# faults:
#  - {{fault: null.mcar, columns: [amount]}}

# Most faulty trials (injection x validator), spread evenly over what is broken; reaching the minutes ends the run.
budget: {{trials: {trials}, minutes: 10}}
gates: []
#  - {{metric: fnr, limit: 0.3}}
#  - {{metric: fpr, limit: 0.05}}
"""


def starter(
    batches: Sequence[str],
    schemas: Sequence[str],
    *,
    folder: Path,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
) -> str:
    """Text of a commented experiment that runs as it is.

    Parameters
    ----------
    batches
        Files, folders or globs, relative to the working directory.
    schemas
        Validators, as :func:`validator_of` takes them.
    folder
        Where the experiment file will lie; paths are written relative to it.
    key, time, target
        As declared.
    """
    patterns = [_pattern(b) for b in batches]
    names = {r.name for p in patterns for r in find_refs(p, Path.cwd())}
    roots = ["."]
    lines: list[str] = []
    kinds: list[str] = []
    for schema in schemas:
        kind, spec, root = validator_of(schema)
        place = os.path.relpath(root, folder)
        if place not in roots:
            roots.append(place)
        kinds.append(kind)
        name = kind if kinds.count(kind) == 1 else f"{kind}-{kinds.count(kind)}"
        lines.append(f"  - {{name: {json.dumps(name)}, spec: {json.dumps(spec)}}}")
    return _TEMPLATE.format(
        name=json.dumps(_name(patterns[0])),
        batches="\n".join(f"  - {json.dumps(p if '://' in p else os.path.relpath(p, folder))}" for p in patterns),
        key=_noted("key", list(key), "columns that identify a row; without them rows are known by their number"),
        time=_noted("time", time, "event time column; needed for stale batches"),
        target=_noted("target", list(target), "columns that are predicted"),
        history=len(names) // 3,
        roots=json.dumps(roots),
        validators="\n".join(lines),
        trials=_TRIALS * len(schemas),
    )


def _noted(name: str, value: object, note: str) -> str:
    return f"{f'{name}: {json.dumps(value)}':<28} # {note}"


def _pattern(given: str) -> str:
    """A folder of loose files becomes a glob of them: what a run writes below it is then never taken for a batch."""
    folder = Path(given)
    if "://" in given or not folder.is_dir():
        return given
    files = [Path(r.uri) for r in find_refs(given, Path.cwd()) if not r.files]
    suffixes = {"".join(f.suffixes[-1:]) for f in files}
    loose = bool(files) and all(f.resolve().parent == folder.resolve() for f in files)
    return str(folder / f"*{suffixes.pop()}") if loose and len(suffixes) == 1 else given


def _name(pattern: str) -> str:
    """Folder that the batches lie in."""
    path = pattern if "://" in pattern else Path(pattern).absolute().as_posix()
    place = PurePosixPath(path)
    parts = place.parts if "://" in pattern or Path(path).is_dir() else place.parts[:-1]
    named = [p for p in parts if p != "/" and not set(p) & set("*?[=:")]
    return named[-1] if named else "my-batches"


def validator_of(schema: str) -> tuple[str, str, Path]:
    """Kind, spec and root of a validator as somebody names it on the command line.

    Parameters
    ----------
    schema
        As in an experiment (``pandera:module:attr``, ``dataframely:module:Schema``, ``gx:path/suite.json``, ...); or a
        file: ``schemas.py:attr`` (a pandera schema unless another kind stands before it), ``suite.json`` (of GX) or
        ``plan.yaml`` (of pointblank). Relative to the working directory.

    Raises
    ------
    ExperimentError
        It is none of these, or there is no such file.
    """
    kind, _, rest = schema.partition(":")
    if kind not in KINDS:
        kind, rest = _FILES.get(Path(schema).suffix, "pandera"), schema
        if kind == "pandera" and ".py:" not in schema:
            raise ExperimentError(
                f"{schema!r} is no validator: give pandera:module:attr, callable:module:attr, gx:suite.json, "
                "dataframely:module:Schema, pointblank:module:function, schemas.py:attr, suite.json, or plan.yaml"
            )
    if kind == "gx" or (kind == "pointblank" and rest.endswith((".yaml", ".yml"))):
        suite = Path(rest)
        if not suite.is_file():
            raise ExperimentError(f"there is no suite {suite}")
        return kind, f"{kind}:{suite.name}", suite.absolute().parent
    place, _, attr = rest.partition(".py:")  # behind the attribute may stand a word of its own, as in Schema:cast
    if not attr:
        return kind, schema, Path.cwd()
    file = Path(f"{place}.py")
    if not file.is_file():
        raise ExperimentError(f"there is no file {file} to take {attr!r} from")
    return kind, f"{kind}:{file.stem}:{attr}", file.absolute().parent
