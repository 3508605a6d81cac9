"""What the operators do, as plain functions: no Airflow in here, so tests and notebooks call them too."""

from __future__ import annotations

import atexit
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipechaos.batch.io import read_batch
from pipechaos.batch.ipc import ipc_bytes
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, ConfigError
from pipechaos.faults import registry
from pipechaos.inject.shadow import check_shadow, corrupt
from pipechaos.inject.sql_shadow import corrupt_table
from pipechaos.inject.sql_upkeep import sweep_schemas
from pipechaos.ledger.io import read_ledger
from pipechaos.plan.injection import Injection
from pipechaos.score.outcome import judge_injected
from pipechaos.score.truth import Truth
from pipechaos.validate.verdict import VerdictStatus
from pipechaos.validate.verdict_io import read_verdict, write_verdict
from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

if TYPE_CHECKING:
    from pipechaos.batch.connections import Connections
    from pipechaos.inject.shadow import ShadowCopy
    from pipechaos.inject.sql_shadow import SqlCopy
    from pipechaos.validate.verdict import Verdict

__all__ = ["corrupt_batch", "ref_of", "refusal", "score_verdicts", "validate_batch"]

_TTL = timedelta(days=1)
_workers: dict[tuple[int, WorkerSpec, float], Worker] = {}


def ref_of(given: Any, connections: Connections | None = None) -> BatchRef:
    """Batch reference from what travels between tasks: its JSON, an operator's result, a path, a URL.

    ``connections`` are connected file systems by connection id, to look with.

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
        return BatchRef.of(given, connections=connections)
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
    connections: Connections | None = None,
) -> dict[str, Any]:
    """Corrupt a copy in the shadow; see :class:`pipechaos.airflow.operators.ChaosOperator`.

    A table is copied into a shadow schema of its database for a day, and its ledger into the shadow; ``connections``
    are URLs of databases and connected file systems by connection id.
    """
    injection = Injection.of(
        fault,
        columns,
        severity=None if severity is None else int(severity),  # a template gives text
        fraction=None if fraction is None else float(fraction),
        placement=placement,
        params=params,
        seed=seed,
        repeat=repeat,
    )
    ref = ref_of(batch, connections)
    roles: dict[str, Any] = {"key": tuple(key), "time": time, "target": tuple(target)}
    past = [read_batch(ref_of(h, connections), connections=connections, **roles) for h in history]
    roles |= {"history": past, "earlier": past}
    copy: ShadowCopy | SqlCopy
    if ref.sql is None:
        copy = corrupt(ref, [injection], shadow, connections=connections, **roles)
    else:
        now = datetime.now(UTC)
        sweep_schemas(ref, now=now, connections=connections)
        copy = corrupt_table(ref, [injection], ledgers=shadow, now=now, ttl=_TTL, connections=connections, **roles)
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
    kept_as: str = "base",
    connections: Connections | None = None,
) -> dict[str, Any]:
    """Let validators judge a batch in a process of their own and keep their verdicts as files.

    ``kept_as`` names their folder where the batch itself does not say which copy it is.
    """
    if not validators:
        raise ConfigError("no validator is named: give validators={'name': 'pandera:module:attr'}")
    ref = ref_of(batch, connections)
    known = batch if isinstance(batch, Mapping) and "ledger" in batch else {}
    for data in (ref, ref_of(known.get("source", ref))):
        check_shadow(results, data)  # verdict files are no features either
    payload = ipc_bytes(read_batch(ref, expected_digest=ref.digest or None, connections=connections).table)
    spec = WorkerSpec(
        validators=tuple(ValidatorSpec(name=n, spec=s) for n, s in validators.items()),
        roots=tuple(str(Path(r).resolve()) for r in roots),
        loader=loader,
    )
    worker = _worker(spec, limit_seconds)
    home = Path(results) / _file_name(ref.name) / str(known.get("injection", kept_as))
    found = {}
    for name in validators:
        verdict = worker.validate(name, payload)
        found[name] = _summary(verdict) | {"verdict": write_verdict(verdict, home / f"{_file_name(name)}.json")}
    carried = {k: known[k] for k in ("ledger", "fault", "columns", "status", "changed") if k in known}
    return {"batch": ref.to_json(), "verdicts": found, **carried}


def _file_name(name: str) -> str:
    """Name that stays in its folder, one to one."""
    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _worker(spec: WorkerSpec, limit_seconds: float) -> Worker:
    """One worker process for each set of validators, kept while this process lives: loading them takes seconds."""
    at = (os.getpid(), spec, limit_seconds)  # a forked task must not talk to its parent's worker
    if at not in _workers:
        _workers[at] = Worker(spec, limit_seconds=limit_seconds)
        # Airflow ends a task with os._exit after the functions registered since its fork; where it does not come to
        # that, the worker sees its pipe close, or its parent go
        atexit.register(_workers[at].close)
    return _workers[at]


def _summary(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status.value,
        "checks": verdict.checks_declared,
        "failed": sorted({f.check for f in verdict.fails})[:20],
        "errors": len(verdict.errors),
    }


def _why(summary: Mapping[str, Any]) -> str:
    if summary["failed"]:
        return ", ".join(summary["failed"][:5])
    return "it gave no verdict" + (f", {summary['errors']} checks crashed" if summary["errors"] else "")


def refusal(found: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether any validator rejected, and what to say; the message is empty when all accepted."""
    bad = {n: v for n, v in found["verdicts"].items() if v["status"] != VerdictStatus.ACCEPTED.value}
    lines = [f"{n} {v['status']}: {_why(v)}" for n, v in bad.items()]
    rejected = any(v["status"] == VerdictStatus.REJECTED.value for v in bad.values())
    name = BatchRef.from_json(found["batch"]).name
    return rejected, f"batch {name!r} is not accepted. " + "; ".join(lines) if lines else ""


