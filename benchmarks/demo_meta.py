"""The demo's meta-test (SCORING.md section 6): delete each check of a suite in turn.

Deleting a check may change only the weaknesses that this check alone guarded. Every weakness of the demo is put on
one base and judged by the whole suite, which says which checks notice it; then the suite without the check judges
again, and the answer must be the one that follows from that record: every other check says what it said. ``make
demo-meta`` runs the full matrix of both suites; the test suite runs a part of it.

    python benchmarks/demo_meta.py --others 20 --checks 5
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXPECTATIONS = ROOT / "expectations"


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """What deleting one check changed.

    Attributes
    ----------
    validator, check
        Which one.
    alone
        Weaknesses that only this check noticed: they must be lost.
    lost
        Weaknesses that the suite without it accepts though the whole suite did not.
    gained
        Weaknesses that it notices though the whole suite did not; there must be none.
    moved
        Weaknesses on which any other check says something else than before; there must be none.
    tried
        How many weaknesses were judged without it.
    """

    validator: str
    check: str
    alone: tuple[str, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    moved: tuple[str, ...]
    tried: int

    @property
    def as_expected(self) -> bool:
        """Whether exactly the weaknesses that it alone guarded changed."""
        return set(self.lost) == set(self.alone) and not self.gained and not self.moved


def mutants(home: Path, severities: Sequence[int]) -> dict[str, Any]:
    """Frame of every weakness of the demo on one base, by name; only those that really change something."""
    sys.path.insert(0, str(ROOT / "dags"))
    from flights_features import write_batches

    from pipechaos.campaign.experiment import load_experiment
    from pipechaos.campaign.run import inject_one
    from pipechaos.campaign.source import Batches
    from pipechaos.campaign.tasks import plan_campaign
    from pipechaos.ledger.records import Status

    write_batches(home / "features")
    experiment = load_experiment(ROOT / "dags" / "flights.yaml").model_copy(update={"severities": list(severities)})
    batches = Batches(experiment, home)
    seen, out = set(), {}
    for task in plan_campaign(experiment, batches).second:
        injection = task.injection
        if task.kind.value != "fault" or injection is None or injection.weakness_id("") in seen:
            continue
        seen.add(injection.weakness_id(""))
        injected = inject_one(injection, batches.load(task.base), batches)
        if injected.ledger.status is Status.APPLIED:
            name = f"{injection.fault} on {', '.join(injection.columns) or 'rows'} at {injection.severity}"
            out[name] = injected.batch.to_pandas()
    return out


def suite(kind: str, deleted: int | None = None) -> Any:
    """One of the two flights suites, whole or without its check at this position."""
    if kind == "gx":
        from pipechaos.validate.gx_validator import GxValidator

        raw = json.loads((EXPECTATIONS / "gx_suites" / "flights.json").read_text(encoding="utf-8"))
        if deleted is not None:
            del raw["expectations"][deleted]
        return GxValidator(raw, name=kind)
    from pipechaos.validate.pandera_validator import PanderaValidator

    if str(EXPECTATIONS) not in sys.path:
        sys.path.insert(0, str(EXPECTATIONS))
    from pandera_schemas.flights import flights_schema

    return PanderaValidator(flights_schema if deleted is None else _without(flights_schema, deleted), name=kind)


def _without(schema: Any, deleted: int) -> Any:
    """Copy of a pandera schema without one of its declared checks."""
    from pipechaos.validate.pandera_checks import Aspect, declared_checks

    slot = list(declared_checks(schema))[deleted]
    changed = copy.deepcopy(schema)
    part = changed if slot.component is None else changed.columns[slot.component]
    if slot.aspect is Aspect.CHECK:
        part.checks = [c for i, c in enumerate(part.checks) if i != slot.number]
    elif slot.component is None and slot.aspect is Aspect.UNIQUE:
        changed.unique = None
    else:
        name, off = {
            Aspect.PRESENT: ("required", False),
            Aspect.DTYPE: ("dtype", None),
            Aspect.NOT_NULL: ("nullable", True),
            Aspect.UNIQUE: ("unique", False),
        }[slot.aspect]
        setattr(part, name, off)
    return changed


def killers(validator: Any, frame: Any) -> frozenset[str]:
    """Checks that notice: by a fail finding or, error-only, by an error one."""
    verdict = validator.run(frame)
    return frozenset(f.check for f in (*verdict.fails, *verdict.errors))


_frames: dict[str, Any] = {}


def _start(path: str) -> None:
    import pickle

    _frames.update(pickle.loads(Path(path).read_bytes()))  # noqa: S301 - our own file of a minute ago


def _killers_of(kind: str, names: Sequence[str]) -> dict[str, frozenset[str]]:
    whole = suite(kind)
    return {name: killers(whole, _frames[name]) for name in names}


def _killers_without(kind: str, deleted: int, names: Sequence[str]) -> dict[str, frozenset[str]]:
    partial = suite(kind, deleted)
    return {name: killers(partial, _frames[name]) for name in names}


def matrix(
    kind: str,
    frames: Mapping[str, Any],
    *,
    others: int | None = None,
    checks: int | None = None,
    jobs: int = os.cpu_count() or 1,
) -> Iterator[Deletion]:
    """Delete each check in turn.

    Parameters
    ----------
    kind
        ``pandera`` or ``gx``.
    frames
        Weaknesses by name.
    others
        Beside what the check noticed, judge so many other weaknesses again; all without a number.
    checks
        Only the first so many checks.
    jobs
        Processes.
    """
    import pickle

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames"
        file.write_bytes(pickle.dumps(dict(frames)))
        with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (str(file),)) as pool:
            names = list(frames)
            parts = [names[i::jobs] for i in range(jobs)]
            found = {k: v for part in pool.map(_killers_of, [kind] * jobs, parts) for k, v in part.items()}
            ids = [c.id for c in suite(kind).checks][:checks]
            tried = [_to_try(check, i, found, names, others) for i, check in enumerate(ids)]
            answers = pool.map(_killers_without, [kind] * len(ids), range(len(ids)), tried)
            for check, judged, now in zip(ids, tried, answers, strict=True):
                yield Deletion(
                    validator=kind,
                    check=check,
                    alone=tuple(n for n in judged if found[n] == {check}),
                    lost=tuple(n for n in judged if found[n] and not now[n]),
                    gained=tuple(n for n in judged if now[n] and not found[n]),
                    moved=tuple(n for n in judged if now[n] != found[n] - {check}),
                    tried=len(judged),
                )


def _to_try(
    check: str, at: int, found: Mapping[str, frozenset[str]], names: Sequence[str], others: int | None
) -> list[str]:
    killed = [n for n in names if check in found[n]]
    rest = [n for n in names if check not in found[n]]
    if others is None:
        return killed + rest
    start = at * others % max(1, len(rest))  # another part of the rest for each check
    return killed + (rest[start:] + rest[:start])[:others]


def main() -> int:
    """Print one line a check; exit 1 if any changed what it did not guard alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--validator", choices=("pandera", "gx"), action="append")
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--others", type=int, help="judge only so many weaknesses beside those the check noticed")
    parser.add_argument("--checks", type=int, help="only the first so many checks")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as home:
        frames = mutants(Path(home), given.severities)
    print(f"{len(frames)} weaknesses, one base each", flush=True)
    for kind in given.validator or ("pandera", "gx"):
        for d in matrix(kind, frames, others=given.others, checks=given.checks):
            wrong += not d.as_expected
            said = "ok   " if d.as_expected else "WRONG"
            print(
                f"{said} {kind} without {d.check}: {len(d.lost)} of {d.tried} lost, {len(d.alone)} guarded alone",
                flush=True,
            )
            if not d.as_expected:
                print(f"      lost {d.lost}\n      alone {d.alone}\n      gained {d.gained}\n      moved {d.moved}")
    print(
        f"{wrong} deletions changed something else"
        if wrong
        else "each deletion changed exactly what the check alone guarded"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
