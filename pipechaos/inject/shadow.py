"""The shadow: where corrupted copies live, outside every path that a consumer reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipechaos import counter
from pipechaos.batch.connections import Connections
from pipechaos.batch.io import read_batch, write_batch
from pipechaos.batch.location import locate
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import ShadowError
from pipechaos.inject.engine import inject
from pipechaos.ledger.io import write_ledger
from pipechaos.ledger.records import Ledger
from pipechaos.plan.injection import Injection, Plan
from pipechaos.plan.resolve import resolve

__all__ = ["ShadowCopy", "check_shadow", "corrupt", "dataset_root", "shadow_folder", "sweep"]

MARKER = "_pipechaos_shadow"
_LEVELS = 2  # below the folder that is swept: stages, of DAGs


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
    at = _local(ref.uri)
    if at is None:
        return _stripped(ref.uri, ref)
    return str(Path(_stripped(str(at), ref)).resolve())


def _stripped(at: str, ref: BatchRef) -> str:
    at = at.rstrip("/")
    if not ref.files:
        at = at.rpartition("/")[0]
    while "=" in at.rpartition("/")[2]:
        at = at.rpartition("/")[0]
    return at or "/"


def _local(uri: str | Path) -> Path | None:
    """Path of a file or folder of this machine, links not followed; None elsewhere."""
    scheme, found, _ = str(uri).partition("://")
    return Path(locate(str(uri)).path) if not found or scheme in ("file", "local") else None


def _roots(ref: BatchRef) -> Iterator[Path]:
    """Local folders that a reader of the data set may look into: as it is named, and where links lead."""
    at = _local(ref.uri)
    if at is not None:
        yield Path(dataset_root(ref))
        yield Path(_stripped(str(at.resolve()), ref))
        for file in ref.paths:
            held = _local(file)
            if held is not None:
                yield held.resolve().parent


def shadow_folder(shadow: str | Path) -> Path:
    """Path of a shadow that may be named by a ``file://`` URL.

    Raises
    ------
    ShadowError
        It is no folder of this machine.
    """
    at = _local(shadow)
    if at is None:
        raise ShadowError(f"the shadow {shadow} is not local: give a folder of this machine, or a mounted one")
    return at


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
    place = shadow_folder(shadow).resolve()
    for root in _roots(ref):
        if place.is_relative_to(root) or root.is_relative_to(place):
            raise ShadowError(
                f"the shadow {place} and the data set {root} lie one inside the other: a reader of the data set would "
                "pick up corrupted copies. Give a folder outside it."
            )
    return place


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
    connections: Connections | None = None,
) -> ShadowCopy:
    """Write a corrupted copy of a batch and its ledger into the shadow; the source is only read.

    Parameters
    ----------
    ref
        The source batch.
    injections
        What to do to it, in order.
    shadow
        Folder outside the data set; it, and what is made in it, is private (0700).
    key, time, target
        As declared for the batch.
    history, earlier
        See :func:`pipechaos.plan.resolve.resolve`.
    before_values
        Whether the ledger keeps values before.
    connections
        Connected file systems by connection id, where the source needs one; the copy needs none.

    Returns
    -------
    ShadowCopy
        At ``<shadow>/<batch>/<injection id>/``: the same call writes the same bytes to the same place. When anything
        fails, nothing is left there.

    Raises
    ------
    ShadowError
        The shadow lies where a consumer could read it, is somebody else's folder, or holds the copy of another data
        set's batch at that place.
    """
    place = check_shadow(shadow, ref)
    batch = read_batch(ref, key=tuple(key), time=time, target=tuple(target), connections=connections)
    plan = resolve(Plan(injections=tuple(injections)), batch, history, earlier=earlier)
    result = inject(plan, batch, {b.name: b for b in earlier or history}, before_values=before_values)
    ids = [i.injection_id(batch.name) for i in injections]
    name = ids[0] if len(ids) == 1 else counter.digest_id("plan", *ids)
    with _home(place, batch.name, name, dataset_root(ref)) as home:
        write_ledger(result.ledger, home / "ledger")  # the ledger first: no corrupted copy without its truth
        written = write_batch(result.batch, home / "data" / "part-0.parquet", overwrite=True)
    return ShadowCopy(ref=written, ledger_dir=str(home / "ledger"), ledger=result.ledger)


@contextmanager
def _home(place: Path, batch: str, name: str, source: str) -> Iterator[Path]:
    """Folder of one copy, private and marked with its data set; gone again when it is new and the block fails."""
    fresh = not place.exists() or not any(place.iterdir())
    if not (fresh or (place / MARKER).is_file()):
        raise ShadowError(f"{place} holds files and is no shadow of ours: give a folder that is new or empty")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if fresh:
        place.chmod(0o700)
    (place / MARKER).touch()
    safe = batch.replace("/", "_")
    home = place / (f"_{safe}" if safe.startswith(".") else safe) / name
    known = home.exists()
    if known and (home / MARKER).is_file() and (home / MARKER).read_text(encoding="utf-8") != source:
        raise ShadowError(f"{home} holds the copy of another data set's batch: give each data set a shadow of its own")
    try:
        for folder in (home.parent, home):
            folder.mkdir(exist_ok=True, mode=0o700)
        (home / MARKER).write_text(source, encoding="utf-8")
        yield home
    except BaseException:
        if not known:
            shutil.rmtree(home, ignore_errors=True)
            with suppress(OSError):  # other copies of the batch stay
                home.parent.rmdir()
        raise


def _shadows(place: Path, levels: int) -> Iterator[Path]:
    """Every shadow among a folder and those so many levels below, by its own empty marker."""
    marker = place / MARKER
    if marker.is_file() and not marker.stat().st_size:  # that of a copy names its data set
        yield place
    for folder in _folders(place) if levels else ():
        yield from _shadows(folder, levels - 1)


def _folders(place: Path) -> list[Path]:
    """Folders in a folder, links left out: they may lead anywhere."""
    try:
        return sorted(p for p in place.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError:  # gone, or somebody else's: nothing of ours can be told in there
        return []


def _is_home(folder: Path) -> bool:
    marker = folder / MARKER
    return marker.is_file() and bool(marker.stat().st_size)


def sweep(shadow: str | Path, *, now: float, ttl_seconds: float, dry_run: bool = False) -> tuple[str, ...]:
    """Delete copies in a shadow that are older than their time to live; what is not ours stays.

    Parameters
    ----------
    shadow
        A folder that :func:`corrupt` made, or one that holds such folders: a lane makes one for each stage.
    now
        Current time, seconds since 1970.
    ttl_seconds
        Age from which copies are deleted, counted from when they were last written.
    dry_run
        Say what would be deleted, and delete nothing.

    Returns
    -------
    tuple of str
        Names of what was deleted, ``<batch>/<injection id>``, behind the name of its stage where there is one.

    Raises
    ------
    ShadowError
        The folder is no shadow and holds none: nothing is deleted.
    """
    place = Path(shadow)
    shadows = list(_shadows(place, _LEVELS))
    if not shadows:
        raise ShadowError(f"{place} is no shadow of ours and holds none (there is no {MARKER}): nothing was deleted")
    made = [home for each in shadows for batch in _folders(each) for home in _folders(batch) if _is_home(home)]
    old = [p for p in made if now - (p / MARKER).stat().st_mtime >= ttl_seconds]
    for path in () if dry_run else old:
        shutil.rmtree(path)
        with suppress(OSError):  # younger copies of the batch stay
            path.parent.rmdir()
    return tuple(str(p.relative_to(place)) for p in old)
