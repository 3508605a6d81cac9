"""``pipechaos validate``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipechaos.cli.console import emit_json, json_option, people

__all__ = ["command"]


@click.command("validate")
@click.argument("batch")
@click.option(
    "--with", "spec", required=True, help="As for `init`: schemas.py:attr, suite.json, pandera:module:attr, ..."
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    default=(".",),
    show_default=True,
    help="Folder that code and suites may come from (repeatable).",
)
@click.option("--import", "imports", multiple=True, help="Module that registers custom checks (repeatable).")
@click.option("--loader", help="module:function(path) -> frame, where it is not read_parquet of pandas (or polars).")
@click.option("--limit", type=float, default=60, show_default=True, help="Seconds before the validator is killed.")
@json_option
def command(
    batch: str,
    spec: str,
    roots: tuple[str, ...],
    imports: tuple[str, ...],
    loader: str | None,
    limit: float,
    json_to: str | None,
) -> None:
    """Let one validator judge BATCH. Exits 0 when it accepts, 1 when it rejects, 3 when it gave no verdict."""
    from pipechaos.batch.io import read_batch
    from pipechaos.batch.ipc import ipc_bytes
    from pipechaos.batch.ref import BatchRef
    from pipechaos.campaign.starter import validator_of
    from pipechaos.validate.base import KINDS
    from pipechaos.validate.verdict import VerdictStatus
    from pipechaos.validate.verdict_io import verdict_to_json
    from pipechaos.validate.worker import ValidatorSpec, Worker, WorkerSpec

    if spec.partition(":")[0] not in KINDS or ".py:" in spec:
        _, spec, root = validator_of(spec)
        roots = (*roots, str(root))
    payload = ipc_bytes(read_batch(BatchRef.of(batch)).table)
    workers = WorkerSpec(
        validators=(ValidatorSpec(name=spec, spec=spec, imports=imports),),
        roots=tuple(str(Path(r).resolve()) for r in roots),
        loader=loader,
    )
    with Worker(workers, limit_seconds=limit) as worker:
        verdict = worker.validate(spec, payload)
    out = people()
    out.print(
        f"{spec}: {verdict.status.value} ({verdict.checks_ran} of {verdict.checks_declared} checks ran)", style="bold"
    )
    for f in verdict.findings:
        rows = "" if f.rows is None else f", {len(f.rows)} rows"
        out.print(f"  {f.kind.value:9} {f.check}{rows}" + (f"  {f.message}" if f.message else ""))
    emit_json(verdict_to_json(verdict, values=True), json_to)
    sys.exit({VerdictStatus.ACCEPTED: 0, VerdictStatus.REJECTED: 1}.get(verdict.status, 3))
