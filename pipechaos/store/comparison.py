"""Two runs side by side: their rates, and which weaknesses survive in one of them only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipechaos.errors import ConfigError
from pipechaos.score.stack import STACK
from pipechaos.store.records import RatePoint, RunRecord, RunStatus, WeaknessRow

if TYPE_CHECKING:
    from pipechaos.store.database import Store

__all__ = ["Comparison", "compare_runs"]

Pair = tuple[WeaknessRow, WeaknessRow]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What changed from one run to another.

    Attributes
    ----------
    before, after
        The runs.
    warnings
        Why a difference may come from more than the suites.
    rates
        Of each validator (and of all of them as a stack); None where it was in one run only.
    newly, no_longer, still
        Weaknesses judged in both, as they were and as they are: surviving only after, only before, in both.
    only_before, only_after
        Weaknesses judged in one of the runs only, survivors or not.
    """

    before: RunRecord
    after: RunRecord
    warnings: tuple[str, ...]
    rates: Mapping[str, tuple[RatePoint | None, RatePoint | None]]
    newly: tuple[Pair, ...]
    no_longer: tuple[Pair, ...]
    still: tuple[Pair, ...]
    only_before: tuple[WeaknessRow, ...]
    only_after: tuple[WeaknessRow, ...]


def compare_runs(store: Store, before: str, after: str) -> Comparison:
    """Compare two runs that have ended.

    Parameters
    ----------
    store
        That holds both.
    before, after
        Their ids, or the first letters; ``last`` is the latest run.

    Raises
    ------
    ConfigError
        There is no such run, it has not ended, or both are the same.
    """
    one, two = _ended(store, before), _ended(store, after)
    if one.run_id == two.run_id:
        raise ConfigError(f"{before!r} and {after!r} are the same run {one.run_id!r}: name two")
    then, now = _judged(store, one), _judged(store, two)
    both = [(then[k], now[k]) for k in now if k in then]
    rates = [{p.validator: p for p in store.rates(r.run_id)} for r in (one, two)]
    names = sorted({*rates[0], *rates[1]}, key=lambda name: (name == STACK, name))
    return Comparison(
        before=one,
        after=two,
        warnings=_warnings(one, two),
        rates={name: (rates[0].get(name), rates[1].get(name)) for name in names},
        newly=tuple((a, b) for a, b in both if b.missed and not a.missed),
        no_longer=tuple((a, b) for a, b in both if a.missed and not b.missed),
        still=tuple((a, b) for a, b in both if a.missed and b.missed),
        only_before=tuple(w for k, w in then.items() if k not in now),
        only_after=tuple(w for k, w in now.items() if k not in then),
    )


def _ended(store: Store, name: str) -> RunRecord:
    found = store.run(name)
    if found.status is RunStatus.RUNNING:
        raise ConfigError(
            f"run {found.run_id!r} has not ended: let it, or go on with it (`pipechaos run --resume {found.run_id}`)"
        )
    return found


def _judged(store: Store, run: RunRecord) -> dict[tuple[str, str], WeaknessRow]:
    return {(w.validator, w.weakness_id): w for w in store.weaknesses(run.run_id) if w.missed + w.detected}


def _warnings(one: RunRecord, two: RunRecord) -> tuple[str, ...]:
    found = []
    if one.experiment != two.experiment:
        found.append(f"two experiments: {one.experiment!r} and {two.experiment!r}")
    elif one.experiment_digest != two.experiment_digest:
        found.append("the experiment's file says something else now")
    if one.seed != two.seed:
        found.append(f"other draws: seed {one.seed} and {two.seed}")
    if one.history != two.history:
        found.append("another history: scales and natural ranges may differ")
    suites = _changed(one.suites, two.suites)
    if suites:
        found.append(f"other suites: {', '.join(suites)}")
    versions = _changed(one.versions, two.versions)
    if versions:
        found.append(f"other versions: {', '.join(versions)}")
    found += [f"run {r.run_id!r} was stopped early" for r in (one, two) if r.status is RunStatus.STOPPED]
    return tuple(found)


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*then, *now})
    return [f"{n} ({then.get(n, 'none')} -> {now.get(n, 'none')})" for n in names if then.get(n) != now.get(n)]