def score_verdicts(base: Any, verdicts: Any, *, key: Sequence[str] = ()) -> dict[str, Any]:
    """Pair each verdict on a corrupted copy with the one on the untouched batch.

    Raises
    ------
    ConfigError
        There is nothing to score, or a copy has no base: another batch, or a validator that did not judge it.
    """
    items = [verdicts] if isinstance(verdicts, Mapping) else [v for v in verdicts if v is not None]  # None: skipped
    if not items:
        raise ConfigError("there is no verdict on a corrupted copy: nothing was injected, or all of it was skipped")
    bases = {n: read_verdict(v["verdict"]) for n, v in base["verdicts"].items()}
    outcomes = [o for item in items for o in _outcomes(item, ref_of(base).name, bases, tuple(key))]
    counts: dict[str, Counter[str]] = {}
    for o in outcomes:
        counts.setdefault(o["validator"], Counter())[o["outcome"]] += 1
    return {"outcomes": outcomes, "counts": {n: dict(sorted(c.items())) for n, c in sorted(counts.items())}}


def _outcomes(
    item: Mapping[str, Any], base: str, bases: Mapping[str, Verdict], key: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Outcome of each validator on one corrupted copy."""
    name = ref_of(item).name
    if "ledger" not in item:
        raise ConfigError(f"a verdict on batch {name!r} has no ledger: only what ChaosOperator broke can be scored")
    if name != base:
        raise ConfigError(f"a corrupted copy of batch {name!r} cannot be paired with verdicts on batch {base!r}")
    ledger = read_ledger(item["ledger"])
    fault = registry.get(item["fault"])
    truth = Truth.of(ledger, fault.phase, key)  # one for all validators
    for validator, kept in item["verdicts"].items():
        if validator not in bases:
            raise ConfigError(
                f"validator {validator!r} did not judge the untouched batch {base!r}: there is nothing to pair with. "
                f"It was judged by: {', '.join(sorted(bases)) or 'none'}."
            )
        judged = judge_injected(
            fault.family,
            ledger.status,
            base=bases[validator],
            verdict=read_verdict(kept["verdict"]),
            truth=lambda: truth,
        )
        yield {
            "validator": validator,
            "fault": item["fault"],
            "columns": item["columns"],
            "changed": item["changed"],
            "outcome": judged.outcome.value,
            "why": judged.why.value if judged.why else None,
        }
