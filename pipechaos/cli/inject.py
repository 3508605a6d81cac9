"""``pipechaos inject``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipechaos.cli.console import emit_json, json_option, people
from pipechaos.cli.halt import kill_switch
from pipechaos.cli.options import batch_options, injection_options, parse_pairs

if TYPE_CHECKING:
    from pipechaos.inject.shadow import ShadowCopy
    from pipechaos.plan.injection import Injection

__all__ = ["command"]


@click.command("inject")
@click.argument("batch")
@click.option("--out", required=True, help="Shadow folder for the copy and its ledger; outside the data set.")
@click.option(
    "--history",
    multiple=True,
    help="Earlier clean batches for scales and stale rows: a file, folder or quoted glob (repeatable).",
)
@click.option("--before-values", is_flag=True, help="Keep the values before in the ledger; they may be personal data.")
@injection_options
@batch_options
@json_option
def command(
    batch: str,
    out: str,
    history: tuple[str, ...],
    before_values: bool,
    key: tuple[str, ...],
    time: str | None,
    target: tuple[str, ...],
    json_to: str | None,
    **given: Any,
) -> None:
    """Write a corrupted copy of BATCH and the ledger of what changed; the batch itself is only read.

    Exits 0 also where the fault does not apply or changes nothing: that is a result, and `status` in the JSON says it.
    Exits 3 where the fault itself failed.
    """
    from pipechaos.batch.io import read_batch
    from pipechaos.batch.ref import BatchRef
    from pipechaos.campaign.source import find_refs
    from pipechaos.inject.shadow import corrupt
    from pipechaos.plan.injection import Injection

    kill_switch().check()
    injection = Injection.of(
        given["fault"],
        given["columns"],
        severity=given["severity"],
        fraction=given["fraction"],
        placement=parse_pairs(given["placement"], "--placement") or None,
        params=parse_pairs(given["params"], "--param"),
        seed=given["seed"],
        repeat=given["repeat"],
        exact=given["exact"],
    )
    found = (ref for h in history for ref in find_refs(h, Path.cwd()))
    past = [read_batch(ref, key=key, time=time, target=target) for ref in found]
    copy = corrupt(
        BatchRef.of(batch),
        [injection],
        out,
        key=key,
        time=time,
        target=target,
        history=past,
        earlier=past,
        before_values=before_values,
    )
    _tell(copy, injection, batch, json_to)


def _tell(copy: ShadowCopy, injection: Injection, batch: str, json_to: str | None) -> None:
    from pipechaos.errors import CannotRunError
    from pipechaos.ledger.records import Status

    record = copy.ledger.injections[0]
    people().print(
        f"{injection.fault} on {batch}: {copy.ledger.status.value.replace('_', ' ')}"
        + (f" ({record.reason})" if record.reason else "")
        + f"\n  {record.changed} of {record.eligible} eligible changed"
        + f"\n  copy   {copy.ref.uri}\n  ledger {copy.ledger_dir}"
    )
    emit_json(
        {
            "batch": copy.ref.to_json(),
            "ledger": copy.ledger_dir,
            "injection": injection.injection_id(copy.ledger.batch),
            "status": copy.ledger.status.value,
            **{name: getattr(record, name) for name in ("reason", "eligible", "asked", "changed")},
        },
        json_to,
    )
    if copy.ledger.status is Status.FAILED:
        raise CannotRunError(f"{injection.fault} failed and changed nothing: {record.reason}")
