"""The shadow: where corrupted copies live, outside every path that a consumer reads."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipechaos.batch.io import read_batch, write_batch
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import ShadowError
from pipechaos.inject.engine import inject
from pipechaos.ledger.io import write_ledger
from pipechaos.ledger.records import Ledger
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

__all__ = ["ShadowCopy", "check_shadow", "corrupt", "dataset_root", "sweep"]

MARKER = "_pipechaos_shadow"


@dataclass(frozen=True, kw_only=True, eq=False)
class ShadowCopy:
    """A corrupted copy in the shadow.

    Attributes
    ----------
    ref
        Where the copy is.
    ledger_dir
        Where its ledger is.
    ledger
        The ledger itself.
    """

    ref: BatchRef
    ledger_dir: str
    ledger: Ledger


def dataset_root(ref: BatchRef) -> str:
    """Folder that a consumer of this batch's data set reads: Hive partition folders and the file taken off.

    Examples
    --------
    >>> dataset_root(BatchRef.from_json({"uri": "s3://lake/f/date=1/a.parquet", "format": "parquet", "name": "1"}))
    's3://lake/f'
    """
    at = _absolute(ref.uri)
    if not ref.files:
        at = at.rpartition("/")[0]
    while "=" in at.rpartition("/")[2]:
        at = at.rpartition("/")[0]
    return at


def _absolute(uri: str | Path) -> str:
    """Address without links, ``file://`` or a trailing slash."""
    text = str(uri)
    text = text.removeprefix("file://") if text.startswith("file://") else text
    return text.rstrip("/") if "://" in text else str(Path(text).resolve())


def check_shadow(shadow: str | Path, ref: BatchRef) -> Path:
    """Refuse a shadow that a consumer of the source could read, or that holds the source.

    Parameters
    ----------
    shadow
        Local folder for corrupted copies.
    ref
        The source batch.

    Raises
    ------
    ShadowError
        One of the two lies inside the other, links followed; or the shadow is no local folder.
    """
    place, root = _absolute(shadow), dataset_root(ref)
    if "://" in place:
        raise ShadowError(f"the shadow {place} is not local: give a folder of this machine, or a mounted one")
    if f"{place}/".startswith(f"{root}/") or f"{root}/".startswith(f"{place}/"):
        raise ShadowError(
            f"the shadow {place} and the data set {root} lie one inside the other: a reader of the data set would "
            "pick up corrupted copies. Give a folder outside it."
        )
    return Path(place)


def corrupt(
    ref: BatchRef,
    injections: Sequence[Injection],
    shadow: str | Path,
    *,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    history: Sequence[Batch] = (),
    earlier: Sequence[Batch] = (),
    before_values: bool = False,
) -> ShadowCopy:
    """Write a corrupted copy of a batch and its ledger into the shadow; the source is only read.

    Parameters
    ----------
    ref
        The source batch.
    injections
        What to do to it, in order.
    shadow
        Folder outside the data set; made private (0700) when it does not exist.
    key, time, target
        As declared for the batch.
    history, earlier
        See :func:`pipechaos.plan.resolve.resolve`.
    before_values
        Whether the ledger keeps values before.

    Returns
    -------
    ShadowCopy
        At ``<shadow>/<batch>/<injection id>/``: the same call writes the same bytes to the same place.

    Raises
    ------
    ShadowError
        The shadow lies where a consumer could read it.
    """
    place = check_shadow(shadow, ref)
    batch = read_batch(ref, key=tuple(key), time=time, target=tuple(target))
    plan = resolve(Plan(injections=tuple(injections)), batch, history, earlier=earlier)
    result = inject(plan, batch, {b.name: b for b in earlier or history}, before_values=before_values)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / MARKER).touch()
    ids = "-".join(i.injection_id(batch.name) for i in injections)
    home = place / batch.name.replace("/", "_") / ids
    ledger_dir = home / "ledger"
    write_ledger(result.ledger, ledger_dir)  # the ledger first: no corrupted copy without its truth
    written = write_batch(result.batch, home / "data" / "part-0.parquet", overwrite=True)
    return ShadowCopy(ref=written, ledger_dir=str(ledger_dir), ledger=result.ledger)


def sweep(shadow: str | Path, *, now: float, ttl_seconds: float) -> tuple[str, ...]:
    """Delete batches of a shadow that are older than their time to live.

    Parameters
    ----------
    shadow
        A folder that :func:`corrupt` made.
    now
        Current time, seconds since 1970.
    ttl_seconds
        Age from which copies are deleted.

    Returns
    -------
    tuple of str
        Names of what was deleted.

    Raises
    ------
    ShadowError
        The folder is no shadow: nothing is deleted.
    """
    place = Path(shadow)
    if not (place / MARKER).is_file():
        raise ShadowError(f"{place} is no shadow of ours (it has no {MARKER}): nothing was deleted")
    old = [p for p in sorted(place.glob("*/*")) if p.is_dir() and now - p.stat().st_mtime >= ttl_seconds]
    for path in old:
        shutil.rmtree(path)
    return tuple(str(p.relative_to(place)) for p in old)
