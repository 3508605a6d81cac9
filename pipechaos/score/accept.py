"""Changes of a baseline: survivors of a run are accepted, what no longer survives is dropped. Nothing else moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipechaos.errors import ConfigError
from pipechaos.score.baseline import Accepted, Baseline, BaselineEntry, BaselineResult, Standing
from pipechaos.score.survivors import Survivor

__all__ = ["Update", "accept", "prune"]


@dataclass(frozen=True, kw_only=True)
class Update:
    """A baseline after survivors were accepted.

    Attributes
    ----------
    baseline
        As it is now.
    added, renewed
        Lines that are new, and lines that were there and were named to be accepted again.
    """

    baseline: Baseline
    added: tuple[Accepted, ...]
    renewed: tuple[Accepted, ...]


def accept(
    baseline: Baseline,
    survivors: Iterable[Survivor],
    *,
    reason: str,
    owner: str,
    expires: dt.date,
    only: Sequence[str] = (),
) -> Update:
    """Accept survivors of a run.

    Parameters
    ----------
    baseline
        As it is; its lines keep every word, unless ``only`` names them.
    survivors
        Of all validators of a run.
    reason, owner, expires
        Said for each line that is written.
    only
        Ids, or their unique beginnings: accept these alone, and renew those of them that are there already. Otherwise
        every survivor that the baseline does not hold is added, and nothing is renewed.

    Raises
    ------
    ConfigError
        Reason or owner are empty, or ``only`` names no survivor of the run, or more than one.
    """
    for name, said in (("reason", reason), ("owner", owner)):
        if not said.strip():
            raise ConfigError(f"the {name} is empty: say why these are accepted, and who answers for them")
    found = {s.weakness_id: s for s in survivors}
    known = {a.weakness_id: a for a in baseline.accepted}
    chosen = {_named(text, found) for text in only} if only else found.keys() - known.keys()
    lines = {name: _line(found[name], reason, owner, expires) for name in sorted(chosen)}
    everything = known | lines
    return Update(
        baseline=Baseline(file=baseline.file, accepted=tuple(everything[name] for name in sorted(everything))),
        added=tuple(a for name, a in lines.items() if name not in known),
        renewed=tuple(a for name, a in lines.items() if name in known),
    )


def prune(baseline: Baseline, result: BaselineResult) -> tuple[Baseline, tuple[BaselineEntry, ...]]:
    """Drop the lines that a run found stale.

    Returns
    -------
    tuple
        The baseline as it is now, and what was dropped.
    """
    stale = result.of(Standing.STALE)
    gone = {e.weakness_id for e in stale}
    kept = tuple(a for a in baseline.accepted if a.weakness_id not in gone)
    return Baseline(file=baseline.file, accepted=kept), stale


def _named(text: str, found: Iterable[str]) -> str:
    names = sorted(name for name in found if text and name.startswith(text))
    if len(names) == 1:
        return names[0]
    if names:
        raise ConfigError(f"weakness {text!r} is the beginning of {', '.join(names)}: give more of the id")
    raise ConfigError(
        f"no survivor of this run has an id that begins with {text!r}: nothing to accept; "
        "`pipechaos baseline explain` and the scorecard's `survivors` name them"
    )


def _line(survivor: Survivor, reason: str, owner: str, expires: dt.date) -> Accepted:
    return Accepted(
        weakness_id=survivor.weakness_id,
        validator=survivor.validator,
        fault=survivor.fault,
        columns=survivor.columns,
        placement=survivor.placement,
        severity=survivor.severity,
        reason=reason.strip(),
        owner=owner.strip(),
        expires=expires,
        missed=survivor.missed,
        tried=survivor.missed + survivor.detected,
    )
