"""What the operators do, as plain functions: no Airflow in here, so tests and notebooks call them too."""

from __future__ import annotations

import atexit
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipechaos.batch.io import read_batch
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError
from pipechaos.inject.shadow import check_shadow, corrupt
from pipechaos.ledger.io import read_ledger
from pipechaos.plan.injection import Injection
from pipechaos.score.outcome import judge
from pipechaos.score.truth import Truth
from pipechaos.validate.verdict import VerdictStatus
from pipechaos.validate.verdict_io import read_verdict, write_verdict
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

if TYPE_CHECKING:
    from pipechaos.validate.verdict import Verdict

__all__ = ["corrupt_batch", "ref_of", "refusal", "score_verdicts", "validate_batch"]

_workers: dict[tuple[WorkerSpec, float], Worker] = {}


def ref_of(given: Any) -> BatchRef:
    """Batch reference from what travels between tasks: its JSON, an operator's result, a path, a URL.

    Raises
    ------
    BatchError
        It is none of these.
    """
    if isinstance(given, BatchRef):
        return given
    if isinstance(given, Mapping):
        return BatchRef.from_json(given.get("batch", given))
    try:
        return BatchRef.of(given)
    except TypeError:
        raise BatchError(f"{given!r} is no batch reference: give a path, a URL or BatchRef.to_json()") from None


def corrupt_batch(
    batch: Any,
    *,
    fault: str,
    shadow: str,
    columns: str | Sequence[str] = (),
    severity: int | None = None,
    fraction: float | None = None,
    placement: Mapping[str, Any] | str | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    repeat: int = 0,
    key: Sequence[str] = (),
    time: str | None = None,
    target: Sequence[str] = (),
    history: Sequence[Any] = (),
) -> dict[str, Any]:
    """Corrupt a copy in the shadow; see :class:`pipechaos.airflow.operators.ChaosOperator`."""
    injection = Injection.of(
        fault,
        columns,
        severity=severity,
        fraction=fraction,
        placement=placement,
        params=params,
        seed=seed,
        repeat=repeat,
    )
    ref = ref_of(batch)
    past = [read_batch(ref_of(h), key=tuple(key), time=time, target=tuple(target)) for h in history]
    copy = corrupt(ref, [injection], shadow, key=key, time=time, target=target, history=past, earlier=past)
    return {
        "batch": copy.ref.to_json(),
        "source": ref.to_json(),
        "ledger": copy.ledger_dir,
        "fault": fault,
        "columns": list(injection.columns),
        "injection": injection.injection_id(ref.name),
        "status": copy.ledger.status.value,
        "changed": copy.ledger.changed_cells,
    }


def validate_batch(
    batch: Any,
    *,
    validators: Mapping[str, str],
    roots: Sequence[str],
    results: str,
    limit_seconds: float = 60,
    loader: str | None = None,
) -> dict[str, Any]:
    """Let validators judge a batch in a process of their own and keep their verdicts as files."""
    if not validators:
        raise ConfigError("no validator is named: give validators={'name': 'pandera:module:attr'}")
    ref = ref_of(batch)
    check_shadow(results, ref)  # verdict files are no features either
    payload = ipc_bytes(read_batch(ref).table)
    spec = WorkerSpec(
        validators=tuple(ValidatorSpec(name=n, spec=s) for n, s in validators.items()),
        roots=tuple(str(Path(r).resolve()) for r in roots),
        loader=loader,
    )
    worker = _worker(spec, limit_seconds)
    known = batch if isinstance(batch, Mapping) and "ledger" in batch else {}
    home = Path(results) / ref.name.replace("/", "_") / str(known.get("injection", "base"))
    found = {}
    for name in validators:
        verdict = worker.validate(name, payload)
        found[name] = _summary(verdict) | {"verdict": write_verdict(verdict, home / f"{name}.json")}
    carried = {k: known[k] for k in ("ledger", "fault", "columns", "status", "changed") if k in known}
    return {"batch": ref.to_json(), "verdicts": found, **carried}


def _worker(spec: WorkerSpec, limit_seconds: float) -> Worker:
    """One worker process for each set of validators, kept while this process lives: loading them takes seconds."""
    at = (spec, limit_seconds)
    if at not in _workers:
        _workers[at] = Worker(spec, limit_seconds=limit_seconds)
        atexit.register(_workers[at].close)
    return _workers[at]


def _summary(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status.value,
        "checks": verdict.checks_declared,
        "failed": sorted({f.check for f in verdict.fails})[:20],
        "errors": len(verdict.errors),
    }


def refusal(found: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether any validator rejected, and what to say; the message is empty when all accepted."""
    bad = {n: v for n, v in found["verdicts"].items() if v["status"] != VerdictStatus.ACCEPTED.value}
    lines = [f"{n} {v['status']}: {', '.join(v['failed'][:5]) or 'no check failed'}" for n, v in bad.items()]
    rejected = any(v["status"] == VerdictStatus.REJECTED.value for v in bad.values())
    name = BatchRef.from_json(found["batch"]).name
    return rejected, f"batch {name!r} is not accepted. " + "; ".join(lines) if lines else ""


def score_verdicts(base: Any, verdicts: Any, *, key: Sequence[str] = ()) -> dict[str, Any]:
    """Pair each verdict on a corrupted copy with the one on the untouched batch."""
    bases = {n: read_verdict(v["verdict"]) for n, v in base["verdicts"].items()}
    outcomes = []
    counts: dict[str, Counter[str]] = {}
    for item in [verdicts] if isinstance(verdicts, Mapping) else _listed(verdicts):
        ledger = read_ledger(item["ledger"])
        truth = Truth.of(ledger, key_columns=tuple(key))
        for name, kept in item["verdicts"].items():
            if name not in bases:
                raise ConfigError(
                    f"validator {name!r} did not judge the untouched batch: there is nothing to pair with"
                )
            verdict = read_verdict(kept["verdict"])
            same = verdict.ordered_digest == bases[name].ordered_digest and bool(verdict.ordered_digest)
            judged = judge(ledger_status=ledger.status, base=bases[name], verdict=verdict, truth=truth, same_frame=same)
            counts.setdefault(name, Counter())[judged.outcome.value] += 1
            outcomes.append(
                {
                    "validator": name,
                    "fault": item["fault"],
                    "columns": item["columns"],
                    "changed": item["changed"],
                    "outcome": judged.outcome.value,
                    "why": judged.why.value if judged.why else None,
                }
            )
    return {"outcomes": outcomes, "counts": {n: dict(sorted(c.items())) for n, c in sorted(counts.items())}}


def _listed(verdicts: Iterable[Any]) -> list[Any]:
    return [v for v in verdicts if v is not None]
