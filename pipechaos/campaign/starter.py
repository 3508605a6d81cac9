"""A first experiment for somebody's own files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pipechaos.campaign.source import find_refs
from pipechaos.errors import ExperimentError

__all__ = ["starter"]

_TEMPLATE = """\
# An experiment for pipechaos. Every key is described by `pipechaos schema`; unknown keys are refused.
name: {name}
seed: 7                      # another seed breaks other cells of other batches

# One batch a file, or a partition folder such as date=2013-06-03. Batches are ordered by name.
batches:
{batches}
key: {key}                   # columns that identify a row; without them rows are known by their number
time: {time}                 # event time column; needed for stale batches
target: {target}             # columns that are predicted

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
# loader: readers:read       # module:function(path) -> frame, where you do not read with pandas.read_parquet

# What to break: a preset over all columns, at most so many fault-column pairs; or a list of your own.
preset: standard
pairs: 24
severities: [1, 3, 5]        # rungs of each fault's ladder, 1 is the mildest
# faults:
#  - {{fault: null.mcar, columns: [amount]}}

budget: {{minutes: 10}}
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
        Validators: specs, ``file.py:attr``, or a suite's JSON file.
    folder
        Where the experiment file will lie; paths are written relative to it.
    key, time, target
        As declared.
    """
    patterns = [b if "://" in b else os.path.relpath(b, folder) for b in batches]
    names = sorted({r.name for p in patterns for r in find_refs(p, folder)})
    roots = ["."]
    lines: list[str] = []
    kinds: list[str] = []
    for schema in schemas:
        kind, spec, root = _validator(schema, folder)
        if root not in roots:
            roots.append(root)
        kinds.append(kind)
        name = kind if kinds.count(kind) == 1 else f"{kind}-{kinds.count(kind)}"
        lines.append(f"  - {{name: {json.dumps(name)}, spec: {json.dumps(spec)}}}")
    return _TEMPLATE.format(
        name=json.dumps(Path(patterns[0].split("*")[0].rstrip("/")).name.partition("=")[0] or "my-batches"),
        batches="\n".join(f"  - {json.dumps(p)}" for p in patterns),
        key=json.dumps(list(key)),
        time=json.dumps(time),
        target=json.dumps(list(target)),
        history=len(names) // 3 if len(names) >= 3 else 0,
        roots=json.dumps(roots),
        validators="\n".join(lines),
    )


def _validator(schema: str, folder: Path) -> tuple[str, str, str]:
    """Kind, spec and root of a validator as the experiment file will say them."""
    kind, _, rest = schema.partition(":")
    if kind in ("pandera", "callable"):
        return kind, schema, "."
    path = rest if kind == "gx" else schema
    if path.endswith(".json"):
        file = Path(path)
        if not file.is_file():
            raise ExperimentError(f"there is no suite {file}")
        return "gx", f"gx:{file.name}", os.path.relpath(file.parent, folder)
    file_part, _, attr = schema.rpartition(":")
    file = Path(file_part)
    if file.suffix != ".py" or not attr or not file.is_file():
        raise ExperimentError(
            f"--schema {schema!r} is no validator: give pandera:module:attr, callable:module:attr, gx:suite.json, "
            "schemas.py:attr, or suite.json"
        )
    return "pandera", f"pandera:{file.stem}:{attr}", os.path.relpath(file.parent, folder)
